//! A card as this door takes it, read in one pass so that no number lies in memory that is not wiped.

use std::fmt::Formatter;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::fail::Fail;
use crate::api::holds_card_number;
use crate::vault::{CardInput, SecretText};

/// `card`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CardBody {
    number: SecretText,
    expiration_month: Digits,
    expiration_year: Digits,
    cvv: Option<SecretText>,
    holder_name: Option<SecretText>,
}

/// A number, or a text of digits.
struct Digits(SecretText);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Digits;

            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or a text of digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Digits, E> {
                Ok(Digits(SecretText::new(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Digits, E> {
                Ok(Digits(SecretText::new(number.to_string())))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl CardBody {
    /// What tells this card from others and may be kept: the last four digits and the expiry.
    pub(super) fn mark(&self) -> [String; 3] {
        let last4: Vec<char> = self.number.expose().chars().rev().filter(char::is_ascii_digit).take(4).collect();
        let text = |digits: &Digits| digits.0.expose().chars().take(4).collect::<String>();
        [last4.into_iter().rev().collect(), text(&self.expiration_month), text(&self.expiration_year)]
    }

    /// The card; the vault judges what is left.
    pub(super) fn read(self) -> Result<CardInput, Fail> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let month = self.expiration_month.0.expose();
        let exp_month = if matches!(month.len(), 1 | 2) && digits(month) { month.parse().ok() } else { None };
        let exp_month = exp_month.filter(|month| (1..=12).contains(month));
        let year = self.expiration_year.0.expose();
        let exp_year = match year.len() {
            2 if digits(year) => year.parse::<u16>().ok().map(|short| 2000 + short),
            4 if digits(year) => year.parse().ok(),
            _ => None,
        };
        let cvv = self.cvv.map(|cvv| checked("card.cvv", cvv)).transpose()?;
        if self.holder_name.as_ref().is_some_and(|name| holds_card_number(name.expose())) {
            return Err(Fail::card("card.holderName", "it contains a card number"));
        }
        Ok(CardInput {
            exp_month: exp_month.ok_or_else(|| Fail::card("card.expirationMonth", "1 to 12"))?,
            exp_year: exp_year.ok_or_else(|| Fail::card("card.expirationYear", "two or four digits"))?,
            number: self.number,
            cvc: cvv,
            holder_name: self.holder_name.filter(|name| !name.expose().is_empty()),
        })
    }
}

/// A CVV of three or four digits.
pub(super) fn checked(field: &'static str, cvv: SecretText) -> Result<SecretText, Fail> {
    let text = cvv.expose();
    let good = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok(cvv) } else { Err(Fail::card(field, "three or four digits")) }
}
