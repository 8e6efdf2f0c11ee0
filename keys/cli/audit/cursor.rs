//! The cursor: how far a log was handed on, and the tree over all of it, so that a log that was written anew is noticed.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use strongroom_keys::tlog::{Frontier, Hash};
use strongroom_wire::limits;

use crate::failure::Failure;
use crate::file::{self, Mode};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// The log's name.
    origin: String,
    /// Entries that were handed on.
    size: u64,
    /// Roots of the complete subtrees over them, largest first, base64.
    peaks: Vec<String>,
}

/// The tree that a cursor file holds; an empty one if there is no such file.
pub(super) fn read(path: &Path, origin: &str) -> Result<Frontier, Failure> {
    if !path.exists() {
        return Ok(Frontier::new());
    }
    let shown = path.display();
    let text = file::read_text(path, limits::NOTE_BYTES_MAX)?;
    let odd = || {
        Failure::new(
            format!("{shown} is not a cursor of this log"),
            "name the cursor file of this vault, or another name to begin with the first entry",
        )
    };
    let cursor: Cursor = serde_json::from_str(&text).map_err(|_| odd())?;
    if cursor.origin != origin {
        return Err(odd());
    }
    let peaks = cursor.peaks.iter().map(|peak| STANDARD.decode(peak).ok()?.try_into().ok());
    let peaks: Vec<Hash> = peaks.collect::<Option<_>>().ok_or_else(odd)?;
    Frontier::from_peaks(cursor.size, peaks).map_err(|_| odd())
}

/// Puts another one in its place, in one step.
pub(super) fn write(path: &Path, origin: &str, tree: &Frontier) -> Result<(), Failure> {
    // A half-written one of a process that was killed.
    let _gone = fs::remove_file(path.with_added_extension("new"));
    let peaks = tree.peaks().iter().map(|peak| STANDARD.encode(peak)).collect();
    let cursor = Cursor { origin: origin.to_owned(), size: tree.size(), peaks };
    // A struct of texts and numbers always has a JSON form.
    file::replace(path, Mode::Public, &serde_json::to_vec(&cursor).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote_and_belongs_to_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let mut tree = Frontier::new();
        assert_eq!(read(&path, "strongroom/a").unwrap(), tree);
        for n in 0..11u8 {
            tree.push([n; 32]);
        }
        // What a process that was killed left half written is in nobody's way.
        fs::write(folder.path().join("cursor.new"), b"{").unwrap();
        write(&path, "strongroom/a", &tree).unwrap();
        assert_eq!(read(&path, "strongroom/a").unwrap(), tree);
        assert!(read(&path, "strongroom/b").is_err());
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"size\":11", "\"size\":12")).unwrap();
        assert!(read(&path, "strongroom/a").is_err());
    }
}
