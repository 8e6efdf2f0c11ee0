//! The cards of the benches, and requests about them.
//!
//! Every request has a number of its own, because an index that sees one number alone is faster than any real one. The
//! numbers are made up in memory, behind the prefix that published test numbers share, and written nowhere but into a
//! folder that is removed.

/// The body of a tokenize request; with a customer of its own, whose name has 20 characters, if asked for.
pub(super) fn tokenize_body(serial: u64, customer: bool) -> String {
    let number = number(serial);
    let customer = if customer { format!(",\"customer_id\":\"cus_shop{serial:08}main\"") } else { String::new() };
    format!("{{\"type\":\"card\",\"card\":{{\"number\":\"{number}\",\"exp_month\":12,\"exp_year\":2031}}{customer}}}")
}

/// Where a card is revealed.
pub(super) fn reveal_path(token: &str) -> String {
    format!("/v1/payment_methods/{token}/reveal")
}

/// With which body.
pub(super) const REVEAL: &str = "{\"purpose\":\"authorize\",\"reference\":\"pay_bench\"}";

/// `400000` and nine digits that visit every serial in an order without runs, and the check digit.
fn number(serial: u64) -> String {
    let body = format!("400000{:09}", serial * 387_420_489 % 1_000_000_000);
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use strongroom_wire::payment_method::RevealRequest;

    use super::*;

    #[test]
    fn made_up_numbers_differ_and_pass_luhn() {
        let sum = |number: &str| -> u32 {
            let digits = number.bytes().rev().map(|digit| u32::from(digit - b'0')).enumerate();
            digits.map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum()
        };
        let numbers: std::collections::BTreeSet<String> = (0..10_000).map(number).collect();
        assert_eq!(numbers.len(), 10_000);
        assert!(numbers.iter().all(|number| number.len() == 16 && sum(number) % 10 == 0));
    }

    #[test]
    fn bodies_are_json_that_the_vault_takes() {
        assert!(serde_json::from_str::<RevealRequest>(REVEAL).is_ok());
        let body: serde_json::Value = serde_json::from_str(&tokenize_body(7, true)).unwrap();
        assert_eq!(body["customer_id"].as_str().map(str::len), Some(20));
        assert!(serde_json::from_str::<serde_json::Value>(&tokenize_body(7, false)).unwrap()["customer_id"].is_null());
    }
}
