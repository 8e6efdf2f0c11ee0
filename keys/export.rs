//! Exports: cards on their way to another party, encrypted to its public key in the age format (age-encryption.org/v1), and
//! the signed statement of what is in one. The only file that names the `age` crate.

use std::io::{self, Write};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use age::Encryptor;
use age::stream::StreamWriter;
use age::x25519::Recipient;
use sha2::{Digest as _, Sha256};
use strongroom_wire::TenantId;
use strongroom_wire::export::ExportRecipient;
use strongroom_wire::hex::{hex, unhex};
use uuid::Uuid;

use crate::note::{Statement, at, moment};

/// The recipient has the form of a public key and is none: a letter of it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recipient is not an age public key; copy it again")]
pub struct BadRecipient;

/// Nothing was encrypted: there is no randomness, or the stream was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the export cannot be encrypted")]
pub struct ExportFault;

/// Encrypts lines to one recipient, a piece at a time. Plaintext goes in, ciphertext comes out, and neither is written
/// anywhere else.
pub struct Exporter {
    writer: StreamWriter<Sink>,
    sink: Sink,
    digest: Sha256,
}

/// What an export holds, as its last line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportNote {
    /// Which vault.
    pub vault_id: Uuid,
    /// Whose cards; none for those of every tenant.
    pub tenant: Option<TenantId>,
    /// To whom.
    pub recipient: ExportRecipient,
    /// Lines with a card.
    pub cards: u64,
    /// Lines that name a card which could not be opened.
    pub failed: u64,
    /// SHA-256 of all lines before the note, each with its line feed.
    pub sha256: [u8; 32],
    /// When the export ended, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// Whether somebody can read what is encrypted to this recipient: the form alone does not tell.
///
/// # Errors
/// [`BadRecipient`].
pub fn check(recipient: &ExportRecipient) -> Result<(), BadRecipient> {
    Recipient::from_str(recipient.as_str()).map(drop).map_err(|_| BadRecipient)
}

impl Exporter {
    /// Begins a stream; its head can be taken at once.
    ///
    /// # Errors
    /// [`ExportFault`] for a recipient that [`check`] refuses.
    pub fn begin(recipient: &ExportRecipient) -> Result<Self, ExportFault> {
        let to = Recipient::from_str(recipient.as_str()).map_err(|_| ExportFault)?;
        let to: [&dyn age::Recipient; 1] = [&to];
        let encryptor = Encryptor::with_recipients(to.into_iter()).map_err(|_| ExportFault)?;
        let sink = Sink::default();
        let writer = encryptor.wrap_output(sink.clone()).map_err(|_| ExportFault)?;
        Ok(Self { writer, sink, digest: Sha256::new() })
    }

    /// Encrypts a line, which ends in a line feed.
    ///
    /// # Errors
    /// [`ExportFault`].
    pub fn line(&mut self, line: &[u8]) -> Result<(), ExportFault> {
        self.digest.update(line);
        self.writer.write_all(line).map_err(|_| ExportFault)
    }

    /// The ciphertext that is ready: up to 64 KiB of the newest lines stay inside until more come.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.sink.take()
    }

    /// SHA-256 of all lines so far.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Ends the stream; the rest of the ciphertext. Without it what was taken does not decrypt to its end.
    ///
    /// # Errors
    /// [`ExportFault`].
    pub fn finish(self) -> Result<Vec<u8>, ExportFault> {
        self.writer.finish().map_err(|_| ExportFault).map(|sink| sink.take())
    }
}

/// Where the encryptor writes to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The signed note, seven lines and the signature; the tenant of an export of all is `*`:
///
/// ```text
/// strongroom-export/1
/// vault 0198f0c2-a1b2-4c3d-8e4f-5a6b7c8d9e0f
/// tenant acme
/// recipient age1...
/// cards 120000 failed 0
/// sha256 9f86...
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for ExportNote {
    const HEAD: &'static str = "strongroom-export/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let vault_id = lines.next()?.strip_prefix("vault ")?.parse().ok()?;
        let tenant = match lines.next()?.strip_prefix("tenant ")? {
            "*" => None,
            name => Some(name.parse().ok()?),
        };
        let recipient = lines.next()?.strip_prefix("recipient ")?.parse().ok()?;
        let (cards, failed) = lines.next()?.strip_prefix("cards ")?.split_once(" failed ")?;
        let sha256 = unhex(lines.next()?.strip_prefix("sha256 ")?)?;
        let at_ms = moment(lines.next()?)?;
        let (cards, failed) = (cards.parse().ok()?, failed.parse().ok()?);
        Some(Self { vault_id, tenant, recipient, cards, failed, sha256, at_ms })
    }

    fn text(&self) -> String {
        let Self { vault_id, tenant, recipient, cards, failed, sha256, at_ms } = self;
        let tenant = tenant.as_ref().map_or("*", TenantId::as_str);
        format!(
            "{}\nvault {vault_id}\ntenant {tenant}\nrecipient {recipient}\ncards {cards} failed {failed}\nsha256 {}\n{}\n",
            Self::HEAD,
            hex(sha256),
            at(*at_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::Key;
    use crate::sign::Signer;

    fn somebody() -> (age::x25519::Identity, ExportRecipient) {
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string().parse().unwrap();
        (identity, recipient)
    }

    #[test]
    fn the_recipient_alone_reads_what_was_exported() {
        let (identity, recipient) = somebody();
        let mut exporter = Exporter::begin(&recipient).unwrap();
        let mut whole = exporter.take();
        let mut plain = Vec::new();
        for nth in 0..5_000_u32 {
            let line = format!("{{\"line\":{nth},\"filling\":\"somewhat longer than nothing\"}}\n");
            exporter.line(line.as_bytes()).unwrap();
            plain.extend_from_slice(line.as_bytes());
            whole.extend(exporter.take());
        }
        assert!(whole.len() > 100_000, "it comes out while it goes in");
        let sha256 = exporter.sha256();
        let cut = whole.clone();
        whole.extend(exporter.finish().unwrap());
        assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&plain)));
        let read = |bytes: &[u8], who: &age::x25519::Identity| {
            let mut out = Vec::new();
            let mut reader =
                age::Decryptor::new(bytes).ok()?.decrypt(std::iter::once(who as &dyn age::Identity)).ok()?;
            reader.read_to_end(&mut out).ok().map(|_| out)
        };
        assert_eq!(read(&whole, &identity), Some(plain));
        assert_eq!(read(&whole, &somebody().0), None);
        assert_eq!(read(&cut, &identity), None, "one that broke off is noticed");
        assert!(!whole.windows(9).any(|part| part == b"\"filling\""));
    }

    #[test]
    fn a_recipient_with_a_wrong_letter_is_none() {
        let (_, recipient) = somebody();
        assert!(check(&recipient).is_ok());
        let mut wrong = recipient.to_string();
        let last = if wrong.pop() == Some('q') { 'p' } else { 'q' };
        wrong.push(last);
        let wrong: ExportRecipient = wrong.parse().unwrap();
        assert_eq!(check(&wrong), Err(BadRecipient));
        assert!(Exporter::begin(&wrong).is_err());
    }

    #[test]
    fn a_note_reads_as_it_was_signed_and_no_other() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let (_, recipient) = somebody();
        for tenant in [None, Some("acme".parse().unwrap())] {
            let note = ExportNote {
                vault_id: Uuid::from_u128(7),
                tenant,
                recipient: recipient.clone(),
                cards: 12,
                failed: 1,
                sha256: [0xa5; 32],
                at_ms: 1_764_000_000_123,
            };
            let text = note.sign(&signer);
            assert_eq!(ExportNote::open(&text, signer.public_key()).unwrap(), note);
            for (from, to) in [("cards 12", "cards 13"), ("a5a5", "a5a6"), ("failed 1", "failed 0")] {
                assert!(ExportNote::open(&text.replacen(from, to, 1), signer.public_key()).is_err());
            }
        }
    }
}
