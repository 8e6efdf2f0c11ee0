//! A Root in a file, for development on loopback alone: whoever reads the file reads every card.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_wire::admin::RootKind;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Descriptor, Root, fresh_vault_id};
use crate::Unauthentic;
use crate::aead::Cipher;
use crate::key::{Key, NoRandomness, RootRole};

/// Why a development Root was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DevRootError {
    /// The file cannot be read.
    #[error("the development root key cannot be read; check its path and owner")]
    Unreadable,
    /// Others may read or write the file.
    #[error("others than its owner may read or write the development root key; run chmod 600 on it")]
    Mode,
    /// The file has another form.
    #[error("the file is not a development root key as `vaultctl init --dev` writes it")]
    Form,
    /// The descriptor is one of custodians.
    #[error("root.json belongs to custodians; a development root key cannot open this vault")]
    NotDev,
    /// The key is another vault's.
    #[error("the development root key does not belong to this root.json")]
    Wrong,
}

/// Makes a Root for a new vault and its file's text: a warning and the key in base64.
///
/// # Errors
/// [`NoRandomness`].
pub fn make() -> Result<(Zeroizing<String>, Descriptor), NoRandomness> {
    make_for(fresh_vault_id()?)
}

/// The same for a vault that is there already and shall get another Root.
///
/// # Errors
/// As [`make`].
pub fn make_for(vault_id: Uuid) -> Result<(Zeroizing<String>, Descriptor), NoRandomness> {
    let root = Key::<RootRole>::generate()?;
    let descriptor = Descriptor::dev(vault_id, &Cipher::new(&root))?;
    let mut key = Zeroizing::new([0u8; 44]);
    // 32 bytes are always 44 characters.
    let written = STANDARD.encode_slice(root.bytes(), &mut key[..]).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(HEADER.len() + 64));
    text.push_str(HEADER);
    text.push('\n');
    text.push_str(std::str::from_utf8(&key[..written]).unwrap_or_default());
    text.push('\n');
    Ok((text, descriptor))
}

/// Reads the file, which only its owner may read (mode 0600), and checks it against the descriptor.
///
/// # Errors
/// [`DevRootError`], each with what to do.
pub fn read(path: &Path, descriptor: &Descriptor) -> Result<Root, DevRootError> {
    let file = File::open(path).map_err(|_| DevRootError::Unreadable)?;
    // Of the open file, so that nobody can exchange it between check and use.
    let mode = file.metadata().map_err(|_| DevRootError::Unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(DevRootError::Mode);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(|_| DevRootError::Unreadable)?;
    parse(&text, descriptor)
}

pub(super) fn parse(text: &[u8], descriptor: &Descriptor) -> Result<Root, DevRootError> {
    if descriptor.kind() != RootKind::Dev {
        return Err(DevRootError::NotDev);
    }
    let key = text
        .strip_prefix(HEADER.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"\n"))
        .and_then(|rest| rest.strip_suffix(b"\n"))
        .ok_or(DevRootError::Form)?;
    let key = Key::<RootRole>::try_init_with(|bytes| {
        let mut room = Zeroizing::new([0; 33]);
        let length = STANDARD.decode_slice(key, &mut room[..]).map_err(|_| DevRootError::Form)?;
        if length != bytes.len() {
            return Err(DevRootError::Form);
        }
        bytes.copy_from_slice(&room[..length]);
        Ok(())
    })?;
    Root::check(&key, descriptor).map_err(|Unauthentic| DevRootError::Wrong)
}

const HEADER: &str =
    "# Strongroom DEVELOPMENT root key. Whoever reads this file reads every card. Never use it with real cards.";
const FILE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::root::found;

    #[test]
    fn only_the_right_file_of_the_right_mode_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev-root.key");
        let (text, descriptor) = make().unwrap();
        assert_eq!(read(&path, &descriptor).err(), Some(DevRootError::Unreadable));
        fs::write(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path, &descriptor).err(), Some(DevRootError::Mode));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path, &descriptor).is_ok());
        let (_, foreign) = make().unwrap();
        assert_eq!(read(&path, &foreign).err(), Some(DevRootError::Wrong));
        let (of_custodians, _) = found(3, 2).unwrap();
        assert_eq!(read(&path, &of_custodians).err(), Some(DevRootError::NotDev));
    }

    #[test]
    fn a_file_without_the_warning_or_of_another_length_is_refused() {
        let (text, descriptor) = make().unwrap();
        let key = text.lines().last().unwrap();
        for bad in ["".to_owned(), format!("{key}\n"), text.trim_end().to_owned(), format!("{HEADER}\nAAAA\n")] {
            assert_eq!(parse(bad.as_bytes(), &descriptor).err(), Some(DevRootError::Form));
        }
        assert_eq!(parse(&[b'#'; 513], &descriptor).err(), Some(DevRootError::Form));
    }
}
