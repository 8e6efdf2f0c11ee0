//! The bodies that Worldpay takes, as strictly as its schemas say; fields that nobody reads here are refused, so that a
//! misspelled one is found.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// Reads a JSON body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::schema("$"))
}

/// An authorization; `channel` and the security code are the customer's alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authorization {
    pub(super) transaction_reference: String,
    pub(super) order_reference: Option<String>,
    channel: Option<Channel>,
    pub(super) merchant: Merchant,
    pub(super) instruction: Instruction,
    #[serde(rename = "customer")]
    _customer: Option<Customer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Channel {
    Ecom,
    Moto,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Merchant {
    pub(super) entity: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Customer {
    #[serde(rename = "reference")]
    _reference: Option<String>,
    #[serde(rename = "ipAddress")]
    _ip_address: Option<String>,
    #[serde(rename = "emailAddress")]
    _email_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Instruction {
    pub(super) request_auto_settlement: AutoSettlement,
    narrative: Narrative,
    pub(super) value: Value,
    pub(super) payment_instrument: Instrument,
    pub(super) customer_agreement: Option<Agreement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AutoSettlement {
    pub(super) enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Narrative {
    line1: String,
}

/// An amount.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Value {
    pub(super) currency: String,
    pub(super) amount: i64,
    #[serde(default)]
    pub(super) estimated: bool,
}

/// A plain card.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Instrument {
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "wiped")]
    pub(super) card_number: Zeroizing<String>,
    pub(super) card_holder_name: Option<String>,
    pub(super) expiry_date: Expiry,
    #[serde(default, deserialize_with = "wiped_if_any")]
    pub(super) cvc: Option<Zeroizing<String>>,
    #[serde(rename = "billingAddress")]
    _billing_address: Option<Billing>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expiry {
    pub(super) month: i8,
    pub(super) year: i16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Billing {
    #[serde(rename = "postalCode")]
    _postal_code: String,
    #[serde(rename = "countryCode")]
    _country_code: String,
    #[serde(rename = "address1")]
    _address1: Option<String>,
    #[serde(rename = "address2")]
    _address2: Option<String>,
    #[serde(rename = "city")]
    _city: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Agreement {
    #[serde(rename = "type")]
    kind: String,
    stored_card_usage: Option<String>,
    installment_type: Option<String>,
    scheme_reference: Option<String>,
}

/// The body of a full settlement or refund; it may be missing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whole {
    pub(super) reference: Option<String>,
}

/// The body of a partial settlement or refund.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) reference: String,
    pub(super) value: Value,
    pub(super) sequence: Option<Sequence>,
}

/// Which of how many partial settlements.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sequence {
    pub(super) number: u32,
    pub(super) total: u32,
}

/// The body of an increase.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Increase {
    pub(super) value: Value,
}

impl Authorization {
    /// Holds it to the schema: of a customer's transaction, or of a merchant's.
    pub(super) fn check(&self, by_customer: bool) -> Result<(), Refusal> {
        let wrong = |path| Err(Refusal::schema(path));
        let instruction = &self.instruction;
        if !is_reference(&self.transaction_reference) {
            return wrong("$.transactionReference");
        }
        if !self.order_reference.as_deref().is_none_or(is_reference) {
            return wrong("$.orderReference");
        }
        if self.channel.is_some() != by_customer {
            return wrong("$.channel");
        }
        let entity = &self.merchant.entity;
        if !(1..=32).contains(&entity.len()) || !entity.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ') {
            return wrong("$.merchant.entity");
        }
        if !(1..=24).contains(&instruction.narrative.line1.chars().count()) {
            return wrong("$.instruction.narrative.line1");
        }
        instruction.value.check("$.instruction.value")?;
        if instruction.value.estimated && (!by_customer || instruction.request_auto_settlement.enabled) {
            return wrong("$.instruction.value.estimated");
        }
        let card = &instruction.payment_instrument;
        if card.kind != "card/plain" {
            return wrong("$.instruction.paymentInstrument.type");
        }
        if !(1..=12).contains(&card.expiry_date.month) || !(1000..=9999).contains(&card.expiry_date.year) {
            return wrong("$.instruction.paymentInstrument.expiryDate");
        }
        if !card.card_holder_name.as_ref().is_none_or(|name| (1..=255).contains(&name.chars().count())) {
            return wrong("$.instruction.paymentInstrument.cardHolderName");
        }
        let digits = |cvc: &Zeroizing<String>| matches!(cvc.len(), 3 | 4) && cvc.bytes().all(|b| b.is_ascii_digit());
        if !card.cvc.as_ref().is_none_or(|cvc| by_customer && digits(cvc)) {
            return wrong("$.instruction.paymentInstrument.cvc");
        }
        let fits = match &instruction.customer_agreement {
            Some(agreement) => agreement.fits(by_customer),
            None => by_customer,
        };
        if fits { Ok(()) } else { wrong("$.instruction.customerAgreement") }
    }
}

impl Agreement {
    fn fits(&self, by_customer: bool) -> bool {
        let usage = self.stored_card_usage.as_deref();
        let reference = self.scheme_reference.as_ref();
        if !reference.is_none_or(|reference| !by_customer && (1..=255).contains(&reference.len())) {
            return false;
        }
        let installments = self.installment_type.as_deref() == Some("merchant");
        if (self.kind == "installment") != installments {
            return false;
        }
        match (self.kind.as_str(), by_customer) {
            ("cardOnFile", true) => matches!(usage, Some("first" | "subsequent")),
            ("subscription" | "installment", true) => matches!(usage, None | Some("first")),
            ("subscription" | "installment" | "unscheduled", false) => usage.is_none(),
            ("resubmission", false) => matches!(usage, None | Some("subsequent")),
            _ => false,
        }
    }
}

impl Value {
    /// Holds it to the schema; `path` is where it stands.
    pub(super) fn check(&self, path: &'static str) -> Result<(), Refusal> {
        let money = self.currency.len() == 3 && self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if money && self.amount > 0 { Ok(()) } else { Err(Refusal::schema(path)) }
    }
}

/// Whether a settlement or refund may be called so.
pub(super) fn check_reference(reference: &str) -> Result<(), Refusal> {
    let plain = reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && (1..=128).contains(&reference.len()) { Ok(()) } else { Err(Refusal::schema("$.reference")) }
}

fn is_reference(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_!@#$%()*=.:;?[]{}~`/+".contains(&byte))
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn wiped_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    wiped(deserializer).map(Some)
}
