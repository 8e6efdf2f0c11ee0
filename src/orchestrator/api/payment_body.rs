//! The body of create, update and confirm, and what it means to the engine.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use strongroom_wire::limits;

use super::body::{self, TimeBody};
use super::choice_body::{self, RoutingBody};
use super::method_body::{MethodBody, MethodTypeWord, MethodWord, RecurringBody};
use super::payer_body::{AcceptanceBody, BrowserBody, ContactBody, mail};
use crate::connector::MitCategory;
use crate::ids;
use crate::intent::{Asker, CapturePlan, Fault, FutureUsage, NewPayment, PaymentKind, RETURNS_IN_FRAME, Terms};
use crate::money::Currency;
use crate::vault::SecretText;

/// `POST /payments`, `POST /payments/{id}`, `POST /payments/{id}/confirm`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PaymentBody {
    pub(crate) amount: Option<u64>,
    pub(crate) currency: Option<String>,
    pub(crate) payment_id: Option<String>,
    pub(crate) confirm: Option<bool>,
    pub(crate) capture_method: Option<CaptureWord>,
    pub(crate) capture_on: Option<TimeBody>,
    pub(crate) amount_to_capture: Option<u64>,
    pub(crate) request_incremental_authorization: Option<bool>,
    pub(crate) authentication_type: Option<AuthenticationWord>,
    pub(crate) customer_id: Option<String>,
    pub(crate) customer: Option<CustomerBody>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) phone_country_code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) setup_future_usage: Option<FutureUsage>,
    pub(crate) off_session: Option<bool>,
    pub(crate) payment_method: Option<MethodWord>,
    pub(crate) payment_method_type: Option<MethodTypeWord>,
    pub(crate) payment_method_data: Option<MethodBody>,
    pub(crate) payment_method_id: Option<String>,
    pub(crate) payment_token: Option<String>,
    pub(crate) card_cvc: Option<SecretText>,
    pub(crate) recurring_details: Option<RecurringBody>,
    pub(crate) mandate_data: Option<IgnoredAny>,
    pub(crate) mandate_id: Option<IgnoredAny>,
    pub(crate) mit_category: Option<MitCategory>,
    pub(crate) billing: Option<ContactBody>,
    pub(crate) shipping: Option<ContactBody>,
    pub(crate) statement_descriptor_name: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) order_details: Option<Value>,
    pub(crate) client_secret: Option<SecretText>,
    pub(crate) customer_acceptance: Option<AcceptanceBody>,
    pub(crate) browser_info: Option<BrowserBody>,
    pub(crate) connector: Option<Vec<String>>,
    pub(crate) routing: Option<RoutingBody>,
    pub(crate) payment_type: Option<PaymentTypeWord>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) profile_id: Option<String>,
    pub(crate) session_expiry: Option<u64>,
    pub(crate) is_iframe_redirection_enabled: Option<bool>,
    pub(crate) merchant_order_reference_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerBody {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) phone_country_code: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureWord {
    Automatic,
    Manual,
    ManualMultiple,
    Scheduled,
    SequentialAutomatic,
}

impl CaptureWord {
    fn plan(self) -> Result<CapturePlan, Fault> {
        Ok(match self {
            CaptureWord::Automatic => CapturePlan::Automatic,
            CaptureWord::Manual => CapturePlan::Manual,
            CaptureWord::ManualMultiple => CapturePlan::ManualMultiple,
            CaptureWord::Scheduled => CapturePlan::Scheduled,
            CaptureWord::SequentialAutomatic => {
                return Err(Fault::NotSupported(
                    "capture_method: automatic, manual, manual_multiple and scheduled are offered",
                ));
            }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthenticationWord {
    ThreeDs,
    NoThreeDs,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentTypeWord {
    Normal,
    NewMandate,
    SetupMandate,
    RecurringMandate,
}

impl PaymentBody {
    /// A new payment.
    pub(crate) fn into_new(mut self) -> Result<NewPayment, Fault> {
        let amount_minor = self.amount.ok_or(Fault::Missing("amount"))?;
        let currency = self.currency.as_deref().ok_or(Fault::Missing("currency"))?;
        let payment_id = self.payment_id.take();
        if payment_id.as_deref().is_some_and(|id| !ids::is_allowed(id)) {
            return Err(Fault::Invalid { field: "payment_id", reason: "1 to 30 of A-Z a-z 0-9 _ -" });
        }
        let session_expiry_s = self.session_expiry.unwrap_or(limits::CLIENT_SECRET_TTL_S);
        if !(60..=limits::CLIENT_SECRET_TTL_MAX_S).contains(&session_expiry_s) {
            return Err(Fault::Invalid { field: "session_expiry", reason: "60 to 86400 seconds" });
        }
        let mut terms = Terms {
            amount_minor,
            currency: parse_currency(currency)?,
            capture: CapturePlan::Automatic,
            capture_on_ms: None,
            amount_to_capture_minor: None,
            incremental: false,
            kind: PaymentKind::Normal,
            mit_category: MitCategory::Unscheduled,
            network_transaction_id: None,
            three_ds: true,
            customer_id: None,
            description: None,
            statement_descriptor: None,
            return_url: None,
            setup_future_usage: None,
            off_session: false,
            metadata: Map::new(),
            extra: Map::new(),
            connectors: Vec::new(),
            accounts: Vec::new(),
            door: None,
        };
        self.apply(&mut terms, Asker::Merchant)?;
        Ok(NewPayment { payment_id, terms, session_expiry_s })
    }

    /// Changes terms by the fields that are there.
    pub(crate) fn apply(mut self, terms: &mut Terms, asker: Asker) -> Result<(), Fault> {
        let network_transaction_id = self.take_network_id()?;
        if asker == Asker::Browser && self.has_merchant_fields() {
            return Err(Fault::Invalid {
                field: "amount, currency, customer, order, capture or routing",
                reason: "only the merchant's server may set them",
            });
        }
        if asker == Asker::Browser && self.changes_agreement(terms) {
            return Err(Fault::Invalid {
                field: "setup_future_usage",
                reason: "a page may say on_session where the merchant's server has said nothing",
            });
        }
        if let Some(amount) = self.amount {
            terms.amount_minor = amount;
        }
        if let Some(currency) = &self.currency {
            terms.currency = parse_currency(currency)?;
        }
        if let Some(word) = self.capture_method {
            terms.capture = word.plan()?;
            if terms.capture != CapturePlan::Scheduled {
                terms.capture_on_ms = None;
            }
        }
        if let Some(time) = self.capture_on {
            terms.capture_on_ms = Some(time.read("capture_on")?);
        }
        terms.incremental = self.request_incremental_authorization.unwrap_or(terms.incremental);
        if let Some(word) = self.payment_type {
            terms.kind = match word {
                PaymentTypeWord::SetupMandate => PaymentKind::SetupMandate,
                // What a payment sets up or follows is said by setup_future_usage and recurring_details.
                PaymentTypeWord::Normal | PaymentTypeWord::NewMandate | PaymentTypeWord::RecurringMandate => {
                    PaymentKind::Normal
                }
            };
        }
        if self.mandate_data.is_some() || self.mandate_id.is_some() {
            return Err(Fault::NotSupported(
                "mandate_data and mandate_id: send customer_acceptance and setup_future_usage off_session to set up, and \
                 recurring_details to charge",
            ));
        }
        if let Some(wish) = self.authentication_type {
            terms.three_ds = wish == AuthenticationWord::ThreeDs;
        }
        if self.amount_to_capture.is_some() {
            terms.extra.remove("amount_to_capture");
            terms.amount_to_capture_minor = self.amount_to_capture;
        }
        let (mut name, mut email, mut phone, mut code) = (self.name, self.email, self.phone, self.phone_country_code);
        let mut customer_id = self.customer_id;
        if let Some(customer) = self.customer {
            customer_id = Some(customer.id);
            (name, email, phone, code) = (
                customer.name.or(name),
                customer.email.or(email),
                customer.phone.or(phone),
                customer.phone_country_code.or(code),
            );
        }
        if let Some(id) = customer_id {
            terms.customer_id = Some(id.parse().map_err(|_| Fault::Invalid {
                field: "customer_id",
                reason: "1 to 64 of A-Z a-z 0-9 _ - . : @ that do not look like a card number",
            })?);
        }
        if let Some(email) = &email {
            mail("email", email)?;
        }
        let text_max = limits::PAYMENT_TEXT_BYTES_MAX;
        for (field, value) in [
            ("name", name),
            ("email", email),
            ("phone", phone),
            ("phone_country_code", code),
            ("merchant_order_reference_id", self.merchant_order_reference_id),
            ("profile_id", self.profile_id),
            ("statement_descriptor_suffix", self.statement_descriptor_suffix),
        ] {
            if let Some(value) = body::text(field, value, text_max)? {
                terms.extra.insert(field.into(), value.into());
            }
        }
        if let Some(text) = body::text("description", self.description, text_max)? {
            terms.description = Some(text);
        }
        if let Some(text) =
            body::text("statement_descriptor_name", self.statement_descriptor_name, limits::STATEMENT_CHARS_MAX)?
        {
            terms.statement_descriptor = Some(text);
        }
        if let Some(url) = body::text("return_url", self.return_url, limits::URL_BYTES_MAX)? {
            let good = reqwest::Url::parse(&url).is_ok_and(|u| u.has_host() && matches!(u.scheme(), "https" | "http"));
            if !good {
                return Err(Fault::Invalid { field: "return_url", reason: "an absolute https address" });
            }
            terms.return_url = Some(url);
        }
        terms.setup_future_usage = self.setup_future_usage.or(terms.setup_future_usage);
        terms.off_session = self.off_session.unwrap_or(terms.off_session);
        terms.network_transaction_id = network_transaction_id;
        if let Some(category) = self.mit_category {
            if !terms.off_session {
                return Err(Fault::Invalid { field: "mit_category", reason: "only with off_session: true" });
            }
            terms.mit_category = category;
        }
        if let Some(order) = &self.order_details {
            body::object("order_details", order)?;
        }
        for (field, value) in [
            ("billing", self.billing.map(|form| form.read("billing")).transpose()?),
            ("shipping", self.shipping.map(|form| form.read("shipping")).transpose()?),
            ("order_details", self.order_details),
            ("customer_acceptance", self.customer_acceptance.map(AcceptanceBody::read).transpose()?),
            ("browser_info", self.browser_info.map(BrowserBody::read).transpose()?),
        ] {
            if let Some(value) = value {
                terms.extra.insert(field.into(), value);
            }
        }
        if let Some(in_frame) = self.is_iframe_redirection_enabled {
            terms.extra.insert(RETURNS_IN_FRAME.into(), in_frame.into());
        }
        if self.metadata.is_some() {
            terms.metadata = body::metadata(self.metadata)?;
        }
        choice_body::apply(terms, self.routing, self.connector)
    }

    /// Whether it asks for another use of the card than the merchant's server did. A payer may agree to keep a card, and no
    /// page may make an agreement to payments without the payer or take one away that the merchant needs.
    fn changes_agreement(&self, terms: &Terms) -> bool {
        match (self.setup_future_usage, terms.setup_future_usage) {
            (None, _) | (Some(FutureUsage::OnSession), None) => false,
            (asked, agreed) => asked != agreed,
        }
    }

    fn has_merchant_fields(&self) -> bool {
        self.amount.is_some()
            || self.currency.is_some()
            || self.customer_id.is_some()
            || self.customer.is_some()
            || self.capture_method.is_some()
            || self.capture_on.is_some()
            || self.amount_to_capture.is_some()
            || self.request_incremental_authorization.is_some()
            || self.authentication_type.is_some()
            || self.off_session.is_some()
            || self.recurring_details.is_some()
            || self.mit_category.is_some()
            || self.connector.is_some()
            || self.routing.is_some()
            || self.metadata.is_some()
            || self.statement_descriptor_name.is_some()
            || self.statement_descriptor_suffix.is_some()
            // What the merchant delivers by: a payer must not be able to point a small payment at a large order.
            || self.description.is_some()
            || self.order_details.is_some()
            || self.merchant_order_reference_id.is_some()
            || self.profile_id.is_some()
            || self.session_expiry.is_some()
    }
}

fn parse_currency(text: &str) -> Result<Currency, Fault> {
    text.parse().map_err(|_| Fault::Invalid { field: "currency", reason: "a three-letter ISO 4217 code in upper case" })
}
