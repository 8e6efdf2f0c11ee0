//! An audit log as a file: read once from the first entry to the last, every hash computed anew.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::{BadNote, Checkpoint};
use strongroom_keys::tlog::{Frontier, Hash, leaf_hash};
use strongroom_wire::Entry;

use crate::failure::Failure;

/// What reading a whole log found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Entries that were read.
    pub(crate) entries: u64,
    /// Signed checkpoints that hold.
    pub(super) checkpoints: u64,
    /// Entries that the largest of them covers.
    pub(crate) covered: u64,
    /// What is wrong; empty for a sound log.
    pub(crate) faults: Vec<Fault>,
}

/// One thing that is wrong, and between which entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// Which kind.
    pub(crate) kind: FaultKind,
    /// First entry that may be concerned.
    pub(super) from: u64,
    /// The entry after the last that may be concerned.
    pub(super) to: u64,
    /// In words.
    pub(crate) what: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// Entries are gone.
    Missing,
    /// An entry's bytes are none.
    Unreadable,
    /// Entries are not what was signed: changed or put into another order.
    Changed,
    /// The log ends before what was signed.
    Truncated,
    /// A checkpoint's signature is wrong, or by a key that had been let go before.
    Forged,
    /// Checkpoints are signed by a key that was not named.
    UnknownKey,
    /// A stored subtree hash is not that of the entries, which are what was signed.
    Node,
    /// Nothing signed covers the log.
    Unsigned,
}

/// A promise about the first `size` entries.
struct Promise {
    size: u64,
    root: Hash,
    kind: PromiseKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PromiseKind {
    /// Brought along by whoever verifies.
    Kept,
    /// Stored beside the log, signed.
    Signed,
    /// Stored beside the log while there was no key to sign with.
    Unsigned,
}

/// Opens a log read-only. Beside a running vault the newest entries may still be in the file that ends in `-wal`, which
/// is read along when it is there.
pub(crate) fn open(path: &Path) -> Result<Connection, Failure> {
    let shown = path.display();
    let absent =
        || Failure::new(format!("{shown} is not there"), "name the vault's audit.db or a copy of it with --log");
    let path = path.canonicalize().map_err(|_| absent())?;
    let mut wal = path.clone().into_os_string();
    wal.push("-wal");
    // Without a -wal file nothing can be missing from the log itself, and a folder that nobody may write to is fine.
    let immutable = if Path::new(&wal).exists() { "" } else { "&immutable=1" };
    let name = format!("file:{}?mode=ro{immutable}", escape(&path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(name, flags).and_then(|log| {
        log.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('entries', 'checkpoints', 'nodes')",
            [],
            |row| row.get::<_, u32>(0),
        )
        .map(|tables| (log, tables))
    });
    match opened {
        Ok((log, 3)) => Ok(log),
        _ => Err(Failure::new(
            format!("{shown} is not an audit log"),
            "name the vault's audit.db or a copy of it (with its -wal file, if there is one) with --log",
        )),
    }
}

/// Reads the whole log and compares it with everything that was signed.
pub(crate) fn read(log: &Connection, keys: &Lineage, kept: Option<Checkpoint>) -> Result<Findings, Failure> {
    // One read transaction, so that a vault that goes on writing does not change the log underneath.
    let log = log.unchecked_transaction().map_err(unreadable)?;
    let mut findings = Findings::default();
    let mut promises = promises(&log, keys, &mut findings)?;
    promises.extend(kept.map(|Checkpoint { size, root }| Promise { size, root, kind: PromiseKind::Kept }));
    promises.sort_by_key(|promise| promise.size);
    let mut promises = promises.into_iter().peekable();
    let mut tree = Frontier::new();
    let mut broken = None::<Fault>;
    let mut good = 0;
    let mut node_fault = None::<(u64, u64)>;
    let mut entries = log.prepare("SELECT idx, body FROM entries ORDER BY idx").map_err(unreadable)?;
    let mut stored = log.prepare("SELECT hash FROM nodes WHERE level = ?1 AND idx = ?2").map_err(unreadable)?;
    let mut rows = entries.query([]).map_err(unreadable)?;
    loop {
        while let Some(promise) = promises.next_if(|promise| promise.size == tree.size()) {
            if promise.root == tree.root() {
                good = promise.size;
                if promise.kind != PromiseKind::Unsigned {
                    findings.covered = promise.size;
                    findings.checkpoints += 1;
                }
            } else if broken.is_none() {
                broken = Some(changed(good, promise.size, promise.kind));
            }
        }
        let Some(row) = rows.next().map_err(unreadable)? else { break };
        let expected = tree.size();
        let index = row.get::<_, i64>(0).ok().and_then(|index| u64::try_from(index).ok());
        if index != Some(expected) {
            let to = index.filter(|index| *index > expected).unwrap_or(expected + 1);
            let what = format!("{} missing; nothing after that can be checked", span(expected, to));
            findings.faults.push(Fault { kind: FaultKind::Missing, from: expected, to, what });
            findings.entries = expected;
            return Ok(findings);
        }
        let body = row.get_ref(1).map_err(unreadable)?.as_blob().unwrap_or_default();
        if Entry::decode(body).is_err() {
            let what = format!("the bytes of entry {expected} are not an entry");
            findings.faults.push(Fault { kind: FaultKind::Unreadable, from: expected, to: expected + 1, what });
        }
        let mut complete = Vec::new();
        tree.push_with(leaf_hash(body), |level, index, hash| {
            if STORED_LEVELS.contains(&level) {
                complete.push((level, index, hash));
            }
        });
        for (level, index, hash) in complete {
            let known: Option<Vec<u8>> = stored
                .query_row(params![level, index.cast_signed()], |row| row.get(0))
                .optional()
                .map_err(unreadable)?;
            if known.is_some_and(|known| known != hash) && node_fault.is_none() {
                node_fault = Some((index << level, (index + 1) << level));
            }
        }
    }
    findings.entries = tree.size();
    settle(&mut findings, broken, node_fault);
    truncation(&mut findings, promises);
    if findings.covered == 0 && findings.entries > 0 && findings.faults.is_empty() {
        let what = "no signed checkpoint covers any entry, so nothing is shown".to_owned();
        findings.faults.push(Fault { kind: FaultKind::Unsigned, from: 0, to: findings.entries, what });
    }
    Ok(findings)
}

/// Narrows a change down: the stored subtrees say where, unless whoever changed the entries changed them too.
fn settle(findings: &mut Findings, broken: Option<Fault>, node: Option<(u64, u64)>) {
    match (broken, node) {
        (Some(mut fault), node) => {
            if let Some((from, to)) = node.filter(|(from, to)| *from < fault.to && fault.from < *to) {
                (fault.from, fault.to) = (fault.from.max(from), fault.to.min(to));
            }
            fault.what = format!("{}: it is among entries {} to {}", fault.what, fault.from, fault.to - 1);
            findings.faults.push(fault);
        }
        (None, Some((from, to))) => {
            let what = if to <= findings.covered {
                format!(
                    "the stored subtree hash over entries {from} to {} is wrong; the entries are what was signed",
                    to - 1
                )
            } else {
                format!("entries {from} to {} differ from the subtree hash that was stored with them", to - 1)
            };
            let kind = if to <= findings.covered { FaultKind::Node } else { FaultKind::Changed };
            findings.faults.push(Fault { kind, from, to, what });
        }
        (None, None) => {}
    }
}

fn span(from: u64, to: u64) -> String {
    if from + 1 == to { format!("entry {from} is") } else { format!("entries {from} to {} are", to - 1) }
}

/// Whatever is promised beyond the end is gone.
fn truncation(findings: &mut Findings, beyond: impl Iterator<Item = Promise>) {
    if let Some(largest) = beyond.last() {
        let (from, to) = (findings.entries, largest.size);
        let by = if largest.kind == PromiseKind::Kept { "the checkpoint that was kept" } else { "a stored checkpoint" };
        let what = format!("the log ends after {from} entries, but {by} covers {to}: the last ones were cut off");
        findings.faults.push(Fault { kind: FaultKind::Truncated, from, to, what });
    }
}

fn changed(from: u64, to: u64, kind: PromiseKind) -> Fault {
    let by = match kind {
        PromiseKind::Kept => "the checkpoint that was kept",
        PromiseKind::Signed => "a signed checkpoint",
        PromiseKind::Unsigned => "a stored root",
    };
    let what = format!("an entry was changed, exchanged or put elsewhere after {by} over {to} entries was made");
    Fault { kind: FaultKind::Changed, from, to, what }
}

fn promises(log: &Connection, keys: &Lineage, findings: &mut Findings) -> Result<Vec<Promise>, Failure> {
    let mut rows = log.prepare("SELECT size, root, note FROM checkpoints ORDER BY size").map_err(unreadable)?;
    let mut rows = rows.query([]).map_err(unreadable)?;
    let mut promises: Vec<Promise> = Vec::new();
    let mut unknown = None::<(u64, u64, u64)>;
    while let Some(row) = rows.next().map_err(unreadable)? {
        let size = row.get::<_, i64>(0).map_err(unreadable)?.cast_unsigned();
        let root: Option<Hash> = row.get::<_, Vec<u8>>(1).map_err(unreadable)?.try_into().ok();
        let note: Option<String> = row.get(2).map_err(unreadable)?;
        let promise = match (root, note) {
            (Some(root), None) => Some(Promise { size, root, kind: PromiseKind::Unsigned }),
            (Some(root), Some(note)) => match keys.open(&note) {
                Ok(signed) if signed == (Checkpoint { size, root }) => {
                    Some(Promise { size, root, kind: PromiseKind::Signed })
                }
                Err(BadNote::Unsigned) if keys.keys().iter().all(|(key, _)| Checkpoint::open(&note, key).is_err()) => {
                    let before = promises.last().map_or(0, |promise| promise.size);
                    let (from, _, count) = unknown.unwrap_or((before, size, 0));
                    unknown = Some((from, size, count + 1));
                    continue;
                }
                _ => None,
            },
            (None, _) => None,
        };
        if promise.is_none() {
            let what =
                format!("the checkpoint over {size} entries does not bear the signature of the key that counts there");
            findings.faults.push(Fault { kind: FaultKind::Forged, from: 0, to: size, what });
        }
        promises.extend(promise);
    }
    // One sentence for all of them: after a rotation it is every checkpoint since.
    if let Some((from, to, count)) = unknown {
        let what = format!("{count} checkpoints, the last over {to} entries, are signed by a key that was not named");
        findings.faults.push(Fault { kind: FaultKind::UnknownKey, from, to, what });
    }
    Ok(promises)
}

fn unreadable(error: rusqlite::Error) -> Failure {
    let code = error.sqlite_error_code().map_or_else(|| "unexpected form".to_owned(), |code| format!("{code:?}"));
    Failure::new(
        format!("the log cannot be read to its end ({code}): the file is damaged or not an audit log"),
        "take a fresh copy; if that fails too, restore the log from its backup and compare both with the kept checkpoint",
    )
}

/// Characters that mean something in an SQLite URI.
pub(crate) fn escape(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// Levels whose subtree hashes the log stores.
const STORED_LEVELS: [u32; 3] = [8, 16, 24];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_opened_beside_a_writer_and_alone_and_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a log? 100% #1.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.execute_batch(include_str!("../../../src/vault/audit/schema.sql")).unwrap();
        let count = |log: &Connection| log.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, u32>(0));
        writer.execute("INSERT INTO entries VALUES (0, x'00')", []).unwrap();
        let beside = open(&path).unwrap();
        assert_eq!(count(&beside).unwrap(), 1);
        assert!(beside.execute("DELETE FROM entries", []).is_err());
        drop(beside);
        drop(writer);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(count(&open(&path).unwrap()).unwrap(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_database_is_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE entries (idx INTEGER)").unwrap();
        assert!(open(&path).is_err());
    }
}
