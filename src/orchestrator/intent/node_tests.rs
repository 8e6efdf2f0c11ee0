//! Two engines on one store that both may use: each leaves alone what the other works on, and takes over what it left.

use std::sync::Arc;

use super::rig::{FULL, GOOD, PLAIN, Rig, Trouble, card, new_payment};
use super::{CapturePlan, Engine, Fault, NewRefund, Payment, State};
use crate::store::postgres_tests::open;
use crate::store::postgres_tests::server::Postgres;

/// A rig on a shared store, and another node on the same.
async fn nodes(server: &Postgres, database: &str, connector: &str) -> (Rig, Engine) {
    server.add_database(database);
    let rig = Rig::on(Arc::new(open(server, database).await.unwrap()), connector, None).await;
    let mut parts = rig.parts();
    parts.store = Arc::new(open(server, database).await.unwrap());
    let other = Engine::new(parts).unwrap();
    assert_ne!(rig.engine.run(), other.run());
    (rig, other)
}

async fn stored(rig: &Rig) -> Payment {
    rig.store.payment(&rig.merchant, "pay_1").await.unwrap().unwrap().0
}

/// Makes the payment at the first node, which hangs in the middle of the call to the provider.
async fn hung(rig: &Rig, trouble: Trouble) -> tokio::task::JoinHandle<Result<Payment, Fault>> {
    rig.trouble("/pay", trouble);
    let (engine, merchant) = (rig.engine.clone(), rig.merchant.clone());
    let call = tokio::spawn(async move { engine.create(&merchant, new_payment(|_| {}), card(GOOD), true).await });
    rig.met().await;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_another_node_is_left_alone_until_its_lease_ends_and_then_made_once() {
    let server = Postgres::start();
    for (database, trouble) in [("hang", Trouble::Hang), ("done", Trouble::HangDone)] {
        let (rig, other) = nodes(&server, database, PLAIN).await;
        let call = hung(&rig, trouble).await;
        let before = stored(&rig).await;
        let asked = rig.psp.state.lock().unwrap().arrived.len();
        rig.clock.advance(39_000);
        other.round(false).await;
        other.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!(stored(&rig).await, before, "the other node touched it");
        assert_eq!(rig.psp.state.lock().unwrap().arrived.len(), asked, "the other node asked the provider");
        // The first node is gone for good.
        call.abort();
        rig.clock.advance(2_000);
        other.round(false).await;
        for _ in 0..3 {
            rig.clock.advance(10_000);
            other.round(false).await;
        }
        let payment = stored(&rig).await;
        assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1), "{trouble:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_overran_its_lease_changes_nothing_that_another_one_stored() {
    let server = Postgres::start();
    let (rig, other) = nodes(&server, "late", PLAIN).await;
    let call = hung(&rig, Trouble::HangDone).await;
    rig.clock.advance(41_000);
    other.round(false).await;
    rig.clock.advance(10_000);
    other.round(false).await;
    let settled = stored(&rig).await;
    assert_eq!((settled.state, rig.charges()), (State::Succeeded, 1));
    call.abort();
    // As if its answer had come at last: what it knew is older than what is stored.
    let (stale, version) = rig.store.payment(&rig.merchant, "pay_1").await.unwrap().unwrap();
    let mut late = stale.clone();
    late.state = State::Failed;
    let old = crate::store::Version(version.0 - 1);
    let refused = rig.engine.store_payment(&mut late, Some(old), &Default::default()).await;
    assert_eq!(refused, Err(crate::store::StoreError::Conflict));
    assert_eq!(stored(&rig).await, settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_and_refunds_at_both_nodes_at_once_never_exceed_what_there_is() {
    let server = Postgres::start();
    let (rig, other) = nodes(&server, "both", FULL).await;
    let manual = new_payment(|terms| terms.capture = CapturePlan::Manual);
    rig.engine.create(&rig.merchant, manual, card(GOOD), true).await.unwrap();
    let capture =
        async |engine: &Engine| engine.capture(&rig.merchant, "pay_1", super::NewCapture::default()).await.is_ok();
    let (one, two) = tokio::join!(capture(&rig.engine), capture(&other));
    assert!(one || two);
    assert_eq!((stored(&rig).await.captured_minor, rig.psp.state.lock().unwrap().captures), (1000, 1));
    let refund = async |engine: &Engine, name: &str| {
        let mut done = 0;
        for number in 0..4 {
            let new = NewRefund {
                payment_id: "pay_1".into(),
                refund_id: Some(format!("ref_{name}_{number}")),
                amount_minor: Some(300),
                reason: None,
                metadata: Default::default(),
            };
            done += u64::from(engine.refund(&rig.merchant, new).await.is_ok());
        }
        done
    };
    let (one, two) = tokio::join!(refund(&rig.engine, "a"), refund(&other, "b"));
    let payment = stored(&rig).await;
    assert!(one + two <= 3, "{one} and {two} refunds of 300 out of 1000");
    assert_eq!(
        (payment.refunded_minor(), rig.psp.state.lock().unwrap().refunds),
        (300 * (one + two), 300 * (one + two))
    );
}
