//! Idempotency keys.

use super::super::{Kept, KeptState, Store};
use super::shop;

pub(super) async fn idempotency_keys_are_reserved_once(store: &dyn Store) {
    let kept = |run: &str, digest: &str| Kept {
        merchant_id: shop(),
        key: "POST /payments k".into(),
        digest: digest.into(),
        run: run.into(),
        subject: "payment pay_1".into(),
        expires_ms: 100,
    };
    assert_eq!(store.begin_kept(&kept("a", "d"), 0).await.unwrap(), KeptState::Fresh);
    assert_eq!(store.begin_kept(&kept("a", "e"), 0).await.unwrap(), KeptState::OtherBody);
    let unanswered = KeptState::Unanswered("payment pay_1".into());
    assert_eq!(store.begin_kept(&kept("a", "d"), 0).await.unwrap(), unanswered);
    assert_eq!(store.begin_kept(&kept("b", "d"), 0).await.unwrap(), unanswered, "also after a restart");
    store.drop_kept(&shop(), &kept("b", "d").key).await.unwrap();
    assert_eq!(store.begin_kept(&kept("b", "d"), 0).await.unwrap(), KeptState::Fresh);
    store.finish_kept(&shop(), &kept("b", "d").key, 200, b"{}").await.unwrap();
    let answered = KeptState::Answered { status: 200, body: b"{}".to_vec() };
    assert_eq!(store.begin_kept(&kept("c", "d"), 0).await.unwrap(), answered);
    store.drop_kept(&shop(), &kept("c", "d").key).await.unwrap();
    assert_eq!(store.begin_kept(&kept("c", "d"), 0).await.unwrap(), answered, "an answer is not given up");
    assert_eq!(store.begin_kept(&kept("c", "d"), 100).await.unwrap(), KeptState::Fresh, "expired");
}
