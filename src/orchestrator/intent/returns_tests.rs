//! The payer who is sent away: returns once, ten times at once, after the end, with somebody else's ticket, or never; and
//! what goes wrong on each way.

use std::collections::BTreeMap;

use super::rig::{AUTHENTICATE, BLIND, FULL, PLAIN, Rig, Trouble, card, new_payment};
use super::{CapturePlan, Fault, Payment, State, Terms};

const DAY_MS: i64 = 24 * 3_600_000;

/// A payment of 1000 whose payer is away.
async fn away(connector: &str, change: impl FnOnce(&mut Terms)) -> Rig {
    let rig = Rig::at(connector).await;
    let payment = rig.engine.create(&rig.merchant, new_payment(change), card(AUTHENTICATE), true).await.unwrap();
    assert_eq!(payment.state, State::RequiresCustomerAction);
    rig
}

fn query(result: &str) -> BTreeMap<String, String> {
    [("result".to_owned(), result.to_owned())].into()
}

async fn ticket(rig: &Rig) -> String {
    let url = rig.engine.redirect_back_url(&stored(rig).await);
    url.rsplit('/').next().unwrap().to_owned()
}

async fn back(rig: &Rig, result: &str) -> Payment {
    let ticket = ticket(rig).await;
    rig.engine.come_back_with(&rig.merchant, "pay_1", &ticket, query(result)).await.unwrap().payment
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
async fn what_the_browser_brings_back_ends_the_payment_where_the_provider_needs_it() {
    for (result, plan, expected) in [
        ("good", CapturePlan::Automatic, State::Succeeded),
        ("good", CapturePlan::Manual, State::RequiresCapture),
        ("bad", CapturePlan::Automatic, State::Failed),
    ] {
        let rig = away(BLIND, |terms| terms.capture = plan).await;
        let payment = back(&rig, result).await;
        assert_eq!((payment.state, payment.redirect_url, calls(&rig, "/complete")), (expected, None, 1));
        assert_eq!(payment.authorized_until_ms.is_some(), plan == CapturePlan::Manual);
    }
}

#[tokio::test]
async fn query_that_is_not_the_providers_changes_nothing_and_the_right_one_still_counts() {
    let rig = away(BLIND, |_| {}).await;
    for _ in 0..3 {
        assert_eq!(back(&rig, "garbage").await.state, State::RequiresCustomerAction);
    }
    let ticket = ticket(&rig).await;
    let none = rig.engine.come_back_with(&rig.merchant, "pay_1", &ticket, BTreeMap::new()).await.unwrap();
    assert_eq!((none.payment.state, none.onward), (State::RequiresCustomerAction, None));
    assert_eq!(calls(&rig, "/complete"), 3, "an empty query is not handed over");
    assert_eq!(back(&rig, "good").await.state, State::Succeeded);
}

#[tokio::test]
async fn somebody_elses_ticket_reaches_no_provider() {
    let rig = away(BLIND, |_| {}).await;
    for ticket in ["", "x", &"A".repeat(22)] {
        let refused = rig.engine.come_back_with(&rig.merchant, "pay_1", ticket, query("bad")).await;
        assert_eq!(refused.err(), Some(Fault::NotFound("Payment")));
    }
    assert_eq!((stored(&rig).await.state, calls(&rig, "/complete")), (State::RequiresCustomerAction, 0));
}

#[tokio::test]
async fn of_ten_returns_at_once_one_is_handed_over() {
    let rig = away(BLIND, |_| {}).await;
    let ticket = ticket(&rig).await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (engine, merchant, ticket) = (rig.engine.clone(), rig.merchant.clone(), ticket.clone());
            tokio::spawn(async move { engine.come_back_with(&merchant, "pay_1", &ticket, query("good")).await })
        })
        .collect();
    for task in tasks {
        let state = task.await.unwrap().unwrap().payment.state;
        assert!(matches!(state, State::Processing | State::Succeeded), "{state:?}");
    }
    assert_eq!((stored(&rig).await.state, calls(&rig, "/complete"), rig.charges()), (State::Succeeded, 1, 1));
}

#[tokio::test]
async fn return_after_the_end_only_reads() {
    for connector in [PLAIN, BLIND] {
        let rig = away(connector, |_| {}).await;
        if connector == PLAIN {
            rig.psp.state.lock().unwrap().authenticate("ps_0");
        }
        assert_eq!(back(&rig, "good").await.state, State::Succeeded);
        let asked = || rig.psp.state.lock().unwrap().arrived.len();
        let before = asked();
        rig.clock.advance(60_000);
        assert_eq!(back(&rig, "bad").await.state, State::Succeeded);
        assert_eq!((asked(), rig.charges()), (before, 1));
    }
}

#[tokio::test]
async fn second_page_of_the_provider_is_where_the_browser_goes_next() {
    let rig = away(BLIND, |_| {}).await;
    rig.psp.state.lock().unwrap().set("ps_0", "status", "authorized");
    let ticket = ticket(&rig).await;
    rig.trouble("/complete", Trouble::Onward);
    let returned = rig.engine.come_back_with(&rig.merchant, "pay_1", &ticket, query("good")).await.unwrap();
    assert_eq!(returned.payment.state, State::RequiresCustomerAction);
    assert_eq!(returned.onward.as_deref(), Some("https://psp.test/more"));
}

#[tokio::test]
async fn return_that_met_trouble_is_handed_over_again_under_its_key_and_charges_once() {
    for trouble in [Trouble::Unreachable, Trouble::LostRequest, Trouble::LostAnswer] {
        let rig = away(BLIND, |_| {}).await;
        rig.trouble("/complete", trouble);
        assert_eq!(back(&rig, "good").await.state, State::Processing, "{trouble:?}");
        assert_eq!(back(&rig, "good").await.state, State::Processing, "another return waits for the first");
        assert_eq!(after(&rig, 10_000).await.state, State::Succeeded, "{trouble:?}");
        assert_eq!(rig.charges(), 1);
    }
}

#[tokio::test]
async fn return_survives_a_crash_in_the_middle_of_it() {
    for trouble in [Trouble::Hang, Trouble::HangDone] {
        let mut rig = away(BLIND, |_| {}).await;
        rig.trouble("/complete", trouble);
        tokio::select! {
            _ = back(&rig, "good") => panic!("the provider hangs"),
            () = rig.met() => {}
        }
        rig.crash();
        rig.clock.advance(5_000);
        rig.engine.round(true).await;
        assert_eq!((stored(&rig).await.state, rig.charges()), (State::Succeeded, 1), "{trouble:?}");
    }
}

#[tokio::test]
async fn provider_that_cannot_be_asked_is_never_asked_and_a_lasting_doubt_rests() {
    let rig = away(BLIND, |_| {}).await;
    rig.trouble("/complete", Trouble::LostRequest);
    back(&rig, "good").await;
    assert_eq!(rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap().state, State::Processing);
    rig.clock.advance(DAY_MS);
    for _ in 0..10 {
        rig.engine.round(false).await;
        rig.clock.advance(DAY_MS);
    }
    assert_eq!((stored(&rig).await.state, calls(&rig, "/complete")), (State::Processing, 0));
}

#[tokio::test]
async fn payer_who_never_comes_back_leaves_a_cancelled_payment() {
    for connector in [PLAIN, FULL, BLIND] {
        let rig = away(connector, |_| {}).await;
        assert_eq!(after(&rig, 60_000).await.state, State::RequiresCustomerAction);
        assert_eq!(after(&rig, DAY_MS - 120_000).await.state, State::RequiresCustomerAction);
        let payment = after(&rig, 180_000).await;
        assert_eq!((payment.state, payment.cancellation_reason.as_deref()), (State::Cancelled, Some("abandoned")));
        assert_eq!(rig.psp.state.lock().unwrap().status("ps_0"), "cancelled");
        assert_eq!((after(&rig, DAY_MS).await.state, payment.due_ms()), (State::Cancelled, None));
    }
}

#[tokio::test]
async fn payment_is_given_up_whatever_goes_wrong_with_its_cancellation() {
    for connector in [FULL, BLIND] {
        for trouble in [
            Trouble::Unreachable,
            Trouble::LostRequest,
            Trouble::LostAnswer,
            Trouble::Fault,
            Trouble::Refused,
            Trouble::Accepted,
        ] {
            let rig = away(connector, |_| {}).await;
            rig.trouble("/cancel", trouble);
            after(&rig, DAY_MS + 60_000).await;
            for _ in 0..3 {
                after(&rig, 300_000).await;
            }
            assert_eq!(stored(&rig).await.state, State::Cancelled, "{connector} {trouble:?}");
        }
    }
}

#[tokio::test]
async fn payer_who_was_done_before_the_end_of_the_day_has_paid() {
    let rig = away(PLAIN, |_| {}).await;
    rig.clock.advance(DAY_MS + 60_000);
    rig.psp.state.lock().unwrap().authenticate("ps_0");
    rig.engine.round(false).await;
    assert_eq!((stored(&rig).await.state, calls(&rig, "/cancel")), (State::Succeeded, 0));
}

#[tokio::test]
async fn provider_that_is_away_gives_up_no_payment() {
    let rig = away(PLAIN, |_| {}).await;
    for _ in 0..3 {
        rig.trouble("/look", Trouble::Unreachable);
    }
    assert_eq!(after(&rig, DAY_MS + 60_000).await.state, State::RequiresCustomerAction, "the payer may have paid");
    for _ in 0..3 {
        after(&rig, 300_000).await;
    }
    assert_eq!(stored(&rig).await.state, State::Cancelled);
}
