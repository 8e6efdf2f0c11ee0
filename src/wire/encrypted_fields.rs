//! Card fields and PINs that a merchant's page encrypted under a key of its own: how they are sent to the vault.
//!
//! Each field is AES-256-GCM under one key, and all fields of a card under one nonce. That is broken by design: the XOR
//! of two ciphertexts is the XOR of what they hold, and two tags give away the key that authenticates under that nonce.
//! The scheme is others', is taken for compatibility inside TLS alone, and seals nothing of ours. Ciphertexts are for
//! the same reason not printed: an expiry that is known opens the first digits of the number beside it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadId, CustomerId, SecretId, limits};

/// `POST /v1/payment_methods/encrypted_fields`. The card is stored short-term, for
/// [`limits::SHORT_TERM_TTL_DEFAULT_S`]; the answer is the one of `POST /v1/payment_methods`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptedFieldsRequest {
    /// The secret whose value is the key: 32 bytes as base64 in the standard alphabet with padding.
    pub secret_id: SecretId,
    /// The nonce of all four fields.
    pub nonce: FieldNonce,
    /// Opens to the card number: 12 to 19 digits, with spaces or hyphens between them or without.
    pub encrypted_card_number: EncryptedField,
    /// Opens to `1` to `12`, with a zero in front or without.
    pub encrypted_expiry_month: EncryptedField,
    /// Opens to the year in two or four digits.
    pub encrypted_expiry_year: EncryptedField,
    /// Opens to three or four digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_cvv: Option<EncryptedField>,
    /// The merchant's customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

/// `POST /v1/pins/check`. Answered with 204 when the field opens to a PIN of [`limits::PIN_DIGITS_MIN`] to
/// [`limits::PIN_DIGITS_MAX`] digits; nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinCheckRequest {
    /// The secret whose value is the key.
    pub secret_id: SecretId,
    /// The nonce, which is not that of the card's fields.
    pub nonce: FieldNonce,
    /// Opens to the PIN.
    pub encrypted_pin: EncryptedField,
}

/// The nonce of encrypted fields: [`NONCE_BYTES`] printable ASCII characters without spaces, whose bytes
/// are the IV.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldNonce([u8; NONCE_BYTES]);

/// One encrypted field: ciphertext and 16 bytes of tag, at most [`limits::ENCRYPTED_FIELD_BYTES_MAX`] together, and at
/// least one byte of ciphertext. Base64 in the standard alphabet with padding, without whitespace, in its one spelling.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedField(String);

impl FieldNonce {
    /// The form in words, for errors.
    pub const FORM: &'static str = "a nonce is 12 printable ASCII characters without spaces";

    /// The IV.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }
}

impl EncryptedField {
    /// The form in words, for errors.
    pub const FORM: &'static str = "an encrypted field is base64 (standard alphabet, padded, no whitespace) of 1 to 48 \
                                    bytes of ciphertext and a 16-byte tag";

    /// The base64, which decodes without an error.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldNonce {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bytes: [u8; NONCE_BYTES] = text.as_bytes().try_into().map_err(|_| BadId(Self::FORM))?;
        if bytes.iter().all(u8::is_ascii_graphic) { Ok(Self(bytes)) } else { Err(BadId(Self::FORM)) }
    }
}

impl FromStr for EncryptedField {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits = |bytes| (TAG_BYTES + 1..=limits::ENCRYPTED_FIELD_BYTES_MAX).contains(&bytes);
        if decoded_bytes(text).is_some_and(fits) { Ok(Self(text.to_owned())) } else { Err(BadId(Self::FORM)) }
    }
}

/// How many bytes a text is the base64 of; none if it is not, or not in the one spelling that an encoder writes.
fn decoded_bytes(text: &str) -> Option<usize> {
    let symbols = text.trim_end_matches('=');
    let padding = text.len() - symbols.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let last = symbols.bytes().map(symbol_value).try_fold(0, |_, value| value)?;
    // What the last symbol has beyond the last byte is zero, else two texts would be the same bytes.
    let beyond = [0, 0b11, 0b1111][padding];
    (last & beyond == 0).then_some(text.len() / 4 * 3 - padding)
}

fn symbol_value(symbol: u8) -> Option<u8> {
    Some(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

impl fmt::Display for FieldNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

impl fmt::Debug for FieldNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldNonce")
    }
}

impl fmt::Debug for EncryptedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptedField")
    }
}

impl Serialize for FieldNonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for EncryptedField {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FieldNonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for EncryptedField {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Length of a nonce, in characters and, because they are ASCII, in bytes.
pub const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A field of so many bytes.
    fn field(bytes: usize) -> String {
        let tail = ["", "+g==", "+/s="][bytes % 3];
        format!("{}{tail}", "Bwf/".repeat(bytes / 3))
    }

    fn request() -> Value {
        json!({
            "secret_id": SecretId::fresh(), "nonce": "a1B2~3!4c5D6", "encrypted_card_number": field(32),
            "encrypted_expiry_month": field(18), "encrypted_expiry_year": field(18),
            "encrypted_cvv": field(19), "customer_id": "cus_1",
        })
    }

    #[test]
    fn a_request_reads_what_it_writes() {
        let read: EncryptedFieldsRequest = serde_json::from_value(request()).unwrap();
        assert_eq!(read.nonce.as_bytes(), b"a1B2~3!4c5D6");
        assert_eq!(read.encrypted_card_number.as_str(), field(32));
        assert_eq!(serde_json::to_value(&read).unwrap(), request_like(&read));
        let pin = json!({"secret_id": read.secret_id, "nonce": "abcdefghijkl", "encrypted_pin": "B".repeat(28)});
        let read: PinCheckRequest = serde_json::from_value(pin.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), pin);
    }

    /// The same request as JSON that this test writes itself.
    fn request_like(read: &EncryptedFieldsRequest) -> Value {
        let mut like = request();
        like["secret_id"] = json!(read.secret_id);
        like
    }

    #[test]
    fn what_may_be_left_out_is_left_out() {
        let mut least = request();
        least.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "encrypted_cvv" | "customer_id"));
        let read: EncryptedFieldsRequest = serde_json::from_value(least.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), least);
    }

    #[test]
    fn a_field_that_nobody_asked_for_is_refused() {
        let mut more = request();
        more["card_number"] = json!("4242424242424242");
        assert!(serde_json::from_value::<EncryptedFieldsRequest>(more).is_err());
    }

    #[test]
    fn a_nonce_has_one_length_and_is_ascii() {
        assert!("n".repeat(NONCE_BYTES).parse::<FieldNonce>().is_ok());
        assert!("n".repeat(NONCE_BYTES - 1).parse::<FieldNonce>().is_err());
        assert!("n".repeat(NONCE_BYTES + 1).parse::<FieldNonce>().is_err());
        for bad in [
            "",
            "abcdefghijk\u{e9}",
            "abcdefghij\u{e9}",
            "abcdef ghijk",
            "abcdefghijk\n",
            "abcdefghijk\0",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert!(bad.parse::<FieldNonce>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_field_has_a_shortest_and_a_longest_length() {
        let of = |bytes: usize| field(bytes).parse::<EncryptedField>().is_ok();
        assert!(of(TAG_BYTES + 1) && of(limits::ENCRYPTED_FIELD_BYTES_MAX));
        assert!(!of(0) && !of(TAG_BYTES) && !of(limits::ENCRYPTED_FIELD_BYTES_MAX + 1) && !of(100_000));
    }

    #[test]
    fn base64_has_one_spelling() {
        let good = field(32);
        assert!(good.parse::<EncryptedField>().is_ok() && field(31).parse::<EncryptedField>().is_ok());
        let inner = format!("{}\n{}", &good[..20], &good[20..]);
        let url_safe = good.replace('+', "-").replace('/', "_");
        let twice = good.replace("s=", "t=");
        let hidden = field(31).replace("g==", "h==");
        let more_padding = format!("{}====", field(30));
        for bad in
            [&good[..43], &format!(" {good}"), &format!("{good} "), &inner, &url_safe, &twice, &hidden, &more_padding]
        {
            assert_ne!(bad, good);
            assert!(bad.parse::<EncryptedField>().is_err(), "{bad}");
        }
        assert!("=".repeat(44).parse::<EncryptedField>().is_err());
    }

    #[test]
    fn ciphertexts_and_nonces_are_not_printed() {
        let read: EncryptedFieldsRequest = serde_json::from_value(request()).unwrap();
        let shown = format!("{read:?}");
        assert!(!shown.contains("a1B2") && !shown.contains("Bwf"), "{shown}");
    }

    #[test]
    fn the_words_of_the_errors_say_the_limits() {
        assert!(FieldNonce::FORM.contains(&format!("{NONCE_BYTES} printable")));
        assert!(
            EncryptedField::FORM.contains(&format!("1 to {} bytes", limits::ENCRYPTED_FIELD_BYTES_MAX - TAG_BYTES))
        );
    }
}
