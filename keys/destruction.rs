//! The signed statements that a key was destroyed, and that a tenant was shredded.

use strongroom_wire::TenantId;
use strongroom_wire::admin::KeyPurpose;

use crate::note::{Statement, at, moment};

/// A term of a key that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destruction {
    /// What it was for.
    pub purpose: KeyPurpose,
    /// Whose it was; none for the vault's own.
    pub tenant: Option<TenantId>,
    /// Which version.
    pub term: u32,
    /// When it was counted that no record is on it, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// The signed note, four lines and the signature; the tenant of the vault's own keys is `-`:
///
/// ```text
/// strongroom-destruction/1
/// tenant acme
/// kek term 1 destroyed: 0 records on it or on older terms
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for Destruction {
    const HEAD: &'static str = "strongroom-destruction/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let tenant = match lines.next()?.strip_prefix("tenant ")? {
            "-" => None,
            name => Some(name.parse().ok()?),
        };
        let (purpose, rest) = lines.next()?.split_once(" term ")?;
        let term = rest.split_once(' ')?.0.parse().ok()?;
        Some(Self { purpose: purpose.parse().ok()?, tenant, term, at_ms: moment(lines.next()?)? })
    }

    fn text(&self) -> String {
        let tenant = self.tenant.as_ref().map_or("-", TenantId::as_str);
        format!(
            "{}\ntenant {tenant}\n{} term {} destroyed: 0 records on it or on older terms\n{}\n",
            Self::HEAD,
            self.purpose,
            self.term,
            at(self.at_ms)
        )
    }
}

/// A tenant whose keys are gone, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shredding {
    /// Whose.
    pub tenant: TenantId,
    /// Terms of keys that were destroyed.
    pub keys: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// The signed note, four lines and the signature:
///
/// ```text
/// strongroom-shredding/1
/// tenant acme
/// keys destroyed 4
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for Shredding {
    const HEAD: &'static str = "strongroom-shredding/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let tenant = lines.next()?.strip_prefix("tenant ")?.parse().ok()?;
        let keys = lines.next()?.strip_prefix("keys destroyed ")?.parse().ok()?;
        Some(Self { tenant, keys, at_ms: moment(lines.next()?)? })
    }

    fn text(&self) -> String {
        let Self { tenant, keys, at_ms } = self;
        format!("{}\ntenant {tenant}\nkeys destroyed {keys}\n{}\n", Self::HEAD, at(*at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::Completion;
    use crate::key::Key;
    use crate::note::BadNote;
    use crate::sign::Signer;

    fn signer() -> Signer {
        Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_destruction_reads_what_it_writes_and_is_nothing_else() {
        let signer = signer();
        for (purpose, tenant) in [(KeyPurpose::Kek, Some("acme".parse().unwrap())), (KeyPurpose::Sign, None)] {
            let gone = Destruction { purpose, tenant, term: 3, at_ms: 1_764_000_000_123 };
            let note = gone.sign(&signer);
            assert_eq!(Destruction::open(&note, signer.public_key()).unwrap(), gone);
            assert_eq!(Shredding::open(&note, signer.public_key()), Err(BadNote::Form));
            assert_eq!(Completion::open(&note, signer.public_key()), Err(BadNote::Form));
            let later = note.replace("term 3", "term 4");
            assert_eq!(Destruction::open(&later, signer.public_key()), Err(BadNote::Signature));
        }
    }

    #[test]
    fn a_shredding_reads_what_it_writes_and_is_nothing_else() {
        let signer = signer();
        let gone = Shredding { tenant: "acme".parse().unwrap(), keys: 4, at_ms: 1_764_000_000_123 };
        let note = gone.sign(&signer);
        assert_eq!(Shredding::open(&note, signer.public_key()).unwrap(), gone);
        assert_eq!(Destruction::open(&note, signer.public_key()), Err(BadNote::Form));
        assert_eq!(Shredding::open(&note.replace("acme", "emca"), signer.public_key()), Err(BadNote::Signature));
    }
}
