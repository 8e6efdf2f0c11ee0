//! Every refusal of the simulator in Stripe's error envelope, with the HTTP status that Stripe uses for it.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::cards::Wrong;
use crate::house::Full;
use crate::replay::KeyRefused;

/// A request that is not granted. It never repeats what the caller sent.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    decline_code: Option<&'static str>,
    param: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    beside: Option<Box<Beside>>,
    /// Whether work began, so that the answer belongs to the idempotency key for good. Stripe remembers declines and
    /// server errors, and does not remember a request that its own validation turned away.
    pub(crate) began: bool,
}

/// What Stripe shows beside a decline; boxed, because few refusals have it.
#[derive(Debug)]
struct Beside {
    /// `payment_intent` or `setup_intent`.
    kind: &'static str,
    charge: Option<String>,
    intent: Value,
    method: Option<Value>,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            code,
            decline_code: None,
            param: None,
            message: message.into(),
            beside: None,
            began: false,
        }
    }

    /// 400: the request is wrong as it stands.
    pub(crate) fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "invalid_request_error", Some(code), message)
    }

    /// 400: the request fits nothing in the object's present state; Stripe remembers this answer.
    pub(crate) fn state(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { began: true, ..Self::invalid(code, message) }
    }

    /// 402: the card cannot be charged.
    pub(crate) fn card(code: &'static str, decline_code: Option<&'static str>, message: &'static str) -> Self {
        Self { decline_code, began: true, ..Self::new(402, "card_error", Some(code), message) }
    }

    /// 401: no key, or a wrong one.
    pub(crate) fn unauthorized(message: &'static str) -> Self {
        Self::new(401, "invalid_request_error", None, message)
    }

    /// 404: no object has this id; `what` is Stripe's name of the kind of object.
    pub(crate) fn missing(what: &'static str, param: &'static str) -> Self {
        Self::new(404, "invalid_request_error", Some("resource_missing"), format!("No such {what}.")).param(param)
    }

    /// 404: no such path, or not with this verb.
    pub(crate) fn no_route() -> Self {
        Self::new(404, "invalid_request_error", None, "Unrecognized request URL. The simulator speaks a subset.")
    }

    /// 500: what a fault answers; also where a mistake of the simulator itself would end.
    pub(crate) fn internal() -> Self {
        Self { began: true, ..Self::new(500, "api_error", None, "An unknown error occurred.") }
    }

    /// Names the parameter at fault.
    pub(crate) fn param(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(name.into());
        self
    }

    /// Adds what Stripe shows beside a decline: the charge, the payment intent and the payment method.
    pub(crate) fn beside(mut self, charge: Option<String>, intent: Value, method: Option<Value>) -> Self {
        self.beside = Some(Box::new(Beside { kind: "payment_intent", charge, intent, method }));
        self
    }

    /// Adds what Stripe shows beside a refused verification: the setup intent and the payment method.
    pub(crate) fn beside_setup(mut self, intent: Value, method: Option<Value>) -> Self {
        self.beside = Some(Box::new(Beside { kind: "setup_intent", charge: None, intent, method }));
        self
    }

    /// The JSON body; `request` is the answer's request id.
    pub(crate) fn body(&self, request: Option<&str>) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        let texts = [
            ("code", self.code),
            ("decline_code", self.decline_code),
            ("param", self.param.as_deref()),
            ("request_id", request),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                error[name] = json!(text);
            }
        }
        if let Some(beside) = &self.beside {
            error[beside.kind] = beside.intent.clone();
            let rest = [("charge", beside.charge.clone().map(Value::from)), ("payment_method", beside.method.clone())];
            for (name, value) in rest {
                if let Some(value) = value {
                    error[name] = value;
                }
            }
        }
        json!({ "error": error })
    }
}

/// 503: a limit of the simulator is reached.
impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Self::new(503, "api_error", None, "The simulator holds as many objects as it may; start it anew.")
    }
}

impl From<KeyRefused> for Refusal {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Length => Self::invalid("parameter_invalid", "An Idempotency-Key has 1 to 255 characters."),
            KeyRefused::Reused => {
                let message = "Keys for idempotent requests can only be used with the same parameters they were first \
                               used with.";
                Self::new(400, "idempotency_error", None, message)
            }
            KeyRefused::InUse => {
                let message = "There is currently another in-progress request using this Idempotency Key.";
                Self::new(409, "idempotency_error", Some("idempotency_key_in_use"), message)
            }
            KeyRefused::Full => Full.into(),
        }
    }
}

/// Stripe's own answers to numbers that it does not charge.
impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let refusal = match wrong {
            Wrong::NoNumber => Self::card("invalid_number", None, "The card number is not a valid credit card number."),
            Wrong::CheckDigit => Self::card("incorrect_number", None, "Your card number is incorrect."),
            Wrong::NotPublished => Self::card(
                "card_declined",
                Some("test_mode_live_card"),
                "Your card was declined. This is a simulator: it takes published test numbers alone, and this is not \
                 one of them. Never send it a real card.",
            ),
        };
        refusal.param("card[number]")
    }
}
