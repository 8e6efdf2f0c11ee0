//! `export_line`: one card of an export, written once into a buffer that wipes itself.

use zeroize::Zeroizing;

use super::Card;
use super::reveal::put_card;

/// `{"number","exp_month","exp_year","holder_name"?` and then `facts`, the members that are no secret, as the JSON of a
/// non-empty object without its brace in front: `"payment_method_id":"pm_...",...}`. A line feed ends the line. The buffer
/// has its full size from the start, so that no half-written copy is left behind by growing.
#[must_use]
pub fn export_line(card: &Card, facts: &str) -> Zeroizing<Vec<u8>> {
    let name = card.holder_name.as_ref().map_or("", |name| name.as_str());
    let mut out = Zeroizing::new(Vec::with_capacity(FIXED_BYTES_MAX + 2 * name.len() + facts.len()));
    out.push(b'{');
    put_card(&mut out, card, None);
    out.push(b',');
    out.extend_from_slice(facts.as_bytes());
    out.push(b'\n');
    out
}

/// Everything but the name and the facts, at its longest.
const FIXED_BYTES_MAX: usize = 96;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use strongroom_wire::limits;

    use super::*;
    use crate::card::{Expiry, HolderName, Pan};

    fn card(number: &str, name: Option<&str>) -> Card {
        Card {
            pan: Pan::parse(number).unwrap(),
            expiry: Expiry::new(7, 2031, 1_773_532_800_000).unwrap(),
            holder_name: name.map(|name| HolderName::parse(name).unwrap()),
        }
    }

    #[test]
    fn a_line_is_the_card_and_its_facts() {
        let line = export_line(&card("4242424242424242", Some("O\"Neil")), "\"payment_method_id\":\"pm_1\"}");
        assert_eq!(line.last(), Some(&b'\n'));
        let read: Value = serde_json::from_slice(&line).unwrap();
        let card = json!({"number": "4242424242424242", "exp_month": 7, "exp_year": 2031, "holder_name": "O\"Neil",
            "payment_method_id": "pm_1"});
        assert_eq!(read, card);
    }

    #[test]
    fn its_buffer_never_grows() {
        let longest = "\"".repeat(limits::HOLDER_NAME_BYTES_MAX);
        let line = export_line(&card("6205500000000000004", Some(&longest)), "\"a\":1}");
        assert_eq!(line.capacity(), FIXED_BYTES_MAX + 2 * longest.len() + 6);
        assert!(line.len() <= line.capacity());
    }
}
