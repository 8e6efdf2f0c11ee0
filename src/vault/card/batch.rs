//! `BatchBody`: many requests to store a card in one body. Each is read for itself, so that a bad one keeps no other out.

use strongroom_wire::{Kind, limits};

use super::Incoming;
use super::body::{BodyError, OBJECT, invalid, members, root_within, unknown};
use super::node::Node;

/// The body of `POST /v1/payment_methods/batch`: `{"payment_methods":[...]}`, 1 to [`limits::BATCH_CARDS_MAX`] of them.
pub struct BatchBody {
    /// In the order of the body.
    pub items: Vec<Result<Incoming, BodyError>>,
}

impl BatchBody {
    /// Reads a body. A card that is no card is a fault of its own item alone; JSON that cannot be read is a fault of the
    /// whole. A CVC is refused: it would have to be used within a quarter of an hour, and cards that come in batches come
    /// to stay.
    ///
    /// # Errors
    /// [`BodyError`] for the body as a whole.
    pub fn parse(body: &[u8], now_ms: u64) -> Result<Self, BodyError> {
        let root = root_within(body, limits::BATCH_BYTES_MAX, "the body of a batch has at most 2097152 bytes")?;
        let mut list = None;
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "payment_methods" => list = Some(value),
                _ => return Err(unknown(None, "allowed fields: payment_methods")),
            }
        }
        let Some(Node::List(items)) = list else {
            return Err(invalid("payment_methods", "payment_methods is required and must be a list"));
        };
        if !(1..=limits::BATCH_CARDS_MAX).contains(&items.len()) {
            return Err(invalid("payment_methods", "a batch has 1 to 1000 payment_methods"));
        }
        Ok(Self { items: items.iter().map(|item| Incoming::of(item, now_ms).and_then(without_cvc)).collect() })
    }
}

/// See [`BatchBody::parse`].
pub fn refuse_cvc<T>(cvc: Option<T>) -> Result<(), BodyError> {
    let why = "a batch takes no CVC, because none is ever stored; leave it out";
    match cvc {
        None => Ok(()),
        Some(_) => Err(BodyError { kind: Kind::InvalidField, field: Some("card.cvc"), why }),
    }
}

fn without_cvc(item: Incoming) -> Result<Incoming, BodyError> {
    if let Incoming::Clear(body) = &item {
        refuse_cvc(body.cvc.as_ref())?;
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_773_532_800_000;

    fn card(number: &str) -> Value {
        json!({"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2030}})
    }

    fn parse(body: &Value) -> Result<BatchBody, BodyError> {
        BatchBody::parse(body.to_string().as_bytes(), NOW)
    }

    #[test]
    fn a_bad_card_is_a_fault_of_its_own_place_alone() {
        let mut with_cvc = card("4242424242424242");
        with_cvc["card"]["cvc"] = "123".into();
        let body = json!({"payment_methods": [
            card("4242424242424242"), card("4242424242424241"), "card", with_cvc, card("378282246310005"),
        ]});
        let read = parse(&body).ok().unwrap();
        let faults: Vec<Option<&str>> =
            read.items.iter().map(|item| item.as_ref().err().and_then(|fault| fault.field)).collect();
        assert_eq!(faults, [None, Some("card.number"), None, Some("card.cvc"), None]);
        assert!(read.items[2].is_err());
    }

    #[test]
    fn a_batch_has_one_to_a_thousand_cards() {
        let of = |count: usize| parse(&json!({"payment_methods": vec![card("4242424242424242"); count]}));
        assert_eq!(of(1).ok().unwrap().items.len(), 1);
        assert_eq!(of(limits::BATCH_CARDS_MAX).ok().unwrap().items.len(), limits::BATCH_CARDS_MAX);
        for count in [0, limits::BATCH_CARDS_MAX + 1, 2 * limits::BATCH_CARDS_MAX] {
            assert_eq!(of(count).err().unwrap().field, Some("payment_methods"));
        }
    }

    #[test]
    fn what_is_no_batch_is_refused_as_a_whole() {
        for (body, field) in [
            (json!({}), Some("payment_methods")),
            (json!({"payment_methods": {}}), Some("payment_methods")),
            (json!({"payment_methods": [card("4242424242424242")], "more": 1}), None),
            (json!([card("4242424242424242")]), None),
        ] {
            assert_eq!(parse(&body).err().unwrap().field, field);
        }
        let large = " ".repeat(limits::BATCH_BYTES_MAX + 1);
        assert_eq!(BatchBody::parse(large.as_bytes(), NOW).err().unwrap().kind, Kind::TooLarge);
        assert_eq!(BatchBody::parse(b"{", NOW).err().unwrap().kind, Kind::Malformed);
    }
}
