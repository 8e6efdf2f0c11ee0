//! Names here and there: one rule each, so that nothing has to be remembered.

use strongroom_wire::Token;

use super::wrong::Wrong;
use crate::vault::SecretText;

/// What pays: a card that was given once, or a card that is kept.
pub(super) enum Source {
    /// One-off, with the CVC that the vault sealed, if the payer gave one.
    Once(Token, Option<SecretText>),
    /// Kept for a customer.
    Kept(Token),
}

impl Source {
    /// Reads `card_...` or `tok_...`.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        if let Some(rest) = text.strip_prefix("card_") {
            let (name, sealed) = match rest.split_once('.') {
                Some((name, sealed)) if !sealed.is_empty() && sealed.len() <= SEALED_CHARS_MAX => (name, Some(sealed)),
                Some(_) => return Err(Wrong::source()),
                None => (rest, None),
            };
            return Ok(Self::Once(token(name)?, sealed.map(|sealed| SecretText::new(sealed.to_owned()))));
        }
        let name = text.strip_prefix("tok_").ok_or_else(Wrong::source)?;
        Ok(Self::Kept(token(name)?))
    }

    /// Its name without any sealed CVC, for digests and logs of others.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Once(token, _) => card(*token),
            Self::Kept(token) => kept(*token),
        }
    }
}

/// `card_...` without a CVC.
pub(super) fn card(token: Token) -> String {
    renamed(&token.to_string(), "pm_", "card_")
}

/// `tok_...`.
pub(super) fn kept(token: Token) -> String {
    renamed(&token.to_string(), "pm_", "tok_")
}

fn token(name: &str) -> Result<Token, Wrong> {
    format!("pm_{name}").parse().map_err(|_| Wrong::source())
}

/// The name with another prefix.
pub(super) fn renamed(name: &str, from: &str, to: &str) -> String {
    format!("{to}{}", name.strip_prefix(from).unwrap_or(name))
}

/// The payment behind an invoice or a transaction.
pub(super) fn payment_of(name: &str, prefix: &str, what: &str) -> Result<String, Wrong> {
    let rest = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).ok_or_else(|| Wrong::not_found(what))?;
    Ok(format!("pay_{rest}"))
}

/// Longest CVC as the vault seals it.
const SEALED_CHARS_MAX: usize = 1024;
