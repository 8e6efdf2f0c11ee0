//! The payer who was sent away to authenticate: comes back once, several times at once, or never.

use std::collections::BTreeMap;

use base64::Engine as _;
use sha2::{Digest, Sha256};
use strongroom_wire::TenantId;
use subtle::ConstantTimeEq;

use super::call::{Call, Watch, backoff_ms};
use super::engine::{Engine, Exchanged};
use super::fault::Fault;
use super::payment::Payment;
use super::state::{Event, State};
use crate::connector::{Complete, Operation, Outcome, Progress};
use crate::store::{Effects, StoreError, Version};

/// The wish of the page that sent the payer away in a frame, among the terms of a payment: `true` where the return is to
/// tell that page that it is done, instead of leading to the merchant's return address.
pub const RETURNS_IN_FRAME: &str = "is_iframe_redirection_enabled";

/// What a browser that came back is told.
pub struct Return {
    /// The payment as it stands.
    pub payment: Payment,
    /// Where the provider wants the browser next, if it is not done with it.
    pub onward: Option<String>,
}

impl Engine {
    /// A browser comes back and brings nothing that counts: about one payment the provider is asked once in three seconds;
    /// in between the stored state is the answer.
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before.
    pub async fn come_back(&self, merchant: &TenantId, payment_id: &str) -> Result<Payment, Fault> {
        let (mut payment, version) = self.payment(merchant, payment_id).await?;
        let now = self.now_ms();
        let lately = payment.asked_ms.is_some_and(|asked| now.abs_diff(asked) < COME_BACK_MS);
        if payment.state != State::RequiresCustomerAction || lately {
            return Ok(payment);
        }
        // Stored before the question, so that of many at once one asks.
        payment.asked_ms = Some(now);
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => self.resolve(merchant, payment_id, true).await,
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }

    /// A browser comes back with a query. Where the provider needs it to go on it is handed over: stored first, by the one
    /// return that was first, while all others see the stored state. Where it does not, this is [`Engine::come_back`].
    ///
    /// # Errors
    /// [`Fault`]; the payment is as before. [`Fault::NotFound`] also for a ticket that is not this payment's.
    pub async fn come_back_with(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        ticket: &str,
        returned: BTreeMap<String, String>,
    ) -> Result<Return, Fault> {
        let (payment, version) = self.payment(merchant, payment_id).await?;
        if !bool::from(ticket_of(&payment).as_bytes().ct_eq(ticket.as_bytes())) {
            return Err(Fault::NotFound("Payment"));
        }
        let is_away = payment.state == State::RequiresCustomerAction;
        if !is_away || !self.is_wanted(&payment, &returned).await? {
            let payment = self.come_back(merchant, payment_id).await?;
            return Ok(Return { payment, onward: None });
        }
        let stored = payment.clone();
        let payment = match self.begin(payment, version, Event::ActionDone, Call::Complete { returned }).await {
            Ok(payment) => payment,
            // Another return was first, or what the browser brought is not what the provider gave it.
            Err(Fault::Busy | Fault::Connector { .. }) => self.reload(&stored).await?,
            Err(other) => return Err(other),
        };
        let goes_on = payment.state == State::RequiresCustomerAction && payment.redirect_url != stored.redirect_url;
        Ok(Return { onward: payment.redirect_url.clone().filter(|_| goes_on), payment })
    }

    /// Whether the provider needs this query to go on.
    async fn is_wanted(&self, payment: &Payment, returned: &BTreeMap<String, String>) -> Result<bool, Fault> {
        let account = self.account_of(payment).await?;
        let connector = self.connector(&account.connector).ok_or(Fault::Internal)?;
        let attempt = payment.last_attempt().ok_or(Fault::Internal)?;
        let complete = Operation::Complete(Complete {
            payment_id: payment.payment_id.clone(),
            attempt_id: attempt.attempt_id.clone(),
            psp_id: attempt.psp_id.clone(),
            handles: attempt.handles.clone(),
            idempotency_key: "unused".into(),
            amount: payment.money(payment.terms.amount_minor),
            capture: super::drive::capture_method(payment),
            returned: returned.clone(),
        });
        Ok(connector.needs_return() && connector.request(&complete, &Progress::default()).is_ok())
    }

    /// Asks about a payer who was sent to authenticate, and gives up on one who has been away for a day: what waits at the
    /// provider is cancelled, and the payment with it.
    pub(super) async fn resolve_watch(
        &self,
        mut payment: Payment,
        version: Version,
        watch: Watch,
    ) -> Result<Payment, Fault> {
        let account = self.account_of(&payment).await?;
        let asks = self.can_be_asked(&account)?;
        let answer = match Self::sync_operation(&payment).filter(|_| asks) {
            Some(sync) => self.ask(&account, &sync).await,
            None => Exchanged::Absent,
        };
        let is_still_away = match answer {
            Exchanged::Done(Outcome::RequiresAction { .. }) => true,
            Exchanged::Done(outcome) if !matches!(outcome, Outcome::Refused(_)) => {
                return self.observe(payment, version, &outcome).await;
            }
            _ => !asks,
        };
        let now = self.now_ms();
        let since = payment.last_attempt().map_or(now, |attempt| attempt.created_ms);
        let gone = now - since > WATCH_MS_MAX;
        let next_ms =
            if asks || gone { now + backoff_ms(watch.tries).max(WATCH_MS_MIN) } else { since + WATCH_MS_MAX + 1 };
        payment.watch = Some(Watch { tries: watch.tries.saturating_add(1), next_ms });
        if gone && is_still_away {
            return self.give_up(payment, version).await;
        }
        match self.save(&mut payment, version, &Effects::default()).await {
            Ok(_) => Ok(payment),
            Err(StoreError::Conflict) => self.reload(&payment).await,
            Err(other) => Err(other.into()),
        }
    }

    async fn give_up(&self, mut payment: Payment, version: Version) -> Result<Payment, Fault> {
        payment.cancellation_reason.get_or_insert_with(|| ABANDONED.to_owned());
        let stored = payment.clone();
        match self.begin(payment, version, Event::Cancel, Call::Cancel).await {
            // It is tried again when the payment is looked at again.
            Err(Fault::Busy | Fault::Connector { .. } | Fault::ProviderUnreachable | Fault::VaultUnavailable) => {
                self.reload(&stored).await
            }
            other => other,
        }
    }

    /// Where the payer's browser comes back to. The ticket at its end is known to whoever was sent away with it, so that
    /// nobody else's query is ever handed to a provider.
    #[must_use]
    pub fn redirect_back_url(&self, payment: &Payment) -> String {
        let (merchant, id) = (&payment.merchant_id, &payment.payment_id);
        format!("{}/redirect/{merchant}/{id}/{}", self.public_url, ticket_of(payment))
    }
}

/// 132 bits of SHA-256 over the payment's client secret, which is 256 random bits.
fn ticket_of(payment: &Payment) -> String {
    let digest = Sha256::new_with_prefix("strongroom return ticket\n").chain_update(&payment.client_secret).finalize();
    let mut ticket = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    ticket.truncate(TICKET_CHARS);
    ticket
}

/// In the place of the merchant's reason.
const ABANDONED: &str = "abandoned";
const TICKET_CHARS: usize = 22;
/// Least time between two questions that returning browsers cause, in milliseconds.
const COME_BACK_MS: u64 = 3_000;
/// Least time between two questions about a payer who is away, in milliseconds.
const WATCH_MS_MIN: i64 = 30_000;
/// A payer who has been away for longer does not come back, in milliseconds.
const WATCH_MS_MAX: i64 = 24 * 3_600_000;
