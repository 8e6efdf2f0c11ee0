//! Captures and increments: several of them, each once, whatever happens to the request, the answer or the process.

use strongroom_wire::limits;

use super::rig::{BLIND, FULL, GOOD, Rig, Trouble, card, new_payment};
use super::{CapturePlan, CaptureStatus, Fault, NewCapture, NewIncrement, Payment, State, Terms};

/// A payment of 1000 that is reserved at `connector`.
async fn reserved(connector: &str, change: impl FnOnce(&mut Terms)) -> Rig {
    let rig = Rig::at(connector).await;
    let new = new_payment(|terms| {
        terms.capture = CapturePlan::ManualMultiple;
        change(terms);
    });
    let payment = rig.engine.create(&rig.merchant, new, card(GOOD), true).await.unwrap();
    assert_eq!(payment.state, State::RequiresCapture);
    rig
}

async fn capture(rig: &Rig, amount: u64) -> Result<Payment, Fault> {
    rig.engine.capture(&rig.merchant, "pay_1", Some(amount)).await
}

async fn raise(rig: &Rig, total_minor: u64) -> Result<Payment, Fault> {
    let new = NewIncrement { increment_id: None, total_minor, reason: None, from_minor: None };
    rig.engine.increment(&rig.merchant, "pay_1", new).await
}

async fn stored(rig: &Rig) -> Payment {
    rig.engine.payment(&rig.merchant, "pay_1").await.unwrap().0
}

/// Some seconds later, in which the background loop ran once.
async fn later(rig: &Rig) -> Payment {
    rig.clock.advance(10_000);
    rig.engine.round(false).await;
    stored(rig).await
}

fn taken(rig: &Rig) -> u64 {
    rig.psp.state.lock().unwrap().taken("ps_0")
}

#[tokio::test]
async fn partial_captures_go_on_until_the_amount_is_used_up() {
    let rig = reserved(FULL, |_| {}).await;
    for (amount, state, left) in [
        (300, State::PartiallyCapturedAndCapturable, 700),
        (300, State::PartiallyCapturedAndCapturable, 400),
        (400, State::Succeeded, 0),
    ] {
        let payment = capture(&rig, amount).await.unwrap();
        assert_eq!((payment.state, payment.capturable_minor(), payment.captured_minor), (state, left, 1000 - left));
    }
    let payment = stored(&rig).await;
    assert!(payment.captures.iter().all(|row| row.status == CaptureStatus::Charged));
    let ids: std::collections::BTreeSet<_> = payment.captures.iter().map(|row| &row.capture_id).collect();
    assert_eq!((ids.len(), taken(&rig)), (3, 1000));
    assert!(matches!(capture(&rig, 1).await, Err(Fault::BadState { flow: "captured", .. })));
}

#[tokio::test]
async fn captures_together_never_exceed_what_is_reserved() {
    let rig = reserved(FULL, |_| {}).await;
    capture(&rig, 900).await.unwrap();
    assert!(matches!(capture(&rig, 101).await, Err(Fault::Unprocessable { .. })));
    assert!(matches!(capture(&rig, 0).await, Err(Fault::Unprocessable { .. })));
    assert_eq!((stored(&rig).await.captures.len(), taken(&rig)), (1, 900));
}

#[tokio::test]
async fn rest_is_released_by_a_cancellation_or_with_the_last_capture() {
    for by_cancel in [true, false] {
        let rig = reserved(FULL, |_| {}).await;
        capture(&rig, 300).await.unwrap();
        let payment = if by_cancel {
            rig.engine.cancel(&rig.merchant, "pay_1", None).await.unwrap()
        } else {
            let last = NewCapture { capture_id: None, amount_minor: Some(200), release_rest: true };
            rig.engine.capture(&rig.merchant, "pay_1", last).await.unwrap()
        };
        assert_eq!((payment.state, payment.capturable_minor()), (State::PartiallyCaptured, 0));
        assert_eq!(payment.captured_minor, taken(&rig));
        assert_eq!(rig.psp.state.lock().unwrap().status("ps_0"), "captured", "nothing is reserved any more");
    }
}

#[tokio::test]
async fn second_capture_in_doubt_is_told_from_the_first_and_done_once() {
    for connector in [FULL, BLIND] {
        for trouble in [Trouble::LostAnswer, Trouble::LostRequest] {
            let rig = reserved(connector, |_| {}).await;
            capture(&rig, 300).await.unwrap();
            rig.trouble("/capture", trouble);
            let payment = capture(&rig, 300).await.unwrap();
            assert_eq!((payment.state, payment.captured_minor), (State::Processing, 300));
            assert_eq!(payment.captures[1].status, CaptureStatus::Pending);
            let payment = later(&rig).await;
            assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCapturedAndCapturable, 600));
            assert_eq!((taken(&rig), rig.psp.state.lock().unwrap().captures), (600, 2), "{connector} {trouble:?}");
        }
    }
}

#[tokio::test]
async fn second_capture_survives_a_crash_in_the_middle_of_it() {
    for connector in [FULL, BLIND] {
        for trouble in [Trouble::Hang, Trouble::HangDone] {
            let mut rig = reserved(connector, |_| {}).await;
            capture(&rig, 300).await.unwrap();
            rig.trouble("/capture", trouble);
            tokio::select! {
                _ = capture(&rig, 300) => panic!("the provider hangs"),
                () = rig.met() => {}
            }
            assert_eq!(stored(&rig).await.captures.len(), 2, "stored before the call");
            rig.crash();
            rig.clock.advance(5_000);
            rig.engine.round(true).await;
            let payment = stored(&rig).await;
            assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCapturedAndCapturable, 600));
            assert_eq!((taken(&rig), rig.psp.state.lock().unwrap().captures), (600, 2), "{connector} {trouble:?}");
        }
    }
}

#[tokio::test]
async fn fault_repeated_under_a_key_never_makes_a_second_capture_of_a_part() {
    let rig = reserved(FULL, |_| {}).await;
    rig.trouble("/capture", Trouble::Fault);
    capture(&rig, 300).await.unwrap();
    for _ in 0..4 {
        assert_eq!(later(&rig).await.state, State::Processing, "a part could be taken twice under a fresh key");
    }
    assert_eq!(taken(&rig), 0);
    rig.clock.advance(86_400_000);
    for _ in 0..8 {
        rig.clock.advance(300_000);
        rig.engine.round(false).await;
    }
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.captures[0].status), (State::RequiresCapture, CaptureStatus::Failed));
    assert_eq!(payment.captures[0].error_code.as_deref(), Some("not_processed"));
}

#[tokio::test]
async fn capture_that_was_not_sent_leaves_no_trace_and_one_that_was_refused_leaves_a_row() {
    let rig = reserved(FULL, |_| {}).await;
    capture(&rig, 300).await.unwrap();
    rig.trouble("/capture", Trouble::Unreachable);
    assert_eq!(capture(&rig, 300).await.unwrap_err(), Fault::ProviderUnreachable);
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.captures.len()), (State::PartiallyCapturedAndCapturable, 1));
    rig.trouble("/capture", Trouble::Refused);
    assert!(matches!(capture(&rig, 300).await, Err(Fault::Connector { .. })));
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.captures[1].status), (payment.state, CaptureStatus::Failed));
    assert_eq!(payment.captures[1].error_code.as_deref(), Some("refused"));
    assert_eq!(capture(&rig, 700).await.unwrap().state, State::Succeeded);
    assert_eq!(taken(&rig), 1000);
}

#[tokio::test]
async fn capture_that_the_provider_only_accepted_is_processing_until_it_is_known() {
    for connector in [FULL, BLIND] {
        let rig = reserved(connector, |_| {}).await;
        rig.trouble("/capture", Trouble::Accepted);
        let payment = capture(&rig, 300).await.unwrap();
        assert_eq!((payment.state, payment.captured_minor), (State::Processing, 0));
        let payment = later(&rig).await;
        let expected = if connector == FULL { State::PartiallyCapturedAndCapturable } else { State::Processing };
        assert_eq!(payment.state, expected, "who cannot be asked will tell by itself");
        assert_eq!(rig.psp.state.lock().unwrap().calls("/capture"), 1, "what was accepted is not told again");
    }
}

#[tokio::test]
async fn of_many_captures_at_once_one_is_made() {
    let rig = reserved(FULL, |_| {}).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (engine, merchant) = (rig.engine.clone(), rig.merchant.clone());
            tokio::spawn(async move { engine.capture(&merchant, "pay_1", Some(1000)).await.is_ok() })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += u32::from(task.await.unwrap());
    }
    assert_eq!((done, taken(&rig), rig.psp.state.lock().unwrap().captures), (1, 1000, 1));
}

#[tokio::test]
async fn connector_with_one_capture_is_not_chosen_for_several() {
    let rig = Rig::new().await;
    let new = new_payment(|terms| terms.capture = CapturePlan::ManualMultiple);
    let refused = rig.engine.create(&rig.merchant, new, card(GOOD), true).await;
    assert_eq!((refused.unwrap_err(), rig.cards_in_vault()), (Fault::NoConnector, 0));
}

#[tokio::test]
async fn announced_part_is_what_a_capture_without_an_amount_takes() {
    let rig = Rig::new().await;
    let new = new_payment(|terms| {
        terms.capture = CapturePlan::Manual;
        terms.extra.insert("amount_to_capture".into(), 400.into());
    });
    rig.engine.create(&rig.merchant, new, card(GOOD), true).await.unwrap();
    let payment = rig.engine.capture(&rig.merchant, "pay_1", None).await.unwrap();
    assert_eq!((payment.state, payment.captured_minor), (State::PartiallyCaptured, 400));
}

#[tokio::test]
async fn captures_over_their_limit_are_refused() {
    let rig = reserved(FULL, |_| {}).await;
    for _ in 0..limits::CAPTURES_MAX {
        rig.trouble("/capture", Trouble::Refused);
        assert!(matches!(capture(&rig, 1).await, Err(Fault::Connector { .. })));
    }
    assert!(matches!(capture(&rig, 1).await, Err(Fault::Precondition(_))));
}

#[tokio::test]
async fn forced_fetch_finds_what_was_captured_or_released_elsewhere() {
    for (status, taken, expected) in [
        ("part", 250, State::PartiallyCapturedAndCapturable),
        ("captured", 1000, State::Succeeded),
        ("cancelled", 0, State::Cancelled),
        ("authorized", 0, State::RequiresCapture),
    ] {
        let rig = reserved(FULL, |_| {}).await;
        {
            let mut psp = rig.psp.state.lock().unwrap();
            psp.set("ps_0", "status", status);
            psp.set("ps_0", "taken", taken);
        }
        let payment = rig.engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
        assert_eq!((payment.state, payment.captured_minor), (expected, taken));
        assert_eq!(payment.captures.iter().map(|row| row.amount_minor).sum::<u64>(), taken);
    }
}

#[tokio::test]
async fn raised_authorization_can_be_captured_in_full() {
    let rig = reserved(FULL, |terms| terms.incremental = true).await;
    assert!(matches!(raise(&rig, 1000).await, Err(Fault::Invalid { field: "amount", .. })));
    let payment = raise(&rig, 1500).await.unwrap();
    assert_eq!(
        (payment.state, payment.terms.amount_minor, payment.capturable_minor()),
        (State::RequiresCapture, 1500, 1500)
    );
    assert_eq!((payment.increments[0].before_minor, payment.increments[0].status), (1000, CaptureStatus::Charged));
    assert_eq!(capture(&rig, 1500).await.unwrap().state, State::Succeeded);
    assert!(matches!(raise(&rig, 2000).await, Err(Fault::BadState { .. })));
}

#[tokio::test]
async fn raise_that_was_not_agreed_beforehand_is_refused() {
    let rig = reserved(FULL, |_| {}).await;
    assert!(matches!(raise(&rig, 1500).await, Err(Fault::Precondition(_))));
    assert_eq!(rig.psp.state.lock().unwrap().calls("/raise"), 0);
    let new = new_payment(|terms| terms.incremental = true);
    let rig = Rig::new().await;
    assert_eq!(rig.engine.create(&rig.merchant, new, card(GOOD), true).await.unwrap_err(), Fault::NoConnector);
}

#[tokio::test]
async fn raise_in_doubt_is_repeated_under_its_key() {
    for connector in [FULL, BLIND] {
        for trouble in [Trouble::LostAnswer, Trouble::LostRequest] {
            let rig = reserved(connector, |terms| terms.incremental = true).await;
            rig.trouble("/raise", trouble);
            let payment = raise(&rig, 1500).await.unwrap();
            assert_eq!((payment.state, payment.terms.amount_minor), (State::Processing, 1000));
            let payment = later(&rig).await;
            assert_eq!((payment.state, payment.terms.amount_minor), (State::RequiresCapture, 1500), "{connector}");
        }
    }
}

#[tokio::test]
async fn raise_that_nobody_can_prove_is_taken_for_none() {
    let rig = reserved(FULL, |terms| terms.incremental = true).await;
    rig.trouble("/raise", Trouble::LostRequest);
    raise(&rig, 1500).await.unwrap();
    rig.clock.advance(86_400_000);
    for _ in 0..8 {
        rig.clock.advance(300_000);
        rig.engine.round(false).await;
    }
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.terms.amount_minor), (State::RequiresCapture, 1000));
    assert_eq!(payment.increments[0].status, CaptureStatus::Failed);
}

#[tokio::test]
async fn raise_that_is_refused_or_not_sent_leaves_the_authorization_as_it_was() {
    let rig = reserved(FULL, |terms| terms.incremental = true).await;
    rig.trouble("/raise", Trouble::Unreachable);
    assert_eq!(raise(&rig, 1500).await.unwrap_err(), Fault::ProviderUnreachable);
    assert!(stored(&rig).await.increments.is_empty());
    rig.trouble("/raise", Trouble::Refused);
    assert!(matches!(raise(&rig, 1500).await, Err(Fault::Connector { .. })));
    rig.psp.state.lock().unwrap().set("ps_0", "status", "no");
    let payment = stored(&rig).await;
    assert_eq!((payment.state, payment.terms.amount_minor), (State::RequiresCapture, 1000));
    assert_eq!(payment.increments[0].status, CaptureStatus::Failed);
    for _ in 1..limits::INCREMENTS_MAX {
        rig.trouble("/raise", Trouble::Refused);
        assert!(matches!(raise(&rig, 1500).await, Err(Fault::Connector { .. })));
    }
    assert!(matches!(raise(&rig, 1500).await, Err(Fault::Precondition(_))));
}
