//! `TokenizeBody`: a request that carries a card, read strictly from its bytes; and what its readers share.

use strongroom_wire::payment_method::{Metadata, Storage};
use strongroom_wire::{CustomerId, Kind, limits};

use super::node::{BadJson, Node};
use super::{Card, CardError, Cvc, Expiry, HolderName, Pan};

/// Why a body was refused: which field, and what to do. It never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BodyError {
    /// The problem's kind.
    pub kind: Kind,
    /// The field at fault, as a path (`card.number`); `None` where the body as a whole is.
    pub field: Option<&'static str>,
    /// What is wrong and what would be right.
    pub why: &'static str,
}

/// How long the record shall live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is deleted.
    LongTerm,
    /// So many seconds, [`limits::SHORT_TERM_TTL_MIN_S`] to [`limits::SHORT_TERM_TTL_MAX_S`].
    ShortTerm(u64),
}

/// A request to store a card, its card in clear: as it came, or opened.
pub struct TokenizeBody {
    /// The card.
    pub card: Card,
    /// Its CVC, which is never stored.
    pub cvc: Option<Cvc>,
    /// Whose card it is.
    pub customer: Option<CustomerId>,
    /// Long-term unless the body says otherwise.
    pub lifetime: Lifetime,
    /// The caller's notes; no card number is in them.
    pub metadata: Metadata,
}

pub(super) fn read_card(card: &Node<'_>, now_ms: u64) -> Result<(Card, Option<Cvc>), BodyError> {
    let (mut number, mut month, mut year, mut cvc, mut name) = (None, None, None, None, None);
    for (field, value) in members(card, Some("card"), "card must be an object")? {
        match field {
            "number" => number = Some(value),
            "exp_month" => month = Some(value),
            "exp_year" => year = Some(value),
            "cvc" => cvc = optional(value),
            "holder_name" => name = optional(value),
            _ => return Err(unknown(Some("card"), "allowed fields: number, exp_month, exp_year, cvc, holder_name")),
        }
    }
    let number = number.ok_or(invalid("card.number", "card.number is required"))?;
    let number = plain_text(number, "card.number", "card.number is a string of digits, without JSON escapes")?;
    let pan = Pan::parse(number).map_err(|fault| card_fault("card.number", fault))?;
    let month = month.ok_or(invalid("card.exp_month", "card.exp_month is required"))?;
    let year = year.ok_or(invalid("card.exp_year", "card.exp_year is required"))?;
    let expiry = expiry(month, year, now_ms)?;
    let cvc = cvc
        .map(|cvc| {
            let digits = plain_text(cvc, "card.cvc", "card.cvc is a string of digits, without JSON escapes")?;
            Cvc::parse(digits, pan.brand()).map_err(|fault| card_fault("card.cvc", fault))
        })
        .transpose()?;
    let holder_name = name.map(holder_name).transpose()?;
    Ok((Card { pan, expiry, holder_name }, cvc))
}

pub(super) fn expiry(month: &Node<'_>, year: &Node<'_>, now_ms: u64) -> Result<Expiry, BodyError> {
    let Node::Small(month) = month else { return Err(card_fault("card.exp_month", CardError::Month)) };
    let Node::Small(year) = year else { return Err(card_fault("card.exp_year", CardError::Year)) };
    Expiry::new(*month, *year, now_ms)
        .map_err(|fault| card_fault(if fault == CardError::Month { "card.exp_month" } else { "card.exp_year" }, fault))
}

pub(super) fn holder_name(value: &Node<'_>) -> Result<HolderName, BodyError> {
    let name = value.text().ok_or(card_fault("card.holder_name", CardError::HolderName))?;
    HolderName::parse(name).map_err(|fault| card_fault("card.holder_name", fault))
}

pub(super) fn customer_id(value: &Node<'_>) -> Result<CustomerId, BodyError> {
    value.text().and_then(|text| text.parse().ok()).ok_or(invalid(
        "customer_id",
        "a customer_id is 1 to 64 of A-Z a-z 0-9 _ - . : @ and does not look like a card number",
    ))
}

pub(super) fn storage_word(value: &Node<'_>) -> Result<Storage, BodyError> {
    match value.text() {
        Some("long_term") => Ok(Storage::LongTerm),
        Some("short_term") => Ok(Storage::ShortTerm),
        _ => Err(invalid("storage", "storage is \"long_term\" or \"short_term\"")),
    }
}

pub(super) fn ttl_seconds(value: &Node<'_>) -> Result<u64, BodyError> {
    match value {
        Node::Small(seconds @ limits::SHORT_TERM_TTL_MIN_S..=limits::SHORT_TERM_TTL_MAX_S) => Ok(*seconds),
        _ => Err(invalid("ttl_seconds", "ttl_seconds is a whole number from 10 to 604800 (seven days)")),
    }
}

pub(super) fn root(body: &[u8]) -> Result<Node<'_>, BodyError> {
    root_within(body, limits::BODY_BYTES_MAX, "the body has at most 16384 bytes")
}

/// The same with a limit of its own; `why` names it.
pub(super) fn root_within<'a>(body: &'a [u8], most: usize, why: &'static str) -> Result<Node<'a>, BodyError> {
    let malformed = |why| BodyError { kind: Kind::Malformed, field: None, why };
    if body.len() > most {
        return Err(BodyError { kind: Kind::TooLarge, field: None, why });
    }
    Node::parse(body).map_err(|fault| match fault {
        BadJson::Syntax => malformed("the body is not JSON"),
        BadJson::Repeated => malformed("a field stands twice in one object; send it once"),
        BadJson::TooMany => malformed("an object has too many fields; metadata has at most 50 entries"),
    })
}

pub(super) fn members<'n>(
    node: &'n Node<'_>,
    field: Option<&'static str>,
    why: &'static str,
) -> Result<impl Iterator<Item = (&'n str, &'n Node<'n>)>, BodyError> {
    match node {
        Node::Object(members) => Ok(members.iter().map(|(name, value)| (name.text().unwrap_or(""), value))),
        _ => Err(BodyError { kind: Kind::InvalidField, field, why }),
    }
}

/// An explicit `null` is the same as no field.
pub(super) fn optional<'n, 'a>(value: &'n Node<'a>) -> Option<&'n Node<'a>> {
    (!matches!(value, Node::Null)).then_some(value)
}

/// A string that stands in the body as it is. One with escapes was copied by the JSON reader on its way here; no digit
/// needs an escape, so such a number is refused rather than spread.
pub(super) fn plain_text<'n>(
    value: &'n Node<'_>,
    field: &'static str,
    why: &'static str,
) -> Result<&'n str, BodyError> {
    match value {
        Node::Text(text) => Ok(text),
        _ => Err(BodyError { kind: Kind::InvalidCard, field: Some(field), why }),
    }
}

pub(super) const fn invalid(field: &'static str, why: &'static str) -> BodyError {
    BodyError { kind: Kind::InvalidField, field: Some(field), why }
}

/// The name of an unknown field is input too and stays out.
pub(super) fn unknown(within: Option<&'static str>, why: &'static str) -> BodyError {
    BodyError { kind: Kind::InvalidField, field: within, why }
}

pub(super) fn card_fault(field: &'static str, fault: CardError) -> BodyError {
    let kind = if fault == CardError::CardInHolderName { Kind::CardInText } else { Kind::InvalidCard };
    BodyError { kind, field: Some(field), why: fault.why() }
}

pub(super) const OBJECT: &str = "the body must be a JSON object";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::card::Incoming;

    /// 2026-03-15T00:00:00Z.
    const NOW: u64 = 1_773_532_800_000;

    fn whole() -> Value {
        json!({
            "type": "card",
            "card": {
                "number": "4242 4242 4242 4242",
                "exp_month": 12,
                "exp_year": 2030,
                "cvc": "123",
                "holder_name": "Ada Lovelace",
            },
            "customer_id": "cus_1",
            "storage": "short_term",
            "ttl_seconds": 60,
            "metadata": {"order": "17"},
        })
    }

    fn clear(body: &[u8], now_ms: u64) -> Result<TokenizeBody, BodyError> {
        match Incoming::parse(body, now_ms)? {
            Incoming::Clear(body) => Ok(body),
            Incoming::Sealed(_) => Err(invalid("encrypted_card", "not looked at here")),
        }
    }

    fn tokenize(body: &Value) -> Result<TokenizeBody, BodyError> {
        clear(body.to_string().as_bytes(), NOW)
    }

    /// The whole body with one field set, and the fault that this makes.
    fn fault(path: &str, value: Value) -> BodyError {
        let mut body = whole();
        *body.pointer_mut(path.rsplit_once('/').unwrap().0).unwrap() = {
            let mut object = body.pointer(path.rsplit_once('/').unwrap().0).unwrap().clone();
            object[path.rsplit_once('/').unwrap().1] = value;
            object
        };
        tokenize(&body).err().unwrap()
    }

    #[test]
    fn every_field_arrives() {
        let body = tokenize(&whole()).ok().unwrap();
        assert_eq!(body.card.pan.digits().as_str(), "4242424242424242");
        assert_eq!((body.card.expiry.month(), body.card.expiry.year()), (12, 2030));
        assert_eq!(body.card.holder_name.unwrap().as_str(), "Ada Lovelace");
        assert_eq!(body.cvc.unwrap().digits().as_str(), "123");
        assert_eq!(body.customer.unwrap().as_str(), "cus_1");
        assert_eq!(body.lifetime, Lifetime::ShortTerm(60));
        assert_eq!(body.metadata["order"], "17");
    }

    #[test]
    fn optional_fields_may_be_absent_or_null() {
        let card = json!({"number": "378282246310005", "exp_month": 3, "exp_year": 2026});
        let body = tokenize(&json!({"type": "card", "card": card})).ok().unwrap();
        assert!(body.cvc.is_none() && body.customer.is_none() && body.card.holder_name.is_none());
        assert_eq!(body.lifetime, Lifetime::LongTerm);
        let mut nulls = whole();
        for path in ["customer_id", "storage", "ttl_seconds", "metadata"] {
            nulls[path] = Value::Null;
        }
        nulls["card"]["cvc"] = Value::Null;
        nulls["card"]["holder_name"] = Value::Null;
        assert!(tokenize(&nulls).is_ok());
        let mut short = whole();
        short["ttl_seconds"] = Value::Null;
        assert_eq!(tokenize(&short).ok().unwrap().lifetime, Lifetime::ShortTerm(3600));
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (path, value, field, kind) in [
            ("/type", json!("bank"), "type", Kind::InvalidField),
            ("/card", json!("4242424242424242"), "card", Kind::InvalidField),
            ("/card/number", json!("4242424242424241"), "card.number", Kind::InvalidCard),
            ("/card/number", json!(4_242_424_242_424_242_u64), "card.number", Kind::InvalidCard),
            ("/card/number", json!(["4242424242424242"]), "card.number", Kind::InvalidCard),
            ("/card/exp_month", json!(13), "card.exp_month", Kind::InvalidCard),
            ("/card/exp_month", json!("12"), "card.exp_month", Kind::InvalidCard),
            ("/card/exp_year", json!(2025), "card.exp_year", Kind::InvalidCard),
            ("/card/exp_year", json!(30), "card.exp_year", Kind::InvalidCard),
            ("/card/cvc", json!("1234"), "card.cvc", Kind::InvalidCard),
            ("/card/cvc", json!(123), "card.cvc", Kind::InvalidCard),
            ("/card/holder_name", json!(""), "card.holder_name", Kind::InvalidCard),
            ("/card/holder_name", json!("4242424242424242"), "card.holder_name", Kind::CardInText),
            ("/card/pin", json!("1234"), "card", Kind::InvalidField),
            ("/customer_id", json!("4242424242424242"), "customer_id", Kind::InvalidField),
            ("/customer_id", json!(""), "customer_id", Kind::InvalidField),
            ("/storage", json!("forever"), "storage", Kind::InvalidField),
            ("/ttl_seconds", json!(9), "ttl_seconds", Kind::InvalidField),
            ("/ttl_seconds", json!(604_801), "ttl_seconds", Kind::InvalidField),
            ("/storage", json!("long_term"), "ttl_seconds", Kind::InvalidField),
            ("/metadata", json!([]), "metadata", Kind::InvalidField),
        ] {
            let fault = fault(path, value);
            assert_eq!((fault.field, fault.kind), (Some(field), kind), "{path}");
        }
    }

    #[test]
    fn each_required_field_is_missed() {
        for (path, name, field) in [
            ("", "type", "type"),
            ("", "card", "card"),
            ("/card", "number", "card.number"),
            ("/card", "exp_month", "card.exp_month"),
            ("/card", "exp_year", "card.exp_year"),
        ] {
            let mut body = whole();
            body.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
            assert_eq!(tokenize(&body).err().unwrap().field, Some(field));
        }
    }

    #[test]
    fn no_fault_repeats_a_byte_of_the_input() {
        let secret = "4242424242424242";
        for body in [
            json!({secret: 1}),
            json!({"type": secret}),
            json!({"type": "card", "card": {secret: 1}}),
            json!({"type": "card", "card": secret}),
            json!({"type": "card", "card": {"number": 4_242_424_242_424_242_u64}}),
            json!({"type": "card", "card": {"number": format!("{secret}0")}}),
            json!({"metadata": {"k": secret}}),
            json!(secret),
        ] {
            let fault = tokenize(&body).err().unwrap();
            assert!(!format!("{fault} {fault:?}").contains("4242"));
        }
    }

    #[test]
    fn a_number_with_escapes_is_refused_because_it_was_copied() {
        let body = br#"{"type":"card","card":{"number":"\u0034242424242424242","exp_month":1,"exp_year":2030}}"#;
        assert_eq!(clear(body, NOW).err().unwrap().field, Some("card.number"));
    }

    #[test]
    fn repeated_fields_trailing_bytes_and_large_bodies_are_refused() {
        for body in [
            r#"{"type":"card","type":"card"}"#,
            r#"{"type":"card","card":{"number":"1","number":"2"}}"#,
            r#"{"type":"card"} x"#,
            "",
        ] {
            assert_eq!(clear(body.as_bytes(), NOW).err().unwrap().kind, Kind::Malformed, "{body}");
        }
        let large = " ".repeat(limits::BODY_BYTES_MAX + 1);
        assert_eq!(clear(large.as_bytes(), NOW).err().unwrap().kind, Kind::TooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = clear(&body, NOW);
        }

        #[test]
        fn a_body_with_one_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut body = whole().to_string().into_bytes();
            let place = at.index(body.len());
            body[place] = byte;
            let _ = clear(&body, NOW);
        }
    }
}
