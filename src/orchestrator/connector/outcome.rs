//! What a provider's answer means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::operation::Handles;

/// What to do after one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another request is needed; ask for it with this progress.
    Next(Progress),
    /// The operation ended.
    Done(Outcome),
    /// Only for `Sync` and `SyncRefund`: the provider has nothing under this id or reference.
    Absent,
    /// The answer proves nothing about money (5xx, unreadable body, the same key still running).
    InDoubt(Doubt),
}

/// How far a multi-step operation has come. Stored with the attempt, so it holds ids of the provider's objects and never
/// a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps done; 0 before the first.
    pub step: u8,
    /// What later steps need (`payment_method` -> the provider's id).
    pub values: BTreeMap<String, String>,
}

/// How an operation ended. Every variant is proven by an answer of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Money is reserved.
    Authorized {
        /// The provider's id of the payment.
        psp_id: String,
        /// The scheme's id, which later merchant-initiated payments refer to.
        network_transaction_id: Option<String>,
        /// What the provider wants back with what follows; merged into what is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        handles: Handles,
    },
    /// The card was proven good without money, and may be kept.
    Verified {
        /// The provider's id of the verification.
        psp_id: String,
        /// The scheme's id, which later merchant-initiated payments refer to.
        network_transaction_id: Option<String>,
        /// What the provider wants back with what follows; merged into what is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        handles: Handles,
    },
    /// Money is taken.
    Captured {
        /// The provider's id of the payment.
        psp_id: String,
        /// How much in all captures of this payment together, in minor units.
        amount_minor: u64,
        /// The scheme's id.
        network_transaction_id: Option<String>,
        /// What the provider wants back with what follows; merged into what is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        handles: Handles,
    },
    /// The reservation, or the payment that waited, is gone.
    Cancelled {
        /// The provider's id of the payment.
        psp_id: String,
    },
    /// Money is given back.
    Refunded {
        /// The provider's id of the refund.
        psp_id: String,
        /// How much, in minor units.
        amount_minor: u64,
    },
    /// The payer must be sent to this page; afterwards a `Sync` tells the rest.
    RequiresAction {
        /// The provider's id of the payment.
        psp_id: String,
        /// An `https` address at the provider or the card's issuer.
        redirect_url: String,
        /// What the provider wants back with what follows; merged into what is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        handles: Handles,
    },
    /// The provider works on it; a later `Sync` or `SyncRefund` tells the rest.
    Pending {
        /// The provider's id of the payment or refund.
        psp_id: String,
        /// What the provider wants back with what follows; merged into what is known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        handles: Handles,
    },
    /// The issuer or the provider's risk check said no. No money moved.
    Declined(Decline),
    /// The provider refused the request itself (bad credentials, bad argument, too many requests, wrong state). This request
    /// moved no money.
    Refused(Refusal),
}

/// A no of the issuer or of the provider's risk check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The provider's id of the payment, where one was made.
    pub psp_id: Option<String>,
    /// The provider's error code (`card_declined`).
    pub code: String,
    /// The finer code, where there is one (`insufficient_funds`).
    pub decline_code: Option<String>,
    /// The provider's words, free of card data.
    pub message: String,
    /// What may be tried next.
    pub kind: DeclineKind,
}

/// What may be tried after a decline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// Another attempt, now elsewhere or later, may succeed.
    Soft,
    /// This card will not work until the payer changes something.
    Hard,
    /// The schemes forbid another attempt with this card (lost, stolen, closed).
    DoNotRetry,
}

/// A refusal of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The provider's error code, or one of ours in the same style.
    pub code: String,
    /// The provider's words, free of card data.
    pub message: String,
}

/// Why nothing is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// No answer within the time limit.
    TimedOut,
    /// The connection broke after the request had begun.
    ConnectionLost,
    /// A 5xx status.
    ServerFault,
    /// An answer that could not be read, or was too large.
    Unreadable,
    /// The provider says that a request with the same key still runs.
    StillRunning,
    /// The provider knows the idempotency key with another request: an earlier sending may have done its work.
    KeyReused,
    /// The provider refused to answer the question of a `Sync` (bad credentials, too many requests, an id that it should
    /// know and does not).
    QuestionRefused,
    /// The process ended between storing the attempt and storing its outcome.
    Interrupted,
}
