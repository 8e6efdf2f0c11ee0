//! Merchants, their API keys, connector accounts and customers. No credential stands here: a connector account names a
//! secret in the vault.

mod webhooks;

pub use webhooks::{TooManySecrets, WebhookSecret, WebhookSettings};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_wire::{CustomerId, SecretId, TenantId};

/// A merchant, which is a tenant of the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its name here and in the vault.
    pub merchant_id: TenantId,
    /// For people.
    pub merchant_name: Option<String>,
    /// Identifies the merchant from a browser; together with a payment's client secret it may act on that payment.
    pub publishable_key: String,
    /// The profile that every payment of this merchant runs under.
    pub profile_id: String,
    /// The merchant's notes.
    pub metadata: Map<String, Value>,
    /// Where its events go.
    #[serde(default)]
    pub webhooks: WebhookSettings,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// An API key of a merchant, without the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its name.
    pub key_id: String,
    /// Whose.
    pub merchant_id: TenantId,
    /// For people.
    pub name: String,
    /// What for, for people.
    pub description: Option<String>,
    /// The first characters of the key, by which people tell keys apart.
    pub prefix: String,
    /// SHA-256 of the key, as 64 hexadecimal digits.
    pub hash: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// From then on refused, milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Refused since then, milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

/// A merchant's account at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorAccount {
    /// `mca_...`.
    pub account_id: String,
    /// Whose.
    pub merchant_id: TenantId,
    /// Which connector.
    pub connector: String,
    /// For people.
    pub label: String,
    /// Where the vault keeps the credentials.
    pub secret_id: SecretId,
    /// Test account at the provider.
    pub test_mode: bool,
    /// Not used for new payments.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A customer of a merchant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The merchant's name for them.
    pub customer_id: CustomerId,
    /// Whose.
    pub merchant_id: TenantId,
    /// Full name.
    pub name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Phone number without country code.
    pub phone: Option<String>,
    /// Country code of the phone number.
    pub phone_country_code: Option<String>,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's notes.
    pub metadata: Map<String, Value>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}
