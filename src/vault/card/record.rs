//! `Card`: number, expiry, holder name; and the bytes of it that are sealed.

use zeroize::Zeroizing;

use super::pan::{DIGITS_MAX, DIGITS_MIN};
use super::{Expiry, HolderName, Pan};

/// A card. Not `Clone`, `Debug`, `PartialEq` or `Serialize`; each part wipes itself.
pub struct Card {
    /// The number.
    pub pan: Pan,
    /// The last month it is good in.
    pub expiry: Expiry,
    /// The name on it, where one was given.
    pub holder_name: Option<HolderName>,
}

/// Bytes that are not an encoded card or glance of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a card record of version 1")]
pub struct BadRecord;

impl Card {
    /// The bytes to seal, in a buffer that wipes itself and is made once, at its full size:
    /// `version u8 = 1 | number 10 bytes, two digits in each, 0xF where none | expiry 2 bytes | name length u8 | name`.
    /// The number takes the same room at every length, so that a ciphertext does not tell it.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let name = self.holder_name.as_ref().map_or("", HolderName::as_str);
        let mut out = Zeroizing::new(Vec::with_capacity(FIXED + name.len()));
        out.push(VERSION);
        let digits = self.pan.digits();
        let nibble = |place: usize| digits.as_bytes().get(place).map_or(NONE, |digit| digit - b'0');
        out.extend((0..PACKED).map(|byte| nibble(2 * byte) << 4 | nibble(2 * byte + 1)));
        out.extend_from_slice(&self.expiry.to_bytes());
        // `HolderName` is never longer than a limit that fits a byte; a test holds that.
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_bytes());
        out
    }

    /// Reads what [`Card::encode`] wrote; any other version, and any byte too few or too many, is refused. The checks
    /// of intake are not repeated, so that a stored card stays readable when a table of brands changes or it expires.
    ///
    /// # Errors
    /// [`BadRecord`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let [VERSION, rest @ ..] = bytes else { return Err(BadRecord) };
        let (packed, rest) = rest.split_first_chunk::<PACKED>().ok_or(BadRecord)?;
        let [high, low, name_length, name @ ..] = rest else { return Err(BadRecord) };
        if name.len() != usize::from(*name_length) {
            return Err(BadRecord);
        }
        let nibble =
            |place: usize| if place.is_multiple_of(2) { packed[place / 2] >> 4 } else { packed[place / 2] & 15 };
        let count = (0..2 * PACKED).take_while(|place| nibble(*place) != NONE).count();
        if (count..2 * PACKED).any(|place| nibble(place) != NONE) {
            return Err(BadRecord);
        }
        let pan = Pan::from_record(count, nibble).ok_or(BadRecord)?;
        let holder_name = match std::str::from_utf8(name).map_err(|_| BadRecord)? {
            "" => None,
            name => Some(HolderName::from_record(name)),
        };
        Ok(Self { pan, expiry: Expiry::from_bytes([*high, *low]), holder_name })
    }
}

const VERSION: u8 = 1;
const NONE: u8 = 15;
/// Room for 20 digits, one more than the longest number has.
const PACKED: usize = 10;
const FIXED: usize = 1 + PACKED + 2 + 1;
const _: () = assert!(DIGITS_MAX < 2 * PACKED && DIGITS_MIN >= 8);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::limits;

    use super::*;

    const NOW: u64 = 1_773_532_800_000;

    fn card(number: &str, name: Option<&str>) -> Card {
        Card {
            pan: Pan::parse(number).unwrap(),
            expiry: Expiry::new(7, 2031, NOW).unwrap(),
            holder_name: name.map(|name| HolderName::parse(name).unwrap()),
        }
    }

    fn assert_same(one: &Card, other: &Card) {
        assert_eq!(one.pan.digits().as_str(), other.pan.digits().as_str());
        assert_eq!(one.pan.brand(), other.pan.brand());
        assert_eq!(one.expiry, other.expiry);
        assert_eq!(
            one.holder_name.as_ref().map(HolderName::as_str),
            other.holder_name.as_ref().map(HolderName::as_str)
        );
    }

    #[test]
    fn it_reads_what_it_writes() {
        for number in ["4242424242424242", "378282246310005", "36227206271667", "6205500000000000004"] {
            for name in [None, Some("Ada Lovelace"), Some("王小明")] {
                let card = card(number, name);
                assert_same(&Card::decode(&card.encode()).unwrap(), &card);
            }
        }
    }

    #[test]
    fn its_buffer_is_never_moved_while_it_is_written() {
        let longest = "x".repeat(limits::HOLDER_NAME_BYTES_MAX);
        let bytes = card("4242424242424242", Some(&longest)).encode();
        assert_eq!(bytes.len(), bytes.capacity());
        assert!(limits::HOLDER_NAME_BYTES_MAX <= usize::from(u8::MAX));
    }

    #[test]
    fn numbers_of_every_length_take_the_same_room() {
        let lengths = ["4242424242424242", "378282246310005", "36227206271667", "6205500000000000004"]
            .map(|number| card(number, None).encode().len());
        assert_eq!(lengths, [FIXED; 4]);
    }

    #[test]
    fn cut_lengthened_or_of_another_version_it_is_refused() {
        let good = card("4242424242424242", Some("Ada")).encode();
        for cut in 0..good.len() {
            assert!(Card::decode(&good[..cut]).is_err());
        }
        assert!(Card::decode(&[&good[..], b"x"].concat()).is_err());
        let mut other = good.to_vec();
        other[0] = 2;
        assert!(Card::decode(&other).is_err());
    }

    #[test]
    fn a_number_with_a_gap_or_a_letter_is_refused() {
        let good = card("4242424242424242", None).encode();
        for (place, value) in [(1, 0xF2), (3, 0x4A), (8, 0xF4), (9, 0x4F), (10, 0x1F)] {
            let mut bad = good.to_vec();
            bad[place] = value;
            // Byte 9 as one more digit is a number of 17 digits: well formed, since records are not checked again.
            assert_eq!(Card::decode(&bad).is_ok(), place == 9, "byte {place}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_that_read_are_what_would_be_written(
            mut bytes in prop::collection::vec(any::<u8>(), 0..60),
            digits in prop::collection::vec(0u8..10, 12..=19),
            name in "[a-z]{0,20}",
            formed in any::<bool>(),
        ) {
            if formed {
                bytes = vec![VERSION];
                let nibble = |place: usize| digits.get(place).copied().unwrap_or(NONE);
                bytes.extend((0..PACKED).map(|byte| nibble(2 * byte) << 4 | nibble(2 * byte + 1)));
                bytes.extend_from_slice(&[1, 44, u8::try_from(name.len()).unwrap()]);
                bytes.extend_from_slice(name.as_bytes());
            }
            let read = Card::decode(&bytes);
            prop_assert!(read.is_ok() || !formed);
            if let Ok(card) = read {
                prop_assert_eq!(&card.encode()[..], &bytes[..]);
            }
        }
    }
}
