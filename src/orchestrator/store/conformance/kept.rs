//! Idempotency keys.

use strongroom_wire::TenantId;

use super::super::{Claim, Effects, Kept, KeptState, Store, StoreError};
use super::{payment, shop};

fn claim(key: &str, run: &str) -> Claim {
    Claim { merchant_id: shop(), key: format!("POST /payments {key}"), run: run.into() }
}

/// A request of `run` at 0 that works until 50 and whose answer is kept until 1000.
fn kept(key: &str, run: &str, digest: &str) -> Kept {
    Kept {
        claim: claim(key, run),
        digest: digest.into(),
        subject: format!("payment pay_of_{run}"),
        lease_ms: 50,
        expires_ms: 1000,
    }
}

fn left_by(run: &str, begun: bool) -> KeptState {
    KeptState::Unanswered { subject: format!("payment pay_of_{run}"), begun }
}

pub(super) async fn idempotency_keys_are_reserved_once(store: &dyn Store) {
    let begin =
        async |run: &str, digest: &str, now_ms| store.begin_kept(&kept("k", run, digest), now_ms).await.unwrap();
    assert_eq!(begin("a", "d", 0).await, KeptState::Fresh);
    assert_eq!(begin("a", "e", 0).await, KeptState::OtherBody);
    assert_eq!(begin("a", "d", 0).await, left_by("a", false), "the run knows whether it still works");
    store.drop_kept(&claim("k", "b")).await.unwrap();
    assert_eq!(begin("a", "d", 0).await, left_by("a", false), "another run gives nothing up");
    store.drop_kept(&claim("k", "a")).await.unwrap();
    assert_eq!(begin("a", "d", 0).await, KeptState::Fresh);
    store.finish_kept(&claim("k", "a"), 200, b"{}").await.unwrap();
    let answered = KeptState::Answered { status: 200, body: b"{}".to_vec() };
    assert_eq!(begin("b", "d", 0).await, answered);
    assert_eq!(begin("b", "e", 0).await, KeptState::OtherBody);
    store.drop_kept(&claim("k", "a")).await.unwrap();
    store.finish_kept(&claim("k", "a"), 500, b"").await.unwrap();
    assert_eq!(begin("c", "d", 999).await, answered, "an answer is neither given up nor replaced");
    let other = Claim { merchant_id: "other".parse().unwrap(), ..claim("k", "a") };
    let elsewhere = Kept { claim: other, ..kept("k", "a", "e") };
    assert_eq!(store.begin_kept(&elsewhere, 0).await.unwrap(), KeptState::Fresh, "each merchant has keys of its own");
    assert_eq!(begin("c", "d", 1000).await, KeptState::Fresh, "expired");
}

pub(super) async fn a_key_is_taken_over_when_its_run_is_gone(store: &dyn Store) {
    let begin = async |run: &str, now_ms: i64| {
        let taken = Kept { lease_ms: now_ms + 50, ..kept("t", run, "d") };
        store.begin_kept(&taken, now_ms).await.unwrap()
    };
    assert_eq!(begin("a", 0).await, KeptState::Fresh);
    if !store.is_exclusive() {
        assert_eq!(begin("b", 49).await, KeptState::Running, "the other run lives");
        store.extend_kept(&claim("t", "a"), 70).await.unwrap();
        store.extend_kept(&claim("t", "b"), 10).await.unwrap();
        assert_eq!(begin("b", 69).await, KeptState::Running, "it said so again");
    }
    assert_eq!(begin("b", 70).await, left_by("a", false));
    store.finish_kept(&claim("t", "a"), 200, b"late").await.unwrap();
    store.leave_kept(&claim("t", "a"), true).await.unwrap();
    if !store.is_exclusive() {
        assert_eq!(begin("c", 119).await, KeptState::Running, "who lost a key says nothing about it");
    }
    store.leave_kept(&claim("t", "b"), false).await.unwrap();
    assert_eq!(begin("c", 71).await, left_by("a", false), "nobody waits for who left");
}

pub(super) async fn a_change_under_a_key_is_stored_by_its_holder_alone(store: &dyn Store) {
    let under = |run: &str| Effects { claim: Some(claim("c", run)), ..Effects::default() };
    let begin = async |run: &str, now_ms: i64| store.begin_kept(&kept("c", run, "d"), now_ms).await.unwrap();
    let made = payment("pay_c1");
    assert_eq!(store.add_payment(&made, &under("a")).await, Err(StoreError::Conflict), "nobody reserved it");
    assert_eq!(begin("a", 0).await, KeptState::Fresh);
    assert_eq!(begin("b", 60).await, left_by("a", false));
    assert_eq!(store.add_payment(&made, &under("a")).await, Err(StoreError::Conflict), "it was taken over");
    assert_eq!(store.payment(&shop(), "pay_c1").await.unwrap(), None);
    let version = store.add_payment(&made, &under("b")).await.unwrap();
    assert_eq!(store.save_payment(&made, version, &under("a")).await, Err(StoreError::Conflict));
    assert_eq!(begin("c", 60).await, left_by("a", true), "something was stored under it");
    store.leave_kept(&claim("c", "c"), true).await.unwrap();
    assert_eq!(begin("d", 60).await, left_by("a", false), "what was stored was taken back");
    let version = store.save_payment(&made, version, &under("d")).await.unwrap();
    store.finish_kept(&claim("c", "d"), 200, b"{}").await.unwrap();
    assert_eq!(store.save_payment(&made, version, &under("d")).await, Err(StoreError::Conflict), "it is answered");
    let other: TenantId = "other".parse().unwrap();
    assert!(store.payment(&other, "pay_c1").await.unwrap().is_none());
}
