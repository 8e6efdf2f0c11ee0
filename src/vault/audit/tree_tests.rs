//! A tampered log is found, at the start or by the full check; stored roots are those of the whole tree.

use strongroom_keys::tlog::{Leaves, inclusion_proof};

use super::super::file::LogFile;
use super::super::rig::{ORIGIN, Rig};
use super::*;

/// A log of `count` entries of 160 bytes, stored roots of sizes 300 and `count`, all in a folder of its own.
fn log_of(count: u64) -> (tempfile::TempDir, LogFile, Vec<Hash>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, mut tree) = LogFile::open(&folder.path().join("audit.db"), ORIGIN).unwrap();
    let mut bodies: Vec<Vec<u8>> = (0..count).map(|n| [&[7; 152][..], &n.to_be_bytes()].concat()).collect();
    let leaves = bodies.iter().map(|body| leaf_hash(body)).collect();
    let rest = bodies.split_off(bodies.len().min(300));
    for part in [bodies, rest] {
        for some in part.chunks(10_000) {
            file.append(&mut tree, some).unwrap();
        }
        let checkpoint = strongroom_keys::note::Checkpoint { size: tree.size(), root: tree.root() };
        file.put_head(&super::super::file::Head { checkpoint, at_ms: tree.size() * 100_000_000, note: None }).unwrap();
    }
    (folder, file, leaves)
}

fn open(folder: &tempfile::TempDir) -> Result<LogFile, AuditError> {
    LogFile::open(&folder.path().join("audit.db"), ORIGIN).map(|(file, _)| file)
}

/// Where a log of 1,000 entries is found broken at its start and by the full check after something was done to it.
fn noticed(what: &str) -> (Option<u64>, Option<u64>) {
    let (folder, file, _) = log_of(1000);
    drop(file);
    let conn = Connection::open(folder.path().join("audit.db")).unwrap();
    conn.execute_batch(what).unwrap();
    let full = check_all(&conn).err();
    drop(conn);
    let near = |error| match error {
        AuditError::Broken { near } => near,
        other => panic!("{other}"),
    };
    (open(&folder).err().map(near), full.map(near))
}

#[test]
fn an_untouched_log_is_sound() {
    assert_eq!(noticed("SELECT 1"), (None, None));
}

#[test]
fn a_changed_entry_is_noticed_wherever_it_is() {
    for (at, near) in [(0, 0), (100, 0), (299, 256), (511, 256), (768, 999), (999, 999)] {
        let change = format!("UPDATE entries SET body = zeroblob(160) WHERE idx = {at}");
        let (start, full) = noticed(&change);
        assert_eq!(start, Some(near), "entry {at}");
        assert!(full.is_some());
    }
}

#[test]
fn a_removed_entry_is_noticed_wherever_it_is() {
    for at in [0, 1, 255, 256, 600, 998] {
        let (start, full) = noticed(&format!("DELETE FROM entries WHERE idx = {at}"));
        assert!(start.is_some_and(|near| near <= at), "entry {at}");
        assert_eq!(full, Some(at));
    }
}

#[test]
fn a_removed_entry_whose_followers_moved_up_is_noticed() {
    for at in [0, 300, 998] {
        let (start, full) = noticed(&format!(
            "DELETE FROM entries WHERE idx = {at};
             UPDATE entries SET idx = -idx WHERE idx > {at}; UPDATE entries SET idx = -idx - 1 WHERE idx < 0"
        ));
        assert!(start.is_some() && full.is_some(), "entry {at}");
    }
}

#[test]
fn reordered_entries_are_noticed() {
    for (a, b) in [(0, 1), (10, 700), (998, 999)] {
        let (start, full) = noticed(&format!(
            "UPDATE entries SET idx = 5000 WHERE idx = {a};
             UPDATE entries SET idx = {a} WHERE idx = {b}; UPDATE entries SET idx = {b} WHERE idx = 5000"
        ));
        assert!(start.is_some() && full.is_some(), "entries {a} and {b}");
    }
}

#[test]
fn a_cut_end_is_noticed_by_the_root_that_was_stored() {
    assert_eq!(noticed("DELETE FROM entries WHERE idx >= 990"), (Some(990), Some(990)));
    let (start, _) = noticed("DELETE FROM entries WHERE idx >= 700; DELETE FROM nodes WHERE idx >= 2");
    assert_eq!(start, Some(700));
}

#[test]
fn an_entry_before_the_first_or_of_another_type_is_noticed() {
    let (start, _) = noticed("INSERT INTO entries (idx, body) VALUES (-1, x'00')");
    assert_eq!(start, Some(0));
}

#[test]
fn changed_roots_are_noticed() {
    assert_eq!(noticed("UPDATE nodes SET hash = zeroblob(32) WHERE idx = 1"), (Some(256), Some(256)));
    assert_eq!(noticed("UPDATE nodes SET hash = x'00' WHERE idx = 1"), (Some(256), Some(256)));
    assert!(noticed("DELETE FROM nodes WHERE idx = 2").0.is_some());
    assert!(noticed("INSERT INTO nodes VALUES (16, 0, zeroblob(32))").0.is_some());
    assert!(noticed("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 1000").0.is_some());
    assert_eq!(noticed("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 300"), (None, Some(299)));
}

#[test]
fn an_old_entry_is_left_to_the_full_check_and_its_proof_does_not_verify() {
    let count = CHECKED_AT_OPEN + 2_000;
    let (folder, file, leaves) = log_of(count);
    drop(file);
    let conn = Connection::open(folder.path().join("audit.db")).unwrap();
    conn.execute("UPDATE entries SET body = zeroblob(160) WHERE idx = 10", []).unwrap();
    let root = tree_root(&Leaves(&leaves), count).unwrap();
    let proof = inclusion_proof(&StoredNodes(&conn), 11, count).unwrap();
    let verified = strongroom_keys::tlog::verify_inclusion(&leaves[11], 11, count, &proof, &root);
    assert!(verified.is_err());
    assert!(matches!(check_all(&conn), Err(AuditError::Broken { near: 0 })));
    drop(conn);
    assert!(open(&folder).is_ok());
}

#[test]
fn nodes_and_proofs_are_those_of_the_whole_tree_at_every_edge() {
    let (_folder, file, leaves) = log_of((1 << 16) + 700);
    let conn = LogFile::reader(&_folder.path().join("audit.db")).unwrap();
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, 66_236] {
        let root = tree_root(&Leaves(&leaves), size).unwrap();
        assert_eq!(tree_root(&StoredNodes(&conn), size).unwrap(), root, "size {size}");
        for index in [0, size / 3, size / 2, size.saturating_sub(1)].into_iter().filter(|index| *index < size) {
            let proof = inclusion_proof(&StoredNodes(&conn), index, size).unwrap();
            let leaf = &leaves[usize::try_from(index).unwrap()];
            strongroom_keys::tlog::verify_inclusion(leaf, index, size, &proof, &root).unwrap();
        }
    }
    assert_eq!(file.frontier().unwrap(), check_all(&conn).unwrap());
}

#[test]
fn an_entry_of_160_bytes_takes_less_than_190_on_disk_in_all() {
    let count = 20_000;
    let (folder, file, _) = log_of(count);
    drop(file);
    let size = std::fs::metadata(folder.path().join("audit.db")).unwrap().len();
    assert!(size / count < 190, "{} bytes an entry", size / count);
}

#[tokio::test]
async fn a_log_that_was_tampered_with_does_not_open() {
    let rig = Rig::new();
    for _ in 0..5 {
        let _ = rig.warrant::<crate::policy::ReadMasked>("acme", None).await;
    }
    let tampered = rig.reopen(|conn| {
        conn.execute("UPDATE entries SET body = (SELECT body FROM entries WHERE idx = 0) WHERE idx = 3", []).unwrap();
    });
    assert!(matches!(tampered, Err(AuditError::Broken { .. })));
}
