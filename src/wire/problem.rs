//! Problem documents (RFC 9457): every error of the vault's APIs, one row each.

use serde::{Deserialize, Serialize};

/// The content type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of an error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:strongroom:problem:` and the kind's slug.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What is wrong here and what to do about it. Never repeats input.
    pub detail: String,
    /// The field at fault, as a path (`card.number`), where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request's id, for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        /// The kinds of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The last part of the type URI.
            #[must_use]
            pub fn slug(self) -> &'static str {
                match self { $(Kind::$name => $slug,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Kind::$name => $status,)* }
            }

            /// The kind in words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Kind::$name => $title,)* }
            }
        }
    };
}

kinds! {
    /// The body or query cannot be read.
    Malformed = "malformed", 400, "The request cannot be read";
    /// A field has a value that is not allowed.
    InvalidField = "invalid-field", 422, "A field is not valid";
    /// The card is not one (number, expiry, CVC).
    InvalidCard = "invalid-card", 422, "The card is not valid";
    /// A free-text field holds what looks like a card number.
    CardInText = "card-number-in-text", 422, "A text field contains a card number";
    /// No or unusable credentials.
    Unauthenticated = "unauthenticated", 401, "Who you are could not be established";
    /// The session expired or was made for something else.
    SessionInvalid = "session-invalid", 401, "The client session is not valid";
    /// Policy does not allow it.
    Denied = "denied", 403, "Policy does not allow this";
    /// The quota is used up.
    QuotaExceeded = "quota-exceeded", 429, "The quota is used up";
    /// Too many requests.
    RateLimited = "rate-limited", 429, "Too many requests";
    /// No such record for this tenant.
    NotFound = "not-found", 404, "Not found";
    /// No such route.
    NoRoute = "no-route", 404, "There is no such resource";
    /// The verb does not fit the route.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The body is too large.
    TooLarge = "too-large", 413, "The request is too large";
    /// The body is not JSON.
    UnsupportedMedia = "unsupported-media-type", 415, "The content type is not supported";
    /// The idempotency key was used with another body, or its request still runs.
    IdempotencyConflict = "idempotency-conflict", 409, "The idempotency key does not fit";
    /// The record is not in a state for this.
    Conflict = "conflict", 409, "The state does not allow this";
    /// The CVC was used, expired or belongs to another card.
    CvcGone = "cvc-gone", 409, "The CVC is not available";
    /// The intake key that a card or a CVC was sealed to is not in use any more, or never was.
    IntakeKeyGone = "intake-key-gone", 409, "The intake key is not in use";
    /// A sealed card or CVC came a second time.
    SealedTwice = "sealed-card-used", 409, "What is sealed was used before";
    /// A share was refused.
    ShareRefused = "share-refused", 422, "The share was refused";
    /// The custodian has not acknowledged their duty.
    Unacknowledged = "unacknowledged", 409, "The custodian's duty is not acknowledged";
    /// The vault is sealed.
    Sealed = "sealed", 503, "The vault is sealed";
    /// The audit entry could not be written.
    NotRecorded = "not-recorded", 503, "The audit log cannot be written";
    /// The store does not answer.
    Unavailable = "unavailable", 503, "The store is not available";
    /// The listener has as many requests at work as it takes.
    Overloaded = "overloaded", 503, "The vault has more to do than it takes at a time";
    /// A key is over its cryptoperiod: nothing new is sealed, what is stored still opens.
    KeyExpired = "key-expired", 503, "A key is over its cryptoperiod";
    /// A stored record failed authentication.
    Tampered = "integrity", 500, "A stored record failed its integrity check";
    /// A fault of ours.
    Internal = "internal", 500, "Something went wrong on our side";
}

impl Kind {
    /// A problem document of this kind.
    #[must_use]
    pub fn problem(self, detail: impl Into<String>) -> Problem {
        Problem {
            type_uri: format!("urn:strongroom:problem:{}", self.slug()),
            title: self.title().to_owned(),
            status: self.status(),
            detail: detail.into(),
            field: None,
            request_id: None,
        }
    }

    /// The kind that a type URI names.
    #[must_use]
    pub fn from_type_uri(uri: &str) -> Option<Self> {
        let slug = uri.strip_prefix("urn:strongroom:problem:")?;
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_type() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_type_uri(&kind.problem("x").type_uri), Some(*kind));
            assert!((400..600).contains(&kind.status()));
        }
    }
}
