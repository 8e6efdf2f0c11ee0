//! Reserved money while time passes: captured at a set time, once, and released when the authorization ends.

use std::sync::Arc;

use super::rig::{BLIND, FULL, GOOD, Rig, Trouble, card, new_payment};
use super::{CapturePlan, Engine, Fault, Payment, State, Terms};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn scheduled(rig: &Rig, in_ms: i64) -> impl FnOnce(&mut Terms) + use<> {
    let at = rig.engine.now_ms() + in_ms;
    move |terms| {
        terms.capture = CapturePlan::Scheduled;
        terms.capture_on_ms = Some(at);
    }
}

async fn pay(rig: &Rig, change: impl FnOnce(&mut Terms)) -> Result<Payment, Fault> {
    rig.engine.create(&rig.merchant, new_payment(change), card(GOOD), true).await
}

async fn stored(rig: &Rig) -> Payment {
    rig.engine.payment(&rig.merchant, "pay_1").await.unwrap().0
}

async fn after(rig: &Rig, ms: i64) -> Payment {
    rig.clock.advance(ms);
    rig.engine.round(false).await;
    stored(rig).await
}

fn calls(rig: &Rig, path: &str) -> usize {
    rig.psp.state.lock().unwrap().calls(path)
}

#[tokio::test]
async fn scheduled_capture_happens_at_its_time_also_after_a_restart() {
    let mut rig = Rig::new().await;
    let plan = scheduled(&rig, HOUR_MS);
    let payment = pay(&rig, |terms| {
        plan(terms);
        terms.amount_to_capture_minor = Some(400);
    });
    assert_eq!(payment.await.unwrap().state, State::RequiresCapture);
    rig.crash();
    rig.engine.round(true).await;
    assert_eq!(after(&rig, HOUR_MS - 1).await.state, State::RequiresCapture, "not before its time");
    let payment = after(&rig, 1).await;
    assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCaptured, 400));
}

#[tokio::test]
async fn scheduled_capture_runs_once_with_several_nodes() {
    let rig = Rig::new().await;
    pay(&rig, scheduled(&rig, HOUR_MS)).await.unwrap();
    rig.clock.advance(HOUR_MS);
    let nodes: Vec<_> = (0..4).map(|_| Arc::new(Engine::new(rig.parts()).unwrap())).collect();
    let rounds: Vec<_> =
        nodes.iter().cloned().map(|node| tokio::spawn(async move { node.round(false).await })).collect();
    for round in rounds {
        round.await.unwrap();
    }
    assert_eq!((stored(&rig).await.state, calls(&rig, "/capture")), (State::Succeeded, 1));
}

#[tokio::test]
async fn scheduled_capture_is_tried_again_while_the_provider_is_down_or_refuses() {
    for trouble in [Trouble::Unreachable, Trouble::Refused] {
        let rig = Rig::new().await;
        pay(&rig, scheduled(&rig, HOUR_MS)).await.unwrap();
        for _ in 0..3 {
            rig.trouble("/capture", trouble);
        }
        assert_eq!(after(&rig, HOUR_MS).await.state, State::RequiresCapture);
        rig.engine.round(false).await;
        assert_eq!(rig.psp.state.lock().unwrap().troubles.len(), 2, "not at once");
        for minutes in [1, 2] {
            assert_eq!(after(&rig, minutes * 60_000).await.state, State::RequiresCapture);
        }
        assert_eq!(after(&rig, 4 * 60_000).await.state, State::Succeeded);
    }
}

#[tokio::test]
async fn scheduled_capture_in_doubt_is_asked_about_and_not_made_twice() {
    for trouble in [Trouble::LostAnswer, Trouble::LostRequest, Trouble::Fault] {
        let rig = Rig::new().await;
        pay(&rig, scheduled(&rig, HOUR_MS)).await.unwrap();
        rig.trouble("/capture", trouble);
        assert_eq!(after(&rig, HOUR_MS).await.state, State::Processing);
        assert_eq!(after(&rig, 10_000).await.state, State::Succeeded);
        assert_eq!(rig.psp.state.lock().unwrap().captures, 1);
    }
}

#[tokio::test]
async fn merchant_may_capture_earlier_or_cancel_a_scheduled_payment() {
    for captures in [true, false] {
        let rig = Rig::new().await;
        pay(&rig, scheduled(&rig, HOUR_MS)).await.unwrap();
        let payment = if captures {
            rig.engine.capture(&rig.merchant, "pay_1", None).await.unwrap()
        } else {
            rig.engine.cancel(&rig.merchant, "pay_1", None).await.unwrap()
        };
        let expected = if captures { State::Succeeded } else { State::Cancelled };
        assert_eq!(payment.state, expected);
        assert_eq!((after(&rig, HOUR_MS).await.state, calls(&rig, "/capture")), (expected, usize::from(captures)));
    }
}

#[tokio::test]
async fn time_that_is_over_or_after_the_end_of_the_authorization_is_refused_before_a_card_moves() {
    let rig = Rig::new().await;
    for in_ms in [0, -1, 7 * DAY_MS] {
        let refused = pay(&rig, scheduled(&rig, in_ms)).await;
        assert!(matches!(refused, Err(Fault::Invalid { field: "capture_on", .. })), "{in_ms}");
    }
    let refused = pay(&rig, |terms| terms.capture = CapturePlan::Scheduled).await;
    assert_eq!(refused.unwrap_err(), Fault::Missing("capture_on"));
    assert_eq!(rig.cards_in_vault(), 0);
}

#[tokio::test]
async fn authorization_ends_and_is_released_at_the_provider() {
    for (connector, taken, expected) in [
        (FULL, 0, State::Expired),
        (FULL, 300, State::PartiallyCaptured),
        (BLIND, 0, State::Expired),
        (BLIND, 300, State::PartiallyCaptured),
    ] {
        let rig = Rig::at(connector).await;
        pay(&rig, |terms| terms.capture = CapturePlan::ManualMultiple).await.unwrap();
        if taken > 0 {
            rig.engine.capture(&rig.merchant, "pay_1", Some(taken)).await.unwrap();
        }
        assert!(after(&rig, 7 * DAY_MS - 1).await.is_reserved());
        let payment = after(&rig, 1).await;
        assert_eq!((payment.state, payment.captured_minor, payment.capturable_minor()), (expected, taken, 0));
        assert_eq!(calls(&rig, "/cancel"), 1);
        let late = rig.engine.capture(&rig.merchant, "pay_1", None).await;
        assert!(matches!(late, Err(Fault::BadState { flow: "captured", .. })));
        assert!(matches!(rig.engine.cancel(&rig.merchant, "pay_1", None).await, Err(Fault::BadState { .. })));
    }
}

#[tokio::test]
async fn authorization_that_is_over_its_time_takes_no_capture_though_the_loop_has_not_been_there() {
    let rig = Rig::new().await;
    pay(&rig, |terms| terms.capture = CapturePlan::Manual).await.unwrap();
    rig.clock.advance(7 * DAY_MS);
    let late = rig.engine.capture(&rig.merchant, "pay_1", None).await;
    assert!(matches!(late, Err(Fault::Precondition(_))));
    assert_eq!(calls(&rig, "/capture"), 0);
}

#[tokio::test]
async fn release_at_the_end_is_made_whatever_goes_wrong_with_it() {
    for trouble in [Trouble::Unreachable, Trouble::LostRequest, Trouble::LostAnswer, Trouble::Fault, Trouble::Accepted]
    {
        let rig = Rig::at(FULL).await;
        pay(&rig, |terms| terms.capture = CapturePlan::ManualMultiple).await.unwrap();
        rig.trouble("/cancel", trouble);
        assert_eq!(after(&rig, 7 * DAY_MS).await.state, State::Processing);
        let payment = after(&rig, 10_000).await;
        assert_eq!(payment.state, State::Expired, "{trouble:?}");
        assert_eq!(rig.psp.state.lock().unwrap().status("ps_0"), "cancelled");
    }
}

#[tokio::test]
async fn provider_that_released_first_or_refuses_to_release_makes_no_difference() {
    let rig = Rig::new().await;
    pay(&rig, |terms| terms.capture = CapturePlan::Manual).await.unwrap();
    rig.trouble("/cancel", Trouble::Refused);
    assert_eq!(after(&rig, 7 * DAY_MS).await.state, State::Expired);

    let rig = Rig::new().await;
    pay(&rig, |terms| terms.capture = CapturePlan::Manual).await.unwrap();
    rig.psp.state.lock().unwrap().set("ps_0", "status", "cancelled");
    assert_eq!(after(&rig, 7 * DAY_MS).await.state, State::Cancelled);
    assert_eq!(calls(&rig, "/cancel"), 0);
}

#[tokio::test]
async fn money_that_was_captured_elsewhere_is_not_called_expired() {
    let rig = Rig::new().await;
    pay(&rig, |terms| terms.capture = CapturePlan::Manual).await.unwrap();
    {
        let mut psp = rig.psp.state.lock().unwrap();
        psp.set("ps_0", "status", "captured");
        psp.set("ps_0", "taken", 1000);
    }
    let payment = after(&rig, 7 * DAY_MS).await;
    assert_eq!((payment.state, payment.captured_minor), (State::Succeeded, 1000));
}

#[tokio::test]
async fn time_of_an_authorization_whose_answer_was_lost_runs_from_its_beginning() {
    let rig = Rig::new().await;
    let began = rig.engine.now_ms();
    rig.trouble("/pay", Trouble::LostAnswer);
    pay(&rig, |terms| terms.capture = CapturePlan::Manual).await.unwrap();
    let payment = after(&rig, HOUR_MS).await;
    assert_eq!((payment.state, payment.authorized_until_ms), (State::RequiresCapture, Some(began + 7 * DAY_MS)));
}
