//! Reserved money while time passes: captured by ourselves when the merchant set a time, released when the authorization's
//! time is over, and looked at when somebody wants to know what happened to it elsewhere.
//!
//! Each begins by storing a call under the version that was read, so that of several nodes one makes it.

use super::call::Call;
use super::change::NewCapture;
use super::engine::{Engine, Exchanged};
use super::fault::Fault;
use super::payment::Payment;
use super::state::Event;
use crate::connector::Outcome;
use crate::store::{Effects, StoreError, Version};

impl Engine {
    /// What is due on reserved money. `force`: ask the provider although nothing is due.
    pub(super) async fn resolve_reserved(
        &self,
        payment: Payment,
        version: Version,
        force: bool,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        if payment.is_overdue(now) {
            return self.expire(payment, version).await;
        }
        if payment.capture_due_ms.is_some_and(|due| due <= now) {
            return self.capture_as_set(payment, version).await;
        }
        if force { self.look(payment, version).await } else { Ok(payment) }
    }

    /// Releases what is reserved at the provider. Whatever happened there first counts.
    async fn expire(&self, payment: Payment, version: Version) -> Result<Payment, Fault> {
        if let Some(outcome) = self.news_of(&payment).await? {
            return self.observe(payment, version, &outcome).await;
        }
        self.begin(payment, version, Event::Expire, Call::Expire).await
    }

    /// Makes the capture that the merchant set a time for. The time of the next try is stored with it.
    async fn capture_as_set(&self, mut payment: Payment, version: Version) -> Result<Payment, Fault> {
        let wait_ms = wait_ms(payment.capture_tries);
        payment.capture_due_ms = Some(self.now_ms() + wait_ms);
        payment.capture_tries = payment.capture_tries.saturating_add(1);
        let (merchant, id, before) = (payment.merchant_id.clone(), payment.payment_id.clone(), payment.clone());
        let ended = self.begin_capture(payment, version, NewCapture::default()).await;
        match ended {
            Err(fault @ (Fault::Connector { .. } | Fault::ProviderUnreachable | Fault::VaultUnavailable)) => {
                tracing::warn!(payment_id = id.as_str(), %fault, wait_ms, "a scheduled capture is tried again later");
                Ok(self.payment(&merchant, &id).await?.0)
            }
            // Nothing was begun and nothing will be: the authorization ends by time, and the merchant may still capture.
            Err(fault @ (Fault::NotSupported(_) | Fault::Precondition(_) | Fault::Unprocessable { .. })) => {
                tracing::error!(payment_id = id.as_str(), %fault, "a scheduled capture cannot be made");
                let mut stopped = before;
                stopped.capture_due_ms = None;
                match self.save(&mut stopped, version, &Effects::default()).await {
                    Ok(_) => Ok(stopped),
                    Err(StoreError::Conflict) => self.reload(&stopped).await,
                    Err(other) => Err(other.into()),
                }
            }
            other => other,
        }
    }

    /// Asks whether the money was captured or released by somebody else.
    async fn look(&self, payment: Payment, version: Version) -> Result<Payment, Fault> {
        match self.news_of(&payment).await? {
            Some(outcome) => self.observe(payment, version, &outcome).await,
            None => Ok(payment),
        }
    }

    /// What the provider says about reserved money, if it is more than we know.
    async fn news_of(&self, payment: &Payment) -> Result<Option<Outcome>, Fault> {
        let account = self.account_of(payment).await?;
        if !self.can_be_asked(&account)? {
            return Ok(None);
        }
        let sync = Self::sync_operation(payment).ok_or(Fault::Internal)?;
        Ok(match self.ask(&account, &sync).await {
            Exchanged::Done(Outcome::Captured { amount_minor, .. }) if amount_minor <= payment.captured_minor => None,
            Exchanged::Done(outcome @ (Outcome::Captured { .. } | Outcome::Cancelled { .. })) => Some(outcome),
            _ => None,
        })
    }
}

/// How long a scheduled capture that did not happen waits: from a minute to an hour, later six hours; in milliseconds.
fn wait_ms(tries: u32) -> i64 {
    if tries < QUICK_TRIES { (60_000i64 << tries.min(6)).min(3_600_000) } else { 6 * 3_600_000 }
}

const QUICK_TRIES: u32 = 12;
