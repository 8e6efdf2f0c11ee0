//! Epoch keys on their way between the nodes of a vault. A CVC that one node sealed opens on another; the key for that lives in
//! memory alone, and so do the mailbox keys that it is sealed to on its way. What lies in the store meanwhile opens with nothing
//! that was ever written down (PCI DSS 3.3): neither with the Root nor with any key that the Root wraps.
//!
//! Both statements are signed by a node, so that whoever writes to the database neither has an epoch key sealed to a mailbox of
//! his own nor hands a node a key that he knows. HPKE is the suite of [`crate::intake`] with another `info`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use crate::intake::{self, IntakeKey, PUBLIC_BYTES};
use crate::key::{EpochRole, KEY_BYTES, Key, NoRandomness};
use crate::note::{Statement, at, moment};
use crate::{Unauthentic, aead::TAG};

/// A key pair that epoch keys are sealed to, in memory alone. Wiped on drop.
pub struct Mailbox(IntakeKey);

/// The statement of a node that its mailbox has this public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxKey {
    /// Of which vault.
    pub vault_id: Uuid,
    /// The public half.
    pub key: [u8; PUBLIC_BYTES],
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

/// The statement of a node that this is the key of an epoch, sealed for one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochGrant {
    /// Of which vault.
    pub vault_id: Uuid,
    /// Which epoch.
    pub epoch: u32,
    /// The mailbox that it is for.
    pub to: [u8; PUBLIC_BYTES],
    enc: [u8; PUBLIC_BYTES],
    sealed: [u8; SEALED_BYTES],
    /// When the epoch began, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
}

impl Mailbox {
    /// A fresh one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(IntakeKey::new(&Key::generate()?)))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_BYTES] {
        self.0.public_key()
    }
}

impl EpochGrant {
    /// Seals the key of an epoch for a mailbox.
    ///
    /// # Errors
    /// [`Unauthentic`] if the mailbox is not a public key that a secret can be agreed on with.
    pub fn seal(
        vault_id: Uuid,
        (epoch, at_ms): (u32, u64),
        key: &Key<EpochRole>,
        to: &[u8; PUBLIC_BYTES],
    ) -> Result<Self, Unauthentic> {
        let (enc, sealed) = intake::seal(to, &info(vault_id, epoch, at_ms, to), key.bytes())?;
        let sealed = sealed.try_into().map_err(|_| Unauthentic)?;
        Ok(Self { vault_id, epoch, to: *to, enc, sealed, at_ms })
    }

    /// Opens it with the mailbox that it is for.
    ///
    /// # Errors
    /// [`Unauthentic`] for any other, and for a grant that was changed.
    pub fn open_in(&self, mailbox: &Mailbox) -> Result<Key<EpochRole>, Unauthentic> {
        let Self { vault_id, epoch, to, enc, sealed, at_ms } = self;
        let opened = mailbox.0.open(&info(*vault_id, *epoch, *at_ms, to), enc, sealed)?;
        Key::try_init_with(|bytes| {
            bytes.copy_from_slice(opened.first_chunk::<KEY_BYTES>().ok_or(Unauthentic)?);
            Ok(())
        })
    }
}

/// The signed note, four lines and the signature:
///
/// ```text
/// strongroom-mailbox/1
/// vault 0198c0de-...
/// key 3p7b...=
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for MailboxKey {
    const HEAD: &'static str = "strongroom-mailbox/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let vault_id = lines.next()?.strip_prefix("vault ")?.parse().ok()?;
        let key = bytes(lines.next()?.strip_prefix("key ")?)?;
        let at_ms = moment(lines.next()?)?;
        Some(Self { vault_id, key, at_ms })
    }

    fn text(&self) -> String {
        let Self { vault_id, key, at_ms } = self;
        format!("{}\nvault {vault_id}\nkey {}\n{}\n", Self::HEAD, BASE64_STANDARD.encode(key), at(*at_ms))
    }
}

/// The signed note, seven lines and the signature:
///
/// ```text
/// strongroom-epoch/1
/// vault 0198c0de-...
/// epoch 123456
/// to 3p7b...=
/// enc pv3q...=
/// sealed 6yG1...=
/// at 2025-11-24T16:00:00.123Z (1764000000123)
/// ```
impl Statement for EpochGrant {
    const HEAD: &'static str = "strongroom-epoch/1";

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let vault_id = lines.next()?.strip_prefix("vault ")?.parse().ok()?;
        let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
        let to = bytes(lines.next()?.strip_prefix("to ")?)?;
        let enc = bytes(lines.next()?.strip_prefix("enc ")?)?;
        let sealed = bytes(lines.next()?.strip_prefix("sealed ")?)?;
        let at_ms = moment(lines.next()?)?;
        Some(Self { vault_id, epoch, to, enc, sealed, at_ms })
    }

    fn text(&self) -> String {
        let Self { vault_id, epoch, to, enc, sealed, at_ms } = self;
        let [to, enc] = [to, enc].map(|bytes| BASE64_STANDARD.encode(bytes));
        let sealed = BASE64_STANDARD.encode(sealed);
        format!(
            "{}\nvault {vault_id}\nepoch {epoch}\nto {to}\nenc {enc}\nsealed {sealed}\n{}\n",
            Self::HEAD,
            at(*at_ms)
        )
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

/// What the sealing is bound to, besides the signature.
fn info(vault_id: Uuid, epoch: u32, at_ms: u64, to: &[u8; PUBLIC_BYTES]) -> String {
    format!("strongroom epoch v1\n{vault_id}\n{epoch}\n{at_ms}\n{}", BASE64_STANDARD.encode(to))
}

const SEALED_BYTES: usize = KEY_BYTES + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{self, BadNote, Checkpoint};
    use crate::sign::Signer;

    fn vault() -> Uuid {
        Uuid::from_u128(7)
    }

    #[test]
    fn an_epoch_key_opens_in_its_own_mailbox_and_place_alone() {
        let (mailbox, other) = (Mailbox::generate().unwrap(), Mailbox::generate().unwrap());
        let key = Key::generate().unwrap();
        let grant = EpochGrant::seal(vault(), (5, 1_000), &key, mailbox.public_key()).unwrap();
        assert_eq!(grant.open_in(&mailbox).unwrap().bytes(), key.bytes());
        assert!(grant.open_in(&other).is_err());
        let mut cut = grant.sealed;
        cut[47] ^= 1;
        for wrong in [
            EpochGrant { vault_id: Uuid::from_u128(8), ..grant.clone() },
            EpochGrant { epoch: 6, ..grant.clone() },
            EpochGrant { at_ms: 1_001, ..grant.clone() },
            EpochGrant { to: *other.public_key(), ..grant.clone() },
            EpochGrant { enc: *mailbox.public_key(), ..grant.clone() },
            EpochGrant { sealed: cut, ..grant.clone() },
        ] {
            assert!(wrong.open_in(&mailbox).is_err(), "{wrong:?}");
        }
        assert!(EpochGrant::seal(vault(), (5, 1_000), &key, &[0; 32]).is_err());
    }

    #[test]
    fn what_is_on_its_way_holds_no_key() {
        let mailbox = Mailbox::generate().unwrap();
        let key = Key::generate().unwrap();
        let grant = EpochGrant::seal(vault(), (5, 1_000), &key, mailbox.public_key()).unwrap();
        let again = EpochGrant::seal(vault(), (5, 1_000), &key, mailbox.public_key()).unwrap();
        assert!(grant.enc != again.enc && grant.sealed != again.sealed);
        assert!(!grant.sealed.windows(8).any(|part| key.bytes().windows(8).any(|of| of == part)));
    }

    #[test]
    fn both_statements_read_what_they_write_and_pass_for_nothing_else() {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let public = signer.public_key();
        let mailbox = Mailbox::generate().unwrap();
        let said = MailboxKey { vault_id: vault(), key: *mailbox.public_key(), at_ms: 1_764_000_000_123 };
        let grant = EpochGrant::seal(vault(), (u32::MAX, 9), &Key::generate().unwrap(), mailbox.public_key()).unwrap();
        let (one, two) = (said.sign(&signer), grant.sign(&signer));
        assert_eq!(MailboxKey::open(&one, public), Ok(said.clone()));
        assert_eq!(EpochGrant::open(&two, public), Ok(grant));
        assert_eq!(MailboxKey::open(&two, public), Err(BadNote::Form));
        assert_eq!(EpochGrant::open(&one, public), Err(BadNote::Form));
        assert_eq!(Checkpoint::open(&one, public), Err(BadNote::Form));
        assert_eq!(MailboxKey::open(&one.replace("at 2025", "at 2026"), public), Err(BadNote::Signature));
        let odd = said.text().replace("=\nat", "\nat");
        assert_eq!(MailboxKey::open(&note::sign(&odd, &signer), public), Err(BadNote::Form));
    }
}
