//! What a payment service provider looks like to the engine: a pure mapping from operations to HTTP requests and from
//! HTTP answers to outcomes.
//!
//! Invariants of every connector:
//! - No clock, no randomness, no network, no store: the same arguments give the same result, so golden exchanges prove it.
//! - No secret passes through: card parts are [`Slot`]s and credentials are named by [`Auth`]; `transport` alone fills both.
//! - An answer that does not prove what happened to money is [`Step::InDoubt`], never a guess.
//!
//! The engine runs one operation as a loop:
//!
//! ```text
//! progress = Progress::default()
//! loop {
//!     request = connector.request(operation, progress)      // the attempt and `progress` are durable before the next line
//!     answer  = transport.send(request)                     // or: not sent | in doubt
//!     match connector.outcome(operation, progress, answer) {
//!         Next(p)    => progress = p                        // stored, then the next request
//!         Done(o)    => the operation ended with outcome o
//!         Absent     => (Sync, SyncRefund) the PSP has never heard of it
//!         InDoubt(_) => nothing else is tried until a Sync operation has answered
//!     }
//! }
//! ```
//!
//! After a crash the loop resumes with the stored progress and the same idempotency key, so `request` must build the very
//! same bytes again from the same arguments.

mod adyen;
mod operation;
mod outcome;
mod request;
mod stripe;
mod webhook;
mod words;
mod worldpay;

pub use operation::{
    Address, Authorize, Browser, Cancel, Capture, CaptureMethod, Complete, Credential, Handles, Increment, MitCategory,
    Operation, Payer, Refund, Sync, SyncRefund,
};
pub use outcome::{Decline, DeclineKind, Doubt, Outcome, Progress, Refusal, Step};
pub use request::{AccountPart, Auth, Body, Field, Json, Method, PspAnswer, PspRequest, Slot};
pub use webhook::{About, DisputeStage, DisputeStatus, PspDispute, PspEvent, Told, WebhookCall, WebhookRefusal};

use strongroom_wire::payment_method::Brand;
use zeroize::Zeroizing;

/// A pure mapping for one payment service provider.
pub trait Connector: Send + std::marker::Sync {
    /// The name in `connector_name` and in the configuration's `[psp.NAME]`: lower-case ASCII.
    fn name(&self) -> &'static str;

    /// What the provider can do and promises.
    fn capabilities(&self) -> &'static Capabilities;

    /// Whether the credentials have the provider's form (all parts there, right prefixes). It cannot say whether the
    /// provider accepts them.
    ///
    /// # Errors
    /// Which part is missing or malformed; never the text itself.
    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials>;

    /// A harmless question that the provider answers only to credentials that it knows, to tell wrong ones at once. A
    /// status of 401 or 403 is a refusal. `None`: there is no such question.
    fn probe(&self) -> Option<PspRequest> {
        None
    }

    /// The next HTTP request of `operation`, given how far it has come. `Progress::default()` asks for the first.
    ///
    /// # Errors
    /// The provider has no such operation, or not with these arguments; nothing was sent and the engine answers the
    /// caller with the reason.
    fn request(&self, operation: &Operation, progress: &Progress) -> Result<PspRequest, Unsupported>;

    /// What the answer to that request means. `progress` is the one that `request` was given.
    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step;

    /// Whether nothing is reserved for a payer who was sent away before what the browser brings back was handed over
    /// ([`Operation::Complete`]).
    fn needs_return(&self) -> bool {
        false
    }

    /// Verifies a webhook with `credentials.webhook_secret` and reads its events, oldest first.
    ///
    /// # Errors
    /// [`WebhookRefusal`]; nothing of the body may be believed then.
    fn webhook(&self, call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal>;

    /// The body that tells the provider its webhook was taken (status 200).
    fn webhook_receipt(&self) -> &'static str {
        ""
    }
}

/// What a provider can do and promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// An authorization can be captured in part (the rest is released).
    pub partial_capture: bool,
    /// An authorization can be captured several times.
    pub multiple_captures: bool,
    /// What is reserved can be raised.
    pub incremental: bool,
    /// A card can be proven good without money.
    pub zero_amount: bool,
    /// A payment made by the merchant may carry a card and the scheme's id of an earlier payment at another provider.
    pub foreign_network_id: bool,
    /// The provider can be asked about a payment or refund. Where it cannot, only its webhooks and a repetition under the
    /// same idempotency key tell what became of a call.
    pub can_sync: bool,
    /// For how many days an authorization holds, where the scheme says nothing else.
    pub authorization_days: u16,
    /// Currencies that it takes; empty: every one.
    pub currencies: &'static [&'static str],
    /// Card networks that it takes.
    pub networks: &'static [Brand],
    /// The provider can send the payer to an authentication page.
    pub three_ds: bool,
    /// For how many seconds a repeated request with the same idempotency key and body is answered from memory instead of
    /// being done again. `None`: never promised, so an operation in doubt is only ever asked about, never repeated.
    pub idempotent_replay_s: Option<u64>,
}

/// A merchant's credentials at a provider, as `connector_account_details` names them. Wiped when dropped.
pub struct Credentials {
    /// The API key (`auth_type` HeaderKey and all others).
    pub api_key: Zeroizing<String>,
    /// A second part (BodyKey, SignatureKey).
    pub key1: Option<Zeroizing<String>>,
    /// A third part (SignatureKey).
    pub api_secret: Option<Zeroizing<String>>,
    /// What the provider signs its webhooks with; the account takes no webhooks without it.
    pub webhook_secret: Option<Zeroizing<String>>,
}

/// Why credentials cannot be a provider's. Holds no part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct BadCredentials {
    /// `api_key`, `key1`, `api_secret` or `webhook_secret`.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub reason: &'static str,
}

/// The provider has no such operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub &'static str);

/// The connector with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Connector> {
    CONNECTORS.iter().copied().find(|connector| connector.name() == name)
}

/// Every connector.
#[must_use]
pub fn all() -> &'static [&'static dyn Connector] {
    CONNECTORS
}

const CONNECTORS: &[&dyn Connector] = &[&stripe::Stripe, &adyen::Adyen, &worldpay::Worldpay];

#[cfg(test)]
mod golden_tests;

#[cfg(test)]
mod law_tests;

#[cfg(test)]
mod told_tests;
