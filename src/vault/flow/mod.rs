//! What the vault does, one story per file: each asks policy for a Permit, has the audit log turn it into a Warrant, and
//! only then goes to the barrier and the store.

pub mod acts;
pub mod admin;
pub mod audit;
pub mod auto;
pub mod backup;
pub mod batch;
pub mod check;
pub mod custody;
pub mod customer;
pub mod cvc;
pub mod delete;
mod destroy;
pub mod epochs;
mod error;
pub mod export;
pub mod fields;
pub mod fingerprint;
pub mod forward;
mod idempotency;
pub mod intake;
mod kek;
mod kept;
mod keyring;
pub mod lifetime;
pub mod migrate;
pub mod nodes;
pub mod policy_change;
pub mod policy_nodes;
pub mod quotas;
pub mod read;
mod reroot;
pub mod retain;
pub mod retention;
pub mod reveal;
#[cfg(test)]
mod rig;
mod root;
pub mod rotate;
mod rounds;
mod row;
pub mod secret;
pub mod session;
mod shred;
pub mod sweep;
pub mod tenant;
pub mod tokenize;
pub mod unseal;
pub mod update;
mod vault;

pub use error::{FlowError, StoreFault};
pub use idempotency::IdempotencyKey;
pub use root::{RootPlace, RootSource};
pub use vault::{Asker, Vault};
