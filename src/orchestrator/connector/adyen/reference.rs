//! The references that go with each request. Adyen puts them into the signed part of its webhooks, so they name what an
//! event is about.
//!
//! A full stop is in no id of ours, so what stands before and behind it cannot be mistaken:
//!
//! ```text
//! {attempt_id}                        a payment that is captured later, or a verification
//! {attempt_id}.sale                   a payment that Adyen captures by itself
//! {payment_id}.capture.{capture_id}   a capture
//! {payment_id}.refund.{refund_id}     a refund
//! {payment_id}.cancel                 a cancellation
//! {payment_id}.increment              a change of what is authorized
//! ```

use std::fmt;

use crate::connector::{About, Authorize, CaptureMethod};

/// What a reference names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    /// A payment, by our attempt id; and whether Adyen captures it by itself.
    Payment { attempt_id: &'a str, automatic: bool },
    /// A capture.
    Capture { payment_id: &'a str, capture_id: &'a str },
    /// A refund.
    Refund { payment_id: &'a str, refund_id: &'a str },
    /// A cancellation.
    Cancel { payment_id: &'a str },
    /// A change of what is authorized.
    Increment { payment_id: &'a str },
}

impl<'a> Reference<'a> {
    /// The reference of an authorization or verification.
    pub(super) fn of(authorize: &'a Authorize) -> Self {
        let automatic = authorize.capture == CaptureMethod::Automatic && authorize.amount.minor > 0;
        Self::Payment { attempt_id: &authorize.attempt_id, automatic }
    }

    /// Reads a reference; `None` when it is none of ours.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        if text.len() > CHARS_MAX || !parts.iter().all(|part| is_id(part)) || parts.first() == Some(&"") {
            return None;
        }
        Some(match parts[..] {
            [attempt_id] => Self::Payment { attempt_id, automatic: false },
            [attempt_id, "sale"] => Self::Payment { attempt_id, automatic: true },
            [payment_id, "capture", capture_id] => Self::Capture { payment_id, capture_id },
            [payment_id, "refund", refund_id] => Self::Refund { payment_id, refund_id },
            [payment_id, "cancel"] => Self::Cancel { payment_id },
            [payment_id, "increment"] => Self::Increment { payment_id },
            _ => return None,
        })
    }

    /// The payment that it names.
    pub(super) fn about(&self) -> About {
        match *self {
            Self::Payment { attempt_id, .. } => About {
                attempt_id: Some(attempt_id.to_owned()),
                payment_id: attempt_id.rsplit_once('_').map(|(payment_id, _)| payment_id.to_owned()),
                psp_id: None,
            },
            Self::Capture { payment_id, .. }
            | Self::Refund { payment_id, .. }
            | Self::Cancel { payment_id }
            | Self::Increment { payment_id } => About { payment_id: Some(payment_id.to_owned()), ..About::default() },
        }
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Payment { attempt_id, automatic: false } => write!(f, "{attempt_id}"),
            Self::Payment { attempt_id, automatic: true } => write!(f, "{attempt_id}.sale"),
            Self::Capture { payment_id, capture_id } => write!(f, "{payment_id}.capture.{capture_id}"),
            Self::Refund { payment_id, refund_id } => write!(f, "{payment_id}.refund.{refund_id}"),
            Self::Cancel { payment_id } => write!(f, "{payment_id}.cancel"),
            Self::Increment { payment_id } => write!(f, "{payment_id}.increment"),
        }
    }
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Adyen's limit for a reference.
const CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_read_back_even_where_an_id_looks_like_a_word_of_ours() {
        for reference in [
            Reference::Payment { attempt_id: "pay_1_1", automatic: false },
            Reference::Payment { attempt_id: "sale_1", automatic: true },
            Reference::Capture { payment_id: "refund", capture_id: "cap_1" },
            Reference::Capture { payment_id: "pay_1", capture_id: "" },
            Reference::Refund { payment_id: "pay-1", refund_id: "sale" },
            Reference::Cancel { payment_id: "increment" },
            Reference::Increment { payment_id: "pay_1_1" },
        ] {
            let text = reference.to_string();
            assert_eq!(Reference::parse(&text).as_ref(), Some(&reference), "{text}");
            // A colon would move the borders of what the signature covers.
            assert!(!text.contains(':'));
        }
    }

    #[test]
    fn reference_of_somebody_else_names_nothing() {
        let long = "p".repeat(CHARS_MAX + 1);
        for text in ["", ".sale", "order 7", "a:b", "pay_1.other", "pay_1.capture", "a.refund.b.c", "ß", &long] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn longest_ids_fit_into_the_limit_of_adyen() {
        let payment_id = "p".repeat(strongroom_wire::limits::PAYMENT_ID_CHARS_MAX);
        let refund_id = "r".repeat(strongroom_wire::limits::PAYMENT_ID_CHARS_MAX);
        let capture_id = crate::ids::fresh("capture_", 0).unwrap();
        let attempt_id = format!("{payment_id}_{}", u32::MAX);
        for reference in [
            Reference::Payment { attempt_id: &attempt_id, automatic: true },
            Reference::Capture { payment_id: &payment_id, capture_id: &capture_id },
            Reference::Refund { payment_id: &payment_id, refund_id: &refund_id },
        ] {
            assert!(reference.to_string().len() <= CHARS_MAX, "{reference:?}");
        }
    }
}
