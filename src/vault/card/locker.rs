//! The bodies of the card-vault dialect that carry a card or name one, read as strictly as our own; and the card as that
//! dialect writes it.

use strongroom_wire::payment_method::Metadata;
use strongroom_wire::{CustomerId, Kind, Token, limits};
use zeroize::Zeroizing;

use super::body::{
    BodyError, Lifetime, OBJECT, TokenizeBody, card_fault, invalid, members, optional, plain_text, root,
};
use super::node::Node;
use super::reveal::put_name;
use super::{Card, CardError, Expiry, HolderName, Pan, text};

/// Which version of the dialect a body is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A card of a merchant and its customer.
    V1,
    /// A card of an entity, beside the name of its kind.
    V2,
}

/// A card to store.
pub struct Add {
    /// `merchant_id`, which version 2 does not have.
    pub merchant: Option<Box<str>>,
    /// The reference that this card had before; the caller deleted it and stores it anew.
    pub reference: Option<Token>,
    /// The card, its customer and what is noted beside it.
    pub body: TokenizeBody,
}

/// A card that is named.
pub struct Named {
    /// `merchant_id`, which version 2 does not have.
    pub merchant: Option<Box<str>>,
    /// `merchant_customer_id` or `entity_id`.
    pub customer: CustomerId,
    /// Which; none if the text is no token of ours, so that there is no such card.
    pub token: Option<Token>,
    /// The reference as it came, for answers that repeat it; at most 64 characters of `A-Z a-z 0-9 _ -`.
    pub text: Box<str>,
}

/// What a fingerprint is asked of.
pub struct Asked {
    /// A card number, or another text.
    pub what: Zeroizing<Box<str>>,
    /// The caller's own key.
    pub key: Zeroizing<Box<str>>,
    /// Whether it was asked in the older words, `card_number` and `hash_key`.
    pub is_older: bool,
}

impl Add {
    /// Reads a body; the caller wipes `body`.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(version: Version, body: &[u8], now_ms: u64) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut merchant, mut customer, mut reference, mut card, mut ttl) = (None, None, None, None, None);
        let is_first = version == Version::V1;
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "merchant_id" if is_first => merchant = Some(merchant_id(value)?),
                "merchant_customer_id" if is_first => customer = Some(customer_id("merchant_customer_id", value)?),
                "requestor_card_reference" if is_first => {
                    reference = optional(value).map(|value| earlier(value, now_ms)).transpose()?;
                }
                "card" if is_first => card = optional(value),
                "enc_card_data" if is_first => {
                    if optional(value).is_some() {
                        return Err(invalid("enc_card_data", "only cards are stored here; send card"));
                    }
                }
                "entity_id" if !is_first => customer = Some(customer_id("entity_id", value)?),
                "vault_id" if !is_first => drop(named(value, "vault_id")?),
                "data" if !is_first => card = Some(only_card(value)?),
                "ttl" => ttl = optional(value),
                _ => return Err(unknown(is_first, Body::Add)),
            }
        }
        let customer = customer.ok_or(if is_first {
            invalid("merchant_customer_id", "merchant_customer_id is required")
        } else {
            invalid("entity_id", "entity_id is required")
        })?;
        if is_first && merchant.is_none() {
            return Err(NO_MERCHANT);
        }
        let (field, why) = if is_first { ("card", "card is required") } else { ("data", "data is required") };
        let (card, metadata) = read_card(version, card.ok_or(invalid(field, why))?, now_ms)?;
        let lifetime = ttl.map_or(Ok(Lifetime::LongTerm), lifetime)?;
        let body = TokenizeBody { card, cvc: None, customer: Some(customer), lifetime, metadata };
        Ok(Self { merchant, reference, body })
    }
}

impl Named {
    /// Reads the body of a retrieval or deletion.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(version: Version, body: &[u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut merchant, mut customer, mut reference) = (None, None, None);
        let is_first = version == Version::V1;
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "merchant_id" if is_first => merchant = Some(merchant_id(value)?),
                "merchant_customer_id" if is_first => customer = Some(customer_id("merchant_customer_id", value)?),
                "card_reference" if is_first => reference = Some(named(value, "card_reference")?),
                "entity_id" if !is_first => customer = Some(customer_id("entity_id", value)?),
                "vault_id" if !is_first => reference = Some(named(value, "vault_id")?),
                _ => return Err(unknown(is_first, Body::Named)),
            }
        }
        if is_first && merchant.is_none() {
            return Err(NO_MERCHANT);
        }
        let (customer, text) = customer.zip(reference).ok_or(if is_first {
            invalid("card_reference", "merchant_customer_id and card_reference are required")
        } else {
            invalid("vault_id", "entity_id and vault_id are required")
        })?;
        Ok(Self { merchant, customer, token: text.parse().ok(), text: text.into() })
    }
}

impl Asked {
    /// Reads the body of a request for a fingerprint, in the words of today or the older ones.
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let root = root(body)?;
        let (mut what, mut key, mut older) = (None, None, [false; 2]);
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "data" | "card_number" => {
                    older[0] = name == "card_number";
                    let fits = |text: &&str| (1..=limits::LOCKER_FINGERPRINT_BYTES_MAX).contains(&text.len());
                    what = Some(value.text().filter(fits).ok_or(BAD_WHAT)?);
                }
                "key" | "hash_key" => {
                    older[1] = name == "hash_key";
                    let fits = |text: &&str| (1..=limits::LOCKER_FINGERPRINT_KEY_BYTES_MAX).contains(&text.len());
                    key = Some(value.text().filter(fits).ok_or(BAD_KEY)?);
                }
                _ => return Err(BodyError { kind: Kind::InvalidField, field: None, why: FINGERPRINT_FIELDS }),
            }
        }
        match (what, key, older) {
            (Some(what), Some(key), [false, false] | [true, true]) => {
                let keep = |text: &str| Zeroizing::new(text.into());
                Ok(Self { what: keep(what), key: keep(key), is_older: older[0] })
            }
            _ => Err(BodyError { kind: Kind::InvalidField, field: None, why: FINGERPRINT_FIELDS }),
        }
    }
}

/// The card as version 1 or 2 answers it. The buffer has its full size from the start.
#[must_use]
pub fn retrieved(version: Version, card: &Card, notes: &Metadata) -> Zeroizing<Vec<u8>> {
    let name = card.holder_name.as_ref().map(HolderName::as_str).filter(|name| !name.is_empty());
    let notes: Vec<(&str, Vec<u8>)> = names_of(version)
        .iter()
        .map(|known| (*known, serde_json::to_vec(&notes.get(*known)).unwrap_or_else(|_| b"null".to_vec())))
        .collect();
    let of_notes: usize = notes.iter().map(|(known, value)| known.len() + value.len() + 4).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(FIXED_BYTES_MAX + 2 * name.map_or(0, str::len) + of_notes));
    let (head, name_of, tail): (&[u8], &[u8], &[u8]) = match version {
        Version::V1 => (br#"{"status":"Ok","payload":{"card":{"#, b"name_on_card", br#"},"enc_card_data":null}}"#),
        Version::V2 => (br#"{"data":{"Card":{"#, b"card_holder_name", b"}}}"),
    };
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"card_number\":\"");
    out.extend_from_slice(card.pan.digits().as_bytes());
    let expiry = format!(
        "\",\"card_exp_month\":\"{:02}\",\"card_exp_year\":\"{:04}\",\"",
        card.expiry.month(),
        card.expiry.year()
    );
    out.extend_from_slice(expiry.as_bytes());
    out.extend_from_slice(name_of);
    match name {
        None => out.extend_from_slice(b"\":null"),
        Some(name) => {
            out.extend_from_slice(b"\":\"");
            put_name(&mut out, name);
            out.push(b'"');
        }
    }
    for (known, value) in notes {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(known.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(&value);
    }
    out.extend_from_slice(tail);
    out
}

fn read_card(version: Version, card: &Node<'_>, now_ms: u64) -> Result<(Card, Metadata), BodyError> {
    let (mut number, mut month, mut year, mut name, mut notes) = (None, None, None, None, Metadata::new());
    for (field, value) in members(card, Some("card"), "card must be an object")? {
        match field {
            "card_number" => number = Some(value),
            "card_exp_month" => month = optional(value),
            "card_exp_year" => year = optional(value),
            "name_on_card" if version == Version::V1 => name = optional(value),
            "card_holder_name" if version == Version::V2 => name = optional(value),
            // Never kept, whatever is sent (PCI DSS 3.3.1).
            "card_cvc" if version == Version::V2 => {}
            _ => {
                let known =
                    names_of(version).iter().find(|known| **known == field).ok_or_else(|| unknown_of_card(version))?;
                if let Some(value) = optional(value) {
                    notes.insert((*known).to_owned(), note(value)?.to_owned());
                }
            }
        }
    }
    let number = number.ok_or(invalid(NUMBER, "card.card_number is required"))?;
    let number = plain_text(number, NUMBER, "card.card_number is a string of digits, without JSON escapes")?;
    let pan = Pan::parse(number).map_err(|fault| card_fault(NUMBER, fault))?;
    let month = digits(month, 1..=2).ok_or(card_fault("card.card_exp_month", CardError::Month))?;
    let year = digits(year, 2..=2).map(|year| CENTURY + year).or_else(|| digits(year, 4..=4));
    let year = year.ok_or(invalid("card.card_exp_year", "card.card_exp_year is a text of two or four digits"))?;
    let expiry = Expiry::new(month, year, now_ms).map_err(|fault| {
        card_fault(if fault == CardError::Month { "card.card_exp_month" } else { "card.card_exp_year" }, fault)
    })?;
    let name = name.and_then(Node::text).map(str::trim).filter(|name| !name.is_empty());
    let holder_name =
        name.map(HolderName::parse).transpose().map_err(|fault| card_fault("card.name_on_card", fault))?;
    let bytes: usize = notes.iter().map(|(name, note)| name.len() + note.len() + JSON_BYTES_PER_NOTE).sum();
    if bytes > limits::METADATA_BYTES_MAX {
        return Err(invalid("card", "what is noted beside a card has at most 4096 bytes in all"));
    }
    Ok((Card { pan, expiry, holder_name }, notes))
}

/// What is noted beside a card and comes back with it.
fn names_of(version: Version) -> &'static [&'static str] {
    match version {
        Version::V1 => &["card_brand", "card_isin", "nick_name"],
        Version::V2 => &[
            "nick_name",
            "card_issuing_country",
            "card_issuing_country_code",
            "card_network",
            "card_issuer",
            "card_type",
        ],
    }
}

fn note<'n>(value: &'n Node<'_>) -> Result<&'n str, BodyError> {
    let text = value.text().filter(|text| text.chars().count() <= limits::METADATA_VALUE_CHARS_MAX);
    let text = text.ok_or(invalid("card", "what is noted beside a card is a text of at most 500 characters"))?;
    if text::holds_card_number(text) {
        let why = "what is noted beside a card contains what looks like a card number; send it in card_number alone";
        return Err(BodyError { kind: Kind::CardInText, field: Some("card"), why });
    }
    Ok(text)
}

/// A number that is written in so many digits.
fn digits(value: Option<&Node<'_>>, count: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let text = value?.text()?;
    let is_number = count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// `{"Card":{...}}`: of the kinds that the dialect knows, a whole card alone is one.
fn only_card<'n, 'a>(value: &'n Node<'a>) -> Result<&'n Node<'a>, BodyError> {
    let Node::Object(kinds) = value else { return Err(NO_CARD) };
    match kinds.as_slice() {
        [(kind, card)] if kind.text() == Some("Card") => Ok(card),
        _ => Err(NO_CARD),
    }
}

fn merchant_id(value: &Node<'_>) -> Result<Box<str>, BodyError> {
    Ok(named(value, "merchant_id")?.into())
}

fn customer_id(field: &'static str, value: &Node<'_>) -> Result<CustomerId, BodyError> {
    value
        .text()
        .and_then(|text| text.parse().ok())
        .ok_or(invalid(field, "the customer is 1 to 64 of A-Z a-z 0-9 _ - . : @ and does not look like a card number"))
}

/// A name of the caller's: it may come back in an answer, so it has no character that JSON would escape.
fn named<'n>(value: &'n Node<'_>, field: &'static str) -> Result<&'n str, BodyError> {
    let is_name = |text: &&str| {
        (1..=limits::LOCKER_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            && !text::holds_card_number(text)
    };
    value
        .text()
        .filter(is_name)
        .ok_or(invalid(field, "1 to 64 of A-Z a-z 0-9 _ -, and nothing that looks like a card number"))
}

/// A token that this vault may have given at an earlier time.
fn earlier(value: &Node<'_>, now_ms: u64) -> Result<Token, BodyError> {
    let is_past = |token: &Token| {
        let stamp = token.uuid().get_timestamp().map(|stamp| stamp.to_unix());
        stamp.is_some_and(|(seconds, _)| seconds <= now_ms / 1000)
    };
    value.text().and_then(|text| text.parse().ok()).filter(is_past).ok_or(invalid(
        "requestor_card_reference",
        "requestor_card_reference is a card_reference that was answered before; leave it out for a new card",
    ))
}

/// A life of at most a week is kept to the second. A longer one is until the card is deleted, or a rule of retention ends it.
fn lifetime(value: &Node<'_>) -> Result<Lifetime, BodyError> {
    match value {
        Node::Small(seconds @ limits::SHORT_TERM_TTL_MIN_S..=limits::SHORT_TERM_TTL_MAX_S) => {
            Ok(Lifetime::ShortTerm(*seconds))
        }
        Node::Small(seconds) if (limits::SHORT_TERM_TTL_MAX_S..=limits::LOCKER_TTL_MAX_S).contains(seconds) => {
            Ok(Lifetime::LongTerm)
        }
        _ => Err(invalid("ttl", "ttl is a whole number of seconds from 10 to 630720000 (twenty years)")),
    }
}

enum Body {
    Add,
    Named,
}

fn unknown(is_first: bool, body: Body) -> BodyError {
    let why = match (is_first, body) {
        (true, Body::Add) => {
            "allowed fields: merchant_id, merchant_customer_id, requestor_card_reference, card, ttl; enc_card_data as null"
        }
        (true, Body::Named) => "allowed fields: merchant_id, merchant_customer_id, card_reference",
        (false, Body::Add) => "allowed fields: entity_id, vault_id, data, ttl",
        (false, Body::Named) => "allowed fields: entity_id, vault_id",
    };
    BodyError { kind: Kind::InvalidField, field: None, why }
}

fn unknown_of_card(version: Version) -> BodyError {
    let why = match version {
        Version::V1 => {
            "allowed fields: card_number, card_exp_month, card_exp_year, name_on_card, card_brand, card_isin, nick_name"
        }
        Version::V2 => {
            "allowed fields: card_number, card_exp_month, card_exp_year, card_holder_name, nick_name, card_issuing_country, \
             card_issuing_country_code, card_network, card_issuer, card_type, card_cvc (which is not kept)"
        }
    };
    BodyError { kind: Kind::InvalidField, field: Some("card"), why }
}

const NUMBER: &str = "card.card_number";
const NO_MERCHANT: BodyError = invalid("merchant_id", "merchant_id is required");
const NO_CARD: BodyError = invalid("data", "only whole cards are stored here; send data as {\"Card\":{...}}");
const BAD_WHAT: BodyError = invalid("data", "what a fingerprint is made of is a text of 1 to 2048 bytes");
const BAD_KEY: BodyError = invalid("key", "the key of a fingerprint is a text of 1 to 256 bytes");
const FINGERPRINT_FIELDS: &str = "send data and key, or card_number and hash_key, and nothing else";
/// Four quotes, a colon and a comma.
const JSON_BYTES_PER_NOTE: usize = 6;
/// Two digits of a year are of this century.
const CENTURY: u64 = 2000;
/// What the longest card takes without its name and notes.
const FIXED_BYTES_MAX: usize = 200;

#[cfg(test)]
#[path = "locker_tests.rs"]
mod tests;
