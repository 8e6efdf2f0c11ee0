//! `FieldsBody`, `PinBody`: requests whose card fields, or whose PIN, a merchant's page encrypted under a key of its own.
//!
//! A field that does not open and one that opens to something else are one and the same fault, so that nobody learns from
//! an answer what a text that was forged would have been.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use strongroom_wire::encrypted_fields::{EncryptedField, FieldNonce, NONCE_BYTES};
use strongroom_wire::payment_method::Metadata;
use strongroom_wire::{CustomerId, Kind, SecretId, limits};
use zeroize::Zeroizing;

use super::body::{BodyError, Lifetime, OBJECT, TokenizeBody, customer_id, invalid, members, optional, root, unknown};
use super::node::Node;
use super::{Card, CardError, Cvc, Expiry, Pan};

/// The body of `POST /v1/payment_methods/encrypted_fields`.
pub struct FieldsBody {
    /// The secret that is the key.
    pub key: SecretId,
    nonce: FieldNonce,
    number: EncryptedField,
    month: EncryptedField,
    year: EncryptedField,
    cvv: Option<EncryptedField>,
    customer: Option<CustomerId>,
}

/// The body of `POST /v1/pins/check`.
pub struct PinBody {
    /// The secret that is the key.
    pub key: SecretId,
    nonce: FieldNonce,
    pin: EncryptedField,
}

impl FieldsBody {
    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut key, mut nonce, mut customer) = (None, None, None);
        let (mut number, mut month, mut year, mut cvv) = (None, None, None, None);
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "secret_id" => key = Some(secret_id(value)?),
                "nonce" => nonce = Some(read_nonce(value)?),
                NUMBER => number = Some(read_field(value, NUMBER)?),
                MONTH => month = Some(read_field(value, MONTH)?),
                YEAR => year = Some(read_field(value, YEAR)?),
                CVV => cvv = optional(value).map(|value| read_field(value, CVV)).transpose()?,
                "customer_id" => customer = optional(value).map(customer_id).transpose()?,
                _ => return Err(unknown(None, FIELDS)),
            }
        }
        Ok(Self {
            key: key.ok_or(invalid("secret_id", "secret_id is required"))?,
            nonce: nonce.ok_or(invalid("nonce", "nonce is required"))?,
            number: number.ok_or(invalid(NUMBER, "encrypted_card_number is required"))?,
            month: month.ok_or(invalid(MONTH, "encrypted_expiry_month is required"))?,
            year: year.ok_or(invalid(YEAR, "encrypted_expiry_year is required"))?,
            cvv,
            customer,
        })
    }

    /// The request to store the card in the fields, short-term. `open` answers the plaintext of ciphertext and tag under a
    /// nonce; `now_ms` (milliseconds since 1970-01-01 UTC) decides whether the card has expired.
    ///
    /// # Errors
    /// [`BodyError`] for the first field that does not open, or opens to something else.
    pub fn opened(self, open: impl OpensField, now_ms: u64) -> Result<TokenizeBody, BodyError> {
        let text = |field: &EncryptedField, fault| plaintext(&open, &self.nonce, field, fault);
        let pan = read(&text(&self.number, NO_NUMBER)?, |digits| Pan::parse(digits).ok()).ok_or(NO_NUMBER)?;
        let month = read(&text(&self.month, NO_MONTH)?, |digits| number(digits, &[1, 2])).ok_or(NO_MONTH)?;
        let year = read(&text(&self.year, NO_YEAR)?, year_of).ok_or(NO_YEAR)?;
        let expiry = Expiry::new(month, year, now_ms)
            .map_err(|fault| if fault == CardError::Month { NO_MONTH } else { NO_YEAR })?;
        let cvc = match &self.cvv {
            Some(field) => {
                let code = text(field, NO_CVV)?;
                Some(read(&code, |digits| Cvc::parse(digits, pan.brand()).ok()).ok_or(NO_CVV)?)
            }
            None => None,
        };
        Ok(TokenizeBody {
            card: Card { pan, expiry, holder_name: None },
            cvc,
            customer: self.customer,
            lifetime: Lifetime::ShortTerm(limits::SHORT_TERM_TTL_DEFAULT_S),
            metadata: Metadata::new(),
        })
    }
}

impl PinBody {
    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut key, mut nonce, mut pin) = (None, None, None);
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "secret_id" => key = Some(secret_id(value)?),
                "nonce" => nonce = Some(read_nonce(value)?),
                PIN => pin = Some(read_field(value, PIN)?),
                _ => return Err(unknown(None, "allowed fields: secret_id, nonce, encrypted_pin")),
            }
        }
        Ok(Self {
            key: key.ok_or(invalid("secret_id", "secret_id is required"))?,
            nonce: nonce.ok_or(invalid("nonce", "nonce is required"))?,
            pin: pin.ok_or(invalid(PIN, "encrypted_pin is required"))?,
        })
    }

    /// Whether the field opens to a PIN. Nothing of it is answered, not even how long it is.
    ///
    /// # Errors
    /// [`BodyError`] if it does not open, or opens to something else.
    pub fn check(&self, open: impl OpensField) -> Result<(), BodyError> {
        let pin = plaintext(&open, &self.nonce, &self.pin, NO_PIN)?;
        let is_pin = (limits::PIN_DIGITS_MIN..=limits::PIN_DIGITS_MAX).contains(&pin.len());
        if is_pin && pin.iter().all(u8::is_ascii_digit) { Ok(()) } else { Err(NO_PIN) }
    }
}

/// Opens ciphertext and tag under a nonce, where they are authentic.
pub trait OpensField: Fn(&[u8; NONCE_BYTES], &[u8]) -> Option<Zeroizing<Vec<u8>>> {}

impl<F: Fn(&[u8; NONCE_BYTES], &[u8]) -> Option<Zeroizing<Vec<u8>>>> OpensField for F {}

fn plaintext(
    open: &impl OpensField,
    nonce: &FieldNonce,
    field: &EncryptedField,
    fault: BodyError,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let sealed = Zeroizing::new(BASE64_STANDARD.decode(field.as_str()).map_err(|_| fault)?);
    open(nonce.as_bytes(), &sealed).ok_or(fault)
}

/// Reads what a field opened to, where it lies.
fn read<T>(opened: &[u8], with: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    std::str::from_utf8(opened).ok().and_then(with)
}

fn number(digits: &str, lengths: &[usize]) -> Option<u64> {
    let is_number = lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

fn year_of(digits: &str) -> Option<u64> {
    let year = number(digits, &[2, 4])?;
    Some(if digits.len() == 2 { CENTURY + year } else { year })
}

fn secret_id(value: &Node<'_>) -> Result<SecretId, BodyError> {
    value
        .text()
        .and_then(|text| text.parse().ok())
        .ok_or(invalid("secret_id", "a secret_id is sec_ and 32 hexadecimal digits, as POST /v1/secrets answered it"))
}

fn read_nonce(value: &Node<'_>) -> Result<FieldNonce, BodyError> {
    value.text().and_then(|text| text.parse().ok()).ok_or(invalid("nonce", FieldNonce::FORM))
}

fn read_field(value: &Node<'_>, name: &'static str) -> Result<EncryptedField, BodyError> {
    value.text().and_then(|text| text.parse().ok()).ok_or(invalid(name, EncryptedField::FORM))
}

const fn no(field: &'static str, why: &'static str) -> BodyError {
    BodyError { kind: Kind::InvalidCard, field: Some(field), why }
}

const NUMBER: &str = "encrypted_card_number";
const MONTH: &str = "encrypted_expiry_month";
const YEAR: &str = "encrypted_expiry_year";
const CVV: &str = "encrypted_cvv";
const PIN: &str = "encrypted_pin";
const FIELDS: &str = "allowed fields: secret_id, nonce, encrypted_card_number, encrypted_expiry_month, \
                      encrypted_expiry_year, encrypted_cvv, customer_id";
const NO_NUMBER: BodyError =
    no(NUMBER, "the field does not open under this key and nonce, or not to a card number; encrypt it anew");
const NO_MONTH: BodyError =
    no(MONTH, "the field does not open under this key and nonce, or not to a month from 1 to 12; encrypt it anew");
const NO_YEAR: BodyError = no(
    YEAR,
    "the field does not open under this key and nonce, or not to a year in two or four digits in which a card may end",
);
const NO_CVV: BodyError =
    no(CVV, "the field does not open under this key and nonce, or not to the code of a card of this brand");
const NO_PIN: BodyError =
    invalid(PIN, "the field does not open under this key and nonce, or not to a PIN of 4 to 6 digits");
/// A year in two digits is one of this century, as on a card.
const CENTURY: u64 = 2000;

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
