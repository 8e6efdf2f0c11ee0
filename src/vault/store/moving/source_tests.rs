//! What changes while a move runs is written down, whoever changes it, and a file that was moved is nobody's store.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_wire::Token;
use tempfile::TempDir;

use super::*;
use crate::store::conformance::{acme, answer, card, conformance, content, customer};
use crate::store::sqlite::find_moved;
use crate::store::{Expired, Inserted, KeptRow, SqliteOptions, SqliteStore, Store};

// The whole suite while a move runs: it must not matter, and nothing may be missed.
conformance!(moving);

async fn moving() -> (Arc<dyn Store>, NothingMissed) {
    let (store, source, folder) = begun().await;
    drop(source);
    (store, NothingMissed(folder))
}

/// Looks when the test is over whether every row that there is was written down.
struct NothingMissed(TempDir);

impl Drop for NothingMissed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let conn = Connection::open(self.0.path().join("vault.db")).unwrap();
        let noted: BTreeSet<_> = changes(&conn, i64::MIN, u32::MAX).unwrap().rows.into_iter().collect();
        for table in 0..TABLES.len() {
            for record in pages::page(&conn, table, None, 1_000_000).unwrap().0 {
                let key = record[..TABLES[table].key].to_vec();
                assert_eq!(pages::find(&conn, table, &key).unwrap().as_ref(), Some(&record));
                assert!(noted.contains(&(table, key, Some(record))), "a row of {} was missed", TABLES[table].name);
            }
        }
    }
}

fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions { path: folder.path().join("vault.db"), vault: "vault-a".to_owned(), bytes_max: None }
}

async fn opened() -> (Arc<SqliteStore>, Source, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&options(&folder)).unwrap());
    (Arc::clone(&store), Source::new(store), folder)
}

async fn begun() -> (Arc<SqliteStore>, Source, TempDir) {
    let (store, source, folder) = opened().await;
    source.begin(Uuid::from_u128(7), 5, None).await.unwrap();
    (store, source, folder)
}

/// Every row, read page by page.
async fn all(source: &Source, limit: u32) -> BTreeMap<(usize, Vec<Cell>), Record> {
    let mut rows = BTreeMap::new();
    for table in 0..TABLES.len() {
        let mut after = None;
        loop {
            let (records, next) = source.page(table, after, limit).await.unwrap();
            for record in records {
                let key = record[..TABLES[table].key].to_vec();
                assert!(rows.insert((table, key), record).is_none(), "a row came twice");
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    rows
}

/// Brings a copy up to date, a few changes at a time.
async fn follow(source: &Source, copy: &mut BTreeMap<(usize, Vec<Cell>), Record>) {
    loop {
        let changes = source.changes(3).await.unwrap();
        let Some(last) = changes.last else { break };
        for (table, key, record) in changes.rows {
            match record {
                Some(record) => drop(copy.insert((table, key), record)),
                None => drop(copy.remove(&(table, key))),
            }
        }
        source.forget(last).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_that_follows_what_is_written_down_has_the_same_rows() {
    let (store, source, _folder) = opened().await;
    let acme = acme(&*store).await;
    let mut cards = Vec::new();
    for nth in 0..20 {
        let mut card = card(&acme, customer(&format!("cus_{nth}")));
        card.content.expires_ms = (nth % 4 == 0).then_some(1_000 + nth);
        store.insert_card(card.clone(), Some(answer(&acme, nth as u8))).await.unwrap();
        cards.push(card);
    }
    // Two cards whose tokens begin alike stand in other places than their tokens say.
    let twin = Token::from_uuid(Uuid::from_u64_pair(cards[3].token.uuid().as_u64_pair().0, u64::MAX >> 1));
    source.begin(Uuid::from_u128(7), 5, None).await.unwrap();
    let mut copy = all(&source, 7).await;
    let displaced = crate::store::CardRow { token: twin, ..card(&acme, None) };
    assert_eq!(store.insert_card(displaced.clone(), None).await, Ok(Inserted::Stored));
    store.delete_card(&acme, &cards[3].token).await.unwrap();
    store.delete_card(&acme, &cards[5].token).await.unwrap();
    assert!(store.swap_card(&acme, &cards[6].token, cards[6].content.clone(), content(2)).await.unwrap());
    assert!(store.swap_card(&acme, &twin, displaced.content.clone(), content(3)).await.unwrap());
    assert!(store.shred_expired(&Expired { tenant: acme.clone(), token: cards[4].token }, 5_000).await.unwrap());
    let kept = |value: &[u8]| KeptRow { name: "rule".to_owned(), value: value.to_vec(), note: String::new() };
    store.put_kept(kept(b"one")).await.unwrap();
    store.put_kept(kept(b"two")).await.unwrap();
    store.set_stays_sealed(true).await.unwrap();
    store.purge_answers(u64::MAX, 5).await.unwrap();
    follow(&source, &mut copy).await;
    store.delete_card(&acme, &twin).await.unwrap();
    store.set_stays_sealed(false).await.unwrap();
    assert_ne!(copy, all(&source, 1_000).await, "the last changes are not copied yet");
    follow(&source, &mut copy).await;
    assert_eq!(copy, all(&source, 1_000).await);
    assert_eq!(source.waiting().await, Ok(0));
}

#[tokio::test]
async fn a_snapshot_has_the_changes_and_the_rows_of_one_moment() {
    let (store, source, _folder) = begun().await;
    let acme = acme(&*store).await;
    let row = card(&acme, None);
    store.insert_card(row.clone(), None).await.unwrap();
    let before = source.snapshot().await.unwrap();
    store.delete_card(&acme, &row.token).await.unwrap();
    let after = source.snapshot().await.unwrap();
    let (then, now) = (before.tally().await.unwrap(), after.tally().await.unwrap());
    assert_eq!((then.rows(), now.rows()), (2, 1));
    let found = |changes: Changes| changes.rows.into_iter().filter(|(_, _, record)| record.is_some()).count();
    assert_eq!(found(before.changes(i64::MIN, 100).await.unwrap()), 2);
    assert_eq!(found(after.changes(i64::MIN, 100).await.unwrap()), 1);
}

#[tokio::test]
async fn while_writes_are_held_nothing_changes_and_afterwards_everything_does() {
    let (store, source, folder) = begun().await;
    let acme = acme(&*store).await;
    let row = card(&acme, customer("cus_1"));
    store.insert_card(row.clone(), None).await.unwrap();
    source.hold().await.unwrap();
    let kept = KeptRow { name: "rule".to_owned(), value: vec![1], note: String::new() };
    for past_the_door in [false, true] {
        if past_the_door {
            // What waited before the writer when the order came meets the triggers.
            store.refuse_writes(None);
        }
        assert_eq!(store.insert_card(card(&acme, None), None).await, Err(StoreError::Held));
        assert_eq!(store.delete_card(&acme, &row.token).await, Err(StoreError::Held));
        assert_eq!(store.swap_card(&acme, &row.token, row.content.clone(), content(2)).await, Err(StoreError::Held));
        assert_eq!(store.put_kept(kept.clone()).await, Err(StoreError::Held));
        assert_eq!(store.set_stays_sealed(true).await, Err(StoreError::Held));
    }
    assert_eq!(store.card(&acme, &row.token, 0).await, Ok(Some(row.clone())));
    // The process is killed: the next one takes writes.
    drop((store, source));
    let store = Arc::new(SqliteStore::open(&options(&folder)).unwrap());
    assert_eq!(store.delete_card(&acme, &row.token).await, Ok(true));
    let source = Source::new(Arc::clone(&store));
    assert!(source.started().await.unwrap().is_some(), "the move itself goes on");
    source.hold().await.unwrap();
    source.let_go().await.unwrap();
    assert_eq!(store.put_kept(kept).await, Ok(()));
}

#[tokio::test]
async fn a_file_that_was_moved_takes_no_write_and_is_not_opened_again() {
    let (store, source, folder) = begun().await;
    let acme = acme(&*store).await;
    source.hold().await.unwrap();
    let mark = || source.mark_moved("ab".repeat(32), "db on host".to_owned());
    assert_eq!(mark().await, Err(StoreError::Busy), "changes are not copied yet");
    source.forget(i64::MAX).await.unwrap();
    mark().await.unwrap();
    source.let_go().await.unwrap();
    for past_the_door in [false, true] {
        if past_the_door {
            store.refuse_writes(None);
        }
        assert_eq!(store.insert_card(card(&acme, None), None).await, Err(StoreError::Moved));
    }
    assert_eq!(source.abandon().await, Err(StoreError::Moved));
    drop((store, source));
    assert_eq!(SqliteStore::open(&options(&folder)).err(), Some(StoreError::Moved));
    let other = SqliteOptions { vault: "vault-b".to_owned(), ..options(&folder) };
    assert_eq!(SqliteStore::open(&other).err(), Some(StoreError::NewerSchema));
    let (file, moved) = find_moved(&options(&folder).path).unwrap();
    assert_eq!((moved.run, moved.is_released), (Uuid::from_u128(7), false));
    file.mark_released().unwrap();
    drop(file);
    assert!(find_moved(&options(&folder).path).unwrap().1.is_released);
}

#[tokio::test]
async fn a_move_that_is_given_up_leaves_nothing_behind() {
    let (store, source, folder) = opened().await;
    let acme = acme(&*store).await;
    let schema = || {
        let conn = Connection::open(options(&folder).path).unwrap();
        let mut statement = conn.prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name").unwrap();
        let all = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        all.map(Result::unwrap).collect::<Vec<_>>()
    };
    let before = schema();
    source.begin(Uuid::from_u128(7), 5, Some(9)).await.unwrap();
    assert_eq!(source.begin(Uuid::from_u128(8), 5, None).await, Err(StoreError::Exists));
    let started = source.started().await.unwrap().unwrap();
    assert_eq!((started.run, started.rate, started.total), (Uuid::from_u128(7), Some(9), 1));
    source.hold().await.unwrap();
    source.abandon().await.unwrap();
    source.abandon().await.unwrap();
    assert_eq!((schema(), source.started().await), (before, Ok(None)));
    store.insert_card(card(&acme, None), None).await.unwrap();
}

#[tokio::test]
async fn a_trigger_that_somebody_took_away_is_noticed_before_the_end() {
    let (store, source, folder) = begun().await;
    let conn = Connection::open(options(&folder).path).unwrap();
    conn.execute_batch("DROP TRIGGER moving_cards_delete").unwrap();
    drop(conn);
    assert_eq!(source.hold().await, Err(StoreError::Corrupt));
    acme(&*store).await;
}

#[tokio::test]
async fn rows_that_a_move_does_not_know_are_refused() {
    let (_store, source, folder) = begun().await;
    let conn = Connection::open(options(&folder).path).unwrap();
    conn.execute_batch("INSERT INTO moving_changes (what, a) VALUES (99, 1)").unwrap();
    assert_eq!(source.changes(10).await.err(), Some(StoreError::Corrupt));
}
