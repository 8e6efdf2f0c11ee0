//! Tallies beside the entries that they stand for, and a start that reads both.

use std::time::Duration;

use strongroom_keys::lineage::Lineage;
use strongroom_wire::Token;

use super::super::AuditError;
use super::super::rig::Rig;
use super::STRETCH;
use crate::clock::Clock as _;
use crate::policy::{Policy, ReadMasked, Reveal};

#[tokio::test]
async fn a_days_releases_are_found_again_after_a_restart() {
    let rig = Rig::new();
    for _ in 0..3 {
        let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
        let _ = rig.warrant::<ReadMasked>("acme", None).await;
        rig.clock.advance_ms(10 * 3_600_000);
    }
    let rig = rig.reopen(|_| {}).unwrap();
    // The first is thirty hours old.
    assert_eq!(used_of_a_day(&rig), 2);
}

/// What a start finds.
fn used_of_a_day(rig: &Rig) -> u64 {
    let (fresh, now_ms) = (Rig::new(), rig.clock.now_ms());
    let count = |who: &str, at_ms, count| fresh.policy.restore(who, (at_ms, now_ms), count);
    rig.log.releases(now_ms - Policy::RESTORE_MS, count).unwrap();
    fresh.policy.use_of(now_ms)[0].day_used
}

/// Entries enough for five stretches and a half, every other one a release, over twenty-eight hours.
async fn many_releases(rig: &Rig) {
    for _ in 0..28 * 12 {
        for _ in 0..STRETCH / 128 {
            let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
            let _ = rig.warrant::<ReadMasked>("acme", None).await;
        }
        rig.clock.advance_ms(5 * 60_000);
    }
}

#[tokio::test]
async fn what_was_tallied_counts_as_the_entries_do() {
    let rig = Rig::new();
    many_releases(&rig).await;
    tallied(&rig, 5).await;
    let with = used_of_a_day(&rig);
    assert_eq!(with, 24 * 12 * (STRETCH / 128));
    let rig = rig.reopen(|conn| assert_eq!(conn.execute("DELETE FROM tallies WHERE number <> 4", []), Ok(4))).unwrap();
    assert_eq!(used_of_a_day(&rig), with, "with one of them alone");
    let rig = rig.reopen(|conn| assert_eq!(conn.execute("DELETE FROM tallies", []), Ok(1))).unwrap();
    assert_eq!(used_of_a_day(&rig), with, "without any");
}

/// Until so many stretches are tallied.
async fn tallied(rig: &Rig, stretches: i64) {
    let conn = rusqlite::Connection::open(rig.path()).unwrap();
    let count = || conn.query_row("SELECT count(*) FROM tallies", [], |row| row.get::<_, i64>(0)).unwrap();
    let all = async {
        while count() < stretches {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    assert_eq!(count(), stretches);
}

#[tokio::test]
async fn a_tally_that_does_not_equal_its_entries_is_found() {
    let rig = Rig::new();
    for _ in 0..STRETCH {
        let _ = rig.warrant::<Reveal>("acme", Token::fresh()).await;
    }
    tallied(&rig, 1).await;
    let keys = Lineage::of(rig.key.clone());
    rig.log.check(&keys).unwrap();
    let rig = rig
        .reopen(|conn| {
            // As if nothing had been released.
            assert_eq!(conn.execute("UPDATE tallies SET body = x''", []), Ok(1));
        })
        .unwrap();
    assert!(matches!(rig.log.check(&keys), Err(AuditError::Broken { near: 0 })));
}
