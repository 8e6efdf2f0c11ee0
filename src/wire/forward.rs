//! `POST /v1/forward`: a request template whose card parts the vault fills in and which it sends itself.
//!
//! A *slot* is a string value of the body that is exactly `{{card.number}}` or another name of [`Slot`]. No other text may
//! hold `{{`, so that what a customer typed never becomes a slot. A problem document as the answer means that nothing was
//! sent, except for one of status 500; no answer at all means that the request is in doubt.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

pub use crate::template::{BadTemplate, Json, Place, Slot};
use crate::{BadId, Reference, Token, limits};

/// `POST /v1/forward`. Its headers hold the caller's credentials at the destination; they wipe themselves.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardRequest {
    /// Where to: a name of vaultd's configuration that the caller's policy lists.
    pub destination: DestinationName,
    /// The HTTP method.
    pub method: ForwardMethod,
    /// The path at the destination, beginning with a slash, percent-encoded, without a query.
    pub path: String,
    /// The query, in this order; the vault encodes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Headers in any order. `Content-Type` is the vault's unless it stands here; what frames or routes a message
    /// (`Host`, `Content-Length`, `Connection`, ...) and `Idempotency-Key` are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, HeaderText)>,
    /// The body with its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<ForwardBody>,
    /// Whose parts fill the slots.
    pub payment_method_id: Token,
    /// The sealed CVC, where the body has a slot for it. Without one that field or pair is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvc_token: Option<String>,
    /// What for, in the caller's words (a payment id). It stands in the audit log.
    pub reference: Reference,
    /// Sent to the destination as `Idempotency-Key`; an answer below status 500 is kept under it for a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Fill with masks, open nothing, send nothing, and answer what would have been sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The body of a template.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardBody {
    /// Sent as `application/json`.
    Json(Json),
    /// Sent as `application/x-www-form-urlencoded`, the pairs in this order.
    Form(Vec<(String, String)>),
}

/// Methods that carry a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ForwardMethod {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

impl ForwardMethod {
    /// As it stands in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ForwardMethod::Post => "POST",
            ForwardMethod::Put => "PUT",
            ForwardMethod::Patch => "PATCH",
        }
    }
}

/// The value of a header, perhaps a credential: not `Debug` or `Clone`, wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderText(String);

impl HeaderText {
    /// Takes a value.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for HeaderText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The name of a destination: 1 to 32 of `a-z 0-9 _ -`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationName(String);

impl DestinationName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DestinationName {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let inside = (1..=limits::DESTINATION_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
            && text.starts_with(|first: char| first.is_ascii_lowercase());
        // Few enough digits in a row that no card number fits.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if inside && digits < 12 {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId("a destination is 1 to 32 of a-z 0-9 _ -, begins with a letter and has fewer than 12 digits"))
        }
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DestinationName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DestinationName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The answer, with HTTP status 200 whatever became of the request. The header `Audit-Index` names its first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Forwarded {
    /// The destination answered, whatever it said.
    Sent {
        /// Its HTTP status.
        status: u16,
        /// `content-type` and a few others, in lower case; card parts are masked.
        headers: BTreeMap<String, String>,
        /// Its body as text, card numbers and the CVC masked. Bytes that are not UTF-8 stand as question marks.
        body: String,
    },
    /// Proven: not one byte of the request left the vault. No CVC was used up.
    NotSent {
        /// Why.
        reason: NotSent,
    },
    /// It may have arrived.
    InDoubt {
        /// Why nobody knows.
        reason: InDoubt,
    },
    /// It was asked what would be sent.
    DryRun {
        /// The method.
        method: ForwardMethod,
        /// The whole URL.
        url: String,
        /// Every header; the values that came from the caller are masked.
        headers: BTreeMap<String, String>,
        /// The filled body, every card part masked.
        body: String,
    },
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSent {
    /// No connection within the time for it.
    Unreachable,
    /// The host's name could not be resolved.
    Unresolved,
    /// The host's name leads to an address that the destination does not allow.
    AddressRefused,
    /// There was a connection and no TLS session on it: the certificate is not trusted, or the peer speaks something else.
    TlsFailed,
}

/// Why nobody knows whether a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    /// No complete answer within the time.
    TimedOut,
    /// The connection ended before a complete answer.
    ConnectionLost,
    /// The answer is no HTTP, or too large.
    Unreadable,
}

impl NotSent {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NotSent::Unreachable => "unreachable",
            NotSent::Unresolved => "unresolved",
            NotSent::AddressRefused => "address_refused",
            NotSent::TlsFailed => "tls_failed",
        }
    }
}

impl InDoubt {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            InDoubt::TimedOut => "timed_out",
            InDoubt::ConnectionLost => "connection_lost",
            InDoubt::Unreadable => "unreadable",
        }
    }
}

/// `POST /v1/payment_methods/{id}/cvc`: the vault's `card` room reads the body `{"cvc":"123"}`; this is the answer.
#[derive(Serialize, Deserialize)]
pub struct CvcToken {
    /// The CVC, sealed for one release or forward of this card. The vault keeps no copy.
    pub cvc_token: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
}

impl ForwardRequest {
    /// Whether the template keeps to the rules that need no configuration: sizes, text that looks like a slot, one slot
    /// at least.
    ///
    /// # Errors
    /// [`BadTemplate`] names the first place at fault; it never repeats a value.
    pub fn check(&self) -> Result<(), BadTemplate> {
        let at = |place| move |why| BadTemplate { place, why };
        check_text(&self.path, limits::FORWARD_PATH_BYTES_MAX, LONG_PATH).map_err(at(Place::Path))?;
        check_pairs(&self.query, limits::FORWARD_QUERY_MAX, Place::Query, |value| value)?;
        check_pairs(&self.headers, limits::FORWARD_HEADERS_MAX, Place::Header, HeaderText::as_str)?;
        let slots = match &self.body {
            None => 0,
            Some(ForwardBody::Json(json)) => json.check()?,
            Some(ForwardBody::Form(pairs)) => check_form(pairs)?,
        };
        if slots == 0 {
            return Err(BadTemplate {
                place: Place::Body,
                why: "the body has no slot such as {{card.number}}; a request without a card needs no vault",
            });
        }
        Ok(())
    }
}

fn check_text(text: &str, most: usize, long: &'static str) -> Result<(), &'static str> {
    if text.len() > most {
        return Err(long);
    }
    if text.contains("{{") { Err(SLOT_IN_TEXT) } else { Ok(()) }
}

fn check_pairs<T>(
    pairs: &[(String, T)],
    most: usize,
    place: fn(usize) -> Place,
    text: impl Fn(&T) -> &str,
) -> Result<(), BadTemplate> {
    if pairs.len() > most {
        return Err(BadTemplate { place: place(most), why: "there are too many of them" });
    }
    for (nth, (name, value)) in pairs.iter().enumerate() {
        check_text(name, limits::FORWARD_NAME_BYTES_MAX, LONG_NAME)
            .and_then(|()| check_text(text(value), limits::FORWARD_VALUE_BYTES_MAX, LONG_VALUE))
            .map_err(|why| BadTemplate { place: place(nth), why })?;
    }
    Ok(())
}

/// Answers how many slots there are.
fn check_form(pairs: &[(String, String)]) -> Result<usize, BadTemplate> {
    let mut slots = 0;
    let mut bytes = 0;
    if pairs.len() > limits::FORWARD_FIELDS_MAX {
        return Err(BadTemplate { place: Place::Form(limits::FORWARD_FIELDS_MAX), why: "the form has too many pairs" });
    }
    for (nth, (name, value)) in pairs.iter().enumerate() {
        let at = |why| BadTemplate { place: Place::Form(nth), why };
        bytes += name.len() + value.len();
        check_text(name, limits::FORWARD_NAME_BYTES_MAX, LONG_NAME).map_err(at)?;
        match Slot::of(value) {
            Some(slot) if slot.is_number() => {
                return Err(at("a number slot (card.exp_month_number, card.exp_year_number) stands in JSON only"));
            }
            Some(_) => slots += 1,
            None => check_text(value, limits::FORWARD_BODY_BYTES_MAX, LONG_VALUE).map_err(at)?,
        }
    }
    if bytes > limits::FORWARD_BODY_BYTES_MAX {
        return Err(BadTemplate { place: Place::Body, why: "the body is too large" });
    }
    Ok(slots)
}

pub(crate) const SLOT_IN_TEXT: &str = "text may not hold two opening braces: a slot is a whole value of the body, spelled as documented, and nothing else";
const LONG_PATH: &str = "the path is too long";
const LONG_NAME: &str = "the name is too long";
const LONG_VALUE: &str = "the value is too long";

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
