//! `vaultctl audit verify`: a whole audit log, offline, against its signatures and against what somebody kept.

use std::path::PathBuf;

use super::log::{self, FaultKind, Findings};
use super::read_small;
use super::trust::{self, Named};
use crate::failure::Failure;
use crate::say::Say;
use clap::Args;

/// Verify a whole audit log offline
///
/// Computes the Merkle tree over every entry anew and compares it with every signed checkpoint. Changed, removed and
/// reordered entries are found. That the end was cut off together with its checkpoints can be found only with a
/// checkpoint that was kept elsewhere.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit verify --log audit.db --public-key audit.pub --checkpoint checkpoint-monday")]
pub(crate) struct Verify {
    /// The vault's audit.db or a copy of it; it is only read
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    named: Named,
    /// A checkpoint that was kept away from the vault
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let key = self.named.read()?.keys;
        let kept = match &self.checkpoint {
            None => None,
            Some(path) => {
                Some(key.open(&read_small(path)?).map_err(|bad| trust::unbelieved("the kept checkpoint", bad))?)
            }
        };
        let findings = log::read(&log::open(&self.log)?, &key, kept)?;
        say.result(&findings, &describe(&findings, self.checkpoint.is_some()));
        if findings.faults.is_empty() {
            return Ok(());
        }
        let next =
            "keep this file as it is, take the vault out of service, and compare with backups and kept checkpoints";
        // Nothing is wrong but that the key is not known: most likely it is the one after a rotation.
        if findings.faults.iter().all(|fault| fault.kind == FaultKind::UnknownKey) {
            return Err(Failure::new(
                "the audit log is signed by a key that was not named",
                format!("{}; if it was not, {next}", trust::FETCH),
            ));
        }
        Err(Failure::new("the audit log does not hold", next))
    }
}

fn describe(findings: &Findings, kept: bool) -> String {
    let Findings { entries, checkpoints, covered, faults } = findings;
    let mut lines: Vec<String> = faults.iter().map(|fault| format!("FAULT: {}", fault.what)).collect();
    if faults.is_empty() {
        lines.push(format!("the log holds: {entries} entries, {checkpoints} signed checkpoints"));
    } else {
        lines.push(format!("{entries} entries read, {checkpoints} signed checkpoints hold"));
    }
    let tail = entries - covered.min(entries);
    if tail > 0 && faults.is_empty() {
        lines.push(format!("the last {tail} entries are not covered by a signed checkpoint yet"));
    }
    if !kept {
        lines.push("no checkpoint was named that was kept elsewhere: a cut at the end would not be noticed".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};
    use strongroom_keys::Key;
    use strongroom_keys::lineage::Lineage;
    use strongroom_keys::note::Checkpoint;
    use strongroom_keys::sign::Signer;
    use strongroom_keys::tlog::{Frontier, leaf_hash};
    use strongroom_wire::entry::{Act, Entry, Outcome, OwnAct, Reason, Subject};
    use strongroom_wire::{RequestId, Scope, Token};

    use super::super::log::{Fault, read};
    use super::*;

    /// The vault's own schema, so that a change of it is noticed here.
    const SCHEMA: &str = include_str!("../../../src/vault/audit/schema.sql");

    fn body(at_ms: u64) -> Vec<u8> {
        Entry {
            at_ms,
            act: if at_ms == 0 { Act::Own(OwnAct::Started) } else { Act::Asked(Scope::Reveal) },
            outcome: Outcome::Allowed,
            reason: Reason::None,
            request: RequestId::fresh(),
            subject: Subject::Card(Token::fresh()),
            origin: None,
            tenant: Some("acme".parse().unwrap()),
            who: "spiffe://strongroom/orchestrator/main".into(),
            note: "authorize".into(),
        }
        .encode()
    }

    /// A log as vaultd writes it: `entries` entries, a checkpoint after each of `at`.
    fn log(entries: u64, at: &[u64]) -> (Connection, Lineage, Checkpoint) {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let log = Connection::open_in_memory().unwrap();
        log.execute_batch(SCHEMA).unwrap();
        let mut tree = Frontier::new();
        let mut newest = Checkpoint { size: 0, root: tree.root() };
        for index in 0..entries {
            let body = body(index);
            log.execute("INSERT INTO entries VALUES (?1, ?2)", params![index.cast_signed(), body]).unwrap();
            tree.push_with(leaf_hash(&body), |level, index, hash| {
                if [8, 16, 24].contains(&level) {
                    let row = params![level, index.cast_signed(), hash];
                    log.execute("INSERT INTO nodes VALUES (?1, ?2, ?3)", row).unwrap();
                }
            });
            if at.contains(&tree.size()) {
                newest = Checkpoint { size: tree.size(), root: tree.root() };
                let row = params![newest.size.cast_signed(), newest.root, 0, newest.sign(&signer)];
                log.execute("INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4)", row).unwrap();
            }
        }
        (log, Lineage::of(signer.public_key().clone()), newest)
    }

    fn only_fault(findings: &Findings) -> &Fault {
        assert_eq!(findings.faults.len(), 1, "{:?}", findings.faults);
        &findings.faults[0]
    }

    #[test]
    fn a_sound_log_holds() {
        let (log, key, newest) = log(1_100, &[300, 1_000]);
        let findings = read(&log, &key, Some(newest)).unwrap();
        assert!(findings.faults.is_empty(), "{:?}", findings.faults);
        // Two stored ones and the kept one.
        assert_eq!((findings.entries, findings.checkpoints, findings.covered), (1_100, 3, 1_000));
    }

    #[test]
    fn a_changed_entry_is_found_within_its_256() {
        let (log, key, _) = log(1_100, &[300, 1_000]);
        log.execute("UPDATE entries SET body = ?1 WHERE idx = 600", [body(7)]).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Changed, 512, 768));
        assert_eq!(findings.covered, 300);
    }

    #[test]
    fn a_changed_entry_is_found_though_the_stored_hashes_were_changed_with_it() {
        let (log, key, _) = log(1_100, &[300, 1_000]);
        log.execute("UPDATE entries SET body = ?1 WHERE idx = 600", [body(7)]).unwrap();
        log.execute("DELETE FROM nodes", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Changed, 300, 1_000));
    }

    #[test]
    fn a_removed_entry_is_found_at_its_place() {
        let (log, key, _) = log(50, &[40]);
        log.execute("DELETE FROM entries WHERE idx = 17", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Missing, 17, 18));
    }

    #[test]
    fn a_removed_entry_is_found_though_the_rest_moved_up() {
        let (log, key, _) = log(50, &[40]);
        log.execute_batch("DELETE FROM entries WHERE idx = 17; UPDATE entries SET idx = idx - 1 WHERE idx > 17")
            .unwrap();
        let findings = read(&log, &key, None).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Changed);
    }

    #[test]
    fn entries_in_another_order_are_found() {
        let (log, key, _) = log(50, &[40]);
        log.execute_batch(
            "UPDATE entries SET idx = -1 WHERE idx = 3; UPDATE entries SET idx = 3 WHERE idx = 4;
             UPDATE entries SET idx = 4 WHERE idx = -1",
        )
        .unwrap();
        let findings = read(&log, &key, None).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Changed);
    }

    #[test]
    fn a_cut_at_the_end_is_found_by_a_stored_and_by_a_kept_checkpoint() {
        let (log, key, newest) = log(50, &[20, 40]);
        log.execute("DELETE FROM entries WHERE idx >= 30", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Truncated, 30, 40));
        log.execute("DELETE FROM checkpoints WHERE size = 40", []).unwrap();
        assert!(read(&log, &key, None).unwrap().faults.is_empty());
        let findings = read(&log, &key, Some(newest)).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Truncated);
    }

    #[test]
    fn a_log_that_was_written_anew_does_not_fit_the_kept_checkpoint() {
        let (_, key, kept) = log(50, &[40]);
        let (anew, another_key, _) = log(50, &[40]);
        // Signed with another key, no checkpoint counts; without checkpoints, the kept one does not fit.
        assert!(read(&anew, &key, Some(kept.clone())).unwrap().faults.iter().any(|f| f.kind == FaultKind::UnknownKey));
        let findings = read(&anew, &another_key, Some(kept)).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Changed);
    }

    #[test]
    fn a_checkpoint_that_promises_something_else_than_its_row_is_forged() {
        let (log, key, _) = log(50, &[20, 40]);
        log.execute("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 20", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Forged);
    }

    #[test]
    fn a_checkpoint_by_a_key_that_was_let_go_before_it_is_forged() {
        let (log, key, _) = log(50, &[20, 40]);
        let next = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        let keys = |from| key.clone().with(next.public_key().clone(), from).unwrap();
        assert!(read(&log, &keys(40), None).unwrap().faults.is_empty());
        let findings = read(&log, &keys(30), None).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Forged);
    }

    #[test]
    fn checkpoints_by_a_key_that_is_not_known_are_one_fault_and_a_wrong_signature_is_another() {
        let (log, key, _) = log(50, &[10, 20, 40]);
        let next = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        for size in [20, 40] {
            let root: Vec<u8> =
                log.query_row("SELECT root FROM checkpoints WHERE size = ?1", [size], |row| row.get(0)).unwrap();
            let note = Checkpoint { size: size as u64, root: root.try_into().unwrap() }.sign(&next);
            log.execute("UPDATE checkpoints SET note = ?1 WHERE size = ?2", params![note, size]).unwrap();
        }
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to, findings.covered), (FaultKind::UnknownKey, 10, 40, 10));
        let both = key.clone().with(next.public_key().clone(), 15).unwrap();
        assert!(read(&log, &both, None).unwrap().faults.is_empty());
        log.execute("UPDATE checkpoints SET note = replace(note, '10', '11') WHERE size = 10", []).unwrap();
        assert_eq!(only_fault(&read(&log, &both, None).unwrap()).kind, FaultKind::Forged);
    }

    #[test]
    fn bytes_that_are_no_entry_are_named() {
        let (log, key, _) = log(50, &[40]);
        log.execute("UPDATE entries SET body = zeroblob(80) WHERE idx = 45", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from), (FaultKind::Unreadable, 45));
    }

    #[test]
    fn a_wrong_stored_hash_over_sound_entries_is_told_apart() {
        let (log, key, _) = log(600, &[600]);
        log.execute("UPDATE nodes SET hash = zeroblob(32) WHERE level = 8 AND idx = 1", []).unwrap();
        let findings = read(&log, &key, None).unwrap();
        let fault = only_fault(&findings);
        assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Node, 256, 512));
    }

    #[test]
    fn without_anything_signed_nothing_is_shown() {
        let (log, key, _) = log(5, &[]);
        let findings = read(&log, &key, None).unwrap();
        assert_eq!(only_fault(&findings).kind, FaultKind::Unsigned);
    }
}
