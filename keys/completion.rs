//! The signed statement that a rotation left nothing on an older term of a tenant's key.

use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;

use crate::note::{Statement, at, moment};

/// A rotation that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Which key of the tenant.
    pub key: KeyPurpose,
    /// Whose.
    pub tenant: TenantId,
    /// The term that everything is on.
    pub term: u32,
    /// Records that this rotation moved.
    pub moved: u64,
    /// When it was counted that none is left, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// The signed note, six lines and the signature:
///
/// ```text
/// strongroom-completion/1
/// key kek
/// tenant acme
/// term 4: 0 records on older terms
/// moved 120000
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for Completion {
    const HEAD: &'static str = "strongroom-completion/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let key = lines.next()?.strip_prefix("key ")?.parse().ok()?;
        let tenant = lines.next()?.strip_prefix("tenant ")?.parse().ok()?;
        let term = lines.next()?.strip_prefix("term ")?.split_once(':')?.0.parse().ok()?;
        let moved = lines.next()?.strip_prefix("moved ")?.parse().ok()?;
        let at_ms = moment(lines.next()?)?;
        Some(Self { key, tenant, term, moved, at_ms })
    }

    fn text(&self) -> String {
        let Self { key, tenant, term, moved, at_ms } = self;
        let what = match key {
            KeyPurpose::Fingerprint => "cards and 0 secrets",
            KeyPurpose::Session => "sessions",
            _ => "records",
        };
        format!(
            "{}\nkey {key}\ntenant {tenant}\nterm {term}: 0 {what} on older terms\nmoved {moved}\n{}\n",
            Self::HEAD,
            at(*at_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::note::{self, BadNote, Checkpoint};
    use crate::sign::Signer;

    #[test]
    fn a_completion_reads_what_it_writes_and_is_no_checkpoint() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        for key in [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session] {
            let tenant = "acme".parse().unwrap();
            let done = Completion { key, tenant, term: 4, moved: 120_000, at_ms: 1_764_000_000_123 };
            let note = done.sign(&signer);
            assert_eq!(Completion::open(&note, signer.public_key()).unwrap(), done);
            assert_eq!(Checkpoint::open(&note, signer.public_key()), Err(BadNote::Form));
            for (from, to) in [("acme", "emca"), ("0 ", "1 "), ("key ", "key s")] {
                assert_eq!(Completion::open(&note.replace(from, to), signer.public_key()), Err(BadNote::Signature));
            }
        }
        let checkpoint = Checkpoint { size: 1, root: [0; 32] }.sign(&signer);
        assert_eq!(Completion::open(&checkpoint, signer.public_key()), Err(BadNote::Form));
    }

    #[test]
    fn a_signed_text_of_another_form_is_no_completion() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let done = Completion { key: KeyPurpose::Kek, tenant: "acme".parse().unwrap(), term: 4, moved: 1, at_ms: 0 };
        for (from, to) in [("0 records", "9 records"), ("key kek", "key session"), ("term 4", "term 04"), ("/1", "/2")]
        {
            let text = done.text().replace(from, to);
            let opened = Completion::open(&note::sign(&text, &signer), signer.public_key());
            assert_eq!(opened, Err(BadNote::Form), "{text}");
        }
    }
}
