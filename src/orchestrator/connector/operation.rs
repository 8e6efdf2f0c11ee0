//! What the engine may ask of a provider.

use std::collections::BTreeMap;

use crate::money::Money;

/// Opaque texts that a provider gave with a payment and wants back with what follows (links, references), by a name that
/// the connector chose. Stored with the attempt; never a secret.
pub type Handles = BTreeMap<String, String>;

/// One thing to be done or asked at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Reserve (and with automatic capture take) money from a card.
    Authorize(Authorize),
    /// Prove a card good without money (zero amount) so that it can be kept and charged later.
    Verify(Authorize),
    /// Raise what is reserved.
    Increment(Increment),
    /// Hand over what the payer's browser brought back from authentication, where a provider needs that to go on.
    Complete(Complete),
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
    /// How much; at least 1 minor unit, and 0 for [`Operation::Verify`].
    pub amount: Money,
    /// When the money is taken.
    pub capture: CaptureMethod,
    /// Whether the merchant may raise the amount before it captures.
    pub incremental: bool,
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
    /// What is known about the payer, for the issuer's and the provider's checks.
    pub payer: Payer,
}

/// What is known about the payer. Every part may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payer {
    /// The merchant's name for the customer.
    pub customer_id: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Address of the browser, IPv4 or IPv6.
    pub ip: Option<String>,
    /// The browser, for authentication in it.
    pub browser: Option<Browser>,
    /// Where the card's bills go.
    pub billing: Option<Address>,
}

/// A browser as 3-D Secure wants to know it (EMVCo 3-D Secure 2, browser data elements).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    /// `Accept` header.
    pub accept_header: String,
    /// `User-Agent` header.
    pub user_agent: String,
    /// BCP 47.
    pub language: String,
    /// In bits: 1, 4, 8, 15, 16, 24, 32, 48.
    pub color_depth: u16,
    /// In pixels.
    pub screen_height: u32,
    /// In pixels.
    pub screen_width: u32,
    /// Minutes between UTC and local time, positive west of Greenwich.
    pub time_zone_offset_min: i32,
    /// Whether Java runs in it.
    pub java_enabled: bool,
}

/// A postal address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Street and number.
    pub line1: Option<String>,
    /// More of it.
    pub line2: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
}

/// When authorized money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureMethod {
    /// At once.
    Automatic,
    /// By a later [`Operation::Capture`].
    Manual,
    /// By several later captures.
    ManualMultiple,
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
        /// Why the merchant charges.
        category: MitCategory,
    },
}

/// Why a merchant charges without the payer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MitCategory {
    /// A fixed number of parts of one price.
    Installment,
    /// When something agreed on happens.
    #[default]
    Unscheduled,
    /// At fixed times.
    Recurring,
    /// Once more after a decline.
    Resubmission,
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
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// What was authorized or asked for.
    pub amount: Money,
    /// When the attempt began, in seconds since 1970, less a minute for clocks that differ.
    pub since_unix_s: i64,
    /// Where it is asked about a cancellation after captures: what those took. A payment that ended with no more taken than
    /// this has released the rest, which is `Cancelled`; one that still holds the rest is `Captured`.
    pub released_after: Option<Money>,
    /// Where it is asked about an increment: what was to be reserved in all. `Authorized` then says that this much is; a
    /// payment that still reserves less is `Absent`.
    pub raised_to: Option<Money>,
}

/// See [`Operation::Increment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increment {
    /// Our payment id.
    pub payment_id: String,
    /// The provider's id of the authorization.
    pub psp_id: String,
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// The idempotency key.
    pub idempotency_key: String,
    /// What is reserved now.
    pub before: Money,
    /// What shall be reserved in all.
    pub total: Money,
    /// The merchant's reason.
    pub reason: Option<String>,
}

/// See [`Operation::Complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// Our payment id.
    pub payment_id: String,
    /// Our attempt id.
    pub attempt_id: String,
    /// The provider's id, once learnt.
    pub psp_id: Option<String>,
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// The idempotency key.
    pub idempotency_key: String,
    /// What is to be authorized.
    pub amount: Money,
    /// When the money is taken.
    pub capture: CaptureMethod,
    /// The query that the browser came back with: names and values as text, within limits. Nobody's word for anything; the
    /// provider judges it.
    pub returned: BTreeMap<String, String>,
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
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// Our capture id, unique for each capture; where a provider keeps references, a lost answer is found by it.
    pub capture_id: String,
    /// How much to take; at most what was authorized and not taken yet.
    pub amount: Money,
    /// What was authorized.
    pub authorized: Money,
    /// What was taken by earlier captures.
    pub taken: Money,
    /// Whether this is the last capture, so that the rest is released.
    pub is_final: bool,
}

/// See [`Operation::Cancel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Our payment id.
    pub payment_id: String,
    /// The provider's id of the authorization.
    pub psp_id: String,
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// What was authorized.
    pub authorized: Money,
    /// What was taken by earlier captures; the rest is to be released.
    pub taken: Money,
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
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// The idempotency key.
    pub idempotency_key: String,
    /// How much to give back.
    pub amount: Money,
    /// How much was taken in all.
    pub captured: Money,
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
    /// What the provider gave with the payment.
    pub handles: Handles,
    /// How much was to be given back.
    pub amount: Money,
    /// The provider's id of the refund, once learnt.
    pub psp_refund_id: Option<String>,
}
