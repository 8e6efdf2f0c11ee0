//! A share at rest: the file that one custodian keeps, sealed under that custodian's passphrase.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use strongroom_wire::limits;
use uuid::Uuid;

use super::{Hardness, Passphrase, Share, ShareError};
use crate::Unauthentic;
use crate::aead::Cipher;
use crate::context::{Context, Purpose};
use crate::key::NoRandomness;

/// A sealed share. Everything but the ciphertext is readable, and all of it is bound: a changed header does not open.
pub struct SealedShare {
    file: File,
    salt: [u8; SALT],
    sealed: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    vault_id: Uuid,
    index: u8,
    custodian: String,
    argon2id: Hardness,
    salt: String,
    sealed: String,
}

impl SealedShare {
    /// Seals a share under `Argon2id(passphrase, fresh salt)`.
    ///
    /// # Errors
    /// [`ShareError`] for a bad custodian's name or hardness, or without randomness.
    pub fn seal(
        share: &Share,
        custodian: &str,
        passphrase: &Passphrase,
        hardness: Hardness,
    ) -> Result<Self, ShareError> {
        if !custodian_is_sound(custodian) {
            return Err(ShareError::Custodian);
        }
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| NoRandomness)?;
        let mut file = File {
            format: FORMAT,
            vault_id: share.vault_id(),
            index: share.index(),
            custodian: custodian.to_owned(),
            argon2id: hardness,
            salt: STANDARD.encode(salt),
            sealed: String::new(),
        };
        let key = Cipher::new(&passphrase.derive(&salt, hardness)?);
        let header = header(&file, &salt);
        let sealed = key.seal(&place(&header), share.bytes())?;
        file.sealed = STANDARD.encode(&sealed);
        Ok(Self { file, salt, sealed })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ShareError::File`] if it is not a sealed share; [`ShareError::Hardness`] if its key derivation is outside of the
    /// limits.
    pub fn parse(json: &[u8]) -> Result<Self, ShareError> {
        if json.len() > limits::SHARE_FILE_BYTES_MAX {
            return Err(ShareError::File);
        }
        let file: File = serde_json::from_slice(json).map_err(|_| ShareError::File)?;
        let salt = STANDARD.decode(&file.salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(ShareError::File)?;
        let sealed = STANDARD.decode(&file.sealed).map_err(|_| ShareError::File)?;
        let sound = file.format == FORMAT
            && (1..=limits::SHARES_MAX).contains(&file.index)
            && custodian_is_sound(&file.custodian)
            && sealed.len() == SEALED;
        match (sound, file.argon2id.is_allowed()) {
            (true, true) => Ok(Self { file, salt, sealed }),
            (true, false) => Err(ShareError::Hardness),
            (false, _) => Err(ShareError::File),
        }
    }

    /// The file's text: JSON, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of numbers and texts always has a JSON form.
        serde_json::to_string_pretty(&self.file).map(|json| json + "\n").unwrap_or_default()
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ShareError::Closed`] for a wrong passphrase or a changed file, which look the same.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Share, ShareError> {
        let key = Cipher::new(&passphrase.derive(&self.salt, self.file.argon2id)?);
        let header = header(&self.file, &self.salt);
        let opened = key.open(&place(&header), &self.sealed).map_err(|Unauthentic| ShareError::Closed)?;
        Share::try_init_with(self.file.vault_id, self.file.index, |bytes| {
            if opened.len() != bytes.len() {
                return Err(ShareError::Closed);
            }
            bytes.copy_from_slice(&opened);
            Ok(())
        })
    }

    /// Whose.
    #[must_use]
    pub fn custodian(&self) -> &str {
        &self.file.custodian
    }

    /// Which share, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.file.index
    }

    /// Which vault's.
    #[must_use]
    pub fn vault_id(&self) -> Uuid {
        self.file.vault_id
    }
}

/// Whether a custodian's name may stand in a share.
#[must_use]
pub fn custodian_is_sound(name: &str) -> bool {
    (1..=limits::CUSTODIAN_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// Everything readable, in one unmistakable line of bytes: the name, which alone varies in length, stands last.
fn header(file: &File, salt: &[u8; SALT]) -> Vec<u8> {
    let Hardness { memory_kib, passes, lanes } = file.argon2id;
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&file.format.to_be_bytes());
    out.extend_from_slice(file.vault_id.as_bytes());
    out.push(file.index);
    for number in [memory_kib, passes, lanes] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(salt);
    out.extend_from_slice(file.custodian.as_bytes());
    out
}

fn place(header: &[u8]) -> Context<'_> {
    Context { tenant: "", record: header, purpose: Purpose::Share }
}

const FORMAT: u32 = 1;
const SALT: usize = 16;
const SEALED: usize = crate::aead::WRAPPED_KEY;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::key::Key;
    use crate::share::deal;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    #[test]
    fn a_file_over_its_size_is_no_share() {
        let (_, sealed) = sealed();
        let mut json = sealed.to_json().into_bytes();
        json.resize(limits::SHARE_FILE_BYTES_MAX, b' ');
        assert!(SealedShare::parse(&json).is_ok());
        json.push(b' ');
        assert!(matches!(SealedShare::parse(&json), Err(ShareError::File)));
    }

    fn sealed() -> (Share, SealedShare) {
        let share = deal(&Key::generate().unwrap(), Uuid::from_u128(7), 3, 2).unwrap().remove(1);
        let sealed = SealedShare::seal(&share, "Ada", &passphrase("correct horse battery"), Hardness::FLOOR).unwrap();
        (share, sealed)
    }

    #[test]
    fn a_share_opens_with_its_passphrase_alone() {
        let (share, sealed) = sealed();
        let read = SealedShare::parse(sealed.to_json().as_bytes()).unwrap();
        assert_eq!((read.custodian(), read.index(), read.vault_id()), ("Ada", 2, Uuid::from_u128(7)));
        let opened = read.open(&passphrase("correct horse battery")).unwrap();
        assert!(opened.bytes() == share.bytes() && opened.commitment() == share.commitment());
        assert_eq!(read.open(&passphrase("Correct horse battery")).err(), Some(ShareError::Closed));
    }

    #[test]
    fn the_file_does_not_hold_the_share() {
        let (share, sealed) = sealed();
        assert!(!sealed.to_json().contains(&STANDARD.encode(share.bytes())));
        assert!(!sealed.sealed.windows(8).any(|window| window == &share.bytes()[..8]));
    }

    #[test]
    fn a_changed_header_does_not_open() {
        let (_, sealed) = sealed();
        let json = sealed.to_json();
        for (from, to) in [
            ("\"index\": 2", "\"index\": 1"),
            ("\"Ada\"", "\"Eve\""),
            ("\"passes\": 3", "\"passes\": 4"),
            ("-000000000007", "-000000000008"),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json);
            let changed = SealedShare::parse(changed.as_bytes()).unwrap();
            assert_eq!(changed.open(&passphrase("correct horse battery")).err(), Some(ShareError::Closed));
        }
    }

    #[test]
    fn a_forged_file_is_refused_before_any_work() {
        let (_, sealed) = sealed();
        let json = sealed.to_json();
        let refused = |from: &str, to: &str| {
            let changed = json.replace(from, to);
            assert_ne!(changed, json);
            SealedShare::parse(changed.as_bytes()).err()
        };
        assert_eq!(refused("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"), Some(ShareError::Hardness));
        assert_eq!(refused("\"memory_kib\": 65536", "\"memory_kib\": 8"), Some(ShareError::Hardness));
        assert_eq!(refused("\"passes\": 3", "\"passes\": 1"), Some(ShareError::Hardness));
        assert_eq!(refused("\"format\": 1", "\"format\": 2"), Some(ShareError::File));
        assert_eq!(refused("\"index\": 2", "\"index\": 0"), Some(ShareError::File));
        assert_eq!(refused("\"format\": 1", "\"extra\": 1, \"format\": 1"), Some(ShareError::File));
        assert_eq!(refused("\"Ada\"", "\"A\\u001bda\""), Some(ShareError::File));
        assert_eq!(SealedShare::parse(&[b' '; 5000]).err(), Some(ShareError::File));
        assert_eq!(SealedShare::parse(b"").err(), Some(ShareError::File));
    }

    #[test]
    fn a_custodians_name_over_the_limit_or_with_control_characters_is_refused() {
        let share = deal(&Key::generate().unwrap(), Uuid::from_u128(7), 3, 2).unwrap().remove(0);
        for name in ["", "A\nda", &"ü".repeat(limits::CUSTODIAN_CHARS_MAX + 1)] {
            let refused = SealedShare::seal(&share, name, &passphrase("correct horse battery"), Hardness::FLOOR);
            assert_eq!(refused.err(), Some(ShareError::Custodian));
        }
        assert!(custodian_is_sound(&"ü".repeat(limits::CUSTODIAN_CHARS_MAX)));
    }
}
