//! Cards while this process holds them: wiped when dropped, never printed, copied or written anywhere.

use serde::Deserialize;
use zeroize::Zeroizing;

/// A released card, alive for one call to a PSP.
pub struct Card {
    /// Digits only.
    pub number: Zeroizing<String>,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// Present when this payment brought one.
    pub cvc: Option<Zeroizing<String>>,
    /// As embossed, where known.
    pub holder_name: Option<Zeroizing<String>>,
}

/// A card as a caller sent it, on its way into the vault, which judges it.
pub struct CardInput {
    /// As typed.
    pub number: SecretText,
    /// 1 to 12; the vault judges it.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// As typed.
    pub cvc: Option<SecretText>,
    /// As typed.
    pub holder_name: Option<SecretText>,
}

/// Text of a request that is wiped when dropped and cannot be printed.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text as a wiped string.
    #[must_use]
    pub fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
