//! The signed statement that another root.json is in force, and that no key is left under the Root before.

use strongroom_wire::hex::{hex, unhex};
use uuid::Uuid;

use crate::note::{Statement, at, moment};

/// A change of the Root, or of its division, that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reroot {
    /// Which vault.
    pub vault_id: Uuid,
    /// SHA-256 of the root.json before.
    pub from: [u8; 32],
    /// SHA-256 of the root.json in force.
    pub to: [u8; 32],
    /// Keys that were wrapped anew; none where it is the same Root in another division.
    pub rewrapped: Option<u64>,
    /// When it was counted that none is left, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// The signed note, six lines and the signature:
///
/// ```text
/// strongroom-root-change/1
/// vault 7f3c1d52-0a64-4f0e-9a57-3c2f6f0b8e11
/// from 64 hexadecimal digits
/// to 64 hexadecimal digits
/// rewrapped 120: 0 keys under the Root before
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
///
/// Where it is the same Root, the fifth line is `rewrapped none: the same Root in another division`.
impl Statement for Reroot {
    const HEAD: &'static str = "strongroom-root-change/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let vault_id = lines.next()?.strip_prefix("vault ")?.parse().ok()?;
        let from = unhex(lines.next()?.strip_prefix("from ")?)?;
        let to = unhex(lines.next()?.strip_prefix("to ")?)?;
        let rewrapped = match lines.next()?.strip_prefix("rewrapped ")?.split_once(':')?.0 {
            "none" => None,
            count => Some(count.parse().ok()?),
        };
        let at_ms = moment(lines.next()?)?;
        Some(Self { vault_id, from, to, rewrapped, at_ms })
    }

    fn text(&self) -> String {
        let rewrapped = match self.rewrapped {
            Some(count) => format!("{count}: 0 keys under the Root before"),
            None => "none: the same Root in another division".to_owned(),
        };
        format!(
            "{}\nvault {}\nfrom {}\nto {}\nrewrapped {rewrapped}\n{}\n",
            Self::HEAD,
            self.vault_id,
            hex(&self.from),
            hex(&self.to),
            at(self.at_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::Completion;
    use crate::key::Key;
    use crate::note::{self, BadNote};
    use crate::sign::Signer;

    #[test]
    fn a_reroot_reads_what_it_writes_and_is_nothing_else() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let key = signer.public_key();
        for rewrapped in [Some(120), Some(0), None] {
            let done = Reroot {
                vault_id: Uuid::from_u128(7),
                from: [1; 32],
                to: [0xab; 32],
                rewrapped,
                at_ms: 1_764_000_000_123,
            };
            let note = done.sign(&signer);
            assert_eq!(Reroot::open(&note, key).unwrap(), done);
            assert_eq!(Completion::open(&note, key), Err(BadNote::Form));
            assert_eq!(Reroot::open(&note.replace("abab", "abac"), key), Err(BadNote::Signature));
        }
        let text = format!(
            "{}\nvault {}\nfrom {}\nto {}\nrewrapped 1: 1 keys under the Root before\nat x (1)\n",
            Reroot::HEAD,
            Uuid::from_u128(7),
            hex(&[1; 32]),
            hex(&[2; 32])
        );
        assert_eq!(Reroot::open(&note::sign(&text, &signer), key), Err(BadNote::Form));
    }
}
