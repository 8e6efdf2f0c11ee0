//! The masked side of the vault's payment method API: what may be shown, listed and kept by callers.
//!
//! Requests that carry a card are parsed by the vault's `card` room and never become types of this crate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CustomerId, Reference, SecretId, TenantId, Token};

/// Card schemes, by the number ranges that ISO/IEC 7812 issuers use today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Brand {
    /// Visa.
    Visa = 1,
    /// Mastercard, 5-series and 2-series.
    Mastercard = 2,
    /// American Express.
    Amex = 3,
    /// Discover.
    Discover = 4,
    /// Diners Club.
    Diners = 5,
    /// JCB.
    Jcb = 6,
    /// UnionPay.
    Unionpay = 7,
    /// Maestro.
    Maestro = 8,
    /// Elo.
    Elo = 9,
    /// RuPay.
    Rupay = 10,
    /// Mir.
    Mir = 11,
    /// A scheme this version does not know; the number still passed Luhn and length.
    Unknown = 255,
}

/// Key-value notes of the caller.
pub type Metadata = BTreeMap<String, String>;

/// How long a record is meant to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Until it is deleted.
    LongTerm,
    /// Until `expires_at`, then it is shredded.
    ShortTerm,
}

/// The masked view of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSummary {
    /// The scheme.
    pub brand: Brand,
    /// First 6 digits (8 for numbers of 16 digits and more), as PCI DSS 3.4.1 allows.
    pub bin: String,
    /// Last 4 digits.
    pub last4: String,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// HMAC-SHA-256 of the number under a key of the tenant, first 128 bits, base64url; the same number has the same
    /// fingerprint within one tenant and no relation between tenants.
    pub fingerprint: String,
}

/// A stored card as every caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// The token.
    pub payment_method_id: Token,
    /// Always `card`.
    #[serde(rename = "type")]
    pub kind: MethodKind,
    /// The masked card.
    pub card: CardSummary,
    /// Short-term or long-term.
    pub storage: Storage,
    /// The merchant's customer, where one was named.
    pub customer_id: Option<CustomerId>,
    /// The caller's notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC; null for long-term records.
    pub expires_at: Option<String>,
    /// Only on the answer to a tokenize request that carried a CVC: the CVC, sealed for one reveal of this token within
    /// 15 minutes. The vault keeps no copy; hand it to `reveal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvc_token: Option<String>,
}

/// What a payment method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// A payment card.
    Card,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, oldest first.
    pub items: Vec<T>,
    /// Hand it back as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Why a card is released. Recorded in the audit entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// An authorization request to a PSP.
    Authorize,
    /// A zero-amount verification.
    Verify,
    /// A dispute that needs the number.
    Dispute,
    /// Moving the card to another vault.
    Migrate,
}

/// `POST /v1/payment_methods/{id}/reveal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevealRequest {
    /// Why.
    pub purpose: Purpose,
    /// What for, in the caller's words (a payment id).
    pub reference: Reference,
    /// The sealed CVC that tokenize answered, where the card's CVC is wanted too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvc_token: Option<String>,
}

/// `POST /v1/payment_methods/{id}/retain`: no fields; an empty body is the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetainRequest {}

/// `POST /v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Cards tokenized under the session belong to this customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Origins (`https://shop.example`) from which a browser may use the session.
    pub allowed_origins: Vec<String>,
    /// Life in seconds, 10 to 3600; 900 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// The answer to `POST /v1/sessions`.
#[derive(Serialize, Deserialize)]
pub struct Session {
    /// What the browser sends as `Authorization: Bearer`. It may tokenize for one tenant and nothing else.
    pub client_secret: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
}

/// The answer to `POST /v1/secrets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    /// Its id.
    pub secret_id: SecretId,
    /// The name it was given.
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// `POST /v1/tenants` on the release (scope `provision`) and admin (scope `tenants`) listeners. Repeating it changes
/// nothing and answers the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRequest {
    /// The tenant's name.
    pub tenant: TenantId,
}

/// A registered tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The tenant's name.
    pub tenant: TenantId,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Whether it was shredded: only its name is left, and nobody gets that again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shredded: bool,
}

/// The answer to `DELETE /v1/customers/{customer_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerDeleted {
    /// Cards that this request shredded.
    pub deleted: u32,
    /// Whether none is left; otherwise ask again.
    pub is_complete: bool,
}
