//! Amounts as this dialect spells them: major units, as text or as a number, and minor units inside.

use std::fmt::Formatter;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::intent::Fault;
use crate::money::Currency;

/// An amount of major units as it was asked for: digits, and perhaps a point and more digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount(String);

impl Amount {
    /// In minor units of the currency, exactly; nothing is rounded.
    ///
    /// # Errors
    /// [`Fault::Invalid`] with what is allowed.
    pub(super) fn minor(&self, currency: Currency) -> Result<u64, Fault> {
        let bad = |reason| Fault::Invalid { field: "amount", reason };
        let (whole, part) = match self.0.split_once('.') {
            Some((_, "")) => return Err(bad(FORM)),
            Some((whole, part)) => (whole, part),
            None => (self.0.as_str(), ""),
        };
        // `is_ascii_digit` and not `is_numeric`: other scripts have digits too.
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || self.0.len() > CHARS_MAX || !are_digits(whole) || !are_digits(part) {
            return Err(bad(FORM));
        }
        let places = usize::from(currency.exponent());
        let part = part.trim_end_matches('0');
        if part.len() > places {
            return Err(bad("more decimals than the currency has"));
        }
        let minor: u64 = format!("{whole}{part:0<places$}").parse().map_err(|_| bad(FORM))?;
        if minor == 0 { Err(bad("more than nothing")) } else { Ok(minor) }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Amount;

            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("an amount")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }

            // The reader has read a fraction already. Its shortest text is what was written, because fifteen digits pass
            // through it unchanged and an amount has fewer; nobody calculates with it.
            fn visit_f64<E: Error>(self, number: f64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Minor units as a number of major units, as this dialect answers them. At most twelve digits, which a reader keeps.
pub(super) fn shown(minor: u64, currency: Currency) -> Value {
    let places = usize::from(currency.exponent());
    let digits = format!("{minor:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        return whole.parse::<u64>().map_or(Value::Null, Value::from);
    }
    format!("{whole}.{part}").parse::<Number>().map_or(Value::Null, Value::Number)
}

/// Longest amount as text: twelve digits, a point and three more.
const CHARS_MAX: usize = 16;
const FORM: &str = "digits, and perhaps a point and decimals, such as 200 or \"200.50\"";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minor(asked: Value, currency: &str) -> Option<u64> {
        serde_json::from_value::<Amount>(asked).ok()?.minor(currency.parse().unwrap()).ok()
    }

    #[test]
    fn text_and_number_mean_the_same_minor_units() {
        for (text, number, currency, expected) in [
            ("200", json!(200), "USD", 20_000),
            ("200.5", json!(200.5), "USD", 20_050),
            ("0.01", json!(0.01), "USD", 1),
            ("0.29", json!(0.29), "USD", 29),
            ("1.10", json!(1.10), "USD", 110),
            ("4.35", json!(4.35), "USD", 435),
            ("1000", json!(1000), "JPY", 1000),
            ("1.234", json!(1.234), "KWD", 1234),
            ("7.000", json!(7.0), "USD", 700),
            ("9999999999.99", json!(9_999_999_999.99), "USD", 999_999_999_999),
        ] {
            assert_eq!(minor(json!(text), currency), Some(expected), "{text}");
            assert_eq!(minor(number, currency), Some(expected), "{text} as a number");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_and_never_rounded() {
        for bad in [
            "",
            "1e3",
            "0.001",
            "-1",
            "+1",
            "١٢",
            "1.",
            ".5",
            "1,5",
            " 1",
            "1 ",
            "0x10",
            "0",
            "0.00",
            "1.2.3",
            "NaN",
            "inf",
            "1_000",
            "12345678901234567",
            "99999999999999999999",
        ] {
            assert_eq!(minor(json!(bad), "USD"), None, "{bad:?}");
        }
        for bad in
            [json!(0.001), json!(-1), json!(-0.5), json!(1e300), json!(1e-7), json!(null), json!([1]), json!(true)]
        {
            assert_eq!(minor(bad.clone(), "USD"), None, "{bad}");
        }
        assert_eq!(minor(json!("1.5"), "JPY"), None, "a currency without decimals");
    }

    #[test]
    fn every_amount_is_shown_as_it_is() {
        for (currency, expected) in [("USD", "200.5"), ("JPY", "20050"), ("KWD", "20.05")] {
            assert_eq!(shown(20_050, currency.parse().unwrap()).to_string(), expected);
        }
        let usd: Currency = "USD".parse().unwrap();
        for minor in (0..20_000).chain([999_999_999_999, 999_999_999_901, 123_456_789_012]) {
            let text = shown(minor, usd).to_string();
            let again = Amount(text.clone());
            assert!(minor == 0 || again.minor(usd) == Ok(minor), "{minor} was shown as {text}");
        }
    }
}
