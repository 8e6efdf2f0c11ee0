//! `Glance`: what may be shown of a card, sealed apart from it so that a masked view never decrypts the number.

use strongroom_wire::payment_method::{Brand, CardSummary};

use super::pan::text;
use super::record::BadRecord;
use super::{Card, Expiry};

/// The part of a card that may be shown: scheme, first 6 or 8 and last 4 digits (PCI DSS 3.4.1), expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    brand: Brand,
    /// ASCII digits; the last two are zero bytes where only six are shown.
    bin: [u8; 8],
    last4: [u8; 4],
    expiry: Expiry,
}

impl Glance {
    /// What may be shown of this card.
    #[must_use]
    pub fn of(card: &Card) -> Self {
        let mut bin = [0; 8];
        let shown = card.pan.bin().as_bytes();
        bin[..shown.len()].copy_from_slice(shown);
        let mut last4 = [0; 4];
        last4.copy_from_slice(card.pan.last4().as_bytes());
        Self { brand: card.pan.brand(), bin, last4, expiry: card.expiry }
    }

    /// The scheme.
    #[must_use]
    pub fn brand(&self) -> Brand {
        self.brand
    }

    /// The digits in front: 8, or 6 of shorter numbers.
    #[must_use]
    pub fn bin(&self) -> &str {
        text(if self.bin[6] == 0 { &self.bin[..6] } else { &self.bin })
    }

    /// The last four digits.
    #[must_use]
    pub fn last4(&self) -> &str {
        text(&self.last4)
    }

    /// The expiry.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// The masked view that callers see, with the fingerprint as text beside it.
    #[must_use]
    pub fn summary(&self, fingerprint: String) -> CardSummary {
        CardSummary {
            brand: self.brand,
            bin: self.bin().to_owned(),
            last4: self.last4().to_owned(),
            exp_month: self.expiry.month(),
            exp_year: self.expiry.year(),
            fingerprint,
        }
    }

    /// The bytes to seal: `version u8 = 1 | brand u8 | bin 4 bytes, two digits in each, 0xFF where none | last four 2
    /// bytes | expiry 2 bytes`.
    #[must_use]
    pub fn encode(&self) -> [u8; GLANCE_BYTES] {
        let mut out = [0; GLANCE_BYTES];
        out[0] = VERSION;
        out[1] = self.brand as u8;
        pack(&self.bin, &mut out[2..6]);
        pack(&self.last4, &mut out[6..8]);
        out[8..].copy_from_slice(&self.expiry.to_bytes());
        out
    }

    /// Reads what [`Glance::encode`] wrote, strictly.
    ///
    /// # Errors
    /// [`BadRecord`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let [VERSION, brand, packed @ .., high, low] = bytes else { return Err(BadRecord) };
        let brand = BRANDS.into_iter().find(|known| *known as u8 == *brand).ok_or(BadRecord)?;
        let (packed_bin, packed_last4) = packed.split_at_checked(4).ok_or(BadRecord)?;
        let (mut bin, mut last4) = ([0; 8], [0; 4]);
        if packed_last4.len() != 2 || unpack(packed_last4, &mut last4) != Some(4) {
            return Err(BadRecord);
        }
        if !matches!(unpack(packed_bin, &mut bin), Some(6 | 8)) {
            return Err(BadRecord);
        }
        Ok(Self { brand, bin, last4, expiry: Expiry::from_bytes([*high, *low]) })
    }
}

/// Two digits in each byte; the nibble 15 stands for none.
fn pack(digits: &[u8], out: &mut [u8]) {
    for (pair, byte) in digits.chunks_exact(2).zip(out) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
}

fn nibble(digit: u8) -> u8 {
    if digit == 0 { NONE } else { digit - b'0' }
}

/// How many digits there are; `None` if anything but digits, or a digit after a gap, is in it.
fn unpack(packed: &[u8], digits: &mut [u8]) -> Option<usize> {
    let mut count = 0;
    for (place, digit) in digits.iter_mut().enumerate() {
        let byte = packed.get(place / 2)?;
        match if place % 2 == 0 { byte >> 4 } else { byte & 15 } {
            value @ 0..=9 if count == place => {
                *digit = b'0' + value;
                count += 1;
            }
            NONE => {}
            _ => return None,
        }
    }
    Some(count)
}

/// Length of an encoded glance, in bytes.
pub const GLANCE_BYTES: usize = 10;
const VERSION: u8 = 1;
const NONE: u8 = 15;

const BRANDS: [Brand; 12] = [
    Brand::Visa,
    Brand::Mastercard,
    Brand::Amex,
    Brand::Discover,
    Brand::Diners,
    Brand::Jcb,
    Brand::Unionpay,
    Brand::Maestro,
    Brand::Elo,
    Brand::Rupay,
    Brand::Mir,
    Brand::Unknown,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::card::Pan;

    fn glance(number: &str) -> Glance {
        let expiry = Expiry::new(12, 2030, 1_773_532_800_000).unwrap();
        Glance::of(&Card { pan: Pan::parse(number).unwrap(), expiry, holder_name: None })
    }

    #[test]
    fn it_shows_the_masked_parts_and_comes_back_the_same() {
        for (number, bin, last4) in [
            ("4242424242424242", "42424242", "4242"),
            ("378282246310005", "378282", "0005"),
            ("36227206271667", "362272", "1667"),
            ("6205500000000000004", "62055000", "0004"),
        ] {
            let glance = glance(number);
            assert_eq!((glance.bin(), glance.last4()), (bin, last4));
            assert_eq!((glance.expiry().month(), glance.expiry().year()), (12, 2030));
            assert_eq!(Glance::decode(&glance.encode()).unwrap(), glance);
        }
    }

    #[test]
    fn the_middle_of_the_number_is_not_in_it() {
        // 8 and 4 of 16 digits: the four between are nowhere in the bytes.
        let bytes = glance("6011000990139424").encode();
        assert_eq!(bytes[2..8], [0x60, 0x11, 0x00, 0x09, 0x94, 0x24]);
    }

    #[test]
    fn other_versions_lengths_and_brands_are_refused() {
        let good = glance("4242424242424242").encode();
        assert!(Glance::decode(&good[..9]).is_err());
        assert!(Glance::decode(&[&good[..], &[0]].concat()).is_err());
        for (place, value) in [(0, 2), (1, 0), (1, 12), (2, 0xA2), (5, 0xF2), (5, 0x4F), (7, 0xFF)] {
            let mut bad = good;
            bad[place] = value;
            assert!(Glance::decode(&bad).is_err(), "byte {place} as {value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_that_read_are_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..14)) {
            if let Ok(glance) = Glance::decode(&bytes) {
                prop_assert_eq!(&glance.encode()[..], &bytes[..]);
                prop_assert!(!glance.bin().is_empty() && glance.last4().len() == 4);
            }
        }
    }
}
