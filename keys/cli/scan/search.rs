//! Walks files and folders and reads every byte once.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use strongroom_wire::published::is_published;
use walkdir::WalkDir;

use super::finder::Finder;
use super::{Finding, Report, Unsearched};
use crate::progress;

/// A search in progress.
pub(super) struct Search {
    within: bool,
    allowed: fn(&[u8]) -> bool,
    report: Report,
    bar: ProgressBar,
}

impl Search {
    pub(super) fn new(within: bool, allow_test_numbers: bool) -> Self {
        let allowed = if allow_test_numbers { is_published } else { |_: &[u8]| false };
        Self { within, allowed, report: Report::default(), bar: ProgressBar::hidden() }
    }

    pub(super) fn run(&mut self, paths: &[PathBuf]) {
        if progress::is_seen() {
            // A first walk without reading, so that the bar knows how far it is.
            let files = paths.iter().flat_map(WalkDir::new).filter_map(Result::ok);
            let sizes = files.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
            self.bar = progress::bar(Some(sizes.map(|about| about.len()).sum()), progress::BYTES);
        }
        for path in paths {
            // Sorted, so that two reports of the same files can be compared.
            for entry in WalkDir::new(path).sort_by_file_name() {
                match entry {
                    Ok(entry) if entry.depth() == 0 => self.named(entry.path()),
                    Ok(entry) if entry.path_is_symlink() => self.report.links.push(entry.into_path()),
                    Ok(entry) if entry.file_type().is_dir() => {}
                    Ok(entry) if entry.file_type().is_file() => self.file(entry.path()),
                    Ok(entry) => self.unsearched(entry.path(), "neither a file nor a folder"),
                    Err(error) => {
                        let why = error.io_error().map_or("the folder cannot be walked".to_owned(), why);
                        let at = error.path().map_or_else(|| path.clone(), Path::to_path_buf);
                        self.report.unsearched.push(Unsearched { path: at, why });
                    }
                }
            }
        }
        self.bar.finish_and_clear();
    }

    pub(super) fn report(self) -> Report {
        self.report
    }

    /// What a person named is followed, also through a link.
    fn named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(about) if about.is_file() => self.file(path),
            Ok(about) if about.is_dir() => {}
            Ok(_) => self.unsearched(path, "neither a file nor a folder"),
            Err(error) => self.unsearched(path, &why(&error)),
        }
    }

    fn unsearched(&mut self, path: &Path, why: &str) {
        self.report.unsearched.push(Unsearched { path: path.to_owned(), why: why.to_owned() });
    }

    fn file(&mut self, path: &Path) {
        match self.read(path) {
            Ok(()) => self.report.files += 1,
            Err(error) => self.unsearched(path, &why(&error)),
        }
    }

    fn read(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        Read::by_ref(&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let read = self.bar.wrap_read(io::Cursor::new(head.clone()).chain(file));
        if head.starts_with(GZIP) {
            return self.stream(path, MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, read)), true, false);
        }
        if let Some((_, name)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
            // Its names and comments are searched; its content is not, and that is said.
            self.unsearched(path, &format!("{name}: unpack it and search what is in it"));
        }
        self.stream(path, read, false, head.starts_with(SQLITE))
    }

    fn stream(&mut self, path: &Path, mut read: impl Read, unpacked: bool, side_by_side: bool) -> io::Result<()> {
        let mut finder = Finder::new(self.within || side_by_side, self.allowed);
        // Wiped by the allocator when it is let go.
        let mut piece = vec![0; PIECE_BYTES];
        let report = &mut self.report;
        let mut add = |found| report.add(Finding { path: path.to_owned(), unpacked, found });
        let mut bytes = 0;
        let ended = loop {
            match read.read(&mut piece) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    finder.feed(&piece[..count], &mut add);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        finder.finish(&mut add);
        self.report.bytes += bytes;
        ended
    }
}

fn why(error: &io::Error) -> String {
    // The kind alone for what the system says; a decoder's own words are about form.
    if error.raw_os_error().is_some() { error.kind().to_string() } else { error.to_string() }
}

const PIECE_BYTES: usize = 256 * 1024;
const HEAD_BYTES: usize = 16;
const GZIP: &[u8] = &[0x1f, 0x8b];
const SQLITE: &[u8] = b"SQLite format 3\0";
/// Forms that are recognized and not unpacked here.
const PACKED: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "a zip archive"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "packed with xz"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "packed with zstd"),
    (b"BZh", "packed with bzip2"),
    (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
];

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "a line\npaid with 4242 4242 4242 4242\n";

    fn search(path: &Path) -> Report {
        let mut search = Search::new(false, false);
        search.run(&[path.to_owned()]);
        search.report()
    }

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(text).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn a_number_across_the_border_of_two_pieces_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for before in PIECE_BYTES - 25..=PIECE_BYTES + 1 {
            let path = folder.path().join("log");
            let mut text = vec![b'.'; before];
            text.extend_from_slice(b" 4242 4242 4242 4242 ");
            fs::write(&path, text).unwrap();
            assert_eq!(search(&path).findings.len(), 1, "{before}");
        }
    }

    #[test]
    fn packed_content_is_searched_under_any_name_and_a_cut_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no-ending");
        let mut packed = gz(TEXT.as_bytes());
        packed.extend(gz(TEXT.as_bytes()));
        fs::write(&path, &packed).unwrap();
        let report = search(&path);
        assert_eq!(report.findings.iter().map(|one| one.found.line).collect::<Vec<_>>(), [2, 4]);
        assert!(report.findings.iter().all(|one| one.unpacked) && report.unsearched.is_empty());
        fs::write(&path, &packed[..packed.len() - 9]).unwrap();
        let report = search(&path);
        assert_eq!((report.unsearched.len(), report.files), (1, 0));
        assert!(!report.findings.is_empty(), "what came before the cut is searched");
    }

    #[test]
    fn archives_links_and_what_is_no_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a.zip"), b"PK\x03\x04...").unwrap();
        fs::write(folder.path().join("outside"), TEXT).unwrap();
        symlink(folder.path().join("outside"), inside.join("link")).unwrap();
        symlink(folder.path(), inside.join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
        let report = search(&inside);
        assert_eq!((report.findings.len(), report.links.len(), report.unsearched.len()), (0, 2, 2));
        // A link that somebody names is meant.
        assert_eq!(search(&inside.join("link")).findings.len(), 1);
        assert_eq!(search(&folder.path().join("missing")).unsearched.len(), 1);
    }

    #[test]
    fn a_column_of_a_database_is_found_beside_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let shop = rusqlite::Connection::open(&path).unwrap();
        shop.execute_batch(
            "CREATE TABLE orders (pan TEXT, cvc TEXT); INSERT INTO orders VALUES ('4242424242424242', '123')",
        )
        .unwrap();
        drop(shop);
        assert_eq!(search(&path).findings.len(), 1);
    }

    #[test]
    fn published_numbers_are_passed_over_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, TEXT).unwrap();
        let mut lenient = Search::new(false, true);
        lenient.run(std::slice::from_ref(&path));
        assert!(lenient.report().findings.is_empty());
        assert_eq!(search(&path).findings.len(), 1);
    }
}
