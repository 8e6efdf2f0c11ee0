//! The log under load, over restarts, on a full disk and against a flood.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::sign::PublicKey;
use strongroom_keys::tlog::{Hash, leaf_hash, verify_inclusion};
use strongroom_wire::admin::InclusionProof;
use strongroom_wire::{SecretId, Token, limits};

use super::super::rig::{ORIGIN, RELEASE, Rig};
use super::super::{AuditError, Turn};
use super::*;
use crate::clock::MockClock;
use crate::policy::{
    Fresh, Identity, Policy, Principal, ReadMasked, ReadStatus, Request, Reveal, RevealSecret, Rules, SessionClaims,
    Tokenize,
};

/// Follows a proof to the signed checkpoint and answers what that covers.
fn verified(proof: &InclusionProof, key: &PublicKey) -> Checkpoint {
    let checkpoint = Checkpoint::open(&proof.checkpoint, key).unwrap();
    let leaf = leaf_hash(&STANDARD.decode(&proof.entry).unwrap());
    let hashes: Vec<Hash> =
        proof.hashes.iter().map(|hash| STANDARD.decode(hash).unwrap().try_into().unwrap()).collect();
    verify_inclusion(&leaf, proof.index, checkpoint.size, &hashes, &checkpoint.root).unwrap();
    checkpoint
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_at_once_get_indexes_of_their_own_and_proofs_that_verify() {
    let rig = Arc::new(Rig::new());
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    let recorders: Vec<_> = (0..64)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..20 {
                    let token = Token::fresh();
                    let warrant = rig.warrant::<Reveal>("acme", token).await;
                    assert_eq!((warrant.token(), warrant.tenant().unwrap().as_str()), (Some(token), "acme"));
                    seen.push((warrant.index(), token));
                }
                seen
            })
        })
        .collect();
    let mut seen = Vec::new();
    for recorder in recorders {
        seen.extend(recorder.await.unwrap());
    }
    let indexes: HashSet<u64> = seen.iter().map(|(index, _)| *index).collect();
    assert_eq!((indexes.len(), *indexes.iter().max().unwrap(), rig.log.size()), (1280, 1279, 1280));
    for (index, token) in seen {
        let proof = rig.log.proof(index).await.unwrap();
        assert!(verified(&proof, &rig.key).size > index);
        let entry = Entry::decode(&STANDARD.decode(&proof.entry).unwrap()).unwrap();
        assert_eq!((entry.subject, entry.who.as_str()), (Subject::Card(token), RELEASE));
    }
    assert_eq!(rig.log.check(&Lineage::of(rig.key.clone())).unwrap().size(), 1280);
    assert_eq!(rig.log.lag().uncovered, 0);
}

#[tokio::test]
async fn a_recorder_that_goes_away_leaves_its_entry_and_no_warrant() {
    let rig = Rig::new();
    {
        let recording = rig.log.record(rig.permit::<Reveal>("acme", Token::fresh()));
        tokio::pin!(recording);
        let first = std::future::poll_fn(|context| {
            std::task::Poll::Ready(Future::poll(recording.as_mut(), context).is_ready())
        });
        first.await;
    }
    let next = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    assert_eq!(next.index(), 1);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_log_was() {
    let mut rig = Rig::new();
    let key = rig.key.clone();
    let mut sizes = Vec::new();
    for round in 0..4u64 {
        rig.log.attach(&Lineage::of(key.clone()), rig.notary.clone()).unwrap();
        for n in 0..130 {
            assert_eq!(rig.warrant::<ReadMasked>("acme", None).await.index(), round * 130 + n);
        }
        sizes.push(Checkpoint::open(&rig.log.checkpoint().await.unwrap(), &key).unwrap());
        rig = rig.reopen(|_| {}).unwrap();
        assert_eq!((rig.log.size(), rig.log.covered()), ((round + 1) * 130, (round + 1) * 130));
        assert!(rig.log.newest_checkpoint().is_some());
    }
    // Every checkpoint given out is a prefix of the log as it is now.
    let conn = LogFile::reader(&rig.path()).unwrap();
    let nodes = super::super::tree::StoredNodes(&conn);
    let last = sizes.last().unwrap();
    for older in &sizes {
        let proof = strongroom_keys::tlog::consistency_proof(&nodes, older.size, last.size).unwrap();
        strongroom_keys::tlog::verify_consistency(older.size, last.size, &proof, &older.root, &last.root).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_gives_no_warrant_and_the_log_heals_when_there_is_room() {
    let rig = Rig::new();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&turns);
    rig.log.watch(Arc::new(move |turn| told.lock().unwrap().push(turn)));
    let first = rig.warrant::<Reveal>("acme", Token::fresh()).await.index();
    rig.log.limit_pages(Some(2)).await;
    let mut recorded = first + 1;
    while rig.try_warrant::<Reveal>("acme", Token::fresh()).await.is_ok() {
        recorded += 1;
        assert!(recorded < 1000, "the disk never filled");
    }
    assert!(rig.log.lag().failing);
    // A group fails as a whole.
    let group = (0..20).map(|_| rig.try_warrant::<Reveal>("acme", Token::fresh()));
    for outcome in futures_util::future::join_all(group).await {
        assert!(matches!(outcome, Err(NotRecorded)));
    }
    assert_eq!(rig.log.size(), recorded);
    rig.log.limit_pages(None).await;
    assert_eq!(rig.warrant::<Reveal>("acme", Token::fresh()).await.index(), recorded);
    assert!(!rig.log.lag().failing);
    let turns = turns.lock().unwrap().clone();
    assert!(matches!(turns[..], [Turn::Failing { code: rusqlite::ffi::SQLITE_FULL }, Turn::Healed]));
    let rig = rig.reopen(|_| {}).unwrap();
    assert_eq!(rig.log.check(&Lineage::of(rig.key.clone())).unwrap().size(), recorded + 1);
}

#[tokio::test]
async fn a_release_that_could_not_be_recorded_still_uses_the_quota() {
    let rig = Rig::new();
    rig.log.limit_pages(Some(0)).await;
    while rig.try_warrant::<Reveal>("acme", Token::fresh()).await.is_ok() {}
    let used = || rig.policy.use_of(rig.clock.now_ms())[0].minute_used;
    let before = used();
    assert!(rig.try_warrant::<RevealSecret>("acme", SecretId::fresh()).await.is_err());
    assert_eq!(used(), before + 1);
}

#[tokio::test]
async fn a_sealed_vault_signs_nothing_and_an_unsealed_one_catches_up() {
    let rig = Rig::new();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    assert!(matches!(rig.log.checkpoint().await, Err(AuditError::NoNotary)));
    assert!(matches!(rig.log.proof(0).await, Err(AuditError::NoNotary)));
    assert_eq!((rig.log.newest_checkpoint(), rig.log.lag().uncovered), (None, 1));
    rig.clock.advance_ms(700);
    assert_eq!(rig.log.lag().uncovered_ms, 700);
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    assert_eq!(verified(&rig.log.proof(0).await.unwrap(), &rig.key).size, 1);
    rig.log.detach();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    assert!(rig.log.checkpoint().await.is_err());
    // What was signed stays at hand.
    assert_eq!(verified(&rig.log.proof(0).await.unwrap(), &rig.key).size, 1);
    assert!(matches!(rig.log.proof(2).await, Err(AuditError::NoEntry)));
}

#[tokio::test]
async fn checkpoints_are_signed_by_the_clock_without_being_asked_for() {
    let rig = Rig::new();
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    rig.clock.advance_ms(60_000);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while rig.log.covered() == 0 {
        assert!(std::time::Instant::now() < deadline, "no checkpoint came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_key_is_noticed_when_the_vault_is_unsealed() {
    let rig = Rig::new();
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    rig.log.checkpoint().await.unwrap();
    let rig = rig.reopen(|_| {}).unwrap();
    let other = Rig::new();
    let keys = &Lineage::of(other.key.clone());
    assert!(matches!(rig.log.attach(keys, other.notary.clone()), Err(AuditError::ForeignCheckpoint)));
    assert!(matches!(rig.log.check(keys), Err(AuditError::ForeignCheckpoint)));
    // The vault's own key, which signed no more than this one entry: the other took over from there.
    let mut own = Lineage::of(rig.key.clone());
    assert!(rig.log.attach(&own, rig.notary.clone()).is_ok());
    own = own.with(other.key.clone(), 1).unwrap();
    assert!(rig.log.attach(&own, rig.notary.clone()).is_ok());
    assert!(rig.log.check(&own).is_ok());
}

#[tokio::test]
async fn a_checkpoint_by_a_key_that_was_let_go_before_it_is_foreign() {
    let rig = Rig::new();
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    for _ in 0..3 {
        let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    }
    rig.log.checkpoint().await.unwrap();
    let rig = rig.reopen(|_| {}).unwrap();
    let next = Rig::new();
    let handed = Lineage::of(rig.key.clone()).with(next.key.clone(), 2).unwrap();
    assert!(matches!(rig.log.attach(&handed, next.notary.clone()), Err(AuditError::ForeignCheckpoint)));
    assert!(matches!(rig.log.check(&handed), Err(AuditError::ForeignCheckpoint)));
}

#[tokio::test]
async fn one_checkpoint_an_hour_is_kept_beside_the_newest() {
    let rig = Rig::new();
    rig.log.attach(&Lineage::of(rig.key.clone()), rig.notary.clone()).unwrap();
    for _ in 0..6 {
        let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
        rig.log.checkpoint().await.unwrap();
        rig.clock.advance_ms(30 * 60_000);
    }
    let conn = LogFile::reader(&rig.path()).unwrap();
    let kept: i64 = conn.query_row("SELECT count(*) FROM checkpoints", [], |row| row.get(0)).unwrap();
    assert!((3..=4).contains(&kept));
}

#[tokio::test]
async fn a_flood_of_clients_without_an_identity_is_counted_and_not_written_one_by_one() {
    let rig = Rig::new();
    let unidentified =
        || Denied::unidentified(RequestId::fresh(), None, Note::words("no certificate"), rig.clock.now_ms());
    let (mut written, mut counted) = (0, 0);
    for _ in 0..1000 {
        match rig.log.record_refusal(unidentified()).await.unwrap() {
            Some(_) => written += 1,
            None => counted += 1,
        }
    }
    assert_eq!((written, counted), (limits::REFUSALS_PER_MINUTE_MAX, 1000 - limits::REFUSALS_PER_MINUTE_MAX));
    // A session is a browser: anybody. An identity is somebody, and each of its refusals is written.
    let browser = SessionClaims {
        id: uuid::Uuid::now_v7(),
        tenant: "acme".parse().unwrap(),
        customer: None,
        origins: Vec::new(),
        expires_ms: 0,
    };
    let ask = |who: Principal| Request {
        who,
        tenant: None,
        request_id: RequestId::fresh(),
        origin: None,
        destination: None,
        note: Note::none(),
    };
    let policy = Policy::new(Rules::default());
    let denied = policy.decide::<Tokenize>(&ask(browser.into()), Fresh, 1).err().unwrap();
    assert_eq!(rig.log.record_refusal(denied).await, Ok(None));
    for _ in 0..100 {
        let who = Identity::parse(RELEASE).unwrap().into();
        let denied = policy.decide::<Tokenize>(&ask(who), Fresh, 1).err().unwrap();
        assert!(rig.log.record_refusal(denied).await.unwrap().is_some());
    }
    let rig = rig.reopen(|_| {}).unwrap();
    let size = u64::from(limits::REFUSALS_PER_MINUTE_MAX) + 100 + 1;
    assert_eq!(rig.log.size(), size);
    let summary = &rig.log.entries(size - 1, 1).await.unwrap().entries[0];
    assert_eq!((summary.act.as_str(), summary.reason), ("unidentified", Reason::Credentials));
    assert!(summary.note.ends_with(": 941"));
}

#[tokio::test]
async fn a_summary_of_a_flood_comes_when_its_minute_is_over() {
    let rig = Rig::new();
    let row = format!("[[identity]]\nuri = \"{RELEASE}\"\nscopes = [\"status\"]\nrequests_per_second = 1");
    let policy = Policy::new(Rules::parse(&format!("version = 1\n{row}")).unwrap());
    let request = Request {
        who: Identity::parse(RELEASE).unwrap().into(),
        tenant: None,
        request_id: RequestId::fresh(),
        origin: None,
        destination: None,
        note: Note::none(),
    };
    assert!(policy.decide::<ReadStatus>(&request, (), rig.clock.now_ms()).is_ok());
    for _ in 0..70 {
        let denied = policy.decide::<ReadStatus>(&request, (), rig.clock.now_ms()).err().unwrap();
        rig.log.record_refusal(denied).await.unwrap();
    }
    rig.clock.advance_ms(60_000);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while rig.log.size() < 61 {
        assert!(std::time::Instant::now() < deadline, "no summary came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let summary = &rig.log.entries(60, 1).await.unwrap().entries[0];
    assert_eq!((summary.who.as_str(), summary.reason), (RELEASE, Reason::Quota));
    assert!(summary.note.ends_with(": 10"));
}

#[tokio::test]
async fn refusals_failures_and_acts_of_the_vault_say_so() {
    let rig = Rig::new();
    let token = Token::fresh();
    let warrant = rig.warrant::<Reveal>("acme", token).await;
    rig.log.record_failure(warrant.trace(), Note::words("no such card")).await.unwrap();
    let denied = rig.permit::<Reveal>("acme", token).refuse(Reason::Sealed);
    rig.log.record_refusal(denied).await.unwrap();
    rig.log
        .record_own(OwnAct::TamperFound, Own { subject: Subject::Card(token), ..Own::noting(Note::none()) })
        .await
        .unwrap();
    let page = rig.log.entries(0, 10).await.unwrap();
    let said: Vec<_> = page.entries.iter().map(|e| (e.act.as_str(), e.outcome, e.reason)).collect();
    assert_eq!(
        said,
        [
            ("reveal", Outcome::Allowed, Reason::None),
            ("reveal", Outcome::Failed, Reason::None),
            ("reveal", Outcome::Refused, Reason::Sealed),
            ("tamper-found", Outcome::Failed, Reason::None),
        ]
    );
    assert_eq!(page.entries[0].request, page.entries[1].request);
    assert!(page.entries.iter().all(|entry| entry.subject == Some(token.to_string())) && page.next.is_none());
}

#[tokio::test]
async fn a_page_of_entries_keeps_to_its_limit() {
    let rig = Rig::new();
    for _ in 0..limits::ENTRIES_PAGE_MAX + 5 {
        drop(rig.log.shared.push(&entry(
            &rig.permit::<ReadMasked>("acme", None).trace(),
            Outcome::Allowed,
            Reason::None,
            Note::none(),
            1,
        )));
    }
    let _ = rig.warrant::<ReadMasked>("acme", None).await;
    let page = rig.log.entries(0, u32::MAX).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (1000, Some(1000)));
    let page = rig.log.entries(1000, 100).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (6, None));
    let page = rig.log.entries(u64::MAX, 100).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (0, None));
}

#[tokio::test]
async fn a_log_in_use_of_another_vault_newer_or_no_log_at_all_is_refused() {
    let rig = Rig::new();
    let open = |path: &Path, origin| AuditLog::open(path, Arc::new(MockClock::at(1)), origin).err().unwrap();
    assert!(matches!(open(&rig.path(), ORIGIN), AuditError::InUse));
    let aliases = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(rig.path(), aliases.path().join("alias.db")).unwrap();
    assert!(matches!(open(&aliases.path().join("alias.db"), ORIGIN), AuditError::InUse));
    let path = rig.path();
    let Err(error) = rig.reopen(|conn| conn.pragma_update(None, "user_version", 999).unwrap()) else { panic!() };
    assert!(matches!(error, AuditError::NewerSchema));
    assert!(!path.exists(), "the rig's folder went with it");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    drop(AuditLog::open(&path, Arc::new(MockClock::at(1)), ORIGIN).unwrap());
    assert!(matches!(open(&path, "strongroom/another"), AuditError::ForeignLog));
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(open(&other, ORIGIN), AuditError::NotALog));
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, b"not a database, and longer than a header of one hundred bytes".repeat(9)).unwrap();
    assert!(matches!(open(&garbage, ORIGIN), AuditError::File(_)));
    assert!(matches!(open(&folder.path().join("none/audit.db"), ORIGIN), AuditError::Io(_)));
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    for end in ["", "-wal", ".lock"] {
        let mut name = rig.path().into_os_string();
        name.push(end);
        assert_eq!(std::fs::metadata(name).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// Milliseconds stand for seconds. The thread that writes is kept busy by a signer that does not come back, as by a disk that
/// does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_disk_does_not_answer_is_given_up_and_the_stall_is_seen() {
    let rig = Rig::new();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (began, begun) = std::sync::mpsc::channel();
    let stuck: Notary = Arc::new(move |_| {
        let _ = began.send(());
        let _ = released.lock().unwrap().recv();
        None
    });
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    rig.log.attach(&Lineage::of(rig.key.clone()), stuck).unwrap();
    let (answer, _answered) = oneshot::channel();
    rig.log.shared.queue.send(Errand::Sign(answer)).unwrap();
    begun.recv().unwrap();
    let (trace, note, at_ms) = rig.permit::<Reveal>("acme", Token::fresh()).into_parts();
    let waiting = rig.log.shared.push(&entry(&trace, Outcome::Allowed, Reason::None, note, at_ms)).unwrap();
    let patience = Duration::from_millis(limits::DISK_TTL_S);
    assert_eq!(within(patience, waiting).await, Err(NotRecorded));
    assert_eq!(rig.log.load().waiting, 1);
    release.send(()).unwrap();
    drop(release);
    // Whoever asks now is served, and the entry that was given up stands in front of it.
    let warrant = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    assert_eq!(warrant.index(), 2);
}

#[tokio::test]
async fn a_log_that_a_reader_holds_back_takes_no_entry_beyond_its_bound_and_heals() {
    let rig = Rig::new();
    let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    let bound = 256 * 1024;
    rig.log.bound_log(bound);
    let mut reader = rusqlite::Connection::open(rig.log.path()).unwrap();
    let held = reader.transaction().unwrap();
    held.query_row("SELECT count(*) FROM entries", [], |_| Ok(())).unwrap();
    let refused = loop {
        if rig.try_warrant::<Reveal>("acme", Token::fresh()).await.is_err() {
            break rig.log.size();
        }
        assert!(rig.log.load().log_bytes < bound * 2, "the log grows beyond its bound");
    };
    assert!(rig.log.lag().failing && rig.log.load().is_held_back());
    assert!(rig.try_warrant::<Reveal>("acme", Token::fresh()).await.is_err());
    assert_eq!(rig.log.size(), refused);
    drop(held);
    drop(reader);
    let healing = async {
        while rig.try_warrant::<Reveal>("acme", Token::fresh()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), healing).await.unwrap();
    assert!(!rig.log.lag().failing && !rig.log.load().is_held_back());
}
