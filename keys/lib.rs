//! Keys and custody: the hierarchy Root, Kek, Dek; envelopes around records; shares of custodians; the arithmetic of the
//! transparency log. Only `vaultd` and `vaultctl` link this crate, and a law test proves it.

pub mod aead;
pub mod completion;
pub mod context;
pub mod destruction;
pub mod duty;
pub mod envelope;
pub mod epoch;
pub mod export;
pub mod fields;
pub mod intake;
pub mod inventory;
pub mod jose;
pub mod key;
pub mod lineage;
pub mod mac;
pub mod node;
pub mod note;
pub mod reroot;
pub mod root;
pub mod share;
pub mod sign;
mod stack;
pub mod tlog;

pub use aead::{Cipher, Unsealed};
pub use context::Context;
pub use envelope::{BadEnvelope, Envelope};
pub use key::{Dek, EpochRole, IntakeRole, Kek, Key, Mac, NoRandomness, PassphraseRole, Role, RootRole, SignRole};
pub use root::{Assembly, Descriptor, Root};
pub use share::Share;

/// A ciphertext, wrapped key, tag or signature did not authenticate. It says nothing more, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct Unauthentic;
