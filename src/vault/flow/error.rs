//! How a story may end badly; `api/problem.rs` maps each case to one problem document.

use strongroom_keys::NoRandomness;
use strongroom_keys::root::{RootError, ShareRefused};
use strongroom_wire::NodeName;
use strongroom_wire::entry::Reason;

use crate::audit::NotRecorded;
use crate::barrier::{BarrierError, CvcGone, FieldsError};
use crate::card::{BodyError, Sealable};
use crate::policy::{Denied, Quota};
use crate::store::StoreError;

/// Why an act was not done. No variant holds text that a client sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// Policy refused.
    #[error("refused by policy")]
    Denied(Reason),
    /// A quota is used up.
    #[error("the quota is used up")]
    Quota {
        /// Which.
        quota: Quota,
        /// When asking again makes sense.
        retry_after_s: u64,
    },
    /// There are no keys in memory.
    #[error("the vault is sealed")]
    Sealed,
    /// One of several nodes has not reached the store for too long, and does not know whether its keys are still right.
    #[error("this node has not reached the store for too long; it goes on by itself once it does")]
    Behind,
    /// Another node does this now.
    #[error("node {0} does this now")]
    Elsewhere(NodeName),
    /// A change is made, and another node that holds keys did not take it over in time.
    #[error("node {0} has not taken the change over yet; ask again")]
    Unaware(NodeName),
    /// See [`NotRecorded`].
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreFault),
    /// No such record for this tenant.
    #[error("there is no such record")]
    NotFound,
    /// A field of the request.
    #[error("{field}: {why}")]
    Field {
        /// Its path.
        field: &'static str,
        /// The rule.
        why: &'static str,
    },
    /// A field of a body with a card.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The CVC was used, expired or belongs to another card.
    #[error("the CVC is not available")]
    CvcGone,
    /// The intake key that this was sealed to is not in use.
    #[error("the intake key is not in use")]
    IntakeKeyGone(Sealable),
    /// A sealing came a second time.
    #[error("what is sealed was used before")]
    SealedTwice(Sealable),
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used with another request")]
    OtherRequest,
    /// As many requests are on their way to destinations as may be.
    #[error("too many requests are being forwarded")]
    Crowded,
    /// Another request with the idempotency key is on its way.
    #[error("a request with this idempotency key still runs")]
    Running,
    /// The record is not in a state for this, or changed while it was being changed.
    #[error("{0}")]
    Conflict(&'static str),
    /// A stored record did not authenticate.
    #[error("a stored record failed its integrity check")]
    Tampered,
    /// The HSM or KMS that holds the Root did not do its part, so no key was made or unwrapped.
    #[error(transparent)]
    Root(RootError),
    /// A backup could not be written.
    #[error("{0}")]
    Backup(&'static str),
    /// The database that the store shall move into cannot be used.
    #[error("{why}")]
    Move {
        /// What is in the way, in words of ours.
        why: String,
        /// Whether the same may succeed later.
        may_pass: bool,
    },
    /// The custodian has not acknowledged their duty.
    #[error("the custodian has not acknowledged their duty")]
    Unacknowledged,
    /// A custodian's share was refused.
    #[error(transparent)]
    Share(#[from] ShareRefused),
    /// The key that would make something new is over its cryptoperiod; what it made before still opens.
    #[error("the key is over its cryptoperiod")]
    KeyExpired,
    /// A Kek reached its use limit or there is no randomness: nothing is encrypted.
    #[error("{0}")]
    Crypto(&'static str),
}

/// What a fault of the store means to a caller. The API knows no store, only this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// Too many writes wait; nothing happened.
    #[error("the store has too much to write; nothing happened")]
    Busy,
    /// It cannot be read or written now.
    #[error("the store cannot be written or read: make room on its disk, and start vaultd anew if its log asks for it")]
    Gone,
    /// It is damaged.
    #[error("the store is damaged; restore it from a backup")]
    Damaged,
    /// No such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// As many records as there may be.
    #[error("the store holds as many records as there may be")]
    Full,
    /// It moves; nothing happened.
    #[error("the store moves into another database, so nothing is written for a moment")]
    Held,
    /// It lies elsewhere.
    #[error("the store was moved into a PostgreSQL database")]
    Moved,
    /// A fault of ours.
    #[error("the store refused; see what vaultd's log says")]
    Internal,
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        FlowError::Store(match error {
            StoreError::OtherRoot => {
                return FlowError::Conflict("another root came into force in between; ask again");
            }
            StoreError::Busy => StoreFault::Busy,
            StoreError::Held => StoreFault::Held,
            StoreError::Moved => StoreFault::Moved,
            StoreError::Unavailable => StoreFault::Gone,
            StoreError::Corrupt | StoreError::OtherVault => StoreFault::Damaged,
            StoreError::NoTenant => StoreFault::NoTenant,
            StoreError::Full => StoreFault::Full,
            StoreError::NewerSchema
            | StoreError::InUse
            | StoreError::NoKey
            | StoreError::Exists
            | StoreError::NoCopy
            | StoreError::TooLarge => StoreFault::Internal,
        })
    }
}

impl From<BarrierError> for FlowError {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Sealed => FlowError::Sealed,
            BarrierError::Behind => FlowError::Behind,
            BarrierError::NoSuchTenant => FlowError::NotFound,
            BarrierError::Unauthentic => FlowError::Tampered,
            BarrierError::Expired => FlowError::KeyExpired,
            BarrierError::WrapsSpent => FlowError::Crypto("the tenant's key reached its use limit; rotate it"),
            BarrierError::NoEpoch => FlowError::Store(StoreFault::Gone),
            BarrierError::NoRandomness => FlowError::Crypto("the operating system gave no random numbers"),
            BarrierError::TooLong => FlowError::Crypto("the record is too long to be sealed"),
        }
    }
}

impl From<FieldsError> for FlowError {
    fn from(error: FieldsError) -> Self {
        match error {
            FieldsError::NoKey => FlowError::Field {
                field: "secret_id",
                why: "this secret is no key for encrypted fields; store one whose value is 32 bytes as base64, as the \
                      merchant's page has it",
            },
            FieldsError::Body(why) => FlowError::Body(why),
            FieldsError::Barrier(why) => why.into(),
        }
    }
}

impl From<RootError> for FlowError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Unauthentic => FlowError::Tampered,
            RootError::NoRandomness => FlowError::from(NoRandomness),
            other => FlowError::Root(other),
        }
    }
}

impl From<CvcGone> for FlowError {
    fn from(_: CvcGone) -> Self {
        FlowError::CvcGone
    }
}

impl FlowError {
    pub(super) fn denied(denied: &Denied) -> Self {
        match denied.spent() {
            Some(spent) => FlowError::Quota { quota: spent.quota, retry_after_s: spent.retry_after_s },
            None => FlowError::Denied(denied.reason()),
        }
    }
}
