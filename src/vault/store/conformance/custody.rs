//! The Root in force, changes of it, acknowledgements.

use std::sync::Arc;

use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::custody::RootChangeState;
use strongroom_wire::{TenantId, limits};

use super::rows::{NOW, acme, key, tenant_row};
use crate::store::{AcknowledgementRow, KeyChange, KeyName, KeyRow, RootChangeRow, StagedKey, Store, StoreError};

fn change(from: u8, to: u8) -> RootChangeRow {
    RootChangeRow {
        from: [from; 32],
        to: [to; 32],
        rewraps: true,
        state: RootChangeState::Running,
        done: 0,
        total: 2,
        started_ms: NOW,
        keys_per_second_max: Some(7),
        fault: None,
        proof: None,
    }
}

fn staged(key: &KeyRow, byte: u8) -> StagedKey {
    StagedKey { name: key.name.clone(), instead_of: key.wrapped.clone(), wrapped: vec![byte; 62] }
}

/// A tenant with two keys, one of the vault's, and one that is destroyed; the first root.json is in force.
async fn keys(store: &dyn Store) -> Vec<KeyRow> {
    let tenant = acme(store).await;
    let keys = [
        key(KeyPurpose::Kek, Some(&tenant), 1),
        key(KeyPurpose::Kek, Some(&tenant), 2),
        key(KeyPurpose::Sign, None, 1),
    ];
    let gone = key(KeyPurpose::Kek, Some(&tenant), 3);
    let mut insert = keys.to_vec();
    insert.push(gone.clone());
    store.change_keys(KeyChange { insert, ..KeyChange::default() }).await.unwrap();
    let end = KeyChange { states: vec![(gone.name, KeyState::Active, KeyState::Destroyed)], ..KeyChange::default() };
    store.change_keys(end).await.unwrap();
    store.adopt_root([1; 32]).await.unwrap();
    keys.to_vec()
}

async fn wrapped(store: &dyn Store) -> Vec<Vec<u8>> {
    let rows = store.keys().await.unwrap();
    rows.into_iter().filter(|row| row.state != KeyState::Destroyed).map(|row| row.wrapped).collect()
}

pub(in crate::store) async fn the_first_root_is_adopted_and_no_other(store: Arc<dyn Store>) {
    assert_eq!(store.root_in_force().await, Ok(None));
    assert_eq!(store.adopt_root([1; 32]).await, Ok([1; 32]));
    assert_eq!(store.adopt_root([2; 32]).await, Ok([1; 32]));
    assert_eq!(store.root_in_force().await, Ok(Some([1; 32])));
}

pub(in crate::store) async fn a_root_is_swapped_with_all_keys_or_not_at_all(store: Arc<dyn Store>) {
    let all = keys(&*store).await;
    let before = wrapped(&*store).await;
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false), "without a change");
    assert_eq!(store.begin_root_change(change(1, 2)).await, Ok(true));
    assert_eq!(store.count_staged().await, Ok((0, 3)));
    store.stage_keys([2; 32], vec![staged(&all[0], 7), staged(&all[1], 8)]).await.unwrap();
    assert_eq!(store.count_staged().await, Ok((2, 3)));
    assert_eq!(store.unstaged_keys(9).await, Ok(vec![all[2].clone()]));
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false), "one is not staged");
    store.stage_keys([2; 32], vec![staged(&all[2], 9)]).await.unwrap();
    assert_eq!(store.swap_root([2; 32], [1; 32], true).await, Ok(false), "another change");
    assert_eq!(store.swap_root([1; 32], [3; 32], true).await, Ok(false), "another change");
    assert_eq!(wrapped(&*store).await, before);
    assert_eq!(store.root_in_force().await, Ok(Some([1; 32])));

    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(true));
    assert_eq!(store.root_in_force().await, Ok(Some([2; 32])));
    let mut after = wrapped(&*store).await;
    after.sort_unstable();
    assert_eq!(after, [vec![7; 62], vec![8; 62], vec![9; 62]]);
    let destroyed = store.keys().await.unwrap().into_iter().find(|row| row.state == KeyState::Destroyed).unwrap();
    assert_eq!(destroyed.wrapped, Vec::<u8>::new());
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false), "a second time");
    assert_eq!(store.count_staged().await, Ok((0, 3)));
}

pub(in crate::store) async fn a_key_that_came_or_changed_meanwhile_is_not_swapped_away(store: Arc<dyn Store>) {
    let all = keys(&*store).await;
    store.begin_root_change(change(1, 2)).await.unwrap();
    store.stage_keys([2; 32], all.iter().map(|key| staged(key, 7)).collect()).await.unwrap();
    // A tenant that is registered meanwhile.
    let other = "other".parse().unwrap();
    let new = key(KeyPurpose::Kek, Some(&other), 1);
    store.insert_tenant(tenant_row(&other), vec![new.clone()], None).await.unwrap();
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false));
    store.stage_keys([2; 32], vec![staged(&new, 7)]).await.unwrap();
    // A key whose bytes are others now.
    let rewraps = vec![(new.name.clone(), new.wrapped.clone(), vec![5; 60])];
    store.change_keys(KeyChange { rewraps, ..KeyChange::default() }).await.unwrap();
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false));
    let new = KeyRow { wrapped: vec![5; 60], ..new };
    assert_eq!(store.unstaged_keys(9).await, Ok(vec![new.clone()]));
    store.stage_keys([2; 32], vec![staged(&new, 9)]).await.unwrap();
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(true));
}

pub(in crate::store) async fn a_key_under_a_root_that_is_not_in_force_is_not_stored(store: Arc<dyn Store>) {
    let all = keys(&*store).await;
    let other: TenantId = "other".parse().unwrap();
    let new = key(KeyPurpose::Kek, Some(&other), 1);
    let next = KeyRow { name: KeyName { term: 9, ..all[1].name.clone() }, ..new.clone() };
    let before = wrapped(&*store).await;
    let refused = store.insert_tenant(tenant_row(&other), vec![new.clone()], Some([2; 32])).await;
    assert_eq!(refused, Err(StoreError::OtherRoot));
    let change = |under| KeyChange { insert: vec![next.clone()], under: Some(under), ..KeyChange::default() };
    assert_eq!(store.change_keys(change([2; 32])).await, Err(StoreError::OtherRoot));
    assert_eq!(wrapped(&*store).await, before);
    assert_eq!(store.insert_tenant(tenant_row(&other), vec![new], Some([1; 32])).await, Ok(true));
    assert_eq!(store.change_keys(change([1; 32])).await, Ok(true));
}

pub(in crate::store) async fn another_division_of_one_root_changes_no_key(store: Arc<dyn Store>) {
    keys(&*store).await;
    let before = wrapped(&*store).await;
    let same = RootChangeRow { rewraps: false, ..change(1, 2) };
    assert_eq!(store.begin_root_change(same).await, Ok(true));
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false), "whatever the row says");
    assert_eq!(store.swap_root([1; 32], [2; 32], false).await, Ok(true));
    assert_eq!(store.root_in_force().await, Ok(Some([2; 32])));
    assert_eq!(wrapped(&*store).await, before);
}

pub(in crate::store) async fn one_change_of_the_root_is_open_at_a_time(store: Arc<dyn Store>) {
    let all = keys(&*store).await;
    assert_eq!(store.root_change().await, Ok(None));
    assert_eq!(store.note_root_change(change(1, 2)).await, Ok(false));
    assert_eq!(store.begin_root_change(change(1, 2)).await, Ok(true));
    assert_eq!(store.begin_root_change(change(1, 3)).await, Ok(false));
    store.stage_keys([2; 32], vec![staged(&all[0], 7)]).await.unwrap();
    let stopped = RootChangeRow {
        state: RootChangeState::Stopped,
        done: 1,
        total: 3,
        fault: Some("the HSM is away".to_owned()),
        ..change(1, 2)
    };
    assert_eq!(store.note_root_change(stopped.clone()).await, Ok(true));
    assert_eq!(store.root_change().await, Ok(Some(stopped)));
    assert_eq!(store.note_root_change(change(1, 3)).await, Ok(false));
    // Given up, it takes along what was staged, and is over.
    let given_up = RootChangeRow { state: RootChangeState::Abandoned, ..change(1, 2) };
    assert_eq!(store.note_root_change(given_up.clone()).await, Ok(true));
    assert_eq!(store.stage_keys([2; 32], vec![staged(&all[0], 7)]).await, Ok(false));
    assert_eq!(store.count_staged().await, Ok((0, 3)));
    assert_eq!(store.note_root_change(given_up).await, Ok(false));
    assert_eq!(store.swap_root([1; 32], [2; 32], true).await, Ok(false));
    assert_eq!(store.begin_root_change(change(1, 3)).await, Ok(true));
    let done = RootChangeRow { state: RootChangeState::Done, proof: Some("signed".to_owned()), ..change(1, 3) };
    assert_eq!(store.note_root_change(done.clone()).await, Ok(true));
    assert_eq!(store.root_change().await, Ok(Some(done)));
}

pub(in crate::store) async fn custody_over_the_limits_is_refused(store: Arc<dyn Store>) {
    let all = keys(&*store).await;
    store.begin_root_change(change(1, 2)).await.unwrap();
    let long = |bytes| RootChangeRow { proof: Some("x".repeat(bytes)), ..change(1, 2) };
    assert_eq!(store.note_root_change(long(limits::ROTATION_TEXT_BYTES_MAX)).await, Ok(true));
    assert_eq!(store.note_root_change(long(limits::ROTATION_TEXT_BYTES_MAX + 1)).await, Err(StoreError::TooLarge));
    let wide = |bytes| vec![StagedKey { wrapped: vec![1; bytes], ..staged(&all[0], 1) }];
    assert_eq!(store.stage_keys([2; 32], wide(limits::WRAPPED_KEY_BYTES_MAX)).await, Ok(true));
    assert_eq!(store.stage_keys([2; 32], wide(limits::WRAPPED_KEY_BYTES_MAX + 1)).await, Err(StoreError::TooLarge));
    let row = |bytes| AcknowledgementRow { who: "x".repeat(bytes), root: [1; 32], duty: 1, at_ms: NOW };
    assert_eq!(store.acknowledge(row(limits::IDENTITY_BYTES_MAX)).await, Ok(true));
    assert_eq!(store.acknowledge(row(limits::IDENTITY_BYTES_MAX + 1)).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn an_acknowledgement_is_kept_once_for_each_root(store: Arc<dyn Store>) {
    let row = |who: &str, root: u8, at_ms| AcknowledgementRow { who: who.to_owned(), root: [root; 32], duty: 1, at_ms };
    assert_eq!(store.acknowledge(row("ada", 1, NOW)).await, Ok(true));
    assert_eq!(store.acknowledge(row("ada", 1, NOW + 1)).await, Ok(false));
    assert_eq!(store.acknowledge(row("ben", 1, NOW + 2)).await, Ok(true));
    assert_eq!(store.acknowledge(row("ada", 2, NOW + 3)).await, Ok(true));
    let all = vec![row("ada", 1, NOW), row("ben", 1, NOW + 2), row("ada", 2, NOW + 3)];
    assert_eq!(store.acknowledgements().await, Ok(all));
    // Another duty is another acknowledgement, in the place of the one before.
    let newer = AcknowledgementRow { duty: 2, ..row("ada", 1, NOW + 4) };
    assert_eq!(store.acknowledge(newer.clone()).await, Ok(true));
    let all = store.acknowledgements().await.unwrap();
    assert!(all.len() == 3 && all.contains(&newer));
}
