//! Bytes as hexadecimal digits in lower case.

use std::fmt::Write as _;

/// Two digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What [`hex`] wrote of 32 bytes; none for anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut sum = [0; 32];
    for (place, byte) in sum.iter_mut().enumerate().filter(|_| digits) {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    digits.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_comes_back_from_its_text_alone() {
        let sum: [u8; 32] = std::array::from_fn(|place| u8::try_from(place * 8).unwrap());
        assert_eq!(unhex(&hex(&sum)), Some(sum));
        for bad in ["", &hex(&sum)[1..], &hex(&sum).to_uppercase(), &hex(&sum).replace('0', "+"), &"ü".repeat(32)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
