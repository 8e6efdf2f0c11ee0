//! Every refusal in Adyen's error envelope (`ServiceError`), with the codes that Adyen publishes.

use serde_json::json;

use crate::cards::Wrong;
use crate::house::Full;
use crate::replay::{Answer, KeyRefused};

/// A request that is not granted. It never repeats what the caller sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    kind: &'static str,
    message: &'static str,
}

impl Refusal {
    /// 401: no key, or a wrong one.
    pub(super) const fn unauthorized() -> Self {
        Self { status: 401, code: "000", kind: "security", message: "HTTP Status Response - Unauthorized" }
    }

    /// 403: the payment belongs to another merchant account.
    pub(super) const fn account() -> Self {
        Self { status: 403, code: "901", kind: "security", message: "Invalid Merchant Account" }
    }

    /// 422: the request is well formed and wrong.
    pub(super) const fn invalid(code: &'static str, message: &'static str) -> Self {
        Self { status: 422, code, kind: "validation", message }
    }

    /// 422: the body is not as the specification has it.
    pub(super) const fn structure() -> Self {
        Self::invalid(
            "702",
            "The structure of the request is not that of the specification, or not of the part of it \
            that the simulator speaks: a field is missing, unknown or of another type",
        )
    }

    /// 422: no payment has this reference.
    pub(super) const fn no_payment() -> Self {
        Self::invalid("167", "Original pspReference required for this operation")
    }

    /// 422: the same work runs, or was done, under another key.
    pub(super) const fn in_progress() -> Self {
        Self::invalid("704", "request already processed or in progress")
    }

    /// 500: what a fault answers.
    pub(super) const fn internal() -> Self {
        Self { status: 500, code: "000", kind: "internal", message: "Unknown" }
    }

    /// As it is sent.
    pub(super) fn answer(&self) -> Answer {
        let body = json!({ "status": self.status, "errorCode": self.code, "message": self.message,
            "errorType": self.kind });
        Answer { status: self.status, body: body.to_string() }
    }
}

/// 503: a limit of the simulator is reached.
impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        let message = "The simulator holds as many objects as it may; start it anew.";
        Self { status: 503, code: "000", kind: "internal", message }
    }
}

impl From<KeyRefused> for Refusal {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Length => Self::invalid("000", "An Idempotency-Key has 1 to 64 characters."),
            // A key counts for one endpoint; at another it was processed already.
            KeyRefused::Reused | KeyRefused::InUse => Self::in_progress(),
            KeyRefused::Full => Full.into(),
        }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::NoNumber | Wrong::CheckDigit => Self::invalid("101", "Invalid card number"),
            Wrong::NotPublished => Self::invalid(
                "101",
                "Invalid card number. This is a simulator: it takes published test numbers alone, and this is not one \
                 of them. Never send it a real card.",
            ),
        }
    }
}
