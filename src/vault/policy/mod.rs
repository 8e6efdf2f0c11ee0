//! Policy: who may do what. Default deny; [`Policy::decide`] is the only maker of a [`Permit`].
//!
//! This room knows neither keys, cards nor storage.

mod action;
mod carry;
mod changes;
mod decide;
mod identity;
mod nodes;
mod note;
mod permit;
mod pin;
mod principal;
mod quota;
mod rules;
mod session_cards;
mod share;

pub use action::{
    Action, Backup, Bulk, ChangeRoot, CheckPin, CreateSession, Delete, DeleteCustomer, Destroy, Export, Fingerprint,
    Forward, Fresh, IntoSubject, ManageTenants, Migrate, OpenFields, Opens, OrderExport, Provision, ReadAudit,
    ReadKeys, ReadMasked, ReadMetrics, ReadStatus, Reload, Retain, Reveal, RevealSecret, Rotate, RuleRetention, Seal,
    Tokenize, Tries, Unseal, Update, WriteSecret,
};
pub use carry::Carried;
pub use changes::changes;
pub use decide::{Policy, QuotaUse};
pub use identity::{BadIdentity, Identity};
pub use nodes::Heard;
pub use note::{Digest, LogSafe, Note};
pub use permit::{Denied, Permit, Quota, Refusal, Request, Spent, Trace};
pub use principal::{FrameClaims, Principal, SessionClaims};
pub use rules::{Fault, PolicyError, Rules};
