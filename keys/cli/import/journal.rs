//! What an import has done, beside its file: the journal, the report of refused lines, and the new names of old ids.
//!
//! Each finished batch is a line of the journal that is durable only after the batch's lines in the other two files are.
//! It says how long those are, so that whatever a killed import wrote after it is cut off when it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::line::Refused;
use super::{Tally, beside};
use crate::failure::Failure;

/// What an import is of. It goes on only with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Length of the file.
    pub(super) bytes: u64,
    pub(super) format: String,
    pub(super) map: Vec<String>,
    /// Lines of one batch.
    pub(super) batch: u16,
    pub(super) tenant: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first line.
    Import { name: String, began_ms: u64, plan: Plan },
    /// A batch is about to be sent.
    Sent { batch: u64, at_ms: u64 },
    /// A batch is done, and so long are the other two files.
    Done { batch: u64, lines: u64, stored: u64, known: u64, refused: u64, report_bytes: u64, ids_bytes: u64 },
}

/// See the module's text.
pub(super) struct Journal {
    file: File,
    report: Report,
    ids: Report,
    name: String,
    began_ms: u64,
    done: BTreeSet<u64>,
    sent: BTreeMap<u64, u64>,
    /// What earlier runs did.
    pub(super) before: Tally,
}

impl Journal {
    /// Begins an import or goes on with the one that the journal is of.
    pub(super) fn open(file: &Path, plan: &Plan, now_ms: u64) -> Result<Self, Failure> {
        let path = beside(file, "journal");
        let mut journal = open(&path)?;
        let mut lines = read(&path, &mut journal)?.into_iter();
        let (name, began_ms) = match lines.next() {
            None => {
                let name = fresh_name(now_ms);
                put(&mut journal, &path, &Line::Import { name: name.clone(), began_ms: now_ms, plan: plan.clone() })?;
                (name, now_ms)
            }
            Some(Line::Import { name, began_ms, plan: before }) if before == *plan => (name, began_ms),
            Some(_) => {
                return Err(Failure::new(
                    format!("{} is of another file, or of other options", path.display()),
                    "go on with the same file, --format, --map, --batch and --tenant; to begin anew, remove the journal",
                ));
            }
        };
        let (mut done, mut sent, mut before) = (BTreeSet::new(), BTreeMap::new(), Tally::default());
        let (mut report_bytes, mut ids_bytes) = (0, 0);
        for line in lines {
            match line {
                Line::Import { .. } => return Err(damaged(&path)),
                Line::Sent { batch, at_ms } => {
                    // The first time counts: from then on the vault may have the batch.
                    sent.entry(batch).or_insert(at_ms);
                }
                Line::Done { batch, lines, stored, known, refused, report_bytes: report, ids_bytes: ids } => {
                    done.insert(batch);
                    before.lines += lines;
                    before.stored += stored;
                    before.known += known;
                    before.refused += refused;
                    (report_bytes, ids_bytes) = (report, ids);
                }
            }
        }
        let report = Report::go_on(&beside(file, "refused.csv"), "line,reason\n", report_bytes)?;
        let ids = Report::go_on(&beside(file, "ids.csv"), "id,payment_method_id\n", ids_bytes)?;
        Ok(Self { file: journal, report, ids, name, began_ms, done, sent, before })
    }

    /// When the import began.
    pub(super) fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// Whether a batch is done.
    pub(super) fn is_done(&self, batch: u64) -> bool {
        self.done.contains(&batch)
    }

    /// When a batch that is not done was first sent, if it was.
    pub(super) fn was_sent(&self, batch: u64) -> Option<u64> {
        self.sent.get(&batch).copied()
    }

    /// The idempotency key of a batch: always the same for one import.
    pub(super) fn key(&self, batch: u64) -> String {
        format!("{}-{batch}", self.name)
    }

    /// Writes down that a batch is about to be sent.
    pub(super) fn sending(&mut self, batch: u64, now_ms: u64) -> Result<(), Failure> {
        let path = Path::new("the journal");
        self.sent.entry(batch).or_insert(now_ms);
        put(&mut self.file, path, &Line::Sent { batch, at_ms: now_ms })
    }

    /// Writes down what became of a batch.
    pub(super) fn finish(&mut self, batch: u64, tally: &Tally, done: &Outcome) -> Result<(), Failure> {
        self.report.add(&done.refused)?;
        self.ids.add_ids(&done.ids)?;
        let (report_bytes, ids_bytes) = (self.report.settle()?, self.ids.settle()?);
        let Tally { lines, stored, known, refused } = *tally;
        let line = Line::Done { batch, lines, stored, known, refused, report_bytes, ids_bytes };
        self.done.insert(batch);
        put(&mut self.file, Path::new("the journal"), &line)
    }
}

/// What the vault said to a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// Lines that are not stored.
    pub(super) refused: Vec<Refused>,
    /// Cards that are new.
    pub(super) stored: u64,
    /// Cards that were there.
    pub(super) known: u64,
    /// Old ids and new.
    pub(super) ids: Vec<(String, String)>,
}

/// A file of CSV that only grows.
pub(super) struct Report {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Report {
    /// A new one, in the place of an older one.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        Self::go_on(path, "line,reason\n", 0)
    }

    /// One that is so long; what comes after is cut off.
    fn go_on(path: &Path, head: &str, bytes: u64) -> Result<Self, Failure> {
        let mut file = open(path)?;
        let cut = file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0)));
        let end = cut.map_err(|error| unwritable(path, &error))?;
        let mut report = Self { path: path.to_owned(), file, bytes: end };
        if bytes == 0 {
            report.write(head)?;
        }
        Ok(report)
    }

    /// Lines that are not stored.
    pub(super) fn add(&mut self, refused: &[Refused]) -> Result<(), Failure> {
        let text: String = refused.iter().map(|one| format!("{},{}\n", one.line, quoted(&one.why))).collect();
        self.write(&text)
    }

    fn add_ids(&mut self, ids: &[(String, String)]) -> Result<(), Failure> {
        let text: String = ids.iter().map(|(old, new)| format!("{},{new}\n", quoted(old))).collect();
        self.write(&text)
    }

    /// Makes it durable; says how long it is.
    fn settle(&mut self) -> Result<u64, Failure> {
        self.file.sync_data().map_err(|error| unwritable(&self.path, &error))?;
        Ok(self.bytes)
    }

    /// See [`Report::settle`].
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.settle().map(drop)
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| unwritable(&self.path, &error))?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn open(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    file.map_err(|error| unwritable(path, &error))
}

/// The lines of a journal. A last line that broke off was not durable: it is cut off.
fn read(path: &Path, file: &mut File) -> Result<Vec<Line>, Failure> {
    file.try_lock().map_err(|_| {
        Failure::new(format!("{} is in use by another import", path.display()), "wait for that one, or stop it first")
    })?;
    let (mut lines, mut whole, mut text) = (Vec::new(), 0, String::new());
    let mut reader = BufReader::new(&*file);
    loop {
        text.clear();
        let read = reader.read_line(&mut text).map_err(|_| damaged(path))?;
        if read == 0 || !text.ends_with('\n') {
            break;
        }
        lines.push(serde_json::from_str(&text).map_err(|_| damaged(path))?);
        whole += read as u64;
    }
    drop(reader);
    let cut = file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0)));
    cut.map_err(|error| unwritable(path, &error))?;
    Ok(lines)
}

fn put(file: &mut File, path: &Path, line: &Line) -> Result<(), Failure> {
    // A line of texts and numbers always has a JSON form.
    let text = serde_json::to_string(line).unwrap_or_default() + "\n";
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(|error| unwritable(path, &error))
}

/// No two imports have one name: the time in nanoseconds and the process.
fn fresh_name(now_ms: u64) -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(u128::from(now_ms), |since| since.as_nanos());
    format!("import-{nanos:x}-{:x}", std::process::id())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{} cannot be written ({})", path.display(), error.kind()),
        "free space or rights there, then run the same command again: it goes on where it was",
    )
}

fn damaged(path: &Path) -> Failure {
    Failure::new(
        format!("{} is not a journal of an import", path.display()),
        "restore it; if you remove it, the import begins anew and stores every card again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { bytes: 9, format: "csv".to_owned(), map: vec![], batch: 2, tenant: None }
    }

    fn ok<T>(result: Result<T, Failure>) -> T {
        result.unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn finish(journal: &mut Journal, batch: u64) {
        let outcome = Outcome {
            refused: vec![Refused { line: 10 + batch, why: "a \"reason\"".to_owned() }],
            ids: vec![(format!("old,{batch}"), format!("pm_{batch}"))],
            ..Outcome::default()
        };
        let tally = Tally { lines: 2, stored: 1, known: 0, refused: 1 };
        ok(journal.finish(batch, &tally, &outcome));
    }

    #[test]
    fn what_was_written_after_the_last_finished_batch_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cards.csv");
        let mut journal = ok(Journal::open(&file, &plan(), 5));
        let key = journal.key(3);
        ok(journal.sending(0, 6));
        ok(journal.sending(1, 7));
        finish(&mut journal, 1);
        // A process that dies here has written more than the journal knows.
        ok(journal.report.add(&[Refused { line: 99, why: "x".to_owned() }]));
        ok(journal.ids.add_ids(&[("x".to_owned(), "y".to_owned())]));
        drop(journal);
        let path = beside(&file, "journal");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"done\":{\"batch\":0,");
        std::fs::write(&path, text).unwrap();

        let mut journal = ok(Journal::open(&file, &plan(), 500));
        assert_eq!((journal.began_ms(), journal.key(3)), (5, key));
        assert_eq!((journal.is_done(0), journal.is_done(1)), (false, true));
        assert_eq!((journal.was_sent(0), journal.was_sent(2)), (Some(6), None));
        assert_eq!((journal.before.lines, journal.before.stored, journal.before.refused), (2, 1, 1));
        finish(&mut journal, 0);
        drop(journal);
        let read = |ending: &str| std::fs::read_to_string(beside(&file, ending)).unwrap();
        assert_eq!(read("refused.csv"), "line,reason\n11,\"a \"\"reason\"\"\"\n10,\"a \"\"reason\"\"\"\n");
        assert_eq!(read("ids.csv"), "id,payment_method_id\n\"old,1\",pm_1\n\"old,0\",pm_0\n");
    }

    #[test]
    fn an_import_goes_on_with_the_same_file_and_options_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cards.csv");
        drop(ok(Journal::open(&file, &plan(), 5)));
        for other in [
            Plan { bytes: 10, ..plan() },
            Plan { batch: 3, ..plan() },
            Plan { map: vec!["number=x".to_owned()], ..plan() },
            Plan { tenant: Some("acme".to_owned()), ..plan() },
        ] {
            assert!(Journal::open(&file, &other, 6).is_err());
        }
        std::fs::write(beside(&file, "journal"), "something else\n").unwrap();
        assert!(Journal::open(&file, &plan(), 6).is_err());
    }

    #[test]
    fn two_imports_of_one_file_do_not_run_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cards.csv");
        let _first = ok(Journal::open(&file, &plan(), 5));
        assert!(Journal::open(&file, &plan(), 5).is_err());
    }
}
