//! What operators look at, and their sessions.

use strongroom_wire::TenantId;

use super::super::{Effects, OperatorSession, Store, TallyRow};
use super::{attempt, merchant_named, payment};
use crate::intent::State;

pub(super) async fn merchants_are_listed_page_by_page(store: &dyn Store) {
    for name in ["zz-b", "zz_a", "zz0"] {
        store.add_merchant(&merchant_named(name)).await.unwrap();
    }
    let list = async |after: Option<&str>, limit: u32| {
        let after: Option<TenantId> = after.map(|name| name.parse().unwrap());
        let found = store.merchants(after.as_ref(), limit).await.unwrap();
        found.into_iter().map(|merchant| merchant.merchant_id.to_string()).collect::<Vec<_>>()
    };
    let all = list(None, 100).await;
    assert!(all.is_sorted() && all.contains(&"shop".to_owned()), "{all:?}");
    assert_eq!(list(Some("zz"), 100).await, ["zz-b", "zz0", "zz_a"]);
    assert_eq!(list(Some("zz-b"), 1).await, ["zz0"]);
    assert_eq!(list(None, 2).await, all[..2]);
    assert!(list(Some("zz_a"), 100).await.is_empty());
}

pub(super) async fn payments_are_counted_within_a_bound(store: &dyn Store) {
    let counted: TenantId = "counted".parse().unwrap();
    store.add_merchant(&merchant_named("counted")).await.unwrap();
    for (id, created_ms, state, connector) in [
        ("pay_0", 99, State::Succeeded, Some("stripe")),
        ("pay_1", 100, State::Failed, Some("adyen")),
        ("pay_2", 109, State::Succeeded, Some("stripe")),
        ("pay_3", 110, State::Succeeded, Some("stripe")),
        ("pay_4", 119, State::Succeeded, Some("stripe")),
        ("pay_5", 119, State::RequiresPaymentMethod, None),
    ] {
        let mut made = payment(id);
        made.merchant_id = counted.clone();
        made.created_ms = created_ms;
        made.state = state;
        made.attempts = connector.map(|name| attempt(name, "mca_t", None)).into_iter().collect();
        store.add_payment(&made, &Effects::default()).await.unwrap();
    }
    let row = |part, state, connector: Option<&str>, payments| TallyRow {
        part,
        state,
        connector: connector.map(str::to_owned),
        payments,
    };
    let mut all = store.tally(&counted, 100, 10, 100).await.unwrap();
    all.rows.sort_by_key(|row| (row.part, row.state.word()));
    assert_eq!(
        all.rows,
        [
            row(0, State::Failed, Some("adyen"), 1),
            row(0, State::Succeeded, Some("stripe"), 1),
            row(1, State::RequiresPaymentMethod, None, 1),
            row(1, State::Succeeded, Some("stripe"), 2),
        ]
    );
    assert_eq!((all.payments(), all.oldest_ms), (5, Some(100)));
    let newest = store.tally(&counted, 0, 1000, 3).await.unwrap();
    assert_eq!((newest.payments(), newest.oldest_ms), (3, Some(110)));
    let none = store.tally(&"nobody".parse().unwrap(), 0, 10, 100).await.unwrap();
    assert_eq!((none.payments(), none.oldest_ms), (0, None));
}

pub(super) async fn sessions_begin_are_seen_and_end(store: &dyn Store) {
    let session = |hash: &str, operator: &str, created_ms| OperatorSession {
        hash: hash.into(),
        operator: operator.into(),
        credential: "c".into(),
        created_ms,
        seen_ms: created_ms,
    };
    let alive = async || {
        let mut found = String::new();
        for hash in ["a", "b", "c", "d", "e"] {
            if store.session(hash).await.unwrap().is_some() {
                found.push_str(hash);
            }
        }
        found
    };
    for (hash, operator, at) in [("a", "ada", 10), ("b", "ada", 20), ("c", "ben", 15)] {
        store.add_session(&session(hash, operator, at), 2, 0).await.unwrap();
    }
    assert_eq!(store.session("a").await.unwrap(), Some(session("a", "ada", 10)));
    assert_eq!(alive().await, "abc");
    store.add_session(&session("d", "ada", 30), 2, 0).await.unwrap();
    assert_eq!(alive().await, "bcd", "the oldest of an operator gives way");
    store.see_session("b", 25).await.unwrap();
    store.see_session("b", 24).await.unwrap();
    assert_eq!(store.session("b").await.unwrap().unwrap().seen_ms, 25, "time does not go back");
    store.end_session("b").await.unwrap();
    store.end_session("b").await.unwrap();
    store.see_session("b", 40).await.unwrap();
    assert_eq!(alive().await, "cd", "what ended stays ended");
    store.add_session(&session("e", "eve", 50), 2, 15).await.unwrap();
    assert_eq!(alive().await, "de", "what began long ago goes, whoever it belonged to");
}

pub(super) async fn tries_are_counted_until_a_name_is_locked(store: &dyn Store) {
    let attempt = async |now_ms: i64| store.count_try("ada", 3, now_ms, now_ms + 100).await.unwrap();
    assert!(attempt(1).await && attempt(2).await);
    store.forget_tries("ada").await.unwrap();
    assert!(attempt(3).await && attempt(4).await && attempt(5).await);
    assert!(!attempt(6).await && !attempt(104).await, "locked since the third in a row, at 5");
    assert!(store.count_try("ben", 3, 6, 106).await.unwrap(), "another name");
    assert!(attempt(105).await, "the time is over, and counting begins anew");
    assert!(attempt(106).await && attempt(107).await && !attempt(108).await);
    store.forget_tries("ada").await.unwrap();
    assert!(attempt(109).await);
    store.forget_tries("ada").await.unwrap();
    let side_by_side = futures_util::future::join_all((0..20).map(|_| attempt(200))).await;
    assert_eq!(side_by_side.into_iter().filter(|allowed| *allowed).count(), 3, "however many come at once");
}
