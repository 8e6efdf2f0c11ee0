//! What the engine may ask of a provider.

use crate::money::Money;

/// One thing to be done or asked at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Reserve (and with automatic capture take) money from a card.
    Authorize(Authorize),
    /// Ask what became of an authorization: after a redirect, after a time-out, after a crash.
    Sync(Sync),
    /// Take reserved money.
    Capture(Capture),
    /// Release reserved money, or abandon an authorization that waits for the payer.
    Cancel(Cancel),
    /// Give taken money back.
    Refund(Refund),
    /// Ask what became of a refund.
    SyncRefund(SyncRefund),
}

/// See [`Operation::Authorize`]. The card comes by slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorize {
    /// Our payment id; goes into the provider's metadata as `payment_id`.
    pub payment_id: String,
    /// Our attempt id (`pay_..._1`), unique for each authorization; goes into the metadata as `attempt_id`, by which a lost
    /// answer is found again.
    pub attempt_id: String,
    /// Base of the idempotency keys; a connector of several steps appends a suffix for each (`{key}-pi`). At most 64
    /// characters of `A-Z a-z 0-9 _ -`.
    pub idempotency_key: String,
    /// How much; at least 1 minor unit.
    pub amount: Money,
    /// When the money is taken.
    pub capture: CaptureMethod,
    /// Whether the merchant wishes the payer to be authenticated (`authentication_type: three_ds`).
    pub three_ds: bool,
    /// Where the payer's browser comes back to after authentication: an address of ours.
    pub return_url: Option<String>,
    /// Which credential-on-file case this is.
    pub credential: Credential,
    /// The merchant's words for the payment.
    pub description: Option<String>,
    /// What the payer reads on the statement, already within the provider-neutral limit of 22 characters.
    pub statement_descriptor: Option<String>,
}

/// When authorized money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureMethod {
    /// At once.
    Automatic,
    /// By a later [`Operation::Capture`].
    Manual,
}

/// Which credential-on-file case a payment is (what the schemes call stored-credential indicators).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The payer is there; the card is used once.
    OneTime,
    /// The payer is there and agreed that the card is kept; `off_session` when it will be used without them.
    FirstToStore {
        /// Later payments will happen without the payer.
        off_session: bool,
    },
    /// The payer is there and chose a kept card.
    StoredByPayer {
        /// The scheme's id of the first payment, where known.
        network_transaction_id: Option<String>,
    },
    /// The payer is away: the merchant initiates with a kept card.
    StoredByMerchant {
        /// The scheme's id of the first payment, where known.
        network_transaction_id: Option<String>,
    },
}

/// See [`Operation::Sync`]. With `psp_id`: retrieve. Without (the answer that carried the id was lost): find by
/// `attempt_id` in the metadata among what was made since `since_unix_s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Our payment id.
    pub payment_id: String,
    /// Our attempt id.
    pub attempt_id: String,
    /// The provider's id, once learnt.
    pub psp_id: Option<String>,
    /// When the attempt began, in seconds since 1970, less a minute for clocks that differ.
    pub since_unix_s: i64,
}

/// See [`Operation::Capture`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Our payment id.
    pub payment_id: String,
    /// The provider's id of the authorization.
    pub psp_id: String,
    /// The idempotency key.
    pub idempotency_key: String,
    /// How much to take; at most what was authorized.
    pub amount: Money,
    /// What was authorized.
    pub authorized: Money,
}

/// See [`Operation::Cancel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Our payment id.
    pub payment_id: String,
    /// The provider's id of the authorization.
    pub psp_id: String,
    /// The idempotency key.
    pub idempotency_key: String,
    /// The merchant's reason.
    pub reason: Option<String>,
}

/// See [`Operation::Refund`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Our payment id.
    pub payment_id: String,
    /// Our refund id; goes into the metadata as `refund_id`, by which a lost answer is found again.
    pub refund_id: String,
    /// The provider's id of the payment.
    pub psp_id: String,
    /// The idempotency key.
    pub idempotency_key: String,
    /// How much to give back.
    pub amount: Money,
    /// The merchant's reason.
    pub reason: Option<String>,
}

/// See [`Operation::SyncRefund`]. With `psp_refund_id`: retrieve. Without: find by `refund_id` in the metadata among the
/// refunds of the payment `psp_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRefund {
    /// Our refund id.
    pub refund_id: String,
    /// The provider's id of the payment.
    pub psp_id: String,
    /// The provider's id of the refund, once learnt.
    pub psp_refund_id: Option<String>,
}
