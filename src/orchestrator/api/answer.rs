//! Answers and errors of the API, in the native dialect's envelope.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::intent::{Fault, Flow};
use crate::store::StoreError;

/// What a call answers. Plain, so that it can be kept under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Certain: everything is as it was before the request.
    pub(crate) untouched: bool,
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Self {
        Self { status: 200, body: body.to_string().into_bytes() }
    }
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        HttpResponse::build(status)
            .insert_header(("cache-control", "no-store"))
            .content_type("application/json")
            .body(answer.body)
    }
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), untouched: false }
    }

    /// No key, or one that is not valid here.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "IR_01", "API key not provided or invalid API key used")
    }

    /// `invalid_request` for faults of the caller, `connector` for those of a provider, `api` for ours.
    fn kind(&self) -> &'static str {
        if self.code.starts_with("CE_") {
            "connector"
        } else if self.status >= 500 {
            "api"
        } else {
            "invalid_request"
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let body = json!({"error": {"type": self.kind(), "code": self.code, "message": self.message}});
        Answer { status: self.status, body: body.to_string().into_bytes() }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let (status, code) = match &fault {
            Fault::NotFound(_) => (404, "HE_02"),
            Fault::Duplicate("customer") => (400, "IR_12"),
            Fault::Duplicate(_) => (400, "HE_01"),
            Fault::BadState { flow: "captured" | "refunded", .. } => (400, "IR_14"),
            Fault::BadState { .. } | Fault::Precondition(_) | Fault::BadCardDetail(_) | Fault::CvcGone => {
                (400, "IR_16")
            }
            Fault::Invalid { .. } | Fault::BadCardNumber => (400, "IR_06"),
            Fault::Unprocessable { field: "amount_to_capture at create", .. } => (422, "IR_05"),
            Fault::Unprocessable { .. } | Fault::NoMethod => (422, "IR_06"),
            Fault::Missing(_) => (400, "IR_04"),
            Fault::NoConnector => (400, "IR_39"),
            Fault::NotSupported(_) => (400, "IR_19"),
            Fault::RefundAboveCaptured => (400, "IR_13"),
            Fault::DefaultMethod => (400, "IR_25"),
            Fault::TooManyRefunds => (400, "IR_12"),
            Fault::Connector { flow: Flow::Capture, .. } => (400, "CE_03"),
            Fault::Connector { flow: Flow::Cancel | Flow::Increment, .. } => (400, "CE_00"),
            Fault::Connector { flow: Flow::Refund, .. } => (400, "CE_06"),
            Fault::ProviderUnreachable | Fault::Resting | Fault::VaultUnavailable | Fault::Store => (503, "HE_00"),
            Fault::Busy => (409, "HE_00"),
            Fault::Internal => (500, "HE_00"),
        };
        let untouched = matches!(fault, Fault::ProviderUnreachable | Fault::VaultUnavailable | Fault::Busy);
        Self { untouched, ..Self::new(status, code, fault.to_string()) }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl From<Refusal> for HttpResponse {
    fn from(refusal: Refusal) -> Self {
        let mut answer = HttpResponse::from(refusal.answer());
        if refusal.status == 503 {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(RETRY_AFTER_S));
        }
        answer
    }
}

/// When what is not available now is worth another try, in seconds.
const RETRY_AFTER_S: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::State;

    #[test]
    fn faults_have_the_codes_of_the_dialect() {
        let state = |flow| Fault::BadState { flow, state: State::Succeeded, expected: "x".into() };
        for (fault, status, code, kind) in [
            (state("captured"), 400, "IR_14", "invalid_request"),
            (state("confirmed"), 400, "IR_16", "invalid_request"),
            (Fault::NotFound("Payment"), 404, "HE_02", "invalid_request"),
            (Fault::Duplicate("payment"), 400, "HE_01", "invalid_request"),
            (Fault::NoMethod, 422, "IR_06", "invalid_request"),
            (Fault::NoConnector, 400, "IR_39", "invalid_request"),
            (Fault::Resting, 503, "HE_00", "api"),
            (Fault::Store, 503, "HE_00", "api"),
            (Fault::Connector { flow: Flow::Capture, message: "no".into() }, 400, "CE_03", "connector"),
        ] {
            let refusal = Refusal::from(fault);
            assert_eq!((refusal.status, refusal.code, refusal.kind()), (status, code, kind));
        }
        assert!(Refusal::from(state("captured")).message.contains("succeeded"));
    }
}
