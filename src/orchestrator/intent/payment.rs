//! A payment with its attempts and refunds: the unit that is stored, with a version, in one piece.

use serde::{Deserialize, Serialize};
use strongroom_wire::payment_method::CardSummary;
use strongroom_wire::{TenantId, Token};

use super::call::{Pending, Stored, Watch};
use super::rows::{Attempt, CaptureRow, Dispute, IncrementRow, Refund, RefundStatus};
use super::state::{Event, State};
use super::terms::Terms;
use crate::connector::Credential;
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
    /// Captures that were asked for after the authorization, oldest first.
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
    /// How often a scheduled capture was begun.
    #[serde(default)]
    pub capture_tries: u32,
    /// The last thing that the merchant was told about this payment: a type of event and what tells it from others of it.
    #[serde(default)]
    pub told: Option<String>,
    /// How many sessions of the vault browsers asked for with the client secret.
    #[serde(default)]
    pub vault_sessions: u32,
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

/// The table does not allow this event in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} may not happen to a payment that is {}", state.word())]
pub struct IllegalMove {
    /// Where the payment is.
    pub state: State,
    /// What was to happen.
    pub event: Event,
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

    /// Whether money is reserved and no call about it runs.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        matches!(self.state, State::RequiresCapture | State::PartiallyCapturedAndCapturable)
    }

    /// Whether the provider may know more about this payment than we do.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        let waits = matches!(self.state, State::Processing | State::RequiresCustomerAction);
        waits || self.is_reserved() || self.refunds.iter().any(|refund| refund.flight.is_some())
    }

    /// Whether the time of the authorization is over.
    #[must_use]
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.authorized_until_ms.is_some_and(|until| until <= now_ms)
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
        let held = [self.capture_due_ms, self.authorized_until_ms];
        let reserved = held.into_iter().flatten().filter(|_| self.is_reserved());
        let watch = self.watch.filter(|_| self.pending.is_none()).map(|watch| watch.next_ms);
        refunds.chain(pending).chain(watch).chain(reserved).min()
    }
}
