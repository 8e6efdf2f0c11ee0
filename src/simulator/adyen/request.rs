//! Bodies of requests, read as strictly as Adyen reads them: an unknown field is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// Reads a body.
///
/// # Errors
/// It is no JSON, a field is missing or unknown, or a value has the wrong type. Nothing of it is repeated.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::structure())
}

/// An amount as Adyen writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amount {
    pub(super) value: i64,
    pub(super) currency: String,
}

impl Amount {
    /// From 0 (a verification) to what Adyen's systems take.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, least: i64) -> Result<(), Refusal> {
        if !(least..=AMOUNT_MAX).contains(&self.value) {
            return Err(Refusal::invalid("137", "Invalid amount specified"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Refusal::invalid("138", "Unsupported currency specified"));
        }
        Ok(())
    }
}

/// `POST /payments`. What is read and has no effect here is still held to its type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for their types alone")]
pub(super) struct Pay {
    pub(super) amount: Amount,
    pub(super) merchant_account: String,
    pub(super) reference: String,
    pub(super) payment_method: Method,
    pub(super) return_url: String,
    #[serde(rename = "authenticationData", default)]
    pub(super) authentication: Authentication,
    #[serde(default)]
    shopper_interaction: Option<Interaction>,
    #[serde(default)]
    recurring_processing_model: Option<Model>,
    #[serde(default)]
    pub(super) capture_delay_hours: Option<u32>,
    #[serde(rename = "additionalData", default)]
    pub(super) notes: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    merchant_order_reference: Option<String>,
    #[serde(default)]
    shopper_reference: Option<String>,
    #[serde(default)]
    shopper_email: Option<String>,
    #[serde(default, rename = "shopperIP")]
    shopper_ip: Option<String>,
    #[serde(default)]
    shopper_statement: Option<String>,
    #[serde(default)]
    channel: Option<Channel>,
    #[serde(default)]
    browser_info: Option<Browser>,
    #[serde(default)]
    billing_address: Option<Address>,
}

/// `paymentMethod` of a card; the number, the code and the name are wiped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Method {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(deserialize_with = "wiped")]
    pub(super) number: Zeroizing<String>,
    pub(super) expiry_month: String,
    pub(super) expiry_year: String,
    #[serde(default, deserialize_with = "wiped_if_any")]
    pub(super) cvc: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "wiped_if_any")]
    pub(super) holder_name: Option<Zeroizing<String>>,
}

/// `authenticationData`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authentication {
    #[serde(default)]
    pub(super) attempt_authentication: Option<Attempt>,
    #[serde(default, rename = "threeDSRequestData")]
    pub(super) request: ThreeDs,
}

/// When 3-D Secure is tried.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Attempt {
    Always,
    Never,
}

/// `threeDSRequestData`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ThreeDs {
    #[serde(default, rename = "nativeThreeDS")]
    pub(super) native: Option<Native>,
}

/// Whether 3-D Secure runs in the shop's page.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Native {
    Preferred,
    Disabled,
}

/// `shopperInteraction` for cards on the web.
#[derive(Deserialize)]
enum Interaction {
    Ecommerce,
    ContAuth,
}

/// `recurringProcessingModel`.
#[derive(Deserialize)]
enum Model {
    CardOnFile,
    Subscription,
    UnscheduledCardOnFile,
}

#[derive(Deserialize)]
enum Channel {
    Web,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for their types alone")]
struct Browser {
    accept_header: String,
    color_depth: i32,
    java_enabled: bool,
    language: String,
    screen_height: i32,
    screen_width: i32,
    time_zone_offset: i32,
    user_agent: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for their types alone")]
struct Address {
    street: String,
    house_number_or_name: String,
    city: String,
    postal_code: String,
    country: String,
    #[serde(default)]
    state_or_province: Option<String>,
}

/// `POST /payments/details` after a redirection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Details {
    pub(super) details: Returned,
}

/// What the browser brought back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Returned {
    pub(super) redirect_result: String,
}

/// A capture, a refund or a change of amount.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for their types alone")]
pub(super) struct Modify {
    pub(super) merchant_account: String,
    pub(super) amount: Amount,
    #[serde(default)]
    pub(super) reference: Option<String>,
    #[serde(default)]
    merchant_refund_reason: Option<Reason>,
}

/// `merchantRefundReason`.
#[derive(Deserialize)]
enum Reason {
    #[serde(rename = "FRAUD")]
    Fraud,
    #[serde(rename = "CUSTOMER REQUEST")]
    CustomerRequest,
    #[serde(rename = "RETURN")]
    Return,
    #[serde(rename = "DUPLICATE")]
    Duplicate,
    #[serde(rename = "OTHER")]
    Other,
}

/// A cancellation of the payment in the path, or of the one with our reference.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Cancel {
    pub(super) merchant_account: String,
    #[serde(default)]
    pub(super) reference: Option<String>,
    #[serde(default)]
    pub(super) payment_reference: Option<String>,
}

/// What a fault needs to know of a body, before it is read in earnest.
#[derive(Default, Deserialize)]
pub(super) struct Peek {
    #[serde(default)]
    pub(super) amount: Option<PeekAmount>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    _rest: BTreeMap<String, IgnoredAny>,
}

/// The value alone.
#[derive(Deserialize)]
pub(super) struct PeekAmount {
    pub(super) value: i64,
}

fn wiped<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn wiped_if_any<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    wiped(deserializer).map(Some)
}

/// More than any payment here, and far from where sums of the ledger end.
const AMOUNT_MAX: i64 = 1_000_000_000_000;
