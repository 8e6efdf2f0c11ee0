//! Turns a body with slots into bytes, in one buffer that is wiped.

use zeroize::Zeroizing;

use crate::connector::{Field, Slot};
use crate::vault::Card;

/// `application/x-www-form-urlencoded` of the pairs, slots filled from `card`. Pairs whose card part is absent are left
/// out. `None`: a slot, but no card.
pub(super) fn form(pairs: &[(String, Field)], card: Option<&Card>) -> Option<Zeroizing<Vec<u8>>> {
    // Three bytes for each byte is the most that encoding makes, so the buffer never grows and leaves no copy behind.
    let text_bytes: usize = pairs
        .iter()
        .map(|(name, field)| name.len() + 2 + if let Field::Text(text) = field { text.len() } else { SLOT_BYTES_MAX })
        .sum();
    let mut out = Zeroizing::new(Vec::with_capacity(text_bytes * 3));
    for (name, field) in pairs {
        match field {
            Field::Text(text) => pair(&mut out, name, text),
            Field::Slot(slot) => {
                if let Some(text) = part(card?, *slot) {
                    pair(&mut out, name, &text);
                }
            }
        }
    }
    Some(out)
}

pub(super) fn part(card: &Card, slot: Slot) -> Option<Zeroizing<String>> {
    match slot {
        Slot::Number => Some(card.number.clone()),
        Slot::ExpMonth | Slot::ExpMonthNumber => Some(Zeroizing::new(format!("{:02}", card.exp_month))),
        Slot::ExpYear | Slot::ExpYearNumber => Some(Zeroizing::new(format!("{:04}", card.exp_year))),
        Slot::Cvc => card.cvc.clone(),
        Slot::HolderName => card.holder_name.clone(),
    }
}

fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b'&');
    }
    encode(out, name);
    out.push(b'=');
    encode(out, value);
}

fn encode(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            _ => {
                out.push(b'%');
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
/// The longest part of a card: the holder's name.
pub(super) const SLOT_BYTES_MAX: usize = strongroom_wire::limits::HOLDER_NAME_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn card(cvc: Option<&str>) -> Card {
        Card {
            number: Zeroizing::new("4242424242424242".into()),
            exp_month: 3,
            exp_year: 2031,
            cvc: cvc.map(|c| Zeroizing::new(c.into())),
            holder_name: None,
        }
    }

    fn pairs() -> Vec<(String, Field)> {
        vec![
            ("type".into(), Field::Text("card".into())),
            ("card[number]".into(), Field::Slot(Slot::Number)),
            ("card[exp_month]".into(), Field::Slot(Slot::ExpMonth)),
            ("card[cvc]".into(), Field::Slot(Slot::Cvc)),
        ]
    }

    #[test]
    fn slots_are_filled_and_absent_parts_left_out() {
        let with = form(&pairs(), Some(&card(Some("123")))).unwrap();
        assert_eq!(
            std::str::from_utf8(&with).unwrap(),
            "type=card&card%5Bnumber%5D=4242424242424242&card%5Bexp_month%5D=03&card%5Bcvc%5D=123"
        );
        let without = form(&pairs(), Some(&card(None))).unwrap();
        assert!(!without.windows(3).any(|w| w == b"cvc"));
    }

    #[test]
    fn slot_without_a_card_builds_nothing() {
        assert!(form(&pairs(), None).is_none());
    }

    #[test]
    fn text_that_looks_like_a_slot_stays_text() {
        let pairs = vec![("description".to_owned(), Field::Text("{{card.number}} & more".into()))];
        let body = form(&pairs, Some(&card(None))).unwrap();
        assert_eq!(std::str::from_utf8(&body).unwrap(), "description=%7B%7Bcard.number%7D%7D%20%26%20more");
    }

    #[test]
    fn buffer_never_grows() {
        let pairs = vec![("ä".repeat(40), Field::Text("ß".repeat(500))), ("n".into(), Field::Slot(Slot::HolderName))];
        let mut card = card(None);
        card.holder_name = Some(Zeroizing::new("é".repeat(SLOT_BYTES_MAX / 2)));
        let body = form(&pairs, Some(&card)).unwrap();
        let estimated = pairs
            .iter()
            .map(|(n, f)| n.len() + 2 + if let Field::Text(t) = f { t.len() } else { SLOT_BYTES_MAX })
            .sum::<usize>()
            * 3;
        assert!(body.len() <= estimated && body.capacity() == estimated);
    }
}
