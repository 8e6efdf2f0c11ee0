//! A store that takes no result, and a provider that does not answer: nothing waits longer for it than it must.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::rig::{FakePsp, GOOD, PLAIN, Rig, Trouble, card, new_payment};
use super::{CapturePlan, Engine, Fault, NewPayment, NewRefund, Parts, Payment, RefundStatus, State};
use crate::connector::{Credentials, PspRequest};
use crate::store::{SqliteStore, StoreTrouble};
use crate::transport::{CardPass, Sent, Transport};

/// The provider in memory; while it does what a request to this path wants, the store comes into trouble.
struct Filling {
    psp: Arc<FakePsp>,
    at: &'static str,
    store: Arc<SqliteStore>,
    trouble: StoreTrouble,
}

#[async_trait]
impl Transport for Filling {
    async fn send(&self, connector: &str, request: &PspRequest, keys: &Credentials, card: CardPass<'_>) -> Sent {
        let sent = self.psp.send(connector, request, keys, card).await;
        if request.path == self.at {
            self.store.set_trouble(self.trouble);
        }
        sent
    }
}

async fn filling(at: &'static str, trouble: StoreTrouble) -> (Rig, Arc<SqliteStore>, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
    let rig = Rig::on(store.clone(), PLAIN, Some(folder)).await;
    let transport = Arc::new(Filling { psp: rig.psp.clone(), at, store: store.clone(), trouble });
    let engine = Engine::new(Parts { transport, ..rig.parts() }).unwrap();
    (rig, store, engine)
}

async fn stored(rig: &Rig, id: &str) -> Payment {
    rig.store.payment(&rig.merchant, id).await.unwrap().unwrap().0
}

#[tokio::test]
async fn charge_that_the_store_could_not_take_down_is_found_as_soon_as_it_can() {
    for trouble in [StoreTrouble::Full, StoreTrouble::Silent] {
        let (rig, store, engine) = filling("/pay", trouble).await;
        let told = engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await;
        assert_eq!((told.unwrap_err(), rig.charges()), (Fault::Store, 1), "{trouble:?}");
        engine.round(false).await;
        engine.round(false).await;
        store.set_trouble(StoreTrouble::None);
        // No time passes: the lease of the call that nobody makes any more is not waited for.
        engine.round(false).await;
        let payment = stored(&rig, "pay_1").await;
        assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1), "{trouble:?}");
    }
}

#[tokio::test]
async fn capture_and_refund_that_the_store_could_not_take_down_are_found_and_not_repeated() {
    for trouble in [StoreTrouble::Full, StoreTrouble::Silent] {
        let (rig, store, engine) = filling("/capture", trouble).await;
        let manual = new_payment(|terms| terms.capture = CapturePlan::Manual);
        engine.create(&rig.merchant, manual, card(GOOD), true).await.unwrap();
        let told = engine.capture(&rig.merchant, "pay_1", None).await;
        assert_eq!(told.unwrap_err(), Fault::Store, "{trouble:?}");
        store.set_trouble(StoreTrouble::None);
        engine.round(false).await;
        assert_eq!(stored(&rig, "pay_1").await.state, State::Succeeded, "{trouble:?}");
        assert_eq!(rig.psp.state.lock().unwrap().captures, 1, "{trouble:?}");

        let transport = Arc::new(Filling { psp: rig.psp.clone(), at: "/refund", store: store.clone(), trouble });
        let engine = Engine::new(Parts { transport, ..rig.parts() }).unwrap();
        let refund = NewRefund {
            payment_id: "pay_1".into(),
            refund_id: Some("ref_1".into()),
            amount_minor: Some(300),
            reason: None,
            metadata: serde_json::Map::new(),
        };
        assert_eq!(engine.refund(&rig.merchant, refund).await.unwrap_err(), Fault::Store, "{trouble:?}");
        store.set_trouble(StoreTrouble::None);
        engine.round(false).await;
        assert_eq!(stored(&rig, "pay_1").await.refunds[0].status, RefundStatus::Succeeded, "{trouble:?}");
        assert_eq!(rig.psp.state.lock().unwrap().refunds, 300, "{trouble:?}");
    }
}

#[tokio::test]
async fn call_that_this_run_makes_is_left_alone_by_its_own_rounds() {
    let rig = Rig::new().await;
    rig.trouble("/pay", Trouble::HangDone);
    let call = rig.engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true);
    tokio::select! {
        _ = call => panic!("the provider hangs"),
        () = async {
            rig.met().await;
            let before = stored(&rig, "pay_1").await;
            rig.engine.round(false).await;
            rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
            assert_eq!(stored(&rig, "pay_1").await, before);
        } => {}
    }
    // Whoever made the call is gone without a word: who asks need not wait for the lease.
    rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!((stored(&rig, "pay_1").await.state, rig.charges()), (State::Succeeded, 1));
}

#[tokio::test]
async fn provider_that_does_not_answer_keeps_nobody_elses_payment_waiting() {
    let rig = Rig::new().await;
    for id in ["pay_1", "pay_2"] {
        rig.trouble("/pay", Trouble::LostAnswer);
        let new = NewPayment { payment_id: Some(id.into()), ..new_payment(|_| {}) };
        let payment = rig.engine.create(&rig.merchant, new, card(GOOD), true).await.unwrap();
        assert_eq!(payment.state, State::Processing);
    }
    rig.clock.advance(10_000);
    // Whichever is asked about first never hears anything.
    rig.trouble("/find", Trouble::Hang);
    let other = async {
        loop {
            let states = [stored(&rig, "pay_1").await.state, stored(&rig, "pay_2").await.state];
            if states.contains(&State::Succeeded) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = rig.engine.round(false) => panic!("a round ended although one question hangs"),
        found = tokio::time::timeout(Duration::from_secs(60), other) => found.unwrap(),
    }
}
