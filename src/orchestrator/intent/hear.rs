//! An event that a provider told by itself finds its payment and is applied to it, once.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::fault::Fault;
use super::payment::Payment;
use super::told::{Change, Reader};
use crate::account::ConnectorAccount;
use crate::connector::{About, Outcome, PspEvent, Told};
use crate::store::{SeenEvent, StoreError, Version};
use crate::webhook;

/// What was made of an event. What was taken is remembered, so that it is not applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The payment changed, and that is durable.
    Applied,
    /// The provider was asked, or is being asked.
    Asked,
    /// Known already, or contradicts what is certain: nothing changed.
    Late,
    /// It was told before.
    Duplicate,
    /// It is about nothing that matters here; not remembered, because it would change nothing the next time either.
    Nothing,
    /// It is about what follows something that is not known yet.
    NotYet,
    /// It is about nothing that is stored, or is not stored yet.
    Unknown,
}

impl Engine {
    /// Applies an event of this account's provider, whose signature was verified.
    ///
    /// # Errors
    /// [`Fault`]; nothing changed, and the event may be told again.
    pub(crate) async fn hear(self: &Arc<Self>, account: &ConnectorAccount, event: &PspEvent) -> Result<Heard, Fault> {
        if event.what == Told::Nothing {
            return Ok(Heard::Nothing);
        }
        let mut seen = webhook::seen(account, event, self.now_ms());
        if self.store.is_seen(&seen).await? {
            return Ok(Heard::Duplicate);
        }
        let can_ask = self.connector(&account.connector).is_some_and(|connector| connector.capabilities().can_sync);
        for _ in 0..SAVES_MAX {
            let Some((mut payment, version)) = self.payment_about(account, &event.about).await? else {
                return Ok(Heard::Unknown);
            };
            seen.payment_id = Some(payment.payment_id.clone());
            let Some(is_last) = meant(&payment, account, &event.about) else { return Ok(Heard::Unknown) };
            if !is_last && !matches!(event.what, Told::Dispute(_)) {
                return self.late(&payment, &seen, moved_money(&event.what)).await;
            }
            let reader = Reader { witness: self.witness()?, can_ask };
            let before = payment.state;
            match reader.apply(&mut payment, &event.what) {
                Change::Changed(mut effects) => {
                    effects.seen = Some(seen.clone());
                    match self.save(&mut payment, version, &effects).await {
                        Ok(_) => {}
                        // Somebody was faster, perhaps the very call that the event is about: what they stored is judged.
                        Err(StoreError::Conflict) => continue,
                        Err(StoreError::Duplicate) => return Ok(Heard::Duplicate),
                        Err(other) => return Err(other.into()),
                    }
                    if payment.state != before {
                        self.metrics.payment(payment.state.word());
                    }
                    let payment_id = payment.payment_id.as_str();
                    tracing::info!(payment_id, state = payment.state.word(), "a provider told how it stands");
                    return Ok(Heard::Applied);
                }
                Change::Ask => {
                    self.ask_soon(&payment).await?;
                    self.store.mark_seen(&seen).await?;
                    return Ok(Heard::Asked);
                }
                Change::Late => {
                    return self.late(&payment, &seen, contradicts(&payment, &event.what)).await;
                }
                Change::NotYet => return Ok(Heard::NotYet),
                Change::Unknown => return Ok(Heard::Unknown),
            }
        }
        Err(Fault::Busy)
    }

    async fn late(&self, payment: &Payment, seen: &SeenEvent, is_grave: bool) -> Result<Heard, Fault> {
        let (payment_id, state) = (payment.payment_id.as_str(), payment.state.word());
        if is_grave {
            tracing::error!(
                payment_id,
                state,
                "a provider tells of money that moved where none may: look into it there"
            );
            self.metrics.webhook_in("contradiction");
        }
        self.store.mark_seen(seen).await?;
        Ok(Heard::Late)
    }

    async fn payment_about(
        &self,
        account: &ConnectorAccount,
        about: &About,
    ) -> Result<Option<(Payment, Version)>, Fault> {
        let of_attempt = about.attempt_id.as_deref().and_then(|id| id.rsplit_once('_')).map(|(payment, _)| payment);
        for id in of_attempt.into_iter().chain(about.payment_id.as_deref()) {
            if let Some(found) = self.store.payment(&account.merchant_id, id).await? {
                return Ok(Some(found));
            }
        }
        match &about.psp_id {
            Some(psp_id) => Ok(self.store.payment_of_psp(&account.merchant_id, &account.account_id, psp_id).await?),
            None => Ok(None),
        }
    }

    /// Asks the provider now. The question may take longer than its webhook should wait, and then goes on by itself; if it
    /// is lost with this process, the payment is due anyway.
    async fn ask_soon(self: &Arc<Self>, payment: &Payment) -> Result<(), Fault> {
        let (engine, merchant, id) = (self.clone(), payment.merchant_id.clone(), payment.payment_id.clone());
        let asking = tokio::spawn(async move { engine.resolve(&merchant, &id, true).await });
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(ended) => ended.unwrap_or(Err(Fault::Internal)).map(drop),
            Err(_elapsed) => Ok(()),
        }
    }
}

/// Whether the event is about the payment's last attempt; `None` if it is about no attempt at this account. An account's
/// provider has no say about payments at another.
fn meant(payment: &Payment, account: &ConnectorAccount, about: &About) -> Option<bool> {
    let place = payment.attempts.iter().rposition(|attempt| {
        let is_named = match (&about.attempt_id, &about.psp_id) {
            (Some(id), _) => attempt.attempt_id == *id,
            (None, Some(psp_id)) if attempt.psp_id.is_some() => attempt.psp_id.as_ref() == Some(psp_id),
            _ => true,
        };
        is_named && attempt.account_id == account.account_id
    })?;
    Some(place + 1 == payment.attempts.len())
}

fn moved_money(told: &Told) -> bool {
    let (Told::Payment(outcome) | Told::Capture { outcome, .. }) = told else { return false };
    matches!(outcome, Outcome::Authorized { .. } | Outcome::Captured { .. })
}

/// Whether money moved for a payment that has ended without any.
fn contradicts(payment: &Payment, told: &Told) -> bool {
    payment.state.is_terminal() && payment.captured_minor == 0 && moved_money(told)
}

/// How often an event is applied again because the payment changed meanwhile.
const SAVES_MAX: usize = 20;
/// How long a webhook waits for an answer to the question that it causes.
const PATIENCE: Duration = Duration::from_secs(4);
