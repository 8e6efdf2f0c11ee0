//! What nodes share: keys of epochs on their way, and CVCs that were opened.

use std::sync::Arc;

use strongroom_wire::limits;
use uuid::Uuid;

use super::rows::NOW;
use crate::store::{CvcMark, EpochRow, KeyChange, SignTerm, Store, StoreError, UseReport};

fn key_for(epoch: u32, to: u8) -> EpochRow {
    EpochRow { epoch, to: [to; 32], ends_ms: NOW + 1_000, note: format!("note {epoch} {to}") }
}

fn mark(epoch: u32, name: u8, attempt: u8) -> CvcMark {
    CvcMark { epoch, name: [name; 12], attempt: [attempt; 16], ends_ms: NOW + 1_000 }
}

pub(in crate::store) async fn an_epoch_s_key_is_found_by_its_mailbox_until_its_end(store: Arc<dyn Store>) {
    let all = [key_for(7, 1), key_for(7, 2), key_for(u32::MAX, 1)];
    store.put_epochs(all.to_vec()).await.unwrap();
    // One that is there already stays.
    store.put_epochs(vec![EpochRow { note: "other".to_owned(), ..all[0].clone() }]).await.unwrap();
    let mut mine = store.epochs_to(vec![[1; 32], [9; 32]], NOW).await.unwrap();
    mine.sort_by_key(|row| row.epoch);
    assert_eq!(mine, [all[0].clone(), all[2].clone()]);
    assert_eq!(store.epochs_to(vec![[2; 32]], NOW + 999).await.unwrap(), [all[1].clone()]);
    assert_eq!(store.epochs_to(vec![[2; 32]], NOW + 1_000).await, Ok(Vec::new()));
    assert_eq!(store.epochs_to(Vec::new(), NOW).await, Ok(Vec::new()));
}

pub(in crate::store) async fn a_cvc_is_opened_once_and_the_same_attempt_may_ask_again(store: Arc<dyn Store>) {
    assert_eq!(store.mark_cvc(mark(7, 1, 1)).await, Ok(true));
    assert_eq!(store.mark_cvc(mark(7, 1, 1)).await, Ok(true));
    assert_eq!(store.mark_cvc(mark(7, 1, 2)).await, Ok(false));
    assert_eq!(store.mark_cvc(mark(8, 1, 2)).await, Ok(true));
    assert_eq!(store.mark_cvc(mark(7, 2, 2)).await, Ok(true));
    let many = (10..30).map(|attempt| store.mark_cvc(mark(9, 1, attempt)));
    let done = futures_util::future::join_all(many).await;
    assert_eq!(done.iter().filter(|one| **one == Ok(true)).count(), 1);
}

pub(in crate::store) async fn what_is_over_is_forgotten_and_nothing_else(store: Arc<dyn Store>) {
    let later = |row: EpochRow| EpochRow { ends_ms: NOW + 2_000, ..row };
    store.put_epochs(vec![key_for(1, 1), key_for(2, 1), later(key_for(3, 1))]).await.unwrap();
    assert_eq!(store.mark_cvc(mark(1, 1, 1)).await, Ok(true));
    assert_eq!(store.mark_cvc(CvcMark { ends_ms: NOW + 2_000, ..mark(3, 1, 1) }).await, Ok(true));
    assert_eq!(store.purge_epochs(NOW + 999, 10).await, Ok(0));
    assert_eq!(store.purge_epochs(NOW + 1_000, 1).await, Ok(2));
    assert_eq!(store.purge_epochs(NOW + 1_000, 10).await, Ok(1));
    assert_eq!(store.epochs_to(vec![[1; 32]], NOW).await, Ok(vec![later(key_for(3, 1))]));
    assert_eq!(store.mark_cvc(mark(3, 1, 2)).await, Ok(false));
}

pub(in crate::store) async fn what_nodes_share_has_its_limits(store: Arc<dyn Store>) {
    let long = |bytes| EpochRow { note: "n".repeat(bytes), ..key_for(1, 1) };
    assert_eq!(store.put_epochs(vec![long(limits::EPOCH_NOTE_BYTES_MAX + 1)]).await, Err(StoreError::TooLarge));
    assert_eq!(store.put_epochs(vec![long(limits::EPOCH_NOTE_BYTES_MAX)]).await, Ok(()));
    let many = limits::STORE_PAGE_MAX as usize + 1;
    assert_eq!(store.put_epochs(vec![key_for(1, 1); many]).await, Err(StoreError::TooLarge));
    assert_eq!(store.epochs_to(vec![[1; 32]; many], NOW).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn each_node_hears_what_the_others_said_before_it(store: Arc<dyn Store>) {
    let run = Uuid::new_v4();
    let says = |node: &str, run: Uuid, turn: u64, said: &str| {
        let own = UseReport { node: node.parse().unwrap(), run, turn, said: said.as_bytes().to_vec() };
        let store = Arc::clone(&store);
        async move {
            let heard = store.exchange_uses(own).await.unwrap();
            assert!(heard.iter().all(|row| row.age_ms < 600_000));
            heard
                .into_iter()
                .map(|row| format!("{} {}", row.node, String::from_utf8(row.said).unwrap()))
                .collect::<Vec<_>>()
        }
    };
    assert!(says("a", run, 1, "one").await.is_empty());
    assert_eq!(says("b", Uuid::new_v4(), 1, "").await, ["a one"]);
    assert_eq!(says("a", run, 3, "three").await, ["b "]);
    // What was on its way for long changes nothing, and what a new process says counts.
    assert_eq!(says("a", run, 2, "two").await, ["b "]);
    assert_eq!(says("c", Uuid::new_v4(), 9, "c").await, ["a three", "b "]);
    assert_eq!(says("a", Uuid::new_v4(), 1, "anew").await, ["b ", "c c"]);
    assert_eq!(says("b", Uuid::new_v4(), 1, "").await, ["a anew", "c c"]);
    let long = vec![0; limits::USES_BYTES_MAX + 1];
    let own = UseReport { node: "a".parse().unwrap(), run, turn: 4, said: long };
    assert_eq!(store.exchange_uses(own.clone()).await, Err(StoreError::TooLarge));
    assert!(store.exchange_uses(UseReport { said: own.said[1..].to_vec(), ..own }).await.is_ok());
}

pub(in crate::store) async fn a_log_that_is_begun_anew_has_one_term_again(store: Arc<dyn Store>) {
    let term = |node: &str, term| SignTerm {
        node: Some(node.parse().unwrap()),
        term,
        public_key: format!("strongroom/test/{node}+{term}"),
        from_entry: u64::from(term) * 10,
        handover: None,
    };
    for one in [term("a", 1), term("a", 2), term("b", 1)] {
        store.change_keys(KeyChange { sign_term: Some(one), ..KeyChange::default() }).await.unwrap();
    }
    let anew = SignTerm { from_entry: 0, ..term("a", 2) };
    store.restart_log(&"a".parse().unwrap(), anew.clone()).await.unwrap();
    store.restart_log(&"a".parse().unwrap(), anew.clone()).await.unwrap();
    assert_eq!(store.sign_terms().await, Ok(vec![anew.clone(), term("b", 1)]));
    let long = SignTerm { public_key: "k".repeat(limits::ROTATION_TEXT_BYTES_MAX + 1), ..anew };
    assert_eq!(store.restart_log(&"a".parse().unwrap(), long).await, Err(StoreError::TooLarge));
}
