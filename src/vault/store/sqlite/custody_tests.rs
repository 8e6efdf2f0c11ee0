//! What is staged for a Root to come goes with the key that it is a copy of.

use std::sync::Arc;

use rusqlite::Connection;
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::custody::RootChangeState;

use crate::store::conformance::{acme, key};
use crate::store::{KeyChange, KeyRow, RootChangeRow, SqliteOptions, SqliteStore, StagedKey, Store};

#[tokio::test]
async fn a_destroyed_key_leaves_no_copy_for_a_root_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.db");
    let options = SqliteOptions { path, vault: "vault-a".to_owned(), bytes_max: None };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options).unwrap());
    let tenant = acme(&*store).await;
    let keys = [key(KeyPurpose::Kek, Some(&tenant), 1), key(KeyPurpose::Kek, Some(&tenant), 2)];
    store.change_keys(KeyChange { insert: keys.to_vec(), ..KeyChange::default() }).await.unwrap();
    store.adopt_root([1; 32]).await.unwrap();
    let change = RootChangeRow {
        from: [1; 32],
        to: [2; 32],
        rewraps: true,
        state: RootChangeState::Running,
        done: 0,
        total: 2,
        started_ms: 1,
        keys_per_second_max: None,
        fault: None,
        proof: None,
    };
    store.begin_root_change(change).await.unwrap();
    let staged =
        |key: &KeyRow| StagedKey { name: key.name.clone(), instead_of: key.wrapped.clone(), wrapped: vec![7; 62] };
    let left = || {
        let conn = Connection::open(folder.path().join("vault.db")).unwrap();
        conn.query_row("SELECT count(*) FROM staged_keys", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    store.stage_keys([2; 32], keys.iter().map(staged).collect()).await.unwrap();
    assert_eq!(left(), 2);
    let end = (keys[0].name.clone(), KeyState::Active, KeyState::Destroyed);
    store.change_keys(KeyChange { states: vec![end], ..KeyChange::default() }).await.unwrap();
    assert_eq!(left(), 1);
    // Wrapped before it was destroyed, and staged afterwards.
    store.stage_keys([2; 32], vec![staged(&keys[0])]).await.unwrap();
    assert_eq!(left(), 1);
    store.shred_tenant(&tenant).await.unwrap();
    assert_eq!(left(), 0);
}
