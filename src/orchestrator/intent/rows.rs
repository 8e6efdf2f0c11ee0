//! What a payment has several of: attempts, captures, increments, refunds, disputes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Flight;
use crate::connector::{DeclineKind, DisputeStage, DisputeStatus, Handles};

/// One authorization at one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// `{payment_id}_{n}`.
    pub attempt_id: String,
    /// The connector's name.
    pub connector: String,
    /// Which account of the merchant there.
    pub account_id: String,
    /// How it stands.
    pub status: AttemptStatus,
    /// Base of its idempotency keys.
    pub idempotency_key: String,
    /// The provider's id, once learnt.
    pub psp_id: Option<String>,
    /// The scheme's id, once learnt.
    pub network_transaction_id: Option<String>,
    /// The provider's error code.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// What kind of no it was.
    pub decline_kind: Option<DeclineKind>,
    /// What the provider wants back with what follows.
    #[serde(default)]
    pub handles: Handles,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Stored; the call runs or its result is not known.
    Pending,
    /// The payer must authenticate.
    AuthenticationPending,
    /// Money is reserved.
    Authorized,
    /// Money is taken.
    Charged,
    /// Released.
    Voided,
    /// Ended in a no.
    Failure,
}

/// A capture of a payment that may have several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureRow {
    /// `{payment_id}_{n}` of its attempt and `_cap_{n}`.
    pub capture_id: String,
    /// How much, in minor units.
    pub amount_minor: u64,
    /// How it stands.
    pub status: CaptureStatus,
    /// The provider's error code.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// How a capture or an increment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureStatus {
    /// Runs, in doubt, or accepted and not done.
    Pending,
    /// Done.
    Charged,
    /// Did not happen.
    Failed,
}

/// A raise of what is reserved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncrementRow {
    /// `{payment_id}_inc_{n}`.
    pub increment_id: String,
    /// What was reserved before, in minor units.
    pub before_minor: u64,
    /// What was to be reserved then, in minor units.
    pub total_minor: u64,
    /// How it stands.
    pub status: CaptureStatus,
    /// The merchant's words.
    pub reason: Option<String>,
    /// The provider's error code.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A dispute of the payer, as the provider told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispute {
    /// The provider's id.
    pub dispute_id: String,
    /// How far it is.
    pub stage: DisputeStage,
    /// How it stands.
    pub status: DisputeStatus,
    /// How much, in minor units of the payment's currency, where told.
    pub amount_minor: Option<u64>,
    /// The reason code.
    pub reason: Option<String>,
    /// Until when evidence is taken, milliseconds since 1970.
    pub evidence_due_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    /// The last thing that the merchant was told about it (a type of event).
    #[serde(default)]
    pub told: Option<String>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    /// `ref_...`, or as the merchant chose.
    pub refund_id: String,
    /// How much, in minor units.
    pub amount_minor: u64,
    /// How it stands.
    pub status: RefundStatus,
    /// The merchant's words.
    pub reason: Option<String>,
    /// The merchant's notes.
    pub metadata: Map<String, Value>,
    /// The provider's id, once learnt.
    pub psp_refund_id: Option<String>,
    /// The provider's error code.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// The call, while it runs or is in doubt.
    pub flight: Option<Flight>,
    /// The last thing that the merchant was told about it (a type of event).
    #[serde(default)]
    pub told: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Runs, in doubt, or accepted and not done.
    Pending,
    /// Done.
    Succeeded,
    /// Did not happen.
    Failed,
}
