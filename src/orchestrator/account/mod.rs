//! Merchants, their API keys, connector accounts and customers. No credential stands here: a connector account names a
//! secret in the vault.

mod encryption;
mod origins;
mod webhooks;

pub use encryption::EncryptionKeys;
pub use origins::{BadOrigins, check_origins, is_page_of};
pub use webhooks::{TooManySecrets, WebhookSecret, WebhookSettings};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_wire::payment_method::Brand;
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};

use crate::money::Currency;

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
    /// What its card fields are encrypted under.
    #[serde(default)]
    pub encryption: EncryptionKeys,
    /// Origins of its pages: from a browser its publishable key is taken from these alone.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
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
    /// For people, and for rules; no two accounts of a merchant have the same.
    pub label: String,
    /// Where the vault keeps the credentials.
    pub secret_id: SecretId,
    /// Whether the credentials have what the provider signs its webhooks with.
    #[serde(default)]
    pub has_webhook_secret: bool,
    /// When these credentials took the place of others, milliseconds since 1970.
    #[serde(default)]
    pub rotated_ms: Option<i64>,
    /// Credentials that were replaced and are still readable, the oldest first.
    #[serde(default)]
    pub retired: Vec<RetiredSecret>,
    /// What it takes, beside what its connector can do.
    #[serde(default)]
    pub accepts: Accepts,
    /// The entry `[psp.NAME]` of the configuration that it is reached by; that of the connector's name when absent.
    #[serde(default)]
    pub destination: Option<String>,
    /// Test account at the provider.
    pub test_mode: bool,
    /// Not used for new payments.
    pub disabled: bool,
    /// Deleted: never used for new payments and shown nowhere, but older payments still name it. Milliseconds since 1970.
    #[serde(default)]
    pub deleted_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// Credentials that were replaced: what the provider signed with them before it heard of it is still believed for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredSecret {
    /// Where the vault keeps them.
    pub secret_id: SecretId,
    /// Deleted there from then on, milliseconds since 1970.
    pub until_ms: i64,
}

/// What an account takes. An empty list means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepts {
    /// Of these currencies.
    #[serde(default)]
    pub currencies: Vec<Currency>,
    /// Where the card's bills go to one of these countries (ISO 3166-1 alpha-2); an unknown one is none of them.
    #[serde(default)]
    pub countries: Vec<String>,
    /// Of these card networks.
    #[serde(default)]
    pub card_networks: Vec<Brand>,
    /// At least this much, in minor units.
    #[serde(default)]
    pub minimum_amount: Option<u64>,
    /// At most this much, in minor units.
    #[serde(default)]
    pub maximum_amount: Option<u64>,
}

impl ConnectorAccount {
    /// The configured destination of its requests.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.destination.as_deref().unwrap_or(&self.connector)
    }

    /// Whether its credentials were replaced since then. Nobody can tell whether the new ones are of the same account at the
    /// provider, whose memory of idempotency keys is what protects a repetition.
    #[must_use]
    pub fn rotated_since(&self, since_ms: i64) -> bool {
        self.rotated_ms.is_some_and(|at| at >= since_ms)
    }

    /// Every secret whose webhook signatures are believed now: the one in use first, then those that it replaced.
    pub fn webhook_secrets(&self, now_ms: i64) -> impl Iterator<Item = SecretId> {
        let retired = self.retired.iter().rev().filter(move |old| now_ms < old.until_ms).map(|old| old.secret_id);
        std::iter::once(self.secret_id).chain(retired)
    }
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
    /// The kept card that is offered first.
    #[serde(default)]
    pub default_method: Option<Token>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}
