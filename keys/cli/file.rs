//! Files: read within a limit, written for their owner alone, never over another one unless asked to.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its owner alone (0600).
    Secret,
    /// Everybody (0644).
    Public,
}

/// Reads a file of at most `bytes_max` bytes; wiped on drop.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| {
        Failure::new(format!("{shown} cannot be opened ({})", e.kind()), "check the path and its owner")
    })?;
    // Room for all of it from the start, so that the buffer never moves and leaves a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|e| {
        Failure::new(format!("{shown} cannot be read ({})", e.kind()), "check that it is a file and not a folder")
    })?;
    if bytes.len() > bytes_max {
        return Err(Failure::new(format!("{shown} is larger than {bytes_max} bytes"), "name the file that is meant"));
    }
    Ok(bytes)
}

/// Reads a text of at most `bytes_max` bytes; wiped on drop.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<Zeroizing<String>, Failure> {
    let bytes = read(path, bytes_max)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::new(format!("{} is not text", path.display()), "name the file that is meant"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Writes a file that must not exist yet, and makes it durable.
pub(crate) fn create(path: &Path, mode: Mode, bytes: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode.bits()).open(path).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                format!("{shown} exists already and is left as it is"),
                "name another folder, or move the file away",
            ),
            kind => Failure::new(format!("{shown} cannot be written ({kind})"), "check the folder and its owner"),
        })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|e| {
        // Half a file is worse than none.
        let _gone = fs::remove_file(path);
        Failure::new(format!("{shown} cannot be written ({})", e.kind()), "check the space on the disk")
    })
}

/// Puts a file in the place of another in one step: a reader sees the old one or the new one.
pub(crate) fn replace(path: &Path, mode: Mode, bytes: &[u8]) -> Result<(), Failure> {
    let beside = path.with_added_extension("new");
    create(&beside, mode, bytes)?;
    fs::rename(&beside, path).map_err(|e| {
        let _gone = fs::remove_file(&beside);
        Failure::new(format!("{} cannot be replaced ({})", path.display(), e.kind()), "check the folder's owner")
    })
}

/// Refuses to begin where one of the files is there already.
pub(crate) fn refuse_existing<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    match paths.into_iter().find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(Failure::new(
            format!("{} exists already; nothing was written", path.display()),
            "name another folder with --out: existing keys are never written over",
        )),
    }
}

/// Makes a folder for its owner alone, unless it is there.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| {
        Failure::new(format!("the folder {} cannot be made ({})", path.display(), e.kind()), "name another folder")
    })
}

/// Refuses a secret that others may read.
pub(crate) fn owner_only(path: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or_default();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(Failure::new(format!("others than its owner may read or write {shown}"), format!("run chmod 600 {shown}")))
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Mode::Secret => 0o600,
            Mode::Public => 0o644,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_written_over_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, Mode::Secret, b"one").unwrap();
        assert!(create(&path, Mode::Secret, b"two").is_err());
        assert_eq!(read(&path, 3).unwrap().as_slice(), b"one");
        assert!(owner_only(&path).is_ok());
        replace(&path, Mode::Secret, b"three").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_text(&path, 5).unwrap().as_str(), "three");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        create(&path, Mode::Public, &[0; 11]).unwrap();
        assert!(read(&path, 10).is_err());
        assert!(read(&path, 11).is_ok());
        assert!(read(folder.path(), 10).is_err());
        assert!(owner_only(&path).is_err());
    }
}
