//! A vault in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use strongroom_wire::encrypted_fields::{EncryptedField, EncryptedFieldsRequest, PinCheckRequest};
use strongroom_wire::payment_method::{Brand, CardSummary, MethodKind, PaymentMethod, Session, Storage};
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};
use tokio::sync::Barrier;
use zeroize::Zeroizing;

use crate::vault::{Card, CardInput, SecretText, Vault, VaultError};

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
    /// PINs that it was asked about.
    pub(crate) pins: u32,
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

    async fn tokenize_encrypted(
        &self,
        tenant: &TenantId,
        card: &EncryptedFieldsRequest,
    ) -> Result<PaymentMethod, VaultError> {
        let key = self.reveal_secret(tenant, card.secret_id).await?;
        let open = |name: &str, field: &EncryptedField| {
            let closed = || VaultError::InvalidField { field: Some(name.to_owned()) };
            open_field(&key, &card.nonce.to_string(), field.as_str()).ok_or_else(closed)
        };
        let year = open("encrypted_expiry_year", &card.encrypted_expiry_year)?;
        let cvc = card.encrypted_cvv.as_ref().map(|cvv| open("encrypted_cvv", cvv)).transpose()?;
        let input = CardInput {
            number: SecretText::new(open("encrypted_card_number", &card.encrypted_card_number)?),
            exp_month: open("encrypted_expiry_month", &card.encrypted_expiry_month)?.parse().unwrap(),
            exp_year: 2000 + year.parse::<u16>().unwrap(),
            cvc: cvc.map(SecretText::new),
            holder_name: None,
        };
        self.tokenize(tenant, &input, card.customer_id.as_ref()).await
    }

    async fn check_pin(&self, tenant: &TenantId, pin: &PinCheckRequest) -> Result<(), VaultError> {
        let key = self.reveal_secret(tenant, pin.secret_id).await?;
        self.up()?.pins += 1;
        let opened = open_field(&key, &pin.nonce.to_string(), pin.encrypted_pin.as_str());
        let is_pin = opened.is_some_and(|pin| (4..=6).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit()));
        let closed = VaultError::InvalidField { field: Some("encrypted_pin".to_owned()) };
        is_pin.then_some(()).ok_or(closed)
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

/// A field as this vault opens it: the text and a tag that only the same key and nonce make. It hides nothing, for what a test
/// of the orchestrator asks is only whether a field opens.
pub(crate) fn close_field(key: &str, nonce: &str, text: &str) -> String {
    STANDARD.encode([text.as_bytes(), &tag(key, nonce, text.as_bytes())].concat())
}

fn open_field(key: &str, nonce: &str, field: &str) -> Option<String> {
    let bytes = STANDARD.decode(field).ok()?;
    let (text, found) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
    (tag(key, nonce, text) == found).then(|| String::from_utf8(text.to_vec()).ok())?
}

fn tag(key: &str, nonce: &str, text: &[u8]) -> Vec<u8> {
    Sha256::digest([key.as_bytes(), nonce.as_bytes(), text].concat())[..TAG_BYTES].to_vec()
}

const TAG_BYTES: usize = 16;
