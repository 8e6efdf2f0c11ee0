//! Refusals in Worldpay's envelope: `{"errorName", "message", "validationErrors"}`.

use serde_json::{Value, json};

use crate::house::Full;

/// Why a request was not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    name: &'static str,
    message: &'static str,
    /// Of a body that is not as it should be: which field.
    path: Option<&'static str>,
}

impl Refusal {
    /// The body is not as the API's schema says; `path` is the field (`$.instruction.value.amount`).
    pub(super) fn schema(path: &'static str) -> Self {
        let message = "The json body provided does not match the expected schema";
        Self { status: 400, name: "bodyDoesNotMatchSchema", message, path: Some(path) }
    }

    /// The payment is not where this could be done.
    pub(super) fn state(message: &'static str) -> Self {
        Self { status: 400, name: "requestNotProcessable", message, path: None }
    }

    /// A query parameter is missing or unknown.
    pub(super) fn query() -> Self {
        let message = "Query parameters are missing or not known";
        Self { status: 400, name: "queryParametersInvalid", message, path: None }
    }

    /// Nobody is logged in.
    pub(super) fn denied() -> Self {
        let message = "Access to the requested resource has been denied";
        Self { status: 401, name: "accessDenied", message, path: None }
    }

    /// No such link or payment.
    pub(super) fn unknown() -> Self {
        Self { status: 404, name: "endpointNotFound", message: "Requested endpoint was not found.", path: None }
    }

    /// Another media type than the API's.
    pub(super) fn media_type() -> Self {
        Self { status: 415, name: "headerHasInvalidValue", message: "Bad content type", path: None }
    }

    /// Something of the provider's own failed.
    pub(super) fn internal() -> Self {
        Self { status: 500, name: "internalErrorOccurred", message: "Internal server error", path: None }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "errorName": self.name, "message": self.message });
        if let Some(path) = self.path {
            let first = json!({ "errorName": "fieldHasInvalidValue", "message": "Bad value", "jsonPath": path });
            body["validationErrors"] = json!([first]);
        }
        body
    }
}

impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Self { status: 503, name: "serviceUnavailable", message: "The simulator holds all it may", path: None }
    }
}
