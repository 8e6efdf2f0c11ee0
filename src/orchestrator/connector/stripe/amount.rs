//! Stripe's way of writing amounts, where it differs from ISO 4217's minor units.

use crate::connector::Unsupported;
use crate::money::{Currency, Money};

/// The amount as Stripe takes it (docs.stripe.com/currencies).
///
/// # Errors
/// Stripe cannot express the amount.
pub(super) fn to_stripe(money: Money) -> Result<u64, Unsupported> {
    match scale(money.currency) {
        Scale::Same => Ok(money.minor),
        Scale::Hundredfold => money.minor.checked_mul(100).ok_or(Unsupported("the amount is too large for Stripe")),
        Scale::Hundredth if money.minor.is_multiple_of(100) => Ok(money.minor / 100),
        Scale::Hundredth => Err(Unsupported("Stripe takes whole units of this currency alone")),
        Scale::Tens if money.minor.is_multiple_of(10) => Ok(money.minor),
        Scale::Tens => Err(Unsupported("Stripe takes two decimals of this currency: the last digit must be 0")),
    }
}

/// The amount of an answer, in minor units of ISO 4217; `None` when it cannot be one of ours.
pub(super) fn from_stripe(amount: u64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    let minor = match scale(currency) {
        Scale::Same | Scale::Tens => amount,
        Scale::Hundredfold if amount.is_multiple_of(100) => amount / 100,
        Scale::Hundredfold => return None,
        Scale::Hundredth => amount.checked_mul(100)?,
    };
    Some(Money { minor, currency })
}

/// How Stripe's number relates to ISO's minor units.
enum Scale {
    /// It is the same.
    Same,
    /// ISO knows no decimals, Stripe writes two that are always 00.
    Hundredfold,
    /// ISO knows two decimals, Stripe none.
    Hundredth,
    /// Three decimals, the last always 0.
    Tens,
}

fn scale(currency: Currency) -> Scale {
    match currency.as_str() {
        "ISK" | "UGX" => Scale::Hundredfold,
        "MGA" => Scale::Hundredth,
        _ if currency.exponent() == 3 => Scale::Tens,
        _ => Scale::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: u64, currency: &str) -> Money {
        Money { minor, currency: currency.parse().unwrap() }
    }

    #[test]
    fn currencies_with_other_decimals_than_iso_are_converted_both_ways() {
        let cases = [
            ("USD", 1999, 1999),
            ("JPY", 500, 500),
            ("KRW", 500, 500),
            ("ISK", 500, 50_000),
            ("UGX", 5, 500),
            ("MGA", 500, 5),
            ("KWD", 1230, 1230),
        ];
        for (currency, ours, theirs) in cases {
            assert_eq!(to_stripe(money(ours, currency)), Ok(theirs), "{currency}");
            assert_eq!(from_stripe(theirs, &currency.to_lowercase()), Some(money(ours, currency)), "{currency}");
        }
    }

    #[test]
    fn amount_that_stripe_cannot_express_is_refused_not_rounded() {
        for (minor, currency) in [(1234, "KWD"), (150, "MGA"), (u64::MAX, "UGX")] {
            assert!(to_stripe(money(minor, currency)).is_err(), "{currency}");
        }
        assert_eq!(from_stripe(50_001, "isk"), None);
        assert_eq!(from_stripe(1, "???"), None);
    }
}
