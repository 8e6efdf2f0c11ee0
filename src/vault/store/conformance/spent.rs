//! Sealed cards that were opened.

use std::sync::Arc;

use strongroom_wire::limits;

use super::rows::{NOW, random};
use crate::store::{SpentRow, Store};

fn spent(term: u32, enc: u8) -> SpentRow {
    SpentRow { term, enc: [enc; 32], request: random(), at_ms: NOW }
}

pub(in crate::store) async fn a_sealing_is_spent_once(store: Arc<dyn Store>) {
    assert_eq!(store.spend(spent(1, 1)).await, Ok(true));
    assert_eq!(store.spend(spent(1, 1)).await, Ok(false));
    // Another sealing, and the same bytes under another key, are something else.
    assert_eq!(store.spend(spent(1, 2)).await, Ok(true));
    assert_eq!(store.spend(spent(2, 1)).await, Ok(true));
}

pub(in crate::store) async fn the_same_request_may_spend_again_for_a_day(store: Arc<dyn Store>) {
    let first = spent(1, 1);
    let at = |at_ms: u64| SpentRow { at_ms, ..first.clone() };
    assert_eq!(store.spend(first.clone()).await, Ok(true));
    assert_eq!(store.spend(at(NOW + limits::IDEMPOTENCY_TTL_S * 1000 - 1)).await, Ok(true));
    assert_eq!(store.spend(spent(1, 1)).await, Ok(false), "another request changes nothing");
    assert_eq!(store.spend(at(NOW + limits::IDEMPOTENCY_TTL_S * 1000)).await, Ok(false));
}

pub(in crate::store) async fn old_terms_are_forgotten_alone(store: Arc<dyn Store>) {
    for (term, enc) in [(1, 1), (1, 2), (2, 1), (3, 1)] {
        assert_eq!(store.spend(spent(term, enc)).await, Ok(true));
    }
    assert_eq!(store.forget_spent(3, 2).await, Ok(2));
    assert_eq!(store.forget_spent(3, 10).await, Ok(1));
    assert_eq!(store.forget_spent(3, 10).await, Ok(0));
    assert_eq!(store.spend(spent(3, 1)).await, Ok(false));
    assert_eq!(store.spend(spent(2, 1)).await, Ok(true));
}

pub(in crate::store) async fn of_many_at_once_one_spends(store: Arc<dyn Store>) {
    let many = (0..20).map(|_| store.spend(spent(1, 1)));
    let done = futures_util::future::join_all(many).await;
    assert_eq!(done.iter().filter(|one| **one == Ok(true)).count(), 1);
}
