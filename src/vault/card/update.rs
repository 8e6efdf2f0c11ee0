//! `UpdateBody`: the request body that changes a stored card; never its number.

use strongroom_wire::Kind;
use strongroom_wire::payment_method::Metadata;

use super::body::{BodyError, OBJECT, expiry, holder_name, invalid, members, optional, root, unknown};
use super::metadata::read_metadata;
use super::node::Node;
use super::{Expiry, HolderName};

/// The body of `PATCH /v1/payment_methods/{id}`; what is `None` stays as it is, and something is to change.
pub struct UpdateBody {
    /// The new expiry.
    pub expiry: Option<Expiry>,
    /// The new holder name; `Some(None)` takes the old one away.
    pub holder_name: Option<Option<HolderName>>,
    /// The new notes in place of all the old ones; no card number is in them.
    pub metadata: Option<Metadata>,
}

impl UpdateBody {
    /// Reads a body; `now_ms` as for [`super::Incoming::parse`].
    ///
    /// # Errors
    /// [`BodyError`] for the first fault found, and for a body that changes nothing.
    pub fn parse(body: &[u8], now_ms: u64) -> Result<Self, BodyError> {
        let root = root(body)?;
        let mut update = Self { expiry: None, holder_name: None, metadata: None };
        for (name, value) in members(&root, None, OBJECT)? {
            match name {
                "card" => update.read_card(value, now_ms)?,
                "metadata" => update.metadata = Some(read_metadata(value)?),
                _ => return Err(unknown(None, "allowed fields: card, metadata")),
            }
        }
        if update.expiry.is_none() && update.holder_name.is_none() && update.metadata.is_none() {
            return Err(BodyError {
                kind: Kind::InvalidField,
                field: None,
                why: "nothing to change: send card.exp_month with card.exp_year, card.holder_name, or metadata",
            });
        }
        Ok(update)
    }

    fn read_card(&mut self, card: &Node<'_>, now_ms: u64) -> Result<(), BodyError> {
        let (mut month, mut year) = (None, None);
        for (name, value) in members(card, Some("card"), "card must be an object")? {
            match name {
                "exp_month" => month = Some(value),
                "exp_year" => year = Some(value),
                "holder_name" => self.holder_name = Some(optional(value).map(holder_name).transpose()?),
                "number" => {
                    return Err(invalid(
                        "card.number",
                        "the number of a stored card never changes; tokenize the new card",
                    ));
                }
                "cvc" => return Err(invalid("card.cvc", "a CVC is never stored; send it when the card is tokenized")),
                _ => return Err(unknown(Some("card"), "allowed fields: exp_month, exp_year, holder_name")),
            }
        }
        match (month, year) {
            (None, None) => {}
            (Some(month), Some(year)) => self.expiry = Some(expiry(month, year, now_ms)?),
            (None, _) => return Err(invalid("card.exp_month", "exp_month and exp_year change together; send both")),
            (_, None) => return Err(invalid("card.exp_year", "exp_month and exp_year change together; send both")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use strongroom_wire::limits;

    use super::*;

    /// 2026-03-15T00:00:00Z.
    const NOW: u64 = 1_773_532_800_000;

    fn update(body: &Value) -> Result<UpdateBody, BodyError> {
        UpdateBody::parse(body.to_string().as_bytes(), NOW)
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let body = update(&json!({"card": {"exp_month": 1, "exp_year": 2031}})).ok().unwrap();
        assert_eq!(body.expiry.map(|e| (e.month(), e.year())), Some((1, 2031)));
        assert!(body.holder_name.is_none() && body.metadata.is_none());
        let body = update(&json!({"card": {"holder_name": null}, "metadata": {}})).ok().unwrap();
        assert!(matches!(body.holder_name, Some(None)) && body.metadata.unwrap().is_empty());
        let body = update(&json!({"card": {"holder_name": "Ada"}})).ok().unwrap();
        assert_eq!(body.holder_name.flatten().unwrap().as_str(), "Ada");
    }

    #[test]
    fn an_update_never_touches_the_number_or_a_cvc() {
        for (body, field) in [
            (json!({"card": {"number": "4242424242424242"}}), Some("card.number")),
            (json!({"card": {"cvc": "123"}}), Some("card.cvc")),
            (json!({"card": {"exp_month": 1}}), Some("card.exp_year")),
            (json!({"card": {"exp_year": 2031}}), Some("card.exp_month")),
            (json!({"card": {"exp_month": 1, "exp_year": 2020}}), Some("card.exp_year")),
            (json!({"storage": "long_term"}), None),
            (json!({"card": {}}), None),
            (json!({}), None),
        ] {
            assert_eq!(update(&body).err().unwrap().field, field);
        }
    }

    #[test]
    fn a_large_body_is_refused() {
        let large = " ".repeat(limits::BODY_BYTES_MAX + 1);
        assert_eq!(UpdateBody::parse(large.as_bytes(), NOW).err().unwrap().kind, Kind::TooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = UpdateBody::parse(&body, NOW);
        }
    }
}
