//! Acts that need two people.

use std::sync::Arc;

use strongroom_wire::{ActId, limits};

use super::rows::NOW;
use crate::store::{ActRow, Store, StoreError};

fn act(note: &str) -> ActRow {
    ActRow { id: ActId::fresh(), is_open: true, until_ms: NOW + 1_000, note: note.to_owned() }
}

pub(in crate::store) async fn an_act_changes_only_from_what_it_was(store: Arc<dyn Store>) {
    let (first, second) = (act("first"), act("second"));
    store.insert_act(first.clone()).await.unwrap();
    store.insert_act(second.clone()).await.unwrap();
    assert_eq!(store.insert_act(first.clone()).await, Err(StoreError::Exists));
    assert_eq!(store.acts().await, Ok(vec![second.clone(), first.clone()]));
    let done = ActRow { is_open: false, until_ms: NOW + 5_000, note: "done".to_owned(), ..first.clone() };
    assert_eq!(store.swap_act(second.clone(), done.clone()).await, Ok(true), "the new row keeps the old one's id");
    let stale = ActRow { note: "other".to_owned(), ..first.clone() };
    assert_eq!(store.swap_act(stale, done.clone()).await, Ok(false));
    assert_eq!(store.swap_act(first.clone(), done.clone()).await, Ok(true));
    assert_eq!(store.swap_act(first.clone(), done.clone()).await, Ok(false));
    assert_eq!(store.acts().await, Ok(vec![ActRow { id: second.id, ..done.clone() }, done]));
}

pub(in crate::store) async fn acts_that_are_over_go_when_their_time_comes(store: Arc<dyn Store>) {
    let (open, over) = (act("open"), ActRow { is_open: false, ..act("over") });
    for act in [&open, &over] {
        store.insert_act(act.clone()).await.unwrap();
    }
    assert_eq!(store.purge_acts(over.until_ms - 1).await, Ok(0));
    assert_eq!(store.purge_acts(over.until_ms).await, Ok(1));
    assert_eq!(store.acts().await, Ok(vec![open]));
}

pub(in crate::store) async fn acts_have_their_limits(store: Arc<dyn Store>) {
    let long = act(&"x".repeat(limits::ACT_BYTES_MAX + 1));
    assert_eq!(store.insert_act(long.clone()).await, Err(StoreError::TooLarge));
    let fits = act(&"x".repeat(limits::ACT_BYTES_MAX));
    store.insert_act(fits.clone()).await.unwrap();
    assert_eq!(store.swap_act(fits, long).await, Err(StoreError::TooLarge));
    for _ in 1..limits::ACTS_OPEN_MAX {
        store.insert_act(act("open")).await.unwrap();
    }
    assert_eq!(store.insert_act(act("one more")).await, Err(StoreError::Full));
    for _ in 0..=limits::ACTS_LISTED_MAX {
        store.insert_act(ActRow { is_open: false, ..act("over") }).await.unwrap();
    }
    let listed = store.acts().await.unwrap();
    assert_eq!(listed.len(), limits::ACTS_LISTED_MAX as usize);
    assert_eq!(listed.iter().filter(|act| act.is_open).count(), limits::ACTS_OPEN_MAX as usize);
}
