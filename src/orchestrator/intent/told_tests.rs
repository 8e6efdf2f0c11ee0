//! Providers' events late, twice, out of order, early, contradictory: each order ends in the same state.

use super::rig::{AUTHENTICATE, BLIND, DECLINED, FULL, GOOD, Rig, Trouble, card, new_payment};
use super::told::{Change, Reader};
use super::{CapturePlan, CaptureStatus, Heard, NewRefund, Payment, RefundStatus, State};
use crate::connector::{
    About, Decline, DeclineKind, DisputeStage, DisputeStatus, Outcome, PspDispute, PspEvent, Refusal, Told,
};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use strongroom_wire::limits;

pub(super) fn authorized() -> Outcome {
    Outcome::Authorized { psp_id: "ps_0".into(), network_transaction_id: None, handles: Default::default() }
}

pub(super) fn captured(amount_minor: u64) -> Outcome {
    Outcome::Captured { psp_id: "ps_0".into(), amount_minor, network_transaction_id: None, handles: Default::default() }
}

fn refused() -> Outcome {
    Outcome::Refused(Refusal { code: "failed_later".into(), message: "It failed.".into() })
}

fn declined() -> Outcome {
    Outcome::Declined(Decline {
        psp_id: Some("ps_0".into()),
        code: "card_declined".into(),
        decline_code: None,
        message: "No.".into(),
        kind: DeclineKind::Soft,
    })
}

fn cancelled() -> Outcome {
    Outcome::Cancelled { psp_id: "ps_0".into() }
}

fn refund(outcome: Outcome) -> Told {
    Told::Refund { refund_id: Some("ref_1".into()), psp_refund_id: None, outcome }
}

fn refunded() -> Outcome {
    Outcome::Refunded { psp_id: "re_1".into(), amount_minor: 300 }
}

fn capture(id: Option<&str>, outcome: Outcome) -> Told {
    Told::Capture { capture_id: id.map(str::to_owned), outcome }
}

fn dispute(stage: DisputeStage, status: DisputeStatus) -> Told {
    dispute_called("dp_1", stage, status)
}

fn dispute_called(id: &str, stage: DisputeStage, status: DisputeStatus) -> Told {
    let dispute_id = id.to_owned();
    Told::Dispute(PspDispute { dispute_id, stage, status, amount: None, reason: None, evidence_due_ms: None })
}

async fn tell_about(rig: &Rig, id: &str, about: About, what: Told) -> Heard {
    let account = rig.store.connector_accounts(&rig.merchant).await.unwrap().remove(0);
    rig.engine.hear(&account, &PspEvent { event_id: id.into(), about, what }).await.unwrap()
}

async fn tell(rig: &Rig, id: &str, what: Told) -> Heard {
    tell_about(rig, id, About { attempt_id: Some("pay_1_1".into()), ..About::default() }, what).await
}

async fn stored(rig: &Rig) -> Payment {
    rig.engine.payment(&rig.merchant, "pay_1").await.unwrap().0
}

async fn pay(rig: &Rig, number: &str, plan: CapturePlan) -> Payment {
    let new = new_payment(|terms| terms.capture = plan);
    rig.engine.create(&rig.merchant, new, card(number), true).await.unwrap()
}

async fn give_back(rig: &Rig) {
    let new = NewRefund {
        payment_id: "pay_1".into(),
        refund_id: Some("ref_1".into()),
        amount_minor: Some(300),
        reason: None,
        metadata: Default::default(),
    };
    rig.engine.refund(&rig.merchant, new).await.unwrap();
}

async fn told_types(rig: &Rig) -> Vec<String> {
    let mut events = rig.store.outbox_events(&rig.merchant, Some("pay_1"), None, 100).await.unwrap();
    events.reverse();
    events.into_iter().map(|event| event.event_type).collect()
}

/// What matters of a payment in the end.
fn essence(payment: &Payment) -> String {
    let refunds: Vec<_> = payment.refunds.iter().map(|refund| refund.status).collect();
    let captures: Vec<_> = payment.captures.iter().map(|row| (row.amount_minor, row.status)).collect();
    let disputes: Vec<_> = payment.disputes.iter().map(|d| (d.stage, d.status)).collect();
    let taken = payment.captured_minor;
    format!("{} {taken} {} {refunds:?} {captures:?} {disputes:?}", payment.state.word(), payment.pending.is_some())
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let all = shorter.iter().flat_map(|order| (0..count).map(move |place| (order, place)));
    all.map(|(order, place)| {
        let mut order = order.clone();
        order.insert(place, count - 1);
        order
    })
    .collect()
}

/// The provider tells the events in every order, each twice, and again whatever was not taken.
async fn every_order_ends_the_same<F: Future<Output = Rig>>(
    begin: impl Fn() -> F,
    events: impl Fn(&Payment) -> Vec<Told>,
) -> String {
    let mut ends: Vec<(Vec<usize>, String)> = Vec::new();
    let count = events(&stored(&begin().await).await).len();
    for order in orders(count) {
        let rig = begin().await;
        let events = events(&stored(&rig).await);
        let mut open: Vec<usize> = order.iter().chain(&order).copied().collect();
        for _ in 0..count {
            let mut refused = Vec::new();
            for place in open {
                let heard = tell(&rig, &format!("we_{place}"), events[place].clone()).await;
                if matches!(heard, Heard::NotYet | Heard::Unknown) {
                    refused.push(place);
                }
            }
            open = refused;
        }
        assert!(open.is_empty(), "{order:?}: {open:?} were never taken");
        ends.push((order, essence(&stored(&rig).await)));
    }
    for (order, end) in &ends {
        assert_eq!(*end, ends[0].1, "{order:?} and {:?} differ", ends[0].0);
    }
    ends.swap_remove(0).1
}

async fn authorization_in_doubt() -> Rig {
    let rig = Rig::at(BLIND).await;
    rig.trouble("/pay", Trouble::LostAnswer);
    assert_eq!(pay(&rig, GOOD, CapturePlan::Manual).await.state, State::Processing);
    rig
}

async fn capture_in_doubt() -> Rig {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Manual).await;
    rig.trouble("/capture", Trouble::LostAnswer);
    assert_eq!(rig.engine.capture(&rig.merchant, "pay_1", None).await.unwrap().state, State::Processing);
    rig
}

async fn refund_in_doubt() -> Rig {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    rig.trouble("/refund", Trouble::LostAnswer);
    give_back(&rig).await;
    assert_eq!(stored(&rig).await.refunds[0].status, RefundStatus::Pending);
    rig
}

#[tokio::test]
async fn every_order_of_authorization_and_capture_ends_in_the_capture() {
    let end = every_order_ends_the_same(authorization_in_doubt, |_| {
        vec![Told::Payment(authorized()), capture(None, captured(1000))]
    });
    assert_eq!(end.await, "succeeded 1000 false [] [(1000, Charged)] []");
}

#[tokio::test]
async fn every_order_of_authorization_and_its_end_ends_in_the_end() {
    let end = every_order_ends_the_same(authorization_in_doubt, |_| {
        vec![Told::Payment(authorized()), Told::Cancel(cancelled()), Told::Payment(cancelled())]
    });
    assert_eq!(end.await, "cancelled 0 false [] [] []");
}

#[tokio::test]
async fn every_order_of_a_capture_and_its_later_failure_ends_in_the_failure() {
    let end = every_order_ends_the_same(capture_in_doubt, |payment| {
        let id = payment.captures[0].capture_id.clone();
        vec![capture(Some(&id), captured(1000)), capture(Some(&id), refused())]
    });
    assert_eq!(end.await, "requires_capture 0 false [] [(1000, Failed)] []");
}

#[tokio::test]
async fn every_order_of_a_refund_its_failure_and_a_dispute_ends_the_same() {
    let end = every_order_ends_the_same(refund_in_doubt, |_| {
        let (opened, lost) = (DisputeStatus::Opened, DisputeStatus::Lost);
        vec![
            refund(refunded()),
            refund(refused()),
            dispute(DisputeStage::Dispute, opened),
            dispute(DisputeStage::Dispute, lost),
        ]
    });
    assert_eq!(end.await, "succeeded 1000 false [Failed] [] [(Dispute, Lost)]");
}

#[tokio::test]
async fn every_order_of_disputes_ends_at_the_furthest() {
    let begin = || async {
        let rig = Rig::at(BLIND).await;
        pay(&rig, GOOD, CapturePlan::Automatic).await;
        rig
    };
    let end = every_order_ends_the_same(begin, |_| {
        vec![
            dispute(DisputeStage::PreDispute, DisputeStatus::Opened),
            dispute(DisputeStage::Dispute, DisputeStatus::Opened),
            dispute(DisputeStage::Dispute, DisputeStatus::Won),
            dispute(DisputeStage::PreArbitration, DisputeStatus::Opened),
        ]
    });
    assert_eq!(end.await, "succeeded 1000 false [] [] [(PreArbitration, Opened)]");
}

#[tokio::test]
async fn every_order_about_a_payer_who_was_away_ends_in_the_charge() {
    let begin = || async {
        let rig = Rig::at(BLIND).await;
        assert_eq!(pay(&rig, AUTHENTICATE, CapturePlan::Automatic).await.state, State::RequiresCustomerAction);
        rig
    };
    let action = Outcome::RequiresAction {
        psp_id: "ps_0".into(),
        redirect_url: "https://psp.test/3ds".into(),
        handles: Default::default(),
    };
    let end = every_order_ends_the_same(begin, |_| {
        vec![
            Told::Payment(action.clone()),
            Told::Payment(captured(1000)),
            Told::Payment(Outcome::Pending { psp_id: "ps_0".into(), handles: Default::default() }),
        ]
    });
    assert_eq!(end.await, "succeeded 1000 false [] [] []");
}

#[tokio::test]
async fn capture_that_failed_later_is_told_and_a_sale_then_failed() {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    assert_eq!(tell(&rig, "we_1", capture(None, refused())).await, Heard::Applied);
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.captured_minor), (State::Failed, 0));
    assert_eq!(payment.attempts[0].error_code.as_deref(), Some("failed_later"));
    assert_eq!(told_types(&rig).await, ["payment_succeeded", "payment_failed"]);
    assert_eq!(tell(&rig, "we_2", capture(None, refused())).await, Heard::Late);
}

#[tokio::test]
async fn one_of_several_captures_that_failed_later_can_be_captured_again() {
    let rig = Rig::at(FULL).await;
    pay(&rig, GOOD, CapturePlan::ManualMultiple).await;
    rig.engine.capture(&rig.merchant, "pay_1", Some(300)).await.unwrap();
    let done = rig.engine.capture(&rig.merchant, "pay_1", Some(700)).await.unwrap();
    assert_eq!(done.state, State::Succeeded);
    let id = done.captures[0].capture_id.clone();
    assert_eq!(tell(&rig, "we_1", capture(Some(&id), refused())).await, Heard::Applied);
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCapturedAndCapturable, 700));
    assert_eq!(payment.captures[0].status, CaptureStatus::Failed);
    assert_eq!(payment.capturable_minor(), 300);
    assert!(payment.due_ms().is_some(), "the authorization still ends");
    let told = told_types(&rig).await;
    assert_eq!(told, ["payment_authorized", "payment_captured", "payment_succeeded", "payment_captured"]);
}

#[tokio::test]
async fn refund_that_failed_later_is_told_and_its_money_may_be_refunded_again() {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    give_back(&rig).await;
    assert_eq!(tell(&rig, "we_1", refund(refused())).await, Heard::Applied);
    let payment = stored(&rig).await;
    assert_eq!((payment.refunds[0].status, payment.refunded_minor()), (RefundStatus::Failed, 0));
    assert_eq!(payment.refunds[0].error_code.as_deref(), Some("failed_later"));
    assert_eq!(told_types(&rig).await, ["payment_succeeded", "refund_succeeded", "refund_failed"]);
}

#[tokio::test]
async fn what_contradicts_an_end_changes_nothing_and_is_counted() {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    for (id, what) in [("we_1", declined()), ("we_2", cancelled()), ("we_3", authorized()), ("we_4", captured(900))] {
        assert_eq!(tell(&rig, id, Told::Payment(what)).await, Heard::Late);
        assert_eq!(essence(&stored(&rig).await), "succeeded 1000 false [] [] []");
    }
    assert!(!rig.engine.metrics.text().contains("contradiction"));

    let rig = Rig::at(BLIND).await;
    pay(&rig, DECLINED, CapturePlan::Automatic).await;
    assert_eq!(tell(&rig, "we_1", Told::Payment(captured(1000))).await, Heard::Late);
    assert_eq!(stored(&rig).await.state, State::Failed);
    assert!(rig.engine.metrics.text().contains("result=\"contradiction\"} 1"));
    assert_eq!(told_types(&rig).await, ["payment_failed"]);
}

#[tokio::test]
async fn earlier_attempt_has_no_say_and_another_account_none_at_all() {
    let rig = authorization_in_doubt().await;
    let mut payment = stored(&rig).await;
    let (_, version) = rig.engine.payment(&rig.merchant, "pay_1").await.unwrap();
    let mut second = payment.attempts[0].clone();
    second.attempt_id = "pay_1_2".into();
    payment.attempts.push(second);
    rig.engine.save(&mut payment, version, &Default::default()).await.unwrap();
    assert_eq!(tell(&rig, "we_1", Told::Payment(authorized())).await, Heard::Late);
    assert_eq!(stored(&rig).await.state, State::Processing);
    assert!(rig.engine.metrics.text().contains("result=\"contradiction\"} 1"), "money is reserved twice");

    let mut other = rig.store.connector_accounts(&rig.merchant).await.unwrap().remove(0);
    other.account_id = "mca_other".into();
    let about = About { attempt_id: Some("pay_1_2".into()), ..About::default() };
    let event = PspEvent { event_id: "we_2".into(), about, what: Told::Payment(authorized()) };
    assert_eq!(rig.engine.hear(&other, &event).await.unwrap(), Heard::Unknown);
    assert_eq!(stored(&rig).await.state, State::Processing);
}

#[tokio::test]
async fn payment_is_found_by_the_providers_id_alone() {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Manual).await;
    let about = |id: &str| About { psp_id: Some(id.into()), ..About::default() };
    assert_eq!(tell_about(&rig, "we_1", about("ps_9"), Told::Cancel(cancelled())).await, Heard::Unknown);
    assert_eq!(tell_about(&rig, "we_2", about("ps_0"), Told::Cancel(cancelled())).await, Heard::Applied);
    assert_eq!(stored(&rig).await.state, State::Cancelled);
}

#[tokio::test]
async fn disputes_over_their_limit_are_not_stored() {
    let rig = Rig::at(BLIND).await;
    pay(&rig, GOOD, CapturePlan::Automatic).await;
    for number in 0..=limits::DISPUTES_MAX {
        let told = dispute_called(&format!("dp_{number}"), DisputeStage::Dispute, DisputeStatus::Opened);
        let expected = if number < limits::DISPUTES_MAX { Heard::Applied } else { Heard::Late };
        assert_eq!(tell(&rig, &format!("we_{number}"), told).await, expected);
    }
    assert_eq!(stored(&rig).await.disputes.len(), limits::DISPUTES_MAX);
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(authorized()),
        (1..=1000u64).prop_map(captured),
        Just(captured(1000)),
        Just(cancelled()),
        Just(declined()),
        Just(refused()),
        Just(Outcome::Pending { psp_id: "ps_0".into(), handles: Default::default() }),
        Just(Outcome::Verified { psp_id: "ps_0".into(), network_transaction_id: None, handles: Default::default() }),
        Just(refunded()),
    ]
}

fn anything() -> impl Strategy<Value = Told> {
    prop_oneof![
        outcomes().prop_map(Told::Payment),
        (outcomes(), any::<bool>()).prop_map(|(outcome, named)| capture(named.then_some("cap"), outcome)),
        outcomes().prop_map(Told::Cancel),
        outcomes().prop_map(Told::Increment),
        outcomes().prop_map(refund),
    ]
}

proptest! {
    #[test]
    fn no_word_of_a_provider_leads_outside_the_table(
        words in proptest::collection::vec((anything(), any::<bool>()), 1..12),
        starts in 0..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let payments = START.get_or_init(|| runtime.block_on(async {
            let mut rig = Rig::at(BLIND).await;
            pay(&rig, AUTHENTICATE, CapturePlan::Automatic).await;
            let mut payments = vec![stored(&rig).await];
            for begin in [0, 1, 2] {
                rig = match begin {
                    0 => authorization_in_doubt().await,
                    1 => capture_in_doubt().await,
                    _ => refund_in_doubt().await,
                };
                payments.push(stored(&rig).await);
            }
            payments
        }));
        let mut payment = payments[starts].clone();
        for (word, can_ask) in words {
            let witness = super::observe::Witness { run: "run", now_ms: 1, lease_ms: 1, capture_id: "cap_x".into() };
            let before = payment.clone();
            let change = Reader { witness, can_ask }.apply(&mut payment, &word);
            if !matches!(change, Change::Changed(_)) {
                assert_eq!(payment, before);
            }
            assert_eq!(payment.pending.is_some(), payment.state == State::Processing);
            assert!(payment.captured_minor <= payment.terms.amount_minor);
            crate::webhook::tell(&mut payment, 1).unwrap();
            assert!(crate::webhook::tell(&mut payment, 1).unwrap().is_empty(), "told once");
        }
    }
}

static START: std::sync::OnceLock<Vec<Payment>> = std::sync::OnceLock::new();
