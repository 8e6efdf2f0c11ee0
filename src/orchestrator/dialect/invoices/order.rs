//! `POST /invoices`: what is asked, and the payment that it becomes. The parts that only this dialect knows go into the note.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom_wire::limits;

use super::amount;
use super::wrong::Wrong;
use crate::api::body::{self, TimeBody};
use crate::api::payment_body::{CaptureWord, PaymentBody};
use crate::connector::MitCategory;
use crate::intent::{DialectName, DoorNote, Fault, NewPayment};
use crate::money::Currency;
use crate::webhook::{Reach, callable};

/// The body. A field that is not here is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderBody {
    name: String,
    amount: String,
    currency: String,
    order_id: Option<String>,
    pub(super) customer_id: Option<String>,
    auto_capture_at: Option<TimeBody>,
    details: Option<OneOrMany>,
    initiation_type: Option<Initiation>,
    payment_intent: Option<Intent>,
    statement_descriptor: Option<String>,
    return_url: Option<String>,
    webhook_url: Option<String>,
    metadata: Option<Metadata>,
    shipping: Option<Map<String, Value>>,
    billing: Option<Map<String, Value>>,
    tax: Option<Map<String, Value>>,
    device: Option<Map<String, Value>>,
}

/// The public specification says an object where its examples have a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Detail>),
    One(Box<Detail>),
}

/// What is bought.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    name: String,
    amount: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

/// Who begins the payment.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Initiation {
    #[serde(alias = "CIT", rename = "cit")]
    Customer,
    #[serde(alias = "MIT", rename = "mit")]
    Merchant,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Intent {
    OneOff,
    Recurring,
    RecurringStandingOrder,
    RecurringSubscription,
    Installment,
    Unscheduled,
    UnscheduledDelayedCharge,
    UnscheduledResubmission,
    UnscheduledNoShow,
    UnscheduledReauthorization,
}

impl Intent {
    fn category(self) -> MitCategory {
        match self {
            Self::Recurring | Self::RecurringStandingOrder | Self::RecurringSubscription => MitCategory::Recurring,
            Self::Installment => MitCategory::Installment,
            Self::UnscheduledResubmission => MitCategory::Resubmission,
            _ => MitCategory::Unscheduled,
        }
    }
}

/// Names and texts, as an object or as JSON text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Metadata {
    Object(Map<String, Value>),
    Text(String),
}

impl Metadata {
    /// The object.
    pub(super) fn read(self) -> Result<Map<String, Value>, Wrong> {
        let wrong = || Wrong::invalid("metadata", "an object of texts, or the JSON text of one");
        let map = match self {
            Self::Object(map) => map,
            Self::Text(text) => serde_json::from_str(&text).map_err(|_| wrong())?,
        };
        if map.values().all(Value::is_string) { Ok(map) } else { Err(wrong()) }
    }
}

impl OrderBody {
    /// The payment with this id.
    pub(super) fn into_new(self, payment_id: String, reach: Reach, now_ms: i64) -> Result<NewPayment, Wrong> {
        let currency: Currency = self
            .currency
            .parse()
            .map_err(|_| Wrong::invalid("currency", "a three-letter ISO 4217 code in upper case"))?;
        let amount_minor = amount::minor("amount", &self.amount, currency)?;
        let merchant_begins = self.initiation_type == Some(Initiation::Merchant);
        if merchant_begins && self.customer_id.is_none() {
            return Err(Wrong::invalid("customer_id", "a payment that the merchant begins needs a customer"));
        }
        let capture_on_ms = self.auto_capture_at.map(|at| at.read("auto_capture_at")).transpose()?;
        capture_on_ms.map_or(Ok(()), |at| check_capture_at(at, now_ms))?;
        if self
            .webhook_url
            .as_deref()
            .is_some_and(|url| url.len() > limits::URL_BYTES_MAX || callable(url, reach).is_none())
        {
            return Err(Wrong::invalid(
                "webhook_url",
                "an https address without credentials that may be called from here",
            ));
        }
        let mut note = Map::from_iter([("kind".to_owned(), Value::from(INVOICE))]);
        let mut keep = |name: &str, value: Value| note.insert(name.to_owned(), value);
        keep("initiation_type", if merchant_begins { "mit" } else { "cit" }.into());
        if let Some(intent) = self.payment_intent {
            keep("payment_intent", json!(intent));
        }
        if let Some(url) = body::text("webhook_url", self.webhook_url, limits::URL_BYTES_MAX)? {
            keep("webhook_url", url.into());
        }
        if let Some(details) = self.details {
            keep("details", details.read(currency)?);
        }
        for (name, part) in
            [("shipping", self.shipping), ("billing", self.billing), ("tax", self.tax), ("device", self.device)]
        {
            if let Some(part) = part {
                let part = Value::Object(part);
                body::object(name, &part)?;
                keep(name, part);
            }
        }
        let native = PaymentBody {
            amount: Some(amount_minor),
            currency: Some(self.currency),
            payment_id: Some(payment_id),
            capture_method: Some(CaptureWord::Manual),
            customer_id: self.customer_id,
            description: Some(self.name),
            return_url: self.return_url,
            statement_descriptor_name: self.statement_descriptor,
            merchant_order_reference_id: self.order_id,
            metadata: self.metadata.map(Metadata::read).transpose()?,
            session_expiry: Some(limits::CLIENT_SECRET_TTL_MAX_S),
            ..PaymentBody::default()
        };
        let mut new = native.into_new()?;
        if let Some(at) = capture_on_ms {
            new.terms.capture = crate::intent::CapturePlan::Scheduled;
            new.terms.capture_on_ms = Some(at);
        }
        new.terms.three_ds = !merchant_begins;
        new.terms.mit_category = self.payment_intent.map(Intent::category).unwrap_or_default();
        new.terms.door = Some(DoorNote { dialect: DialectName::Invoices, note });
        Ok(new)
    }
}

/// Whether a capture may be set for this time.
///
/// # Errors
/// It is over or too far ahead.
pub(super) fn check_capture_at(at_ms: i64, now_ms: i64) -> Result<(), Fault> {
    if at_ms > now_ms && at_ms <= now_ms + CAPTURE_WITHIN_MS {
        return Ok(());
    }
    Err(Fault::Invalid { field: "auto_capture_at", reason: "a time in the future, at most 7 days from now" })
}

impl OneOrMany {
    fn read(self, currency: Currency) -> Result<Value, Wrong> {
        let details = match self {
            Self::Many(details) => details,
            Self::One(detail) => vec![*detail],
        };
        if details.len() > limits::INVOICE_DETAILS_MAX {
            return Err(Wrong::invalid("details", "at most 100 items"));
        }
        for detail in &details {
            amount::minor("details.amount", &detail.amount, currency)?;
            if let Some(discount) = &detail.discount_amount {
                amount::minor("details.discount_amount", discount, currency)?;
            }
            body::text("details.name", Some(detail.name.clone()), limits::INVOICE_NAME_BYTES_MAX)?;
            body::object("details", &json!(detail))?;
        }
        Ok(json!(details))
    }
}

/// The kind of a note that belongs to an invoice.
pub(super) const INVOICE: &str = "invoice";
/// The kind of a note that belongs to the proof of a card that is kept for a customer.
pub(super) const TOKEN: &str = "token";
/// How long after it was asked for a capture of ours may be, in milliseconds: 7 days.
const CAPTURE_WITHIN_MS: i64 = 7 * 24 * 3_600_000;
