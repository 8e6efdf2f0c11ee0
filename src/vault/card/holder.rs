//! `HolderName`: the name on a card.

use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::{CardError, text};

/// A card holder's name: 1 to [`limits::HOLDER_NAME_BYTES_MAX`] bytes without control characters, wiped on drop. Not
/// `Clone`, `Debug` or `Serialize`.
pub struct HolderName(Zeroizing<Box<str>>);

impl HolderName {
    /// Reads a name; spaces around it are dropped.
    ///
    /// # Errors
    /// [`CardError::HolderName`], or [`CardError::CardInHolderName`] if somebody typed the number into it.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let name = text.trim();
        if name.is_empty() || name.len() > limits::HOLDER_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(CardError::HolderName);
        }
        if text::holds_card_number(name) {
            return Err(CardError::CardInHolderName);
        }
        Ok(Self::from_record(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name out of a record, checked when it was sealed.
    pub(super) fn from_record(name: &str) -> Self {
        Self(Zeroizing::new(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_taken() {
        for name in ["Ada Lovelace", "Bjørn Müller-Ó Súilleabháin", "王小明", "O\"Neil \\ Sons"] {
            assert_eq!(HolderName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(HolderName::parse("  Ada ").unwrap().as_str(), "Ada");
    }

    #[test]
    fn empty_long_or_controlled_names_are_refused() {
        for name in ["", "   ", "a\nb", "a\0b", "a\u{85}b", &"a".repeat(97)] {
            assert_eq!(HolderName::parse(name).err().unwrap(), CardError::HolderName);
        }
        assert!(HolderName::parse(&"a".repeat(96)).is_ok());
    }

    #[test]
    fn a_number_typed_into_the_name_is_refused() {
        let fault = HolderName::parse("Ada 4242 4242 4242 4242").err().unwrap();
        assert_eq!(fault, CardError::CardInHolderName);
    }
}
