//! A payment with its attempts and refunds: the unit that is stored, with a version, in one piece.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_wire::payment_method::CardSummary;
use strongroom_wire::{TenantId, Token};

use super::state::{Event, State};
use super::terms::Terms;
use crate::connector::{Credential, DeclineKind, DisputeStage, DisputeStatus, Doubt, Handles, Progress};
use crate::money::Money;

/// A payment. Holds no card: `method` names one in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// `pay_...`, or as the merchant chose.
    pub payment_id: String,
    /// Whose.
    pub merchant_id: TenantId,
    /// Where in its life.
    pub state: State,
    /// What was agreed.
    pub terms: Terms,
    /// Taken so far, in minor units.
    pub captured_minor: u64,
    /// The card, once chosen.
    pub method: Option<Method>,
    /// Authorizations, oldest first.
    pub attempts: Vec<Attempt>,
    /// The call to the provider that runs or is in doubt. While there is one, nothing else may begin.
    pub pending: Option<Pending>,
    /// Where the payer must go.
    pub redirect_url: Option<String>,
    /// When to ask the provider about a payer who has not come back.
    pub watch: Option<Watch>,
    /// When the provider was last asked because a browser came back, milliseconds since 1970.
    #[serde(default)]
    pub asked_ms: Option<i64>,
    /// Refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Captures of a payment that may have several, oldest first.
    #[serde(default)]
    pub captures: Vec<CaptureRow>,
    /// Increments of what is reserved, oldest first.
    #[serde(default)]
    pub increments: Vec<IncrementRow>,
    /// Disputes, oldest first.
    #[serde(default)]
    pub disputes: Vec<Dispute>,
    /// Connector accounts that may still be tried, in order, should the attempt that runs be declined softly or not sent.
    #[serde(default)]
    pub plan: Vec<String>,
    /// When the authorization ends, milliseconds since 1970.
    #[serde(default)]
    pub authorized_until_ms: Option<i64>,
    /// When to capture by ourselves, milliseconds since 1970; only a scheduled payment that is authorized has one.
    #[serde(default)]
    pub capture_due_ms: Option<i64>,
    /// The last thing that the merchant was told about this payment (a type of event).
    #[serde(default)]
    pub told: Option<String>,
    /// Why it was cancelled, in the merchant's words.
    pub cancellation_reason: Option<String>,
    /// What a browser needs to act on this payment.
    pub client_secret: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    /// When the client secret stops working, milliseconds since 1970.
    pub expires_ms: i64,
}

/// The chosen card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Its name in the vault.
    pub token: Token,
    /// It came with this payment and is short-term: keep or shred it when the outcome is known.
    pub fresh: bool,
    /// It is long-term (or will be, as soon as the vault hears of it), so `payment_method_id` may be used again.
    pub kept: bool,
    /// Masked, for answers.
    pub card: CardSummary,
    /// The scheme's id of the payment that first kept it.
    pub network_transaction_id: Option<String>,
}

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

/// A call to the provider that was stored before it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// What it does.
    pub call: Call,
    /// How it goes.
    pub flight: Flight,
    /// The state to return to when it proves not to have happened.
    pub back_to: State,
}

/// What a pending call does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Call {
    /// Authorizes the last attempt.
    Authorize {
        /// Which credential-on-file case.
        credential: Stored,
    },
    /// Proves the card good without money.
    Verify {
        /// Which credential-on-file case.
        credential: Stored,
    },
    /// Hands over what the browser brought back from authentication.
    Complete {
        /// The query that it came with.
        returned: BTreeMap<String, String>,
    },
    /// Takes this much.
    Capture {
        /// In minor units.
        amount_minor: u64,
        /// Which capture; empty where a payment has only one.
        #[serde(default)]
        capture_id: String,
        /// Whether the rest is released with it.
        #[serde(default = "yes")]
        is_final: bool,
    },
    /// Raises what is reserved.
    Increment {
        /// To this, in minor units.
        total_minor: u64,
        /// Which increment.
        increment_id: String,
    },
    /// Releases the authorization, or what is left of it.
    Cancel,
    /// Releases an authorization that is over its time.
    Expire,
}

fn yes() -> bool {
    true
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

/// [`Credential`] in a form that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// See [`Credential::OneTime`].
    OneTime,
    /// See [`Credential::FirstToStore`], with the payer later.
    FirstOnSession,
    /// See [`Credential::FirstToStore`], without the payer later.
    FirstOffSession,
    /// See [`Credential::StoredByPayer`].
    ByPayer,
    /// See [`Credential::StoredByMerchant`].
    ByMerchant,
}

/// The life of a call: who makes it, what is known, when to look at it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The idempotency key.
    pub key: String,
    /// How far it came.
    pub progress: Progress,
    /// When it was stored, milliseconds since 1970.
    pub began_ms: i64,
    /// Which run of the process makes it.
    pub run: String,
    /// Whether that run works on it right now; then nobody else touches it until `lease_ms`.
    pub busy: bool,
    /// While busy: until when. Otherwise: when to look at it again. Milliseconds since 1970.
    pub lease_ms: i64,
    /// Why the result is not known, once that is so.
    pub doubt: Option<Doubt>,
    /// The provider said that it works on it; it is only asked, never told again.
    pub accepted: bool,
    /// How often it was looked at again.
    pub tries: u32,
}

/// A payer who was sent away to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// How often the provider was asked.
    pub tries: u32,
    /// When to ask next, milliseconds since 1970.
    pub next_ms: i64,
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

/// The table does not allow this event in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} may not happen to a payment that is {}", state.word())]
pub struct IllegalMove {
    /// Where the payment is.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

impl Flight {
    /// A call that begins now.
    #[must_use]
    pub fn begin(key: String, run: &str, now_ms: i64, lease_ms: i64) -> Self {
        Self {
            key,
            progress: Progress::default(),
            began_ms: now_ms,
            run: run.to_owned(),
            busy: true,
            lease_ms: now_ms + lease_ms,
            doubt: None,
            accepted: false,
            tries: 0,
        }
    }

    /// Whether somebody works on it right now.
    #[must_use]
    pub fn is_busy(&self, run: &str, now_ms: i64) -> bool {
        self.busy && self.run == run && self.lease_ms > now_ms
    }

    /// Nobody works on it any more; look again after a delay that grows with each try.
    pub fn wait(&mut self, now_ms: i64) {
        self.busy = false;
        self.lease_ms = now_ms + backoff_ms(self.tries);
        self.tries = self.tries.saturating_add(1);
    }
}

/// 1, 2, 4 ... seconds, at most five minutes.
#[must_use]
pub(super) fn backoff_ms(tries: u32) -> i64 {
    (1000i64 << tries.min(9)).min(300_000)
}

impl Payment {
    /// Moves along the table.
    ///
    /// # Errors
    /// [`IllegalMove`]; nothing changed.
    pub fn step(&mut self, event: Event) -> Result<(), IllegalMove> {
        self.state = self.state.after(event).ok_or(IllegalMove { state: self.state, event })?;
        Ok(())
    }

    /// The amount with its currency.
    #[must_use]
    pub fn money(&self, minor: u64) -> Money {
        Money { minor, currency: self.terms.currency }
    }

    /// Still to be captured, in minor units.
    #[must_use]
    pub fn capturable_minor(&self) -> u64 {
        match self.state {
            State::Succeeded | State::PartiallyCaptured | State::Failed | State::Cancelled | State::Expired => 0,
            _ => self.terms.amount_minor.saturating_sub(self.captured_minor),
        }
    }

    /// What refunds that happened or may still happen amount to, in minor units.
    #[must_use]
    pub fn refunded_minor(&self) -> u64 {
        self.refunds.iter().filter(|r| r.status != RefundStatus::Failed).map(|r| r.amount_minor).sum()
    }

    /// The authorization that counts.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Which credential-on-file case a confirm makes.
    #[must_use]
    pub fn credential(&self, stored: Stored) -> Credential {
        let network_transaction_id = self.method.as_ref().and_then(|m| m.network_transaction_id.clone());
        match stored {
            Stored::OneTime => Credential::OneTime,
            Stored::FirstOnSession => Credential::FirstToStore { off_session: false },
            Stored::FirstOffSession => Credential::FirstToStore { off_session: true },
            Stored::ByPayer => Credential::StoredByPayer { network_transaction_id },
            Stored::ByMerchant => {
                Credential::StoredByMerchant { network_transaction_id, category: self.terms.mit_category }
            }
        }
    }

    /// When the background loop should look at this payment, milliseconds since 1970.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        let pending = self.pending.as_ref().map(|p| p.flight.lease_ms);
        let refunds = self.refunds.iter().filter_map(|r| r.flight.as_ref()).map(|f| f.lease_ms);
        let is_reserved = matches!(self.state, State::RequiresCapture | State::PartiallyCapturedAndCapturable);
        let reserved = [self.capture_due_ms, self.authorized_until_ms].into_iter().flatten().filter(|_| is_reserved);
        refunds.chain(pending).chain(self.watch.map(|w| w.next_ms)).chain(reserved).min()
    }
}
