//! The Sign keys of one log, one after the other. Each is named by the one before it in a handover, so that whoever trusts
//! the first can follow to the newest without asking anybody.

use crate::note::{self, BadNote, Checkpoint, Statement, at, moment};
use crate::sign::PublicKey;

/// The statement of a Sign key that another takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The term of the new key; the one that signs the statement is the term before.
    pub term: u32,
    /// The new key.
    pub key: PublicKey,
    /// Checkpoints over more entries than this are signed by the new key, others by the old one.
    pub from_entry: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// Public keys of a log with the number of entries over which each begins to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage(Vec<(PublicKey, u64)>);

/// The note, signed by the key that goes, five lines and the signature:
///
/// ```text
/// strongroom-handover/1
/// term 2
/// key strongroom/0198...+c74f20a3+ARpc2Q...
/// from entry 1234
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for Handover {
    const HEAD: &'static str = "strongroom-handover/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let term = lines.next()?.strip_prefix("term ")?.parse().ok()?;
        let key = lines.next()?.strip_prefix("key ")?.parse().ok()?;
        let from_entry = lines.next()?.strip_prefix("from entry ")?.parse().ok()?;
        let at_ms = moment(lines.next()?)?;
        Some(Self { term, key, from_entry, at_ms })
    }

    fn text(&self) -> String {
        let Self { term, key, from_entry, at_ms } = self;
        format!("{}\nterm {term}\nkey {key}\nfrom entry {from_entry}\n{}\n", Self::HEAD, at(*at_ms))
    }

    /// Reads and checks the handover that `old` signed.
    ///
    /// # Errors
    /// [`BadNote`] for any other form, a key of another log, or a wrong signature.
    fn open(text: &str, old: &PublicKey) -> Result<Self, BadNote> {
        let text = note::open(text, old)?;
        let read = Self::read(text).filter(|read| read.text() == text && read.key.name() == old.name());
        read.ok_or(BadNote::Form)
    }
}

impl Lineage {
    /// A log whose first key is this one.
    #[must_use]
    pub fn of(first: PublicKey) -> Self {
        Self(vec![(first, 0)])
    }

    /// The lines that `GET /v1/audit/public-key` answers: a key each, and ` from entry N` behind all but the first.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut lineage = Self::of(lines.next()?.parse().ok()?);
        for line in lines {
            let (key, from) = line.split_once(" from entry ")?;
            lineage = lineage.with(key.parse().ok()?, from.parse().ok()?)?;
        }
        Some(lineage)
    }

    /// See [`Lineage::parse`].
    #[must_use]
    pub fn text(&self) -> String {
        let line = |(key, from): &(PublicKey, u64)| match from {
            0 => format!("{key}\n"),
            from => format!("{key} from entry {from}\n"),
        };
        self.0.iter().map(line).collect()
    }

    /// With one more key, of the same log and from a later entry on; none if it is not.
    #[must_use]
    pub fn with(mut self, key: PublicKey, from_entry: u64) -> Option<Self> {
        let (newest, from) = self.0.last()?;
        if key.name() != newest.name() || from_entry <= *from {
            return None;
        }
        self.0.push((key, from_entry));
        Some(self)
    }

    /// With the key that a handover names, if the newest key signed it. A handover of a step that was taken already changes
    /// nothing.
    ///
    /// # Errors
    /// [`BadNote`] if it is not the next step of this log.
    pub fn follow(self, handover: &str) -> Result<Self, BadNote> {
        for pair in self.0.windows(2) {
            if Handover::open(handover, &pair[0].0).is_ok_and(|known| (known.key, known.from_entry) == pair[1]) {
                return Ok(self);
            }
        }
        let next = Handover::open(handover, self.newest())?;
        self.with(next.key, next.from_entry).ok_or(BadNote::Form)
    }

    /// The key that signs now.
    #[must_use]
    pub fn newest(&self) -> &PublicKey {
        &self.0[self.0.len() - 1].0
    }

    /// Every key with the entry from which it counts.
    #[must_use]
    pub fn keys(&self) -> &[(PublicKey, u64)] {
        &self.0
    }

    /// Reads and checks a signed checkpoint: by the one key that counts for its size, so that a key that was let go signs
    /// nothing that came after it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self, checkpoint: &str) -> Result<Checkpoint, BadNote> {
        let mut refused = BadNote::Unsigned;
        for (place, (key, from)) in self.0.iter().enumerate() {
            let until = self.0.get(place + 1).map_or(u64::MAX, |(_, next)| *next);
            match Checkpoint::open(checkpoint, key) {
                Ok(signed) if (*from == 0 || signed.size > *from) && signed.size <= until => return Ok(signed),
                Ok(_) | Err(BadNote::Unsigned) => {}
                Err(worse) => refused = worse,
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::sign::Signer;

    fn signer() -> Signer {
        Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()
    }

    fn handover(to: &Signer, term: u32, from_entry: u64) -> Handover {
        Handover { term, key: to.public_key().clone(), from_entry, at_ms: 1_764_000_000_123 }
    }

    #[test]
    fn a_handover_reads_what_it_writes_and_is_the_old_key_s_alone() {
        let (old, new) = (signer(), signer());
        let step = handover(&new, 2, 10);
        let note = step.sign(&old);
        assert_eq!(Handover::open(&note, old.public_key()).unwrap(), step);
        assert_eq!(Handover::open(&note, new.public_key()), Err(BadNote::Unsigned));
        assert_eq!(Handover::open(&note.replace("entry 10", "entry 11"), old.public_key()), Err(BadNote::Signature));
        assert_eq!(Checkpoint::open(&note, old.public_key()), Err(BadNote::Form));
        let stranger = Signer::new("strongroom/other", &Key::generate().unwrap()).unwrap();
        let foreign = handover(&stranger, 2, 10).sign(&old);
        assert_eq!(Handover::open(&foreign, old.public_key()), Err(BadNote::Form));
    }

    #[test]
    fn each_key_counts_for_its_own_stretch_alone() {
        let (one, two, three) = (signer(), signer(), signer());
        let first = Lineage::of(one.public_key().clone());
        let all = first.clone().follow(&handover(&two, 2, 10).sign(&one)).unwrap();
        let all = all.follow(&handover(&three, 3, 20).sign(&two)).unwrap();
        let at = |size| Checkpoint { size, root: [7; 32] };
        for (signer, good, bad) in [(&one, [0, 10], [11, 25]), (&two, [11, 20], [10, 21]), (&three, [21, 90], [20, 0])]
        {
            for size in good {
                assert_eq!(all.open(&at(size).sign(signer)), Ok(at(size)), "size {size}");
            }
            for size in bad {
                assert!(all.open(&at(size).sign(signer)).is_err(), "size {size}");
            }
        }
        assert_eq!(first.open(&at(90).sign(&one)), Ok(at(90)));
        assert_eq!(first.open(&at(90).sign(&two)), Err(BadNote::Unsigned));
        assert_eq!(all.open(&at(90).sign(&three).replace("90", "91")), Err(BadNote::Signature));
        assert_eq!(all.newest(), three.public_key());
    }

    #[test]
    fn steps_are_taken_in_order_and_each_once() {
        let (one, two, three) = (signer(), signer(), signer());
        let (second, third) = (handover(&two, 2, 10).sign(&one), handover(&three, 3, 20).sign(&two));
        let first = Lineage::of(one.public_key().clone());
        assert_eq!(first.clone().follow(&third), Err(BadNote::Unsigned));
        let all = first.clone().follow(&second).unwrap().follow(&third).unwrap();
        assert_eq!(all.clone().follow(&second).unwrap(), all);
        // A key that was let go names nobody else.
        assert!(all.clone().follow(&handover(&signer(), 4, 30).sign(&two)).is_err());
        assert!(all.clone().follow(&handover(&signer(), 4, 20).sign(&three)).is_err());
        assert_eq!(Lineage::parse(&all.text()).unwrap(), all);
        assert_eq!(Lineage::parse(&first.text()).unwrap(), first);
        assert_eq!(first.text(), format!("{}\n", one.public_key()));
        for bad in ["", "x", &format!("{}\n{}\n", one.public_key(), two.public_key())] {
            assert!(Lineage::parse(bad).is_none(), "{bad}");
        }
    }
}
