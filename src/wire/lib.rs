//! What Strongroom's processes may say to each other: types, limits and codes. No card, no I/O, no cryptography.

pub mod acts;
pub mod admin;
pub mod backup;
pub mod certificate;
pub mod custody;
pub mod encrypted_fields;
pub mod entry;
pub mod export;
pub mod forward;
pub mod header;
pub mod hex;
pub mod id;
pub mod intake;
pub mod limits;
pub mod migration;
pub mod origin;
pub mod payment_method;
pub mod problem;
pub mod published;
pub mod retention;
pub mod scheme;
pub mod scope;
pub mod template;

pub use entry::Entry;
pub use id::{ActId, BadId, CustomerId, NodeName, Reference, RequestId, SecretId, TenantId, Token};
pub use problem::{Kind, Problem};
pub use scope::Scope;
