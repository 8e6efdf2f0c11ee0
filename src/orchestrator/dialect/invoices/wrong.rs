//! Errors in this dialect: `{success: false, error_type, message}`, and what the native ones are called here.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::answer::{Answer, Refusal};
use crate::api::body::{self, Bounded};
use crate::intent::Fault;
use crate::store::StoreError;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) status: u16,
    pub(super) error_type: String,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn new(status: u16, error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, error_type: error_type.into(), message: message.into() }
    }

    /// No project id and secret, or wrong ones.
    pub(super) fn unauthorized() -> Self {
        let message = "The project id or the secret is not valid: send Authorization: Basic with the project id as user \
            and an API key as password, or in a page the publishable key as user alone";
        Self::new(401, "request.authentication.invalid", message)
    }

    /// There is no such thing, as far as this caller may know.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, format!("resource.{what}.not-found"), format!("The {what} could not be found."))
    }

    /// A field has a value that is not allowed.
    pub(super) fn invalid(field: &str, reason: &str) -> Self {
        Self::new(
            400,
            format!("request.validation.invalid-{}", field.replace(['_', '.'], "-")),
            format!("{field}: {reason}"),
        )
    }

    /// A source that may not be used: which of the reasons holds is told to nobody.
    pub(super) fn source() -> Self {
        let message = "The source was used before, has expired or is not one of this project and customer";
        Self::new(400, "request.source.invalid", message)
    }

    /// A native error by its status, code and message.
    fn native(status: u16, code: &str, message: &str) -> Self {
        let error_type = match (status, code) {
            (401, _) => return Self::unauthorized(),
            (403, _) => "request.authorization.forbidden",
            (404, "HE_02") if message.starts_with("Customer") => return Self::not_found("customer"),
            (404, "HE_02") if message.starts_with("Payment method") => return Self::source(),
            (404, "HE_02") if message.starts_with("Event") => return Self::not_found("event"),
            (404, "HE_02") => return Self::not_found("invoice"),
            (404, _) => "request.route-not-found",
            (405, _) => "request.method-not-allowed",
            (409, _) => "request.conflict",
            (413, _) => "request.too-large",
            (400, "IR_04") => "request.validation.missing-field",
            (400, "IR_13") => "request.validation.refund-amount-too-high",
            (400, "IR_14" | "IR_16") => "transaction.invalid-state",
            (400, "IR_39") => "gateway.not-found",
            (400, code) if code.starts_with("CE_") => return Self::new(410, "gateway.declined", message),
            (503, _) => "gateway.unavailable",
            (500.., _) => "internal-error",
            _ => "request.validation.error",
        };
        Self::new(status, error_type, message)
    }
}

/// What a native call answered, or its error in this dialect. Works on kept answers too.
pub(super) fn opened(answer: &Answer) -> Result<Value, Wrong> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| Wrong::from(Fault::Internal))?;
    if answer.status < 400 {
        return Ok(body);
    }
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
    Err(Wrong::native(answer.status, text("code"), text("message")))
}

/// Success with these fields.
pub(super) fn good(name: &str, value: Value) -> HttpResponse {
    let body = json!({"success": true, name: value});
    ready(HttpResponse::Ok(), &body)
}

pub(super) fn ready(mut response: HttpResponseBuilder, body: &Value) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).content_type("application/json").body(body.to_string())
}

/// The bytes of a body within the limit.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest for Body {
    type Error = Wrong;
    type Future = LocalBoxFuture<'static, Result<Self, Wrong>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = Bounded::from_request(request, payload);
        Box::pin(async move { bytes.await.map(|Bounded(bytes)| Self(bytes)).map_err(Wrong::from) })
    }
}

/// The body as `T`; an empty body is `{}`. What was in it is never repeated.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong> {
    Ok(body::read(bytes)?)
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::native(refusal.status, refusal.code, &refusal.message)
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid { field, reason } => Self::invalid(field, reason),
            Fault::BadCardNumber => Self::new(400, "card.invalid-number", "The number of the card is not valid."),
            Fault::BadCardDetail(field) => {
                let part = field.trim_start_matches("card_").trim_start_matches("exp_").replace('_', "-");
                Self::new(400, format!("card.invalid-{part}"), "A detail of the card is not valid.")
            }
            other => Refusal::from(other).into(),
        }
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}

impl ResponseError for Wrong {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if self.status == 503 {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        if self.status == 401 {
            response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"project\""));
        }
        ready(response, &json!({"success": false, "error_type": self.error_type, "message": self.message}))
    }
}
