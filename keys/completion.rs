//! The signed statement that a rotation left no record on an older term of a tenant's Kek.

use strongroom_wire::TenantId;
use strongroom_wire::admin::rfc3339_ms;

use crate::note::{self, BadNote};
use crate::sign::{PublicKey, Signer};

/// A rotation that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Whose Kek.
    pub tenant: TenantId,
    /// The term that every record is on.
    pub term: u32,
    /// Records that this rotation rewrapped.
    pub rewrapped: u64,
    /// When it was counted that none is left, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

impl Completion {
    /// The signed note, five lines and the signature:
    ///
    /// ```text
    /// strongroom-completion/1
    /// tenant acme
    /// term 4: 0 records on older terms
    /// rewrapped 120000
    /// at 2025-11-24T16:00:00.123Z (1764000000123)
    /// ```
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> String {
        note::sign(&self.text(), signer)
    }

    /// Reads and checks a signed completion.
    ///
    /// # Errors
    /// [`BadNote`] for any other form or a wrong signature.
    pub fn open(text: &str, key: &PublicKey) -> Result<Self, BadNote> {
        let text = note::open(text, key)?;
        Self::read(text).filter(|read| read.text() == text).ok_or(BadNote::Form)
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let tenant = lines.next()?.strip_prefix("tenant ")?.parse().ok()?;
        let term = lines.next()?.strip_prefix("term ")?.split_once(':')?.0.parse().ok()?;
        let rewrapped = lines.next()?.strip_prefix("rewrapped ")?.parse().ok()?;
        let at_ms = lines.next()?.split_once('(')?.1.strip_suffix(')')?.parse().ok()?;
        Some(Self { tenant, term, rewrapped, at_ms })
    }

    fn text(&self) -> String {
        let Self { tenant, term, rewrapped, at_ms } = self;
        format!(
            "strongroom-completion/1\ntenant {tenant}\nterm {term}: 0 records on older terms\nrewrapped {rewrapped}\nat {} ({at_ms})\n",
            rfc3339_ms(*at_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::note::Checkpoint;

    #[test]
    fn a_completion_reads_what_it_writes_and_is_no_checkpoint() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let done =
            Completion { tenant: "acme".parse().unwrap(), term: 4, rewrapped: 120_000, at_ms: 1_764_000_000_123 };
        let note = done.sign(&signer);
        assert_eq!(Completion::open(&note, signer.public_key()).unwrap(), done);
        assert_eq!(Checkpoint::open(&note, signer.public_key()), Err(BadNote::Form));
        assert_eq!(Completion::open(&note.replace("acme", "emca"), signer.public_key()), Err(BadNote::Signature));
        let checkpoint = Checkpoint { size: 1, root: [0; 32] }.sign(&signer);
        assert_eq!(Completion::open(&checkpoint, signer.public_key()), Err(BadNote::Form));
    }
}
