//! Turns JSON with slots into bytes, in one buffer that is wiped.

use zeroize::Zeroizing;

use super::fill::{SLOT_BYTES_MAX, part};
use crate::connector::{AccountPart, Credentials, Json, Slot};
use crate::vault::Card;

/// The JSON text of `json`, slots filled from `card` and account parts from `credentials`. A member or item with nothing to
/// fill it is left out. `None`: a slot but no card, an account part that the credentials lack, or a slot that stands alone
/// and has nothing to fill it.
pub(super) fn json(json: &Json, card: Option<&Card>, credentials: &Credentials) -> Option<Zeroizing<Vec<u8>>> {
    // The most that escaping makes, so that the buffer never grows and leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes_max(json, credentials)));
    let before = out.capacity();
    let written = write(&mut out, json, card, credentials)?;
    debug_assert_eq!(out.capacity(), before, "the buffer grew");
    written.then_some(out)
}

/// `Some(false)`: there is nothing to write.
fn write(out: &mut Vec<u8>, json: &Json, card: Option<&Card>, credentials: &Credentials) -> Option<bool> {
    match json {
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Json::Text(text) => quoted(out, text),
        Json::Account(which) => quoted(out, account(credentials, *which)?),
        Json::Slot(slot) => {
            let Some(text) = part(card?, *slot) else {
                return Some(false);
            };
            match slot {
                // A number of JSON has no zero in front.
                Slot::ExpMonthNumber | Slot::ExpYearNumber => {
                    out.extend_from_slice(text.trim_start_matches('0').as_bytes());
                }
                _ => quoted(out, &text),
            }
        }
        Json::List(values) => {
            let items = values.iter().map(|value| (None, value));
            sequence(out, b"[]", items, card, credentials)?;
        }
        Json::Object(members) => {
            let items = members.iter().map(|(name, value)| (Some(name.as_str()), value));
            sequence(out, b"{}", items, card, credentials)?;
        }
    }
    Some(true)
}

fn sequence<'a>(
    out: &mut Vec<u8>,
    brackets: &[u8; 2],
    items: impl Iterator<Item = (Option<&'a str>, &'a Json)>,
    card: Option<&Card>,
    credentials: &Credentials,
) -> Option<()> {
    out.push(brackets[0]);
    let mut is_first = true;
    for (name, value) in items {
        let before = out.len();
        if !is_first {
            out.push(b',');
        }
        if let Some(name) = name {
            quoted(out, name);
            out.push(b':');
        }
        if write(out, value, card, credentials)? {
            is_first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(brackets[1]);
    Some(())
}

/// A JSON string (RFC 8259, section 7).
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn bytes_max(json: &Json, credentials: &Credentials) -> usize {
    // A control character becomes six bytes; quotes, colon and comma go around each value.
    let text_max = |bytes: usize| bytes * 6 + 4;
    match json {
        Json::Bool(_) => 8,
        Json::Number(_) => 24,
        Json::Text(text) => text_max(text.len()),
        Json::Slot(_) => text_max(SLOT_BYTES_MAX),
        Json::Account(which) => text_max(account(credentials, *which).map_or(0, str::len)),
        Json::List(values) => 4 + values.iter().map(|value| bytes_max(value, credentials)).sum::<usize>(),
        Json::Object(members) => {
            4 + members.iter().map(|(name, value)| text_max(name.len()) + bytes_max(value, credentials)).sum::<usize>()
        }
    }
}

/// A part of the credentials, if they have it.
pub(super) fn account(credentials: &Credentials, which: AccountPart) -> Option<&str> {
    let part = match which {
        AccountPart::Key1 => credentials.key1.as_ref(),
        AccountPart::ApiSecret => credentials.api_secret.as_ref(),
    };
    part.map(|text| text.as_str())
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        let text = |text: &str| Some(Zeroizing::new(text.to_owned()));
        Credentials {
            api_key: Zeroizing::new("key".into()),
            key1: text("Merchant_1"),
            api_secret: None,
            webhook_secret: None,
        }
    }

    fn card(cvc: Option<&str>) -> Card {
        Card {
            number: Zeroizing::new("4242424242424242".into()),
            exp_month: 3,
            exp_year: 2031,
            cvc: cvc.map(|c| Zeroizing::new(c.into())),
            holder_name: Some(Zeroizing::new("A \"B\" \\ \u{1} ß".into())),
        }
    }

    fn template() -> Json {
        Json::object([
            ("amount", Json::Number(100)),
            ("account", Json::Account(AccountPart::Key1)),
            ("cvc", Json::Slot(Slot::Cvc)),
            (
                "card",
                Json::object([
                    ("number", Json::Slot(Slot::Number)),
                    ("month", Json::Slot(Slot::ExpMonth)),
                    ("monthNumber", Json::Slot(Slot::ExpMonthNumber)),
                    ("year", Json::Slot(Slot::ExpYearNumber)),
                    ("name", Json::Slot(Slot::HolderName)),
                ]),
            ),
            ("list", Json::List(vec![Json::Bool(true), Json::Slot(Slot::Cvc), Json::text("{{card.number}}")])),
        ])
    }

    fn filled(json_: &Json, card: Option<&Card>) -> Option<serde_json::Value> {
        json(json_, card, &credentials()).map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn slots_are_filled_and_what_the_card_lacks_is_left_out() {
        let with = filled(&template(), Some(&card(Some("123")))).unwrap();
        assert_eq!(
            with,
            serde_json::json!({
                "amount": 100, "account": "Merchant_1", "cvc": "123",
                "card": {"number": "4242424242424242", "month": "03", "monthNumber": 3, "year": 2031,
                    "name": "A \"B\" \\ \u{1} ß"},
                "list": [true, "123", "{{card.number}}"],
            })
        );
        let without = filled(&template(), Some(&card(None))).unwrap();
        assert!(without.get("cvc").is_none());
        assert_eq!(without["list"], serde_json::json!([true, "{{card.number}}"]));
    }

    #[test]
    fn slot_without_a_card_and_account_part_that_is_missing_build_nothing() {
        assert!(filled(&template(), None).is_none());
        let missing = Json::object([("x", Json::Account(AccountPart::ApiSecret))]);
        assert!(filled(&missing, None).is_none());
    }

    #[test]
    fn buffer_never_grows() {
        let text = "\u{1}\"\\".repeat(300);
        let json_ = Json::List(vec![Json::text(&text), Json::Object(vec![(text.clone(), Json::text(&text))])]);
        let bytes = json(&json_, None, &credentials()).unwrap();
        assert_eq!(bytes.capacity(), bytes_max(&json_, &credentials()));
    }
}
