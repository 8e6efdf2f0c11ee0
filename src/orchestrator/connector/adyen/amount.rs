//! Adyen's minor units, where they differ from ISO 4217's (docs.adyen.com/development-resources/currency-codes, "differs
//! from standard"; read in November 2026): CLP and ISK have two decimals there and none in ISO, CVE and IDR have none
//! there and two in ISO. In every other currency the two agree.

use serde::Deserialize;

use crate::connector::{Json, Unsupported};
use crate::money::{Currency, Money};

/// An amount as Adyen writes it.
#[derive(Deserialize)]
pub(super) struct Amount {
    pub(super) value: i64,
    pub(super) currency: String,
}

impl Amount {
    /// In minor units of ISO 4217; `None` when it cannot be one of ours.
    pub(super) fn money(&self) -> Option<Money> {
        let currency: Currency = self.currency.parse().ok()?;
        let value = u64::try_from(self.value).ok()?;
        let minor = match scale(currency) {
            Scale::Same => value,
            Scale::Hundredfold if value.is_multiple_of(100) => value / 100,
            Scale::Hundredfold => return None,
            Scale::Hundredth => value.checked_mul(100)?,
        };
        Some(Money { minor, currency })
    }
}

/// The `amount` object of a request.
///
/// # Errors
/// Adyen cannot express the amount.
pub(super) fn json(money: Money) -> Result<Json, Unsupported> {
    let value = match scale(money.currency) {
        Scale::Same => Some(money.minor),
        Scale::Hundredfold => money.minor.checked_mul(100),
        Scale::Hundredth if money.minor.is_multiple_of(100) => Some(money.minor / 100),
        Scale::Hundredth => return Err(Unsupported("Adyen takes whole units of this currency alone")),
    };
    let value = value.and_then(|value| i64::try_from(value).ok());
    let value = value.ok_or(Unsupported("the amount is too large for Adyen"))?;
    Ok(Json::object([("value", Json::Number(value)), ("currency", Json::text(money.currency.as_str()))]))
}

/// How Adyen's number relates to ISO's minor units.
enum Scale {
    /// It is the same.
    Same,
    /// ISO knows no decimals, Adyen writes two.
    Hundredfold,
    /// ISO knows two decimals, Adyen none.
    Hundredth,
}

fn scale(currency: Currency) -> Scale {
    match currency.as_str() {
        "CLP" | "ISK" => Scale::Hundredfold,
        "CVE" | "IDR" => Scale::Hundredth,
        _ => Scale::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: u64, currency: &str) -> Money {
        Money { minor, currency: currency.parse().unwrap() }
    }

    fn back(value: i64, currency: &str) -> Option<Money> {
        Amount { value, currency: currency.into() }.money()
    }

    #[test]
    fn currencies_with_other_decimals_than_iso_are_converted_both_ways() {
        let cases = [
            ("USD", 1999, 1999),
            ("JPY", 500, 500),
            ("KWD", 1234, 1234),
            ("UGX", 5, 5),
            ("CLP", 500, 50_000),
            ("ISK", 500, 50_000),
            ("CVE", 500, 5),
            ("IDR", 1_000_000, 10_000),
        ];
        for (currency, ours, theirs) in cases {
            let expected =
                Json::object([("value", Json::Number(theirs)), ("currency", Json::Text(currency.to_owned()))]);
            assert_eq!(json(money(ours, currency)), Ok(expected), "{currency}");
            assert_eq!(back(theirs, currency), Some(money(ours, currency)), "{currency}");
        }
    }

    #[test]
    fn amount_that_adyen_cannot_express_is_refused_not_rounded() {
        for (minor, currency) in [(150, "IDR"), (1, "CVE"), (u64::MAX, "CLP"), (u64::MAX, "USD")] {
            assert!(json(money(minor, currency)).is_err(), "{currency}");
        }
        for (value, currency) in [(50_001, "ISK"), (1, "???"), (-1, "USD"), (1, "usd")] {
            assert_eq!(back(value, currency), None, "{currency}");
        }
    }
}
