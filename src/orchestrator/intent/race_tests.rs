//! A provider's word that is faster than its answer: neither loses, and the money moved once.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;

use super::rig::{BLIND, FULL, FakePsp, GOOD, Rig, Trouble, card, new_payment};
use super::told_tests::{authorized, captured};
use super::{CapturePlan, Engine, Heard, Parts, Payment, State};
use crate::account::ConnectorAccount;
use crate::connector::{About, Credentials, PspEvent, PspRequest, Told};
use crate::transport::{CardPass, Sent, Transport};

/// The provider in memory, whose webhook arrives after it did what a request wants and before its answer does.
struct Hasty {
    psp: Arc<FakePsp>,
    /// At which request, and what it tells.
    at: &'static str,
    what: Told,
    engine: OnceLock<Weak<Engine>>,
    account: ConnectorAccount,
}

#[async_trait]
impl Transport for Hasty {
    async fn send(&self, connector: &str, request: &PspRequest, keys: &Credentials, card: CardPass<'_>) -> Sent {
        let sent = self.psp.send(connector, request, keys, card).await;
        if request.path == self.at {
            let about = About { attempt_id: Some("pay_1_1".into()), ..About::default() };
            let event = PspEvent { event_id: "we_1".into(), about, what: self.what.clone() };
            let engine = self.engine.get().unwrap().upgrade().unwrap();
            assert_eq!(engine.hear(&self.account, &event).await.unwrap(), Heard::Applied);
        }
        sent
    }
}

async fn hasty(connector: &str, at: &'static str, what: Told) -> (Rig, Arc<Engine>) {
    let rig = Rig::at(connector).await;
    let account = rig.store.connector_accounts(&rig.merchant).await.unwrap().remove(0);
    let psp = rig.psp.clone();
    let transport = Arc::new(Hasty { psp, at, what, engine: OnceLock::new(), account });
    let engine = Arc::new(Engine::new(Parts { transport: transport.clone(), ..rig.parts() }).unwrap());
    transport.engine.set(Arc::downgrade(&engine)).unwrap();
    (rig, engine)
}

async fn pay(rig: &Rig, engine: &Engine, plan: CapturePlan) -> Payment {
    engine.create(&rig.merchant, new_payment(|terms| terms.capture = plan), card(GOOD), true).await.unwrap()
}

async fn told_types(rig: &Rig) -> Vec<String> {
    let mut events = rig.store.outbox_events(&rig.merchant, Some("pay_1"), None, 100).await.unwrap();
    events.reverse();
    events.into_iter().map(|event| event.event_type).collect()
}

#[tokio::test]
async fn word_before_the_answer_of_an_authorization_counts_and_the_answer_changes_nothing() {
    for trouble in [None, Some(Trouble::LostAnswer), Some(Trouble::Accepted)] {
        let (rig, engine) = hasty(FULL, "/pay", Told::Payment(captured(1000))).await;
        if let Some(trouble) = trouble {
            rig.trouble("/pay", trouble);
        }
        let payment = pay(&rig, &engine, CapturePlan::Automatic).await;
        assert_eq!((payment.state, rig.charges()), (State::Succeeded, 1), "{trouble:?}");
        rig.clock.advance(3_600_000);
        engine.round(true).await;
        assert_eq!(told_types(&rig).await, ["payment_succeeded"]);
        assert_eq!(rig.charges(), 1);
    }
}

#[tokio::test]
async fn word_before_the_answer_of_a_capture_counts_once() {
    let (rig, engine) = hasty(FULL, "/capture", Told::Payment(captured(400))).await;
    pay(&rig, &engine, CapturePlan::Manual).await;
    let payment = engine.capture(&rig.merchant, "pay_1", Some(400)).await.unwrap();
    assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCaptured, 400));
    assert_eq!((payment.captures.len(), rig.psp.state.lock().unwrap().captures), (1, 1));
    assert_eq!(told_types(&rig).await, ["payment_authorized", "payment_captured"]);
}

#[tokio::test]
async fn word_before_the_answer_of_a_refund_counts_once() {
    let told = Told::Refund {
        refund_id: Some("ref_1".into()),
        psp_refund_id: None,
        outcome: crate::connector::Outcome::Refunded { psp_id: "re_1".into(), amount_minor: 300 },
    };
    let (rig, engine) = hasty(FULL, "/refund", told).await;
    pay(&rig, &engine, CapturePlan::Automatic).await;
    let new = super::NewRefund {
        payment_id: "pay_1".into(),
        refund_id: Some("ref_1".into()),
        amount_minor: Some(300),
        reason: None,
        metadata: Default::default(),
    };
    let (payment, _) = engine.refund(&rig.merchant, new).await.unwrap();
    assert_eq!(payment.refunds[0].status, super::RefundStatus::Succeeded);
    assert_eq!(rig.psp.state.lock().unwrap().refunds, 300);
    assert_eq!(told_types(&rig).await, ["payment_succeeded", "refund_succeeded"]);
}

#[tokio::test]
async fn word_about_a_call_that_died_with_its_process_ends_the_doubt() {
    let (mut rig, engine) = hasty(BLIND, "/nowhere", Told::Nothing).await;
    rig.trouble("/pay", Trouble::HangDone);
    let call = pay(&rig, &engine, CapturePlan::Manual);
    tokio::select! {
        _ = call => panic!("the provider hangs"),
        () = rig.met() => {}
    }
    rig.crash();
    let account = rig.store.connector_accounts(&rig.merchant).await.unwrap().remove(0);
    let about = About { attempt_id: Some("pay_1_1".into()), ..About::default() };
    let event = PspEvent { event_id: "we_1".into(), about, what: Told::Payment(authorized()) };
    assert_eq!(rig.engine.hear(&account, &event).await.unwrap(), Heard::Applied);
    assert_eq!(rig.engine.payment(&rig.merchant, "pay_1").await.unwrap().0.state, State::RequiresCapture);
    rig.engine.round(true).await;
    assert_eq!(told_types(&rig).await, ["payment_authorized"]);
    assert_eq!(rig.charges(), 1);
}
