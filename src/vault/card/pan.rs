//! `Pan`: a card number that passed every check, in one place in memory, wiped when it is dropped.

use strongroom_wire::payment_method::Brand;
use strongroom_wire::scheme::{Scheme, luhn};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::CardError;

/// A card number (primary account number, ISO/IEC 7812): 12 to 19 digits. Not `Clone`, `Debug`, `PartialEq` or
/// `Serialize`. The digits live on the heap, so that moving a `Pan` leaves no copy behind.
pub struct Pan {
    /// ASCII digits; those after `length` are zero bytes.
    digits: Box<[u8; DIGITS_MAX]>,
    length: u8,
    brand: Brand,
}

impl Pan {
    /// Reads a card number; single spaces or hyphens may stand between digits.
    ///
    /// # Errors
    /// [`CardError::NumberForm`], [`CardError::NumberLength`] or [`CardError::NumberCheck`].
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let pan = Self::digits_of(text)?;
        let scheme = Scheme::of(pan.as_bytes());
        if !scheme.takes_length(usize::from(pan.length)) {
            return Err(CardError::NumberLength);
        }
        if scheme.checked && !luhn(pan.as_bytes()) {
            return Err(CardError::NumberCheck);
        }
        Ok(pan)
    }

    /// The scheme that the number belongs to.
    #[must_use]
    pub fn brand(&self) -> Brand {
        self.brand
    }

    /// The digits in front that may be shown: 8 of numbers with 16 digits and more, else 6 (PCI DSS 3.4.1).
    #[must_use]
    pub fn bin(&self) -> &str {
        let shown = if self.length >= 16 { 8 } else { 6 };
        text(&self.digits[..shown])
    }

    /// The last four digits, which may be shown (PCI DSS 3.4.1).
    #[must_use]
    pub fn last4(&self) -> &str {
        let all = self.as_bytes();
        text(&all[all.len() - 4..])
    }

    /// The whole number. Every crossing from secret to public goes through here.
    #[must_use]
    pub fn digits(&self) -> Exposed<'_> {
        Exposed(text(self.as_bytes()))
    }

    /// A number out of `count` digits that `digit` gives one by one, for records that were checked when they were
    /// sealed: a later table of brands must not make them unreadable, so only form and count are looked at.
    pub(super) fn from_record(count: usize, digit: impl Fn(usize) -> u8) -> Option<Self> {
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&count) {
            return None;
        }
        let mut pan = Self::empty();
        for place in 0..count {
            match digit(place) {
                value @ 0..=9 => pan.push(b'0' + value)?,
                _ => return None,
            }
        }
        pan.brand = Scheme::of(pan.as_bytes()).brand;
        Some(pan)
    }

    fn digits_of(text: &str) -> Result<Self, CardError> {
        let mut pan = Self::empty();
        let mut after_digit = false;
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    pan.push(byte).ok_or(CardError::NumberLength)?;
                    after_digit = true;
                }
                b' ' | b'-' if after_digit => after_digit = false,
                _ => return Err(CardError::NumberForm),
            }
        }
        if !after_digit {
            return Err(CardError::NumberForm);
        }
        if usize::from(pan.length) < DIGITS_MIN {
            return Err(CardError::NumberLength);
        }
        pan.brand = Scheme::of(pan.as_bytes()).brand;
        Ok(pan)
    }

    fn empty() -> Self {
        Self { digits: Box::new([0; DIGITS_MAX]), length: 0, brand: Brand::Unknown }
    }

    fn push(&mut self, digit: u8) -> Option<()> {
        *self.digits.get_mut(usize::from(self.length))? = digit;
        self.length += 1;
        Some(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

impl Drop for Pan {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl ZeroizeOnDrop for Pan {}

/// Secret digits on their way out, borrowed: a card number or CVC. Not `Debug`, `Display` or `Serialize`, so that
/// taking the text out is always a visible step.
#[derive(Clone, Copy)]
pub struct Exposed<'a>(&'a str);

impl<'a> Exposed<'a> {
    pub(super) fn of(digits: &'a str) -> Self {
        Self(digits)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The digits as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }
}

pub(super) fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("only ASCII digits are ever pushed")
}

/// Fewest digits of a card number.
pub(super) const DIGITS_MIN: usize = 12;
/// Most digits of a card number.
pub(super) const DIGITS_MAX: usize = 19;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> CardError {
        Pan::parse(text).err().unwrap()
    }

    #[test]
    fn spaces_and_hyphens_between_digits_are_dropped() {
        for written in ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", "4-2 42424242424242"] {
            assert_eq!(Pan::parse(written).unwrap().digits().as_str(), "4242424242424242");
        }
    }

    #[test]
    fn the_masked_parts_are_6_or_8_and_4_digits() {
        let visa = Pan::parse("4242424242424242").unwrap();
        assert_eq!((visa.bin(), visa.last4(), visa.brand()), ("42424242", "4242", Brand::Visa));
        let amex = Pan::parse("378282246310005").unwrap();
        assert_eq!((amex.bin(), amex.last4(), amex.brand()), ("378282", "0005", Brand::Amex));
    }

    #[test]
    fn other_characters_and_stray_separators_are_refused() {
        for written in [
            "",
            " ",
            "-4242424242424242",
            "4242424242424242 ",
            "4242  424242424242",
            "4242.4242.4242.4242",
            "4242424242424242a",
            "４242424242424242",
        ] {
            assert_eq!(fault(written), CardError::NumberForm);
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for written in ["4", "42424242424", "424242424242424", "42424242424242424242", "3782822463100055"] {
            assert_eq!(fault(written), CardError::NumberLength);
        }
    }

    #[test]
    fn a_mistyped_digit_is_refused() {
        assert_eq!(fault("4242424242424241"), CardError::NumberCheck);
        assert_eq!(fault("5555555555554445"), CardError::NumberCheck);
        // In no known range, and still checked.
        assert_eq!(fault("9999999999999996"), CardError::NumberCheck);
    }

    #[test]
    fn unionpay_is_taken_without_a_check_digit() {
        assert_eq!(Pan::parse("6200000000000006").unwrap().brand(), Brand::Unionpay);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Pan::parse(&text);
        }

        #[test]
        fn what_is_taken_is_the_digits_of_the_text(text in "[0-9 -]{0,24}") {
            if let Ok(pan) = Pan::parse(&text) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert_eq!(pan.digits().as_str(), digits);
            }
        }
    }
}
