//! A vault in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use strongroom_wire::payment_method::{Brand, CardSummary, MethodKind, PaymentMethod, Session, Storage};
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};
use tokio::sync::Barrier;
use zeroize::Zeroizing;

use crate::vault::{Card, CardInput, Vault, VaultError};

#[derive(Default)]
pub(crate) struct FakeVault {
    pub(crate) state: Mutex<VaultState>,
}

#[derive(Default)]
pub(crate) struct VaultState {
    pub(crate) cards: HashMap<Token, (PaymentMethod, String)>,
    pub(crate) reveals: u32,
    /// Sealed CVCs that were opened.
    pub(crate) opened: HashSet<String>,
    pub(crate) pings: u32,
    pub(crate) down: bool,
    /// Where tokenize waits until so many callers are there, all of whom have read what they are going to change.
    pub(crate) gate: Option<Arc<Barrier>>,
    pub(crate) secrets: HashMap<SecretId, String>,
    /// The origins of each session that was opened.
    pub(crate) sessions: Vec<Vec<String>>,
}

impl FakeVault {
    fn up(&self) -> Result<MutexGuard<'_, VaultState>, VaultError> {
        let state = self.state.lock().unwrap();
        if state.down { Err(VaultError::Unavailable) } else { Ok(state) }
    }
}

#[async_trait]
impl Vault for FakeVault {
    async fn register(&self, _: &TenantId) -> Result<(), VaultError> {
        self.up().map(drop)
    }

    async fn tokenize(
        &self,
        _: &TenantId,
        card: &CardInput,
        customer: Option<&CustomerId>,
    ) -> Result<PaymentMethod, VaultError> {
        let number = card.number.expose().to_owned();
        if number.len() < 12 {
            return Err(VaultError::InvalidCard { field: Some("card.number".into()) });
        }
        let gate = self.up()?.gate.clone();
        if let Some(gate) = gate {
            gate.wait().await;
        }
        let cvc_token = card.cvc.as_ref().map(|_| format!("cvc_{}", Token::fresh()));
        let mut state = self.up()?;
        // The same card of the same customer keeps its token, as at the real one.
        let known = state
            .cards
            .values()
            .find(|(m, n)| customer.is_some() && m.customer_id.as_ref() == customer && *n == number);
        if let Some((method, _)) = known {
            return Ok(PaymentMethod { cvc_token, ..method.clone() });
        }
        let method = PaymentMethod {
            payment_method_id: Token::fresh(),
            kind: MethodKind::Card,
            card: CardSummary {
                brand: Brand::Visa,
                bin: number[..6].into(),
                last4: number[number.len() - 4..].into(),
                exp_month: card.exp_month,
                exp_year: card.exp_year,
                fingerprint: "f".into(),
            },
            storage: Storage::ShortTerm,
            customer_id: customer.cloned(),
            metadata: Default::default(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            expires_at: None,
            cvc_token,
        };
        state.cards.insert(method.payment_method_id, (method.clone(), number));
        Ok(method)
    }

    async fn reveal(&self, _: &TenantId, token: Token, _: &str, cvc: Option<&str>) -> Result<Card, VaultError> {
        let mut state = self.up()?;
        state.reveals += 1;
        if cvc.is_some_and(|sealed| !state.opened.insert(sealed.to_owned())) {
            return Err(VaultError::CvcGone);
        }
        let (method, number) = state.cards.get(&token).ok_or(VaultError::NotFound)?;
        Ok(Card {
            number: Zeroizing::new(number.clone()),
            exp_month: method.card.exp_month,
            exp_year: method.card.exp_year,
            cvc: cvc.map(|_| Zeroizing::new("123".to_owned())),
            holder_name: None,
        })
    }

    async fn get(&self, _: &TenantId, token: Token) -> Result<PaymentMethod, VaultError> {
        self.up()?.cards.get(&token).map(|(method, _)| method.clone()).ok_or(VaultError::NotFound)
    }

    async fn list(&self, _: &TenantId, customer: &CustomerId) -> Result<Vec<PaymentMethod>, VaultError> {
        let state = self.up()?;
        let theirs = state.cards.values().filter(|(method, _)| method.customer_id.as_ref() == Some(customer));
        Ok(theirs.map(|(method, _)| method.clone()).collect())
    }

    async fn retain(&self, _: &TenantId, token: Token) -> Result<(), VaultError> {
        self.up()?.cards.get_mut(&token).ok_or(VaultError::NotFound)?.0.storage = Storage::LongTerm;
        Ok(())
    }

    async fn delete(&self, _: &TenantId, token: Token) -> Result<(), VaultError> {
        self.up()?.cards.remove(&token).map(drop).ok_or(VaultError::NotFound)
    }

    async fn session(
        &self,
        _: &TenantId,
        _: Option<&CustomerId>,
        origins: Vec<String>,
        _: u64,
    ) -> Result<Session, VaultError> {
        self.up()?.sessions.push(origins);
        Ok(Session { client_secret: "cs_rig".into(), expires_at: "2026-01-01T00:15:00.000Z".into() })
    }

    async fn store_secret(&self, _: &TenantId, _: &str, value: &str) -> Result<SecretId, VaultError> {
        let id = SecretId::fresh();
        self.up()?.secrets.insert(id, value.to_owned());
        Ok(id)
    }

    async fn delete_secret(&self, _: &TenantId, id: SecretId) -> Result<(), VaultError> {
        self.up()?.secrets.remove(&id).map(drop).ok_or(VaultError::NotFound)
    }

    async fn reveal_secret(&self, _: &TenantId, id: SecretId) -> Result<Zeroizing<String>, VaultError> {
        self.up()?.secrets.get(&id).map(|text| Zeroizing::new(text.clone())).ok_or(VaultError::NotFound)
    }

    async fn ping(&self, _: Duration) -> Result<(), VaultError> {
        self.state.lock().unwrap().pings += 1;
        self.up().map(drop)
    }
}
