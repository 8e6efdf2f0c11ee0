//! What a payment has several of: attempts, captures, increments, refunds, disputes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Flight;
use super::payment::Payment;
use crate::account::ConnectorAccount;
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
    /// For how many days the provider holds what it reserved.
    #[serde(default = "week")]
    pub authorization_days: u16,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// When its outcome was learnt, milliseconds since 1970; not known of attempts that earlier versions stored.
    #[serde(default)]
    pub ended_ms: Option<i64>,
}

impl Attempt {
    /// The next attempt of a payment, on this account, about to be made under this key.
    #[must_use]
    pub fn begin(
        payment: &Payment,
        account: &ConnectorAccount,
        authorization_days: u16,
        key: String,
        now_ms: i64,
    ) -> Self {
        Self {
            attempt_id: format!("{}_{}", payment.payment_id, payment.attempts.len() + 1),
            connector: account.connector.clone(),
            account_id: account.account_id.clone(),
            status: AttemptStatus::Pending,
            idempotency_key: key,
            psp_id: None,
            network_transaction_id: None,
            error_code: None,
            error_message: None,
            decline_kind: None,
            handles: Handles::new(),
            authorization_days,
            created_ms: now_ms,
            ended_ms: None,
        }
    }
}

fn week() -> u16 {
    7
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

/// A capture that was asked for after the authorization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureRow {
    /// `cap_...`.
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
    /// `inc_...`.
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
