//! Answers in the shape of this dialect: `status`, `message`, `data`, or `status` and `error`.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::card;
use crate::api::answer::{Answer, Refusal};
use crate::api::holds_card_number;

/// What a call ended in.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) message: &'static str,
    pub(super) data: Value,
}

/// The answer to a request.
pub(super) fn reply(request: &HttpRequest, said: Result<Said, Refusal>) -> HttpResponse {
    let (status, body) = match &said {
        Ok(said) => (said.status, json!({"status": "success", "message": said.message, "data": said.data})),
        Err(refusal) => (shown_status(refusal), failed(refusal)),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    if status.as_u16() == 503 {
        answer.insert_header((RETRY_AFTER, HeaderValue::from_static("1")));
    }
    if let Some(trace) = trace_of(request) {
        tracing::info!(trace_id = trace, status = status.as_u16(), "a call of the direct charges ended");
        answer.insert_header((TRACE, trace));
    }
    answer.content_type("application/json").body(body.to_string())
}

/// The native refusal that a kept answer is, if it is one.
pub(super) fn kept(answer: Answer) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if answer.status < 400 {
        return Ok(body);
    }
    let word = |field: &str| body["error"][field].as_str().unwrap_or_default().to_owned();
    // Only these two codes are told apart later.
    let code = if word("code") == "HE_01" { "HE_01" } else { "IR_06" };
    Err(Refusal::new(answer.status, code, word("message")))
}

/// The trace of a request, if it may be shown and logged as it is.
fn trace_of(request: &HttpRequest) -> Option<&str> {
    let trace = request.headers().get(TRACE)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let fits = (1..=limits::TRACE_ID_CHARS_MAX).contains(&trace.len()) && trace.bytes().all(plain);
    (fits && !holds_card_number(trace)).then_some(trace)
}

fn shown_status(refusal: &Refusal) -> u16 {
    // The payment's state does not allow it, or the name is taken: a conflict, in this dialect.
    let in_state = refusal.message.starts_with("This Payment could not be");
    if refusal.code == "HE_01" || (in_state && refusal.status < 500) { 409 } else { refusal.status }
}

fn failed(refusal: &Refusal) -> Value {
    let status = shown_status(refusal);
    let wrong = wrong_field(&refusal.message);
    let closed = status == 422 && wrong.is_some_and(|(field, _)| field == card::PIN || field.contains(".encrypted_"));
    let (kind, code) = match status {
        _ if closed => ("CLIENT_ENCRYPTION_ERROR", "11100".to_owned()),
        401 => ("UNAUTHORIZATION", "10401".to_owned()),
        403 => ("FORBIDDEN", "10403".to_owned()),
        404 => ("RESOURCE_NOT_FOUND", "10404".to_owned()),
        409 => ("RESOURCE_CONFLICT", "10409".to_owned()),
        503 => ("SERVICE_UNAVAILABLE", "10503".to_owned()),
        500.. => ("INTERNAL_SERVER_ERROR", "10500".to_owned()),
        _ => ("REQUEST_NOT_VALID", format!("10{status}")),
    };
    let message = refusal.message.replace("API key not provided or invalid API key used", NO_KEY);
    let mut error = json!({"type": kind, "code": code, "message": message});
    if let Some((field, reason)) = wrong {
        error["message"] = if closed { "Unable to open encrypted fields" } else { "Request is not valid" }.into();
        error["validation_errors"] = json!([{"field_name": translated(field), "message": reason}]);
    }
    json!({"status": "failed", "error": error})
}

/// The field that a native message is about, and what it says about it.
fn wrong_field(message: &str) -> Option<(&str, &str)> {
    if let Some(field) = message.strip_prefix("Missing required param: ") {
        return Some((field, "must not be null"));
    }
    message.strip_prefix("Invalid value for ")?.split_once(": ")
}

/// The name of a native field in this dialect.
fn translated(field: &str) -> &str {
    match field {
        "metadata" => "meta",
        "return_url" => "redirect_url",
        "billing" => "customer.address",
        other => other,
    }
}

const TRACE: &str = "x-trace-id";
const NO_KEY: &str = "Authorization: Bearer and an API key of the merchant are needed, and the key must be valid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_shape_and_the_codes_of_the_dialect() {
        for (refusal, status, kind, code) in [
            (Refusal::unauthorized(), 401, "UNAUTHORIZATION", "10401"),
            (Refusal::new(404, "HE_02", "no"), 404, "RESOURCE_NOT_FOUND", "10404"),
            (Refusal::new(400, "HE_01", "twice"), 409, "RESOURCE_CONFLICT", "10409"),
            (
                Refusal::new(400, "IR_16", "This Payment could not be confirmed because"),
                409,
                "RESOURCE_CONFLICT",
                "10409",
            ),
            (Refusal::new(400, "IR_06", "no"), 400, "REQUEST_NOT_VALID", "10400"),
            (Refusal::new(413, "IR_06", "long"), 413, "REQUEST_NOT_VALID", "10413"),
            (Refusal::new(503, "HE_00", "later"), 503, "SERVICE_UNAVAILABLE", "10503"),
            (Refusal::new(500, "HE_00", "ours"), 500, "INTERNAL_SERVER_ERROR", "10500"),
        ] {
            let said = failed(&refusal);
            assert_eq!(shown_status(&refusal), status);
            assert_eq!(
                (&said["status"], &said["error"]["type"], &said["error"]["code"]),
                (&json!("failed"), &json!(kind), &json!(code))
            );
        }
        let field = failed(&Refusal::new(400, "IR_06", "Invalid value for return_url: an absolute https address"));
        let expected = json!([{"field_name": "redirect_url", "message": "an absolute https address"}]);
        assert_eq!(field["error"]["validation_errors"], expected);
    }

    #[test]
    fn a_trace_that_may_not_be_logged_is_left_alone() {
        let of = |value: &str| {
            let request = actix_web::test::TestRequest::default().insert_header((TRACE, value)).to_http_request();
            trace_of(&request).map(str::to_owned)
        };
        assert_eq!(of("7b1f-x_Y").as_deref(), Some("7b1f-x_Y"));
        assert!(of(&"a".repeat(limits::TRACE_ID_CHARS_MAX)).is_some());
        for bad in
            ["", "a b", "a=b", "4242424242424242", "x-4242-4242-4242-4242", &"a".repeat(limits::TRACE_ID_CHARS_MAX + 1)]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
