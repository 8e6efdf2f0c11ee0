//! Sessions of the vault for the payer's browser: by which it hands its card to the vault's intake.

use strongroom_wire::payment_method::Session;
use strongroom_wire::{TenantId, limits};

use super::engine::Engine;
use super::fault::Fault;
use super::payment::Payment;
use super::state::{Event, State};
use crate::store::{Effects, StoreError};
use crate::vault::VaultError;

impl Engine {
    /// A session for a payment that can still be confirmed, for pages of these origins.
    ///
    /// # Errors
    /// [`Fault::BadState`], [`Fault::Invalid`] for origins that the vault does not take, [`Fault::VaultUnavailable`].
    pub async fn vault_session(&self, payment: &Payment, origins: Vec<String>) -> Result<Session, Fault> {
        if payment.state.after(Event::Confirm).is_none() {
            let expected = State::that_allow(Event::Confirm);
            return Err(Fault::BadState { flow: "given a card", state: payment.state, expected });
        }
        let customer = payment.terms.customer_id.as_ref();
        let ttl_s = limits::SESSION_TTL_DEFAULT_S;
        self.vault.session(&payment.merchant_id, customer, origins, ttl_s).await.map_err(|error| match error {
            VaultError::InvalidField { .. } => {
                Fault::Invalid { field: "allowed_origins", reason: "each is https://host[:port] and nothing behind it" }
            }
            other => other.into(),
        })
    }

    /// The same for a browser that holds the client secret. Each is counted before it is opened: each lets cards in, and
    /// whoever tries stolen cards would like many.
    ///
    /// # Errors
    /// As [`Engine::vault_session`]; [`Fault::Precondition`] when the payment has had its share, or there is no page.
    pub async fn vault_session_for_page(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        origins: Vec<String>,
    ) -> Result<Session, Fault> {
        if origins.is_empty() {
            return Err(Fault::Precondition("The account has no allowed_origins, so no page may take a card for it"));
        }
        for _ in 0..SAVES_MAX {
            let (mut payment, version) = self.payment(merchant, payment_id).await?;
            if payment.state.after(Event::Confirm).is_none() {
                return self.vault_session(&payment, origins).await;
            }
            if payment.vault_sessions >= limits::VAULT_SESSIONS_MAX {
                return Err(Fault::Precondition(
                    "As many vault sessions were opened for this payment as are allowed (20): make another payment",
                ));
            }
            payment.vault_sessions += 1;
            match self.save(&mut payment, version, &Effects::default()).await {
                Ok(_) => return self.vault_session(&payment, origins).await,
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Busy)
    }
}

/// How often the count is stored again because somebody else changed the payment meanwhile.
const SAVES_MAX: usize = 5;
