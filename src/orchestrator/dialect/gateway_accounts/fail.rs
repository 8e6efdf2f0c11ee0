//! Errors of this door, `{"error":{"code","message","field"?}}`, and what each native one is called here.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use crate::api::answer::{Answer, Refusal};
use crate::intent::Fault;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fail {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Which field of the request, as a path.
    pub(super) field: Option<&'static str>,
}

impl Fail {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    /// A field with a value that is not allowed.
    pub(super) fn field(field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(field), ..Self::new(400, "invalidRequest", format!("{field}: {reason}")) }
    }

    /// A part of the card that cannot be right.
    pub(super) fn card(field: &'static str, reason: &'static str) -> Self {
        Self { code: "invalidCard", ..Self::field(field, reason) }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "The header x-api-key must carry an API key of the merchant")
    }

    pub(super) fn query() -> Self {
        Self::new(400, "invalidRequest", "The query has a field or value that this call does not take")
    }

    pub(super) fn no_transaction() -> Self {
        let message = "There is no such transaction of this API";
        Self { field: Some("transactionId"), ..Self::new(404, "transactionNotFound", message) }
    }

    pub(super) fn no_token() -> Self {
        let message = "There is no such card token of this merchant";
        Self { field: Some("cardToken"), ..Self::new(404, "cardTokenNotFound", message) }
    }

    /// What a native refusal is called here. The same whether it comes at once or is the kept answer to a repetition.
    fn of(status: u16, code: &str, message: &str) -> Self {
        let (field, reason) = field_of(message);
        let named = |status, code: &'static str, message: &str| Self { field, ..Self::new(status, code, message) };
        let said = |status, code| named(status, code, &reason);
        match (code, status) {
            ("IR_01", _) => Self::unauthorized(),
            ("IR_22", _) => said(403, "forbidden"),
            ("HE_02", _) if message.starts_with("Payment method") => Self::no_token(),
            ("HE_02", _) if message.contains("account") => {
                named(404, "accountNotFound", "There is no such payment gateway account of this merchant")
            }
            ("HE_02", _) => Self::no_transaction(),
            ("HE_01", _) if message.contains("connector_label") => Self {
                field: Some("name"),
                ..Self::new(409, "accountExists", "The merchant has an account of this name, be it in other letters")
            },
            ("HE_01", _) => said(409, "duplicate"),
            ("IR_04", _) => said(400, "missingField"),
            ("IR_05", _) | ("IR_06", 422) => {
                Self { field: Some("amount"), ..Self::new(400, "invalidAmount", reason.clone()) }
            }
            ("IR_06", 413) => said(413, "bodyTooLarge"),
            ("IR_06", _) if message.contains("was used with another request body") => said(400, "idempotencyKeyReused"),
            ("IR_06", _) if message.contains("the provider refuses these credentials") => {
                let message = "The provider refuses these credentials; nothing was saved";
                Self { field: Some("credentials"), ..Self::new(400, "credentialsRefused", message) }
            }
            ("IR_06" | "IR_16", _) if message.starts_with("Invalid card") => said(400, "invalidCard"),
            ("IR_06", _) => said(400, "invalidRequest"),
            ("IR_12", _) => said(409, "limitReached"),
            ("IR_13", _) => Self {
                field: Some("amount"),
                ..Self::new(400, "invalidAmount", "More than is left of what was captured and not yet refunded")
            },
            ("IR_14" | "IR_16", _) => said(409, "invalidState"),
            ("IR_19", _) => said(400, "notSupported"),
            ("IR_39", _) => {
                let message =
                    "None of the named accounts takes this payment (disabled, or not this currency, amount or card)";
                Self::new(400, "noAccountFits", message)
            }
            (code, _) if code.starts_with("CE_") => said(422, "providerRefused"),
            (_, 409) => said(409, "busy"),
            (_, 503) => said(503, "unavailable"),
            _ => Self::new(500, "internal", "Something went wrong on our side"),
        }
    }
}

/// The field that a native message begins with, in the words of this door, and the message in them.
fn field_of(message: &str) -> (Option<&'static str>, String) {
    let rest = ["Invalid value for ", "Missing required param: ", "Invalid card detail: ", "Invalid card number: "];
    let stripped = rest.iter().find_map(|begin| message.strip_prefix(begin));
    if let Some((native, reason)) = stripped.map(|rest| rest.split_once(": ").unwrap_or((rest, ""))) {
        let native = native.trim();
        let field = FIELDS.iter().find(|(name, _)| *name == native).map(|(_, field)| *field);
        let reason = if reason.is_empty() { "it is missing or cannot be right" } else { reason };
        return (field, field.map_or_else(|| reason.to_owned(), |field| format!("{field}: {reason}")));
    }
    let mut text = message.to_owned();
    for (native, here) in WORDS {
        text = text.replace(native, here);
    }
    (None, text)
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        Self::of(refusal.status, refusal.code, &refusal.message)
    }
}

impl From<Fault> for Fail {
    fn from(fault: Fault) -> Self {
        Refusal::from(fault).into()
    }
}

/// The native answer, if it is a good one.
pub(super) fn good(answered: Result<Answer, Refusal>) -> Result<Value, Fail> {
    let answer = answered.unwrap_or_else(|refusal| refusal.answer());
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status < 400 {
        return Ok(body);
    }
    let word = |name: &str| body["error"][name].as_str().unwrap_or_default();
    Err(Fail::of(answer.status, word("code"), word("message")))
}

impl std::fmt::Display for Fail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl ResponseError for Fail {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or_default()
    }

    fn error_response(&self) -> HttpResponse {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        let mut answer = HttpResponse::build(self.status_code())
            .insert_header(("cache-control", "no-store"))
            .content_type("application/json")
            .body(json!({ "error": error }).to_string());
        if self.status == 503 {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        answer
    }
}

/// Native names of fields and what they are called here.
const FIELDS: [(&str, &str); 24] = [
    ("amount", "amount"),
    ("amount_to_capture", "amount"),
    ("amount_to_capture at create", "amount"),
    ("currency", "currency"),
    ("metadata", "metadata"),
    ("description", "description"),
    ("reason", "reason"),
    ("statement_descriptor_name", "statementDescriptor"),
    ("merchant_order_reference_id", "reference"),
    ("return_url", "returnUrl"),
    ("routing", "paymentGatewayAccountName"),
    ("payment_method_data", "card"),
    ("payment_method_data.card.card_number", "card.number"),
    ("payment_method_data.card_token.card_cvc", "cvv"),
    ("card_exp_month", "card.expirationMonth"),
    ("card_exp_year", "card.expirationYear"),
    ("card_cvc", "card.cvv"),
    ("card_holder_name", "card.holderName"),
    ("connector_label", "name"),
    ("connector_name", "provider"),
    ("connector_account_details", "credentials"),
    ("connector_account_details.key1", "credentials.key1"),
    ("connector_webhook_details.merchant_secret", "credentials.webhookSecret"),
    ("overlap_seconds", "overlapSeconds"),
];

/// Words of native messages and what they are called here.
const WORDS: [(&str, &str); 11] = [
    ("This Payment", "This transaction"),
    ("cancelled because", "voided because"),
    ("requires_capture", "authorized"),
    ("requires_customer_action", "requiresAction"),
    ("requires_payment_method", "new"),
    ("requires_confirmation", "new"),
    ("partially_captured_and_capturable", "partiallyCaptured"),
    ("partially_captured", "partiallyCaptured"),
    ("succeeded", "captured"),
    ("processing", "pending"),
    ("status of cancelled", "status of voided"),
];

const RETRY_AFTER_S: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{Flow, State};

    #[test]
    fn native_faults_have_codes_and_fields_of_this_door() {
        let state = |flow| Fault::BadState { flow, state: State::RequiresCapture, expected: "succeeded".into() };
        for (fault, status, code, field) in [
            (Fault::NotFound("Payment"), 404, "transactionNotFound", Some("transactionId")),
            (Fault::NotFound("Payment method"), 404, "cardTokenNotFound", Some("cardToken")),
            (Fault::NotFound("Merchant connector account"), 404, "accountNotFound", None),
            (Fault::Duplicate("connector account with this connector_label"), 409, "accountExists", Some("name")),
            (Fault::Missing("currency"), 400, "missingField", Some("currency")),
            (Fault::Missing("payment_method_data.card_token.card_cvc"), 400, "missingField", Some("cvv")),
            (Fault::BadCardNumber, 400, "invalidCard", Some("card.number")),
            (Fault::BadCardDetail("card_exp_year"), 400, "invalidCard", Some("card.expirationYear")),
            (Fault::Invalid { field: "connector_name", reason: "x" }, 400, "invalidRequest", Some("provider")),
            (Fault::Unprocessable { field: "amount_to_capture", reason: "x" }, 400, "invalidAmount", Some("amount")),
            (Fault::RefundAboveCaptured, 400, "invalidAmount", Some("amount")),
            (Fault::TooManyRefunds, 409, "limitReached", None),
            (state("refunded"), 409, "invalidState", None),
            (state("cancelled"), 409, "invalidState", None),
            (Fault::NoConnector, 400, "noAccountFits", None),
            (Fault::Connector { flow: Flow::Capture, message: "no".into() }, 422, "providerRefused", None),
            (Fault::Busy, 409, "busy", None),
            (Fault::Resting, 503, "unavailable", None),
            (Fault::Internal, 500, "internal", None),
        ] {
            let fail = Fail::from(fault.clone());
            assert_eq!((fail.status, fail.code, fail.field), (status, code, field), "{fault:?}");
            assert_eq!(good(Err(fault.into())), Err(fail), "a repetition is told the same");
        }
        let message = Fail::from(state("refunded")).message;
        assert!(message.contains("status of authorized") && message.ends_with("captured"), "{message}");
    }
}
