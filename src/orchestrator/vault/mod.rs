//! The vault as the engine needs it: cards go in, tokens come out, and a card comes back for one call.

mod card;
mod client;

pub use card::{Card, CardInput, SecretText};
pub use client::{VaultClient, VaultSettings};

use std::time::Duration;

use async_trait::async_trait;
use strongroom_wire::encrypted_fields::{EncryptedFieldsRequest, PinCheckRequest};
use strongroom_wire::forward::{ForwardRequest, Forwarded};
use strongroom_wire::payment_method::{PaymentMethod, Session};
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};
use zeroize::Zeroizing;

use crate::connector::Doubt;

/// What the engine asks of the vault. Every call names the tenant it is for.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Makes the tenant known. Repeating it changes nothing.
    async fn register(&self, tenant: &TenantId) -> Result<(), VaultError>;
    /// Keeps a card for a short time; the answer carries the sealed CVC if the card had one.
    async fn tokenize(
        &self,
        tenant: &TenantId,
        card: &CardInput,
        customer: Option<&CustomerId>,
    ) -> Result<PaymentMethod, VaultError>;
    /// The same for a card whose fields are encrypted under a secret of the tenant: the vault alone opens them.
    async fn tokenize_encrypted(
        &self,
        tenant: &TenantId,
        card: &EncryptedFieldsRequest,
    ) -> Result<PaymentMethod, VaultError>;
    /// Whether an encrypted PIN opens to one; [`VaultError::InvalidField`] if not. Nothing of it is kept.
    async fn check_pin(&self, tenant: &TenantId, pin: &PinCheckRequest) -> Result<(), VaultError>;
    /// The card itself, for one call to a PSP. `reference` lands in the audit log.
    async fn reveal(
        &self,
        tenant: &TenantId,
        token: Token,
        reference: &str,
        cvc_token: Option<&str>,
    ) -> Result<Card, VaultError>;
    /// The masked view.
    async fn get(&self, tenant: &TenantId, token: Token) -> Result<PaymentMethod, VaultError>;
    /// The customer's long-term cards, masked, oldest first, at most [`strongroom_wire::limits::SAVED_CARDS_MAX`].
    async fn list(&self, tenant: &TenantId, customer: &CustomerId) -> Result<Vec<PaymentMethod>, VaultError>;
    /// Short-term becomes long-term.
    async fn retain(&self, tenant: &TenantId, token: Token) -> Result<(), VaultError>;
    /// Shreds the card.
    async fn delete(&self, tenant: &TenantId, token: Token) -> Result<(), VaultError>;
    /// A session with which a browser may hand a card to the vault.
    async fn session(
        &self,
        tenant: &TenantId,
        customer: Option<&CustomerId>,
        allowed_origins: Vec<String>,
        expires_in_s: u64,
    ) -> Result<Session, VaultError>;
    /// Keeps a secret of ours.
    async fn store_secret(&self, tenant: &TenantId, name: &str, value: &str) -> Result<SecretId, VaultError>;
    /// Deletes it.
    async fn delete_secret(&self, tenant: &TenantId, id: SecretId) -> Result<(), VaultError>;
    /// Reads it back.
    async fn reveal_secret(&self, tenant: &TenantId, id: SecretId) -> Result<Zeroizing<String>, VaultError>;

    /// Whether the vault answers within this time. Changes nothing and names no tenant.
    async fn ping(&self, patience: Duration) -> Result<(), VaultError>;
}

/// Sends templates through the vault.
#[async_trait]
pub trait Forwarder: Send + Sync {
    /// Has the vault fill and send a template, within this time.
    ///
    /// # Errors
    /// [`ForwardFault`] says whether the request may have left the vault.
    async fn forward(
        &self,
        tenant: &TenantId,
        request: &ForwardRequest,
        patience: Duration,
    ) -> Result<Forwarded, ForwardFault>;
}

/// Why a template has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardFault {
    /// Proven: the vault sent nothing.
    #[error(transparent)]
    NotSent(VaultError),
    /// The vault may have sent it.
    #[error("the vault gave no answer to a template")]
    InDoubt(Doubt),
}

/// Why the vault did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It has no such record for this tenant.
    #[error("the vault has no such record")]
    NotFound,
    /// The card is not one. `field` is a path such as `card.number`.
    #[error("the card is not valid ({})", field.as_deref().unwrap_or("card"))]
    InvalidCard {
        /// Which part, where the vault said so.
        field: Option<String>,
    },
    /// Another field is not valid, or a text holds a card number.
    #[error("the vault refused a field ({})", field.as_deref().unwrap_or("unnamed"))]
    InvalidField {
        /// Which field, where the vault said so.
        field: Option<String>,
    },
    /// The sealed CVC was used, expired or belongs to another card.
    #[error("the CVC is no longer available")]
    CvcGone,
    /// Policy or a quota of the vault refuses this orchestrator.
    #[error("the vault's policy refuses this orchestrator")]
    Refused,
    /// The vault is sealed, unreachable or out of order.
    #[error("the vault is not available")]
    Unavailable,
}

#[cfg(test)]
mod tests;
