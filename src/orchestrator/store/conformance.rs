//! What every store must do, written against the trait; each backend runs it.

use std::sync::Arc;

use serde_json::Map;
use strongroom_wire::payment_method::{Brand, CardSummary};
use strongroom_wire::{TenantId, Token};

use super::{
    ChoreKind, Effects, Kept, KeptState, NewChore, PaymentToken, SavedUse, SqliteStore, Store, StoreError, Version,
};
use crate::account::{ApiKey, Merchant};
use crate::intent::rig::new_payment;
use crate::intent::{Method, Payment, Refund, RefundStatus, State, Watch};

fn shop() -> TenantId {
    "shop".parse().unwrap()
}

async fn with_merchant(store: &dyn Store) {
    let merchant = Merchant {
        merchant_id: shop(),
        merchant_name: None,
        publishable_key: "pk_1".into(),
        profile_id: "pro_1".into(),
        metadata: Map::new(),
        created_ms: 1,
    };
    store.add_merchant(&merchant).await.unwrap();
    assert_eq!(store.add_merchant(&merchant).await, Err(StoreError::Duplicate));
    assert_eq!(store.merchant(&shop()).await.unwrap(), Some(merchant.clone()));
    assert_eq!(store.merchant_of_publishable_key("pk_1").await.unwrap(), Some(merchant));
    assert_eq!(store.merchant_of_publishable_key("pk_2").await.unwrap(), None);
}

fn payment(id: &str) -> Payment {
    Payment {
        payment_id: id.into(),
        merchant_id: shop(),
        state: State::Succeeded,
        terms: new_payment(|_| {}).terms,
        captured_minor: 0,
        method: None,
        attempts: Vec::new(),
        pending: None,
        redirect_url: None,
        watch: None,
        asked_ms: None,
        refunds: Vec::new(),
        captures: Vec::new(),
        increments: Vec::new(),
        disputes: Vec::new(),
        plan: Vec::new(),
        authorized_until_ms: None,
        capture_due_ms: None,
        told: None,
        cancellation_reason: None,
        client_secret: "s".into(),
        created_ms: 0,
        modified_ms: 0,
        expires_ms: 0,
    }
}

fn refund(id: &str) -> Refund {
    Refund {
        refund_id: id.into(),
        amount_minor: 1,
        status: RefundStatus::Succeeded,
        reason: None,
        metadata: Map::new(),
        psp_refund_id: None,
        error_code: None,
        error_message: None,
        flight: None,
        told: None,
        created_ms: 0,
        modified_ms: 0,
    }
}

async fn payments_are_changed_by_one_at_a_time(store: &dyn Store) {
    let mut first = payment("pay_1");
    assert_eq!(store.add_payment(&first, &Effects::default()).await.unwrap(), Version(1));
    assert_eq!(store.add_payment(&first, &Effects::default()).await, Err(StoreError::Duplicate));
    first.captured_minor = 7;
    assert_eq!(store.save_payment(&first, Version(1), &Effects::default()).await.unwrap(), Version(2));
    assert_eq!(store.save_payment(&first, Version(1), &Effects::default()).await, Err(StoreError::Conflict));
    let (read, version) = store.payment(&shop(), "pay_1").await.unwrap().unwrap();
    assert_eq!((read, version), (first, Version(2)));
    let other: TenantId = "other".parse().unwrap();
    assert_eq!(store.payment(&other, "pay_1").await.unwrap(), None);
}

async fn refund_ids_belong_to_one_payment(store: &dyn Store) {
    let (mut first, mut second) = (payment("pay_r1"), payment("pay_r2"));
    let one = store.add_payment(&first, &Effects::default()).await.unwrap();
    let two = store.add_payment(&second, &Effects::default()).await.unwrap();
    first.refunds.push(refund("ref_1"));
    store.save_payment(&first, one, &Effects::default()).await.unwrap();
    second.refunds.push(refund("ref_1"));
    second.captured_minor = 9;
    assert_eq!(store.save_payment(&second, two, &Effects::default()).await, Err(StoreError::Duplicate));
    let (read, version) = store.payment(&shop(), "pay_r2").await.unwrap().unwrap();
    assert_eq!((read.captured_minor, version), (0, two), "a refused change leaves nothing behind");
    assert_eq!(store.payment_of_refund(&shop(), "ref_1").await.unwrap().unwrap().0.payment_id, "pay_r1");
}

async fn effects_are_stored_with_the_payment_or_not_at_all(store: &dyn Store) {
    let token = Token::fresh();
    let effects = Effects {
        chores: vec![chore(ChoreKind::Shred, token)],
        used: Some(SavedUse {
            merchant_id: shop(),
            customer_id: "cus_1".parse().unwrap(),
            token,
            last_used_ms: 5,
            network_transaction_id: Some("first".into()),
            off_session: true,
        }),
    };
    let paid = payment("pay_e");
    let version = store.add_payment(&paid, &Effects::default()).await.unwrap();
    assert_eq!(store.save_payment(&paid, Version(99), &effects).await, Err(StoreError::Conflict));
    assert!(store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
    let version = store.save_payment(&paid, version, &effects).await.unwrap();
    let mut later = effects.clone();
    later.chores.clear();
    let used = later.used.as_mut().unwrap();
    (used.network_transaction_id, used.off_session, used.last_used_ms) = (Some("second".into()), false, 6);
    store.save_payment(&paid, version, &later).await.unwrap();
    let uses = store.saved_uses(&shop(), &"cus_1".parse().unwrap()).await.unwrap();
    assert_eq!(uses.len(), 1);
    assert_eq!((uses[0].network_transaction_id.as_deref(), uses[0].off_session), (Some("first"), true));
    assert_eq!(uses[0].last_used_ms, 6);

    let chores = store.due_chores(0, 10).await.unwrap();
    assert_eq!((chores.len(), chores[0].token, chores[0].kind), (1, token, ChoreKind::Shred));
    store.postpone_chore(chores[0].id, 1000).await.unwrap();
    assert!(store.due_chores(999, 10).await.unwrap().is_empty());
    assert_eq!(store.due_chores(1000, 10).await.unwrap()[0].tries, 1);
    store.finish_chore(chores[0].id).await.unwrap();
    assert!(store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
}

fn chore(kind: ChoreKind, token: Token) -> NewChore {
    NewChore { merchant_id: shop(), kind, token, payment_id: "pay_e".into(), due_ms: 0 }
}

async fn card_is_in_use_while_a_payment_lives_or_a_chore_will_keep_it(store: &dyn Store) {
    let mut using = payment("pay_u");
    using.state = State::RequiresCapture;
    let token = Token::fresh();
    using.method = Some(method(token));
    let version = store.add_payment(&using, &Effects::default()).await.unwrap();
    assert!(store.is_card_in_use(&shop(), token, "").await.unwrap());
    assert!(!store.is_card_in_use(&shop(), token, "pay_u").await.unwrap());
    assert!(!store.is_card_in_use(&"other".parse().unwrap(), token, "").await.unwrap());
    using.state = State::Succeeded;
    let keeps = Effects { chores: vec![chore(ChoreKind::Retain, token)], used: None };
    store.save_payment(&using, version, &keeps).await.unwrap();
    assert!(store.is_card_in_use(&shop(), token, "pay_u").await.unwrap(), "it is about to be kept");
    let chores = store.due_chores(0, 10).await.unwrap();
    store.finish_chore(chores[0].id).await.unwrap();
    store.add_chore(&NewChore { due_ms: 50, ..chore(ChoreKind::ShredStray, token) }).await.unwrap();
    assert!(!store.is_card_in_use(&shop(), token, "").await.unwrap(), "a card that will be shredded is not used");
    assert!(store.due_chores(49, 10).await.unwrap().is_empty());
    let chores = store.due_chores(50, 10).await.unwrap();
    assert_eq!((chores.len(), chores[0].kind), (1, ChoreKind::ShredStray));
    store.finish_chore(chores[0].id).await.unwrap();
}

fn method(token: Token) -> Method {
    let card = CardSummary {
        brand: Brand::Visa,
        bin: "42424242".into(),
        last4: "4242".into(),
        exp_month: 3,
        exp_year: 2034,
        fingerprint: "f".into(),
    };
    Method { token, fresh: true, kept: false, card, network_transaction_id: None }
}

async fn due_payments_are_found_by_time(store: &dyn Store) {
    let mut waiting = payment("pay_w");
    waiting.watch = Some(Watch { tries: 0, next_ms: 500 });
    store.add_payment(&waiting, &Effects::default()).await.unwrap();
    assert!(store.due_payments(499, 10).await.unwrap().is_empty());
    assert_eq!(store.due_payments(500, 10).await.unwrap(), [(shop(), "pay_w".to_owned())]);
}

async fn idempotency_keys_are_reserved_once(store: &dyn Store) {
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

async fn api_keys_and_payment_tokens_end(store: &dyn Store) {
    let key = ApiKey {
        key_id: "key_1".into(),
        merchant_id: shop(),
        name: "n".into(),
        description: None,
        prefix: "sk_a".into(),
        hash: "h".into(),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
    };
    store.add_api_key(&key).await.unwrap();
    assert!(store.revoke_api_key(&shop(), "key_1", 5).await.unwrap());
    assert!(!store.revoke_api_key(&shop(), "key_2", 5).await.unwrap());
    assert_eq!(store.api_key_of_hash("h").await.unwrap().unwrap().revoked_ms, Some(5));
    let token = PaymentToken {
        payment_token: "token_1".into(),
        merchant_id: shop(),
        customer_id: "cus_1".parse().unwrap(),
        token: Token::fresh(),
        expires_ms: 10,
    };
    store.add_payment_tokens(std::slice::from_ref(&token), 0).await.unwrap();
    assert_eq!(store.payment_token(&shop(), "token_1", 9).await.unwrap(), Some(token));
    assert_eq!(store.payment_token(&shop(), "token_1", 10).await.unwrap(), None);
}

async fn conform(store: Arc<dyn Store>) {
    with_merchant(&*store).await;
    payments_are_changed_by_one_at_a_time(&*store).await;
    refund_ids_belong_to_one_payment(&*store).await;
    effects_are_stored_with_the_payment_or_not_at_all(&*store).await;
    card_is_in_use_while_a_payment_lives_or_a_chore_will_keep_it(&*store).await;
    due_payments_are_found_by_time(&*store).await;
    idempotency_keys_are_reserved_once(&*store).await;
    api_keys_and_payment_tokens_end(&*store).await;
    store.ping().await.unwrap();
}

#[tokio::test]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conform(Arc::new(SqliteStore::open(&folder.path().join("s.db")).unwrap())).await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again_and_one_process_at_a_time_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = SqliteStore::open(&path).unwrap();
    with_merchant(&store).await;
    store.add_payment(&payment("pay_1"), &Effects::default()).await.unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::InUse)));
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.payment(&shop(), "pay_1").await.unwrap().is_some());
}

#[tokio::test]
async fn files_of_the_store_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.db")).unwrap();
    with_merchant(&store).await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", file.path().display());
    }
}

#[test]
fn store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    drop(SqliteStore::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::NewerSchema { found: 99, .. })));
}
