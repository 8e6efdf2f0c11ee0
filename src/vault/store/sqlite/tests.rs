//! The conformance suite over SQLite, and what is SQLite's alone: files, faults, size.

use std::path::Path;
use std::sync::Arc;

use strongroom_wire::{TenantId, Token};
use tempfile::TempDir;

use super::{SqliteOptions, SqliteStore};
use crate::store::conformance::{acme, answer, card, conformance, content, customer, key, tenant_row};
use crate::store::{CardContent, CardFilter, CardRow, Inserted, KeyChange, Store, StoreError, TokenMint};

const NOW: u64 = 1_764_000_000_000;

conformance!(fresh);

async fn fresh() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    (Arc::new(store), folder)
}

fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions { path: folder.path().join("vault.db"), vault: "vault-a".to_owned(), bytes_max: None }
}

#[tokio::test]
async fn a_store_of_another_vault_or_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(&options(&folder)).unwrap());
    let foreign = SqliteOptions { vault: "vault-b".to_owned(), ..options(&folder) };
    assert_eq!(SqliteStore::open(&foreign).err(), Some(StoreError::OtherVault));
    let conn = rusqlite::Connection::open(options(&folder).path).unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    drop(conn);
    assert_eq!(SqliteStore::open(&options(&folder)).err(), Some(StoreError::NewerSchema));
}

#[tokio::test]
async fn another_program_s_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(options(&folder).path).unwrap();
    conn.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(conn);
    let before = std::fs::read(options(&folder).path).unwrap();
    assert_eq!(SqliteStore::open(&options(&folder)).err(), Some(StoreError::OtherVault));
    assert_eq!(std::fs::read(options(&folder).path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(options(&folder).path, [7; 8192]).unwrap();
    assert_eq!(SqliteStore::open(&options(&folder)).err(), Some(StoreError::Corrupt));
    assert_eq!(std::fs::read(options(&folder).path).unwrap(), [7; 8192]);
}

#[tokio::test]
async fn rows_that_this_version_cannot_have_written_are_refused() {
    for change in [
        "fingerprint = x'01'",
        "binding = x''",
        "customer = 'no such name!'",
        "created_after_ms = -9223372036854775807",
        "expires_ms = -1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&options(&folder)).unwrap();
        let tenant = acme(&store).await;
        let card = card(&tenant, None);
        store.insert_card(card.clone(), None).await.unwrap();
        let conn = rusqlite::Connection::open(options(&folder).path).unwrap();
        conn.execute_batch(&format!("UPDATE cards SET {change}")).unwrap();
        let read = store.card(&tenant, &card.token, NOW).await;
        // A card whose end lies before 1970 is gone, whatever else it is.
        let wanted = if change.starts_with("expires") { Ok(None) } else { Err(StoreError::Corrupt) };
        assert_eq!(read, wanted, "{change}");
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(&options(&folder)).unwrap();
    assert_eq!(SqliteStore::open(&options(&folder)).err(), Some(StoreError::InUse));
    let alias = folder.path().join("alias.db");
    std::os::unix::fs::symlink(folder.path().join("vault.db"), &alias).unwrap();
    let by_another_name = SqliteOptions { path: alias, ..options(&folder) };
    assert_eq!(SqliteStore::open(&by_another_name).err(), Some(StoreError::InUse));
    drop(first);
    assert!(SqliteStore::open(&options(&folder)).is_ok());
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let card = card(&tenant, customer("cus_1"));
    store.insert_card(card.clone(), Some(answer(&tenant, 1))).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&options(&folder)).unwrap();
    assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card)));
    assert!(store.answer(&tenant, &[1; 32], NOW).await.unwrap().is_some());
}

/// A kill cannot be played inside one process; what can be seen is that an acknowledged row is in the files already,
/// because a copy of them opens with it.
#[tokio::test]
async fn an_acknowledged_card_is_in_the_files() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let card = card(&tenant, None);
    store.insert_card(card.clone(), None).await.unwrap();
    for name in ["vault.db", "vault.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let copied = SqliteStore::open(&options(&copy)).unwrap();
    assert_eq!(copied.card(&tenant, &card.token, NOW).await, Ok(Some(card)));
}

#[tokio::test]
async fn a_full_store_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = SqliteOptions { bytes_max: Some(400 * 1024), ..options(&folder) };
    let store = Arc::new(SqliteStore::open(&small).unwrap());
    let tenant = acme(&*store).await;
    let mut kept = Vec::new();
    let refused = loop {
        let mut group = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let (store, card) = (Arc::clone(&store), card(&tenant, None));
            group.spawn(async move { (store.insert_card(card.clone(), None).await, card) });
        }
        let mut refused = Vec::new();
        for (result, card) in group.join_all().await {
            match result {
                Ok(_) => kept.push(card),
                Err(error) => refused.push((error, card)),
            }
        }
        assert!(kept.len() < 10_000);
        if !refused.is_empty() {
            break refused;
        }
    };
    for (error, card) in &refused {
        assert_eq!(*error, StoreError::Unavailable);
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(None));
    }
    for card in &kept {
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card.clone())));
    }
    // With room again, writes go on.
    for card in kept.drain(..200) {
        assert_eq!(store.delete_card(&tenant, &card.token).await, Ok(true));
    }
    assert_eq!(store.insert_card(refused[0].1.clone(), None).await, Ok(Inserted::Stored));
    drop(store);
    let store = SqliteStore::open(&small).unwrap();
    for card in &kept {
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card.clone())));
    }
}

#[tokio::test]
async fn a_log_that_a_reader_holds_back_stops_at_its_bound_and_goes_on_without_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let bound = 256 * 1024;
    store.bound_log(bound);
    let mut reader = rusqlite::Connection::open(options(&folder).path).unwrap();
    let held = reader.transaction().unwrap();
    held.query_row("SELECT count(*) FROM cards", [], |_| Ok(())).unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let card = card(&tenant, None);
        match store.insert_card(card.clone(), None).await {
            Ok(_) => kept.push(card),
            Err(error) => break (error, card),
        }
        assert!(store.load().log_bytes < 2 * bound, "the log grows beyond its bound");
    };
    assert_eq!(refused.0, StoreError::Unavailable);
    assert!(!kept.is_empty() && store.load().is_held_back());
    // What is there is read all the same.
    assert_eq!(store.card(&tenant, &kept[0].token, NOW).await, Ok(Some(kept[0].clone())));
    drop(held);
    drop(reader);
    let going_on = async {
        while store.insert_card(refused.1.clone(), None).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), going_on).await.unwrap();
    assert!(!store.load().is_held_back());
    for card in &kept {
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card.clone())));
    }
}

/// One refusal in a group undoes nobody else's write, and the search for fingerprints still sees every card.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_in_a_group_undoes_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&options(&folder)).unwrap());
    let tenant = acme(&*store).await;
    let taken = card(&tenant, None);
    store.insert_card(taken.clone(), None).await.unwrap();
    let mut group = tokio::task::JoinSet::new();
    for n in 0..400 {
        let mut card = card(&tenant, None);
        if n % 4 == 0 {
            card.token = taken.token;
        }
        let store = Arc::clone(&store);
        group.spawn(async move { (n, store.insert_card(card.clone(), None).await, card) });
    }
    for (n, result, card) in group.join_all().await {
        let wanted = if n % 4 == 0 { Err(StoreError::Exists) } else { Ok(Inserted::Stored) };
        assert_eq!(result, wanted);
        if n % 4 != 0 {
            assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card)));
        }
    }
}

#[tokio::test]
async fn the_store_refuses_more_writes_than_may_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&options(&folder)).unwrap());
    let tenant = acme(&*store).await;
    // Another connection holds the write lock, so that the writer waits and the queue fills.
    let blocker = rusqlite::Connection::open(options(&folder).path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    let over = strongroom_wire::limits::STORE_QUEUE_MAX + 2 * strongroom_wire::limits::STORE_GROUP_MAX;
    for _ in 0..over {
        let (store, card) = (Arc::clone(&store), card(&tenant, None));
        waiting.spawn(async move { store.insert_card(card, None).await });
    }
    while let Some(result) = waiting.join_next().await {
        if result.unwrap() == Err(StoreError::Busy) {
            break;
        }
    }
    blocker.execute_batch("ROLLBACK").unwrap();
    let stored = waiting.join_all().await.into_iter().filter(|result| *result == Ok(Inserted::Stored)).count();
    assert!(stored > 0);
}

#[tokio::test]
async fn nothing_of_a_shredded_row_is_left_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let mint = TokenMint::new();
    // Out of order and of many lengths, so that pages are split, rows move and overflow.
    let mut rows: Vec<CardRow> = (0..600u64)
        .map(|n| {
            let mut row = CardRow { token: mint.token(NOW + n), ..card(&tenant, customer(&format!("cus_{n}"))) };
            row.content.envelope.extend(card(&tenant, None).content.envelope.repeat((n % 7) as usize * 5));
            row
        })
        .collect();
    rows.sort_by_key(|row| row.fingerprint);
    for row in &rows {
        store.insert_card(row.clone(), None).await.unwrap();
    }
    let mut shredded = Vec::new();
    for row in &rows {
        let new = CardContent { metadata: Some(content(2).envelope.repeat(9)), ..content(2) };
        assert_eq!(store.swap_card(&tenant, &row.token, row.content.clone(), new.clone()).await, Ok(true));
        shredded.push(row.content.envelope[5..37].to_vec());
        shredded.push(new.envelope[5..37].to_vec());
        shredded.push(new.metadata.unwrap()[5..37].to_vec());
    }
    let kek = key(strongroom_wire::admin::KeyPurpose::Kek, Some(&tenant), 1);
    store.change_keys(KeyChange { insert: vec![kek.clone()], ..KeyChange::default() }).await.unwrap();
    store.settle().await.unwrap();
    assert_eq!(found_in_files(folder.path(), &shredded[1..3]), 2);
    for row in &rows {
        assert_eq!(store.delete_card(&tenant, &row.token).await, Ok(true));
    }
    use strongroom_wire::admin::KeyState::{Active, Destroyed};
    let destroy = KeyChange { states: vec![(kek.name, Active, Destroyed)], ..KeyChange::default() };
    assert_eq!(store.change_keys(destroy).await, Ok(true));
    shredded.push(kek.wrapped);
    store.settle().await.unwrap();
    assert_eq!(found_in_files(folder.path(), &shredded), 0);
}

#[tokio::test]
async fn a_quiet_moment_after_a_delete_empties_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let card = card(&tenant, None);
    store.insert_card(card.clone(), None).await.unwrap();
    store.delete_card(&tenant, &card.token).await.unwrap();
    let wanted = vec![card.content.envelope[5..37].to_vec()];
    let start = std::time::Instant::now();
    while found_in_files(folder.path(), &wanted) > 0 {
        assert!(start.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn found_in_files(folder: &Path, needles: &[Vec<u8>]) -> usize {
    let files: Vec<Vec<u8>> =
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let heads: std::collections::HashSet<&[u8]> = needles.iter().map(Vec::as_slice).collect();
    let found: std::collections::HashSet<&[u8]> = files
        .iter()
        .flat_map(|file| [32, 60].into_iter().flat_map(move |length| file.windows(length)))
        .filter(|window| heads.contains(window))
        .collect();
    found.len()
}

/// Many segments, several tenants, inserts behind the newest segment, deletes: a search by fingerprint and a list find
/// exactly what a search without segments would.
#[tokio::test]
async fn segments_hide_no_card() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&options(&folder)).unwrap();
    let tenant = acme(&store).await;
    let small: TenantId = "small".parse().unwrap();
    store.insert_tenant(tenant_row(&small), Vec::new(), None).await.unwrap();
    let mint = TokenMint::new();
    let mut cards: Vec<CardRow> = (0..24_000u64)
        .map(|n| {
            let mut card = CardRow { token: mint.token(NOW + n), ..card(&tenant, None) };
            if n % 6_000 == 5 {
                card.tenant = small.clone();
            }
            if n % 1_500 == 7 {
                card.fingerprint = [1; 16];
            }
            card
        })
        .collect();
    // Even ones first, so that all the odd ones come behind; enough of them to make segments too long and split them.
    let (even, odd): (Vec<_>, Vec<_>) = cards.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 0);
    for part in [even, odd] {
        for chunk in part.chunks(1_000) {
            let chunk = chunk.iter().map(|(_, card)| (card.clone(), None)).collect();
            store.insert_cards(chunk).await.unwrap();
        }
    }
    for n in (7..24_000).step_by(3_000) {
        assert_eq!(store.delete_card(&tenant, &cards[n].token).await, Ok(true));
    }
    let gone: std::collections::HashSet<Token> = (7..24_000).step_by(3_000).map(|n| cards[n].token).collect();
    cards.retain(|card| !gone.contains(&card.token));
    // The four bytes that a segment has of a fingerprint go with the card.
    assert_eq!(found_in_segments(&folder, &[1; 4]), 8);
    let segments: i64 = rusqlite::Connection::open(options(&folder).path)
        .unwrap()
        .query_row("SELECT count(*) FROM segments", [], |row| row.get(0))
        .unwrap();
    assert!(segments >= 3);

    let copy = copy_of(&folder);
    for store in [store, SqliteStore::open(&options(&copy)).unwrap()] {
        for (tenant, print) in [(&tenant, Some([1; 16])), (&tenant, Some(cards[20_001].fingerprint)), (&small, None)] {
            let filter = CardFilter { customer: None, fingerprint: print };
            let wanted: Vec<&CardRow> = cards
                .iter()
                .filter(|card| card.tenant == *tenant && print.is_none_or(|print| print == card.fingerprint))
                .collect();
            let listed = store.cards(tenant, &filter, None, 100, NOW).await.unwrap();
            assert_eq!(listed.iter().collect::<Vec<_>>(), wanted);
        }
        assert_eq!(store.count_stale(&tenant, 2).await, Ok(cards.len() as u64 - 4));
        assert_eq!(store.count_stale(&small, 2).await, Ok(4));
    }
}

fn found_in_segments(folder: &TempDir, print: &[u8]) -> usize {
    let conn = rusqlite::Connection::open(options(folder).path).unwrap();
    let mut statement = conn.prepare("SELECT prints FROM segments").unwrap();
    let blobs = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    blobs.map(|blob| blob.unwrap().chunks(4).filter(|other| *other == print).count()).sum()
}

fn copy_of(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["vault.db", "vault.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

/// HOTPATH: a card with a sealed record of 145 bytes takes 230 bytes at most, all indexes counted.
#[tokio::test]
async fn a_card_takes_230_bytes_at_most() {
    for (named, most) in [(false, 230.0), (true, 310.0)] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&options(&folder)).unwrap();
        let tenant = acme(&store).await;
        let mint = TokenMint::new();
        for chunk in 0..100u64 {
            let cards = (0..1_000u64).map(|n| {
                let token = mint.token(NOW + chunk * 500 + n / 2);
                let mut row = CardRow { token, ..card(&tenant, None) };
                if named {
                    row.customer = customer(&format!("cus_x{}", &token.uuid().simple().to_string()[17..]));
                }
                (row, None)
            });
            store.insert_cards(cards.collect()).await.unwrap();
        }
        store.settle().await.unwrap();
        let bytes = std::fs::metadata(options(&folder).path).unwrap().len() as f64 / 100_000.0;
        assert!(bytes <= most, "{bytes} bytes a card");
        assert!(bytes > 145.0, "{bytes} bytes a card cannot be");
    }
}
