//! `Cvc`: a card verification code. It is sensitive authentication data (PCI DSS 3.3.1) and is never stored anywhere.

use strongroom_wire::payment_method::Brand;
use strongroom_wire::scheme::Scheme;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::CardError;
use super::pan::{Exposed, text};

/// A card verification code of 3 or 4 digits. Not `Clone`, `Debug`, `PartialEq` or `Serialize`; on the heap; wiped.
pub struct Cvc {
    digits: Box<[u8; 4]>,
    length: u8,
}

impl Cvc {
    /// Reads the code of a card of this brand: 4 digits for American Express, 3 for the others, either where the brand
    /// is not known.
    ///
    /// # Errors
    /// [`CardError::Cvc`] for anything else.
    pub fn parse(text: &str, brand: Brand) -> Result<Self, CardError> {
        let cvc = Self::of_any_brand(text)?;
        match Scheme::cvc_digits(brand) {
            Some(digits) if digits != text.len() => Err(CardError::Cvc),
            _ => Ok(cvc),
        }
    }

    /// Reads a code whose brand was checked before: 3 or 4 digits.
    ///
    /// # Errors
    /// [`CardError::Cvc`] for anything else.
    pub fn of_any_brand(text: &str) -> Result<Self, CardError> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 3 | 4) || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(CardError::Cvc);
        }
        let mut cvc = Self { digits: Box::new([0; 4]), length: if bytes.len() == 4 { 4 } else { 3 } };
        cvc.digits[..bytes.len()].copy_from_slice(bytes);
        Ok(cvc)
    }

    /// The code. Every crossing from secret to public goes through here.
    #[must_use]
    pub fn digits(&self) -> Exposed<'_> {
        Exposed::of(text(&self.digits[..usize::from(self.length)]))
    }
}

impl Drop for Cvc {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl ZeroizeOnDrop for Cvc {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_length_follows_the_brand() {
        assert_eq!(Cvc::parse("123", Brand::Visa).unwrap().digits().as_str(), "123");
        assert_eq!(Cvc::parse("0123", Brand::Amex).unwrap().digits().as_str(), "0123");
        assert!(Cvc::parse("1234", Brand::Visa).is_err());
        assert!(Cvc::parse("123", Brand::Amex).is_err());
        assert!(Cvc::parse("123", Brand::Unknown).is_ok() && Cvc::parse("1234", Brand::Unknown).is_ok());
    }

    #[test]
    fn anything_but_3_or_4_digits_is_refused() {
        for text in ["", "12", "12345", "12a", " 123", "1 3", "１２３"] {
            assert!(Cvc::parse(text, Brand::Unknown).is_err());
        }
    }
}
