//! What a provider tells by itself: verified, then read into events that name a payment and what happened to it.

use super::outcome::Outcome;
use crate::money::Money;

/// A request that claims to come from a provider.
pub struct WebhookCall<'a> {
    /// Header names in lower case and their values, in order; values that are no ASCII text are left out.
    pub headers: &'a [(String, String)],
    /// The body as it came: signatures are over these very bytes.
    pub body: &'a [u8],
    /// Milliseconds since 1970, against which a signature's age is judged.
    pub now_ms: i64,
}

/// One thing that happened at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PspEvent {
    /// The provider's id of the event, or a text of its own that is the same whenever the same event is told again. It is
    /// what duplicates are known by.
    pub event_id: String,
    /// Which payment it is about.
    pub about: About,
    /// What happened.
    pub what: Told,
}

/// How an event names its payment. At least one part is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Our attempt id, where the provider gives it back.
    pub attempt_id: Option<String>,
    /// Our payment id, where the provider gives it back.
    pub payment_id: Option<String>,
    /// The provider's id of the payment.
    pub psp_id: Option<String>,
}

/// What a provider tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something changed; ask. For providers that can be asked (`Capabilities::can_sync`), whose event is a hint alone.
    Look,
    /// How the authorization (or the verification, or the whole payment) stands.
    Payment(Outcome),
    /// A capture happened or failed: `Captured` with the sum of all captures where the provider tells it, or of this one.
    Capture {
        /// Our capture id, where the provider gives it back.
        capture_id: Option<String>,
        /// What became of it. `Captured::amount_minor` is the amount of this capture alone.
        outcome: Outcome,
    },
    /// A cancellation happened or failed.
    Cancel(Outcome),
    /// An increment happened or failed.
    Increment(Outcome),
    /// A refund happened or failed.
    Refund {
        /// Our refund id, where the provider gives it back.
        refund_id: Option<String>,
        /// The provider's id of the refund.
        psp_refund_id: Option<String>,
        /// What became of it.
        outcome: Outcome,
    },
    /// A dispute or chargeback.
    Dispute(PspDispute),
    /// Nothing that the engine acts on; it is acknowledged so that the provider stops repeating it.
    Nothing,
}

/// A dispute as a provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PspDispute {
    /// The provider's id of the dispute.
    pub dispute_id: String,
    /// How far it is.
    pub stage: DisputeStage,
    /// How it stands.
    pub status: DisputeStatus,
    /// How much, where told.
    pub amount: Option<Money>,
    /// The provider's or scheme's reason code.
    pub reason: Option<String>,
    /// Until when evidence is taken, milliseconds since 1970.
    pub evidence_due_ms: Option<i64>,
}

/// How far a dispute is, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// A question of the bank; no money moved.
    PreDispute,
    /// A chargeback.
    Dispute,
    /// A second chargeback or an arbitration.
    PreArbitration,
}

/// How a dispute stands. Within one stage a later status comes after an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The merchant may answer.
    Opened,
    /// The merchant has answered.
    Challenged,
    /// The merchant gave in.
    Accepted,
    /// The merchant did not answer in time.
    Expired,
    /// Taken back by the bank.
    Cancelled,
    /// Decided for the merchant.
    Won,
    /// Decided for the payer.
    Lost,
}

/// Why a webhook was not taken. Says nothing about which part of a signature was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// No signature, a wrong one, or one that is too old.
    #[error("the signature is missing, wrong or too old")]
    Signature,
    /// Signed well, but no event of a known form.
    #[error("the event cannot be read")]
    Unreadable,
    /// The account has no webhook secret.
    #[error("the account has no webhook secret")]
    NoSecret,
}
