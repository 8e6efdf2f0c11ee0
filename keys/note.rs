//! Signed notes (C2SP signed-note) and the checkpoints of the audit log (C2SP tlog-checkpoint) that are written as such.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::{NodeName, limits};

use crate::Unauthentic;
use crate::sign::{PublicKey, Signer};
use crate::tlog::Hash;

/// What the log promises: so many entries with this root, ever after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Hash,
}

/// Why a note was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// It is not a signed note, or not of the kind expected.
    #[error("this is not a signed note of the form that is expected here")]
    Form,
    /// No line bears the expected key's signature.
    #[error("no signature of the expected key is on it")]
    Unsigned,
    /// A line claims to be the expected key's and is not.
    #[error("the signature is wrong")]
    Signature,
}

/// Something that the vault says in a few lines and signs. The first line names the kind, so that no statement passes for
/// one of another kind, and there is one text for each statement.
pub trait Statement: Sized {
    /// The first line.
    const HEAD: &'static str;

    /// What a text says, whose first line is not looked at; `None` for what has another form.
    fn read(text: &str) -> Option<Self>;

    /// Its lines, the first included.
    fn text(&self) -> String;

    /// The signed note.
    #[must_use]
    fn sign(&self, signer: &Signer) -> String {
        sign(&self.text(), signer)
    }

    /// What a text says whose signature was checked; `None` for one of another kind or form.
    fn said(text: &str) -> Option<Self> {
        // Writing it again leaves one form: no other first line, sign, leading zero or line ending slips through.
        Self::read(text).filter(|read| read.text() == text)
    }

    /// Reads and checks a signed note.
    ///
    /// # Errors
    /// [`BadNote`] for any other form or a wrong signature.
    fn open(note: &str, key: &PublicKey) -> Result<Self, BadNote> {
        Self::said(open(note, key)?).ok_or(BadNote::Form)
    }
}

/// The last line of a statement: `at 2025-11-24T16:00:00.123Z (1764000000123)`.
pub(crate) fn at(at_ms: u64) -> String {
    format!("at {} ({at_ms})", rfc3339_ms(at_ms))
}

/// The number in what [`at`] wrote.
pub(crate) fn moment(line: &str) -> Option<u64> {
    line.split_once('(')?.1.strip_suffix(')')?.parse().ok()
}

impl Checkpoint {
    /// The signed note: `origin \n size \n base64(root) \n\n signature line`, where the origin is the signer's name.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> String {
        sign(&self.text(signer.public_key().name()), signer)
    }

    /// Reads and checks a signed checkpoint of the log that the key speaks for.
    ///
    /// # Errors
    /// [`BadNote`] for any other form, another origin or a wrong signature.
    pub fn open(note: &str, key: &PublicKey) -> Result<Self, BadNote> {
        let text = open(note, key)?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(BadNote::Form);
        };
        let size = size.parse().map_err(|_| BadNote::Form)?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadNote::Form)?;
        let checkpoint = Self { size, root };
        // Writing it again leaves one form for each checkpoint: no sign, leading zero or line ending slips through.
        if origin == key.name() && checkpoint.text(origin) == text { Ok(checkpoint) } else { Err(BadNote::Form) }
    }

    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, STANDARD.encode(self.root))
    }
}

/// The name under which a vault signs: `strongroom/` and the vault's id.
#[must_use]
pub fn origin(vault_id: &str) -> String {
    format!("strongroom/{vault_id}")
}

/// The name under which one of several nodes of a vault signs: the vault's and the node's.
#[must_use]
pub fn node_origin(vault_id: &str, node: &NodeName) -> String {
    format!("{}/{node}", origin(vault_id))
}

/// The names on a note's signature lines, at most as many as a note may have. Nothing is checked.
pub fn names(note: &str) -> impl Iterator<Item = &str> {
    let lines = note.rfind("\n\n").map_or("", |cut| &note[cut + 2..]).lines();
    let names = lines.filter_map(|line| Some(line.strip_prefix(SIGNATURE)?.split_once(' ')?.0));
    names.take(limits::NOTE_SIGNATURES_MAX)
}

/// `text \n "— " name " " base64(key id || signature) \n`. The text must end with a newline and hold no empty line at its
/// end; one is added where the newline is missing.
#[must_use]
pub fn sign(text: &str, signer: &Signer) -> String {
    let text = format!("{}\n", text.trim_end_matches('\n'));
    let mut signature = signer.public_key().key_id().to_vec();
    signature.extend_from_slice(&signer.sign(text.as_bytes()));
    format!("{text}\n{SIGNATURE}{} {}\n", signer.public_key().name(), STANDARD.encode(signature))
}

/// The text of a note on which the key's signature stands. Signatures of other keys are passed over.
///
/// # Errors
/// [`BadNote`] if it is not a note, or the key's signature is missing or wrong.
pub fn open<'a>(note: &'a str, key: &PublicKey) -> Result<&'a str, BadNote> {
    if note.len() > limits::NOTE_BYTES_MAX || note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(BadNote::Form);
    }
    // The last empty line divides the text, which keeps its newline, from the signatures.
    let cut = note.rfind("\n\n").ok_or(BadNote::Form)? + 1;
    let (text, signatures) = (&note[..cut], &note[cut + 1..]);
    let lines = signatures.strip_suffix('\n').ok_or(BadNote::Form)?.split('\n');
    let mut found = false;
    for (number, line) in lines.enumerate() {
        let (name, signature) =
            line.strip_prefix(SIGNATURE).and_then(|rest| rest.split_once(' ')).ok_or(BadNote::Form)?;
        let signature = STANDARD.decode(signature).map_err(|_| BadNote::Form)?;
        let (id, signature) = signature.split_first_chunk::<4>().ok_or(BadNote::Form)?;
        if number >= limits::NOTE_SIGNATURES_MAX {
            return Err(BadNote::Form);
        }
        if name == key.name() && *id == key.key_id() {
            key.verify(text.as_bytes(), signature).map_err(|Unauthentic| BadNote::Signature)?;
            found = true;
        }
    }
    if found { Ok(text) } else { Err(BadNote::Unsigned) }
}

/// An em dash and a space begin a signature line.
const SIGNATURE: &str = "\u{2014} ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn signer(name: &str) -> Signer {
        Signer::new(name, &Key::generate().unwrap()).unwrap()
    }

    #[test]
    fn the_example_of_the_signed_note_specification_opens() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(open(note, &key).unwrap().ends_with("your problem is.\n"));
        assert_eq!(open(&note.replace("answer", "Answer"), &key), Err(BadNote::Signature));
    }

    #[test]
    fn a_checkpoint_reads_what_it_writes() {
        let signer = signer("strongroom/test");
        for size in [0, 1, u64::MAX] {
            let checkpoint = Checkpoint { size, root: [7; 32] };
            assert_eq!(Checkpoint::open(&checkpoint.sign(&signer), signer.public_key()).unwrap(), checkpoint);
        }
    }

    #[test]
    fn a_changed_checkpoint_is_refused() {
        let signer = signer("strongroom/test");
        let note = Checkpoint { size: 12, root: [7; 32] }.sign(&signer);
        let key = signer.public_key();
        assert_eq!(Checkpoint::open(&note.replacen("12", "13", 1), key), Err(BadNote::Signature));
        assert_eq!(Checkpoint::open(&note.replacen("12", "012", 1), key), Err(BadNote::Signature));
        assert_eq!(Checkpoint::open("", key), Err(BadNote::Form));
        assert_eq!(Checkpoint::open(note.trim_end(), key), Err(BadNote::Form));
        assert_eq!(Checkpoint::open(&note.replace('\n', "\r\n"), key), Err(BadNote::Form));
    }

    #[test]
    fn what_was_signed_for_another_use_is_no_checkpoint() {
        let signer = signer("strongroom/test");
        let key = signer.public_key();
        let root = STANDARD.encode([7; 32]);
        for text in [
            format!("another\n12\n{root}\n"),
            format!("strongroom/test\n+12\n{root}\n"),
            format!("strongroom/test\n012\n{root}\n"),
            format!("strongroom/test\n12\n{root}\nmore\n"),
            "strongroom/test\n12\n".to_owned(),
        ] {
            assert_eq!(Checkpoint::open(&sign(&text, &signer), key), Err(BadNote::Form));
        }
    }

    #[test]
    fn another_keys_signature_alone_is_not_enough_and_beside_ours_does_no_harm() {
        let (ours, witness) = (signer("strongroom/test"), signer("witness"));
        let checkpoint = Checkpoint { size: 3, root: [1; 32] };
        let note = checkpoint.sign(&ours);
        assert_eq!(Checkpoint::open(&note, witness.public_key()), Err(BadNote::Unsigned));
        let same_name = signer("strongroom/test");
        assert_eq!(Checkpoint::open(&note, same_name.public_key()), Err(BadNote::Unsigned));
        let theirs = sign(note.split_once("\n\n").unwrap().0, &witness);
        let line = theirs.lines().last().unwrap();
        let both = format!("{note}{line}\n");
        assert_eq!(Checkpoint::open(&both, ours.public_key()).unwrap(), checkpoint);
    }

    #[test]
    fn a_note_over_the_limits_is_refused() {
        let signer = signer("strongroom/test");
        let long = sign(&"a".repeat(limits::NOTE_BYTES_MAX), &signer);
        assert_eq!(open(&long, signer.public_key()), Err(BadNote::Form));
        let note = sign("text", &signer);
        let line = note.lines().last().unwrap();
        let more = |lines: usize| format!("{note}{}", format!("{line}\n").repeat(lines));
        assert!(open(&more(limits::NOTE_SIGNATURES_MAX - 1), signer.public_key()).is_ok());
        assert_eq!(open(&more(limits::NOTE_SIGNATURES_MAX), signer.public_key()), Err(BadNote::Form));
    }
}
