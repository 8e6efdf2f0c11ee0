//! Amounts as this dialect writes them: decimal text in major units.

use strongroom_wire::limits;

use super::wrong::Wrong;
use crate::money::Currency;

/// Minor units of a decimal text such as `19.9`.
///
/// # Errors
/// It is no plain decimal number, or has more digits than the currency.
pub(super) fn minor(field: &str, text: &str, currency: Currency) -> Result<u64, Wrong> {
    let wrong =
        || Wrong::invalid(field, "a decimal number in major units, such as \"19.99\", that the currency can have");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, WHOLE_DIGITS_MAX) || !digits(part, PART_DIGITS_MAX) {
        return Err(wrong());
    }
    let exponent = usize::from(currency.exponent());
    let (kept, beyond) = part.split_at(part.len().min(exponent));
    if beyond.bytes().any(|byte| byte != b'0') {
        return Err(wrong());
    }
    let minor = format!("{whole}{kept:0<exponent$}").parse::<u64>().map_err(|_| wrong())?;
    if minor > limits::AMOUNT_MINOR_MAX { Err(wrong()) } else { Ok(minor) }
}

/// The text for so many minor units.
pub(super) fn major(minor: u64, currency: Currency) -> String {
    let exponent = u32::from(currency.exponent());
    if exponent == 0 {
        return minor.to_string();
    }
    let unit = 10u64.pow(exponent);
    format!("{}.{:0>width$}", minor / unit, minor % unit, width = usize::from(currency.exponent()))
}

/// Most digits before the point.
const WHOLE_DIGITS_MAX: usize = 12;
/// Most digits behind the point.
const PART_DIGITS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_plain_decimals_that_the_currency_can_have() {
        let (usd, jpy, kwd) = ("USD".parse().unwrap(), "JPY".parse().unwrap(), "KWD".parse().unwrap());
        for (text, currency, expected) in [
            ("10", usd, 1000),
            ("0.01", usd, 1),
            ("19.9", usd, 1990),
            ("19.9900", usd, 1999),
            ("7", jpy, 7),
            ("1.5", kwd, 1500),
        ] {
            assert_eq!(minor("amount", text, currency).unwrap(), expected, "{text}");
        }
        for bad in
            ["", "1e3", "0.00001", "-1", "+1", ".5", "5.", "1,5", " 1", "0x1", "1.001", "٣", "1234567890123", "NaN"]
        {
            assert!(minor("amount", bad, usd).is_err(), "{bad}");
        }
        assert!(minor("amount", "7.5", jpy).is_err());
        assert!(minor("amount", "9999999999.99", usd).is_ok());
        assert!(minor("amount", "10000000000.00", usd).is_err());
    }

    #[test]
    fn amounts_are_told_with_the_digits_of_their_currency() {
        for (minor, code, text) in [(1000, "USD", "10.00"), (1, "USD", "0.01"), (7, "JPY", "7"), (1500, "KWD", "1.500")]
        {
            assert_eq!(major(minor, code.parse().unwrap()), text);
        }
    }
}
