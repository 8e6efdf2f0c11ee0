//! The connector and the simulator's Worldpay, without a network between them: every operation goes there as the transport
//! would send it, and every webhook comes back through the connector. (`tls_tests.rs` does it over the real transport.)

use strongroom_simulator::{Inside, Moved};
use zeroize::Zeroizing;

use super::Worldpay;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Connector, Credential, Credentials, DeclineKind, DisputeStage, Doubt,
    Handles, Increment, Method, MitCategory, Operation, Outcome, Payer, Progress, PspAnswer, PspRequest, Refund, Step,
    Sync, SyncRefund, Told, WebhookCall,
};
use crate::money::Money;
use crate::transport::Rendered;
use crate::vault::Card;

/// A merchant at the simulator.
struct Trip {
    provider: Inside,
    credentials: Credentials,
}

impl Trip {
    fn new() -> Self {
        // 2026-11-15.
        Self { provider: Inside::new(USER, SECRET, || 1_794_700_800), credentials: credentials() }
    }

    async fn send(&self, request: &PspRequest, card: &Card) -> PspAnswer {
        let rendered = Rendered::of(request, &self.credentials, Some(card)).unwrap();
        let headers: Vec<(&str, &str)> =
            rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = rendered.body.as_ref().map_or(&[][..], |body| &body[..]);
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let (status, body) = self.provider.handle(method, &rendered.target, &headers, body).await;
        PspAnswer { status, body }
    }

    /// Runs an operation to its end, as the engine does.
    async fn run(&self, operation: &Operation, card: &Card) -> Step {
        let mut progress = Progress::default();
        for _ in 0..8 {
            let request = Worldpay.request(operation, &progress).unwrap();
            let answer = self.send(&request, card).await;
            match Worldpay.outcome(operation, &progress, &answer) {
                Step::Next(next) => progress = next,
                step => return step,
            }
        }
        panic!("no end");
    }

    async fn done(&self, operation: &Operation) -> Outcome {
        match self.run(operation, &card(VISA, "Sherlock Holmes")).await {
            Step::Done(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    async fn paid(&self, number: &str, name: &str) -> Step {
        self.run(&Operation::Authorize(authorize(CaptureMethod::Automatic)), &card(number, name)).await
    }

    /// An authorization that waits for its capture: its handles.
    async fn reserved(&self, incremental: bool) -> Handles {
        let authorize = Authorize { incremental, ..authorize(CaptureMethod::ManualMultiple) };
        match self.done(&Operation::Authorize(authorize)).await {
            Outcome::Authorized { handles, .. } => handles,
            other => panic!("{other:?}"),
        }
    }

    /// What the webhooks since the last call tell, verified and read by the connector.
    fn told(&self) -> Vec<Told> {
        let mut told = Vec::new();
        for webhook in self.provider.webhooks() {
            assert_eq!(webhook.provider, "worldpay");
            let call = WebhookCall { headers: &webhook.headers, body: webhook.body.as_bytes(), now_ms: 0 };
            for event in Worldpay.webhook(&call, &self.credentials).unwrap() {
                assert_eq!(event.about.attempt_id.as_deref(), Some(ATTEMPT), "{event:?}");
                told.push(event.what);
            }
        }
        told
    }

    fn moved(&self) -> Moved {
        self.provider.moved("pay_1")
    }
}

fn credentials() -> Credentials {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    Credentials {
        api_key: text(USER),
        key1: Some(text("password")),
        api_secret: Some(text("default")),
        webhook_secret: Some(text(SECRET)),
    }
}

fn gbp(minor: u64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

fn card(number: &str, holder: &str) -> Card {
    Card {
        number: Zeroizing::new(number.into()),
        exp_month: 3,
        exp_year: 2030,
        cvc: Some(Zeroizing::new("123".into())),
        holder_name: Some(Zeroizing::new(holder.into())),
    }
}

fn authorize(capture: CaptureMethod) -> Authorize {
    Authorize {
        payment_id: "pay_1".into(),
        attempt_id: ATTEMPT.into(),
        idempotency_key: "key_1".into(),
        amount: gbp(1000),
        capture,
        incremental: false,
        three_ds: false,
        return_url: None,
        credential: Credential::OneTime,
        description: None,
        statement_descriptor: Some("TICKETS".into()),
        payer: Payer::default(),
    }
}

fn capture(handles: &Handles, id: &str, minor: u64, taken: u64, is_final: bool) -> Operation {
    Operation::Capture(Capture {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        idempotency_key: "key_2".into(),
        handles: handles.clone(),
        capture_id: id.into(),
        amount: gbp(minor),
        authorized: gbp(1000),
        taken: gbp(taken),
        is_final,
    })
}

fn cancel(handles: &Handles, taken: u64) -> Operation {
    Operation::Cancel(Cancel {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        handles: handles.clone(),
        authorized: gbp(1000),
        taken: gbp(taken),
        idempotency_key: "key_3".into(),
        reason: None,
    })
}

fn refund(handles: &Handles, id: &str, minor: u64) -> Operation {
    Operation::Refund(Refund {
        payment_id: "pay_1".into(),
        refund_id: id.into(),
        psp_id: ATTEMPT.into(),
        handles: handles.clone(),
        idempotency_key: "key_4".into(),
        amount: gbp(minor),
        captured: gbp(1000),
        reason: None,
    })
}

fn sync(handles: &Handles) -> Operation {
    Operation::Sync(Sync {
        payment_id: "pay_1".into(),
        attempt_id: ATTEMPT.into(),
        psp_id: (!handles.is_empty()).then(|| ATTEMPT.into()),
        handles: handles.clone(),
        amount: gbp(1000),
        since_unix_s: 0,
        released_after: None,
        raised_to: None,
    })
}

fn sync_refund(handles: &Handles, id: &str, minor: u64, known: bool) -> Operation {
    Operation::SyncRefund(SyncRefund {
        refund_id: id.into(),
        psp_id: ATTEMPT.into(),
        handles: handles.clone(),
        amount: gbp(minor),
        psp_refund_id: known.then(|| super::reference::of(id)),
    })
}

/// The handles that a receipt leaves the payment with: new ones over the old.
fn pending(mut known: Handles, outcome: Outcome) -> Handles {
    match outcome {
        Outcome::Pending { psp_id, handles } if psp_id == ATTEMPT => known.extend(handles),
        other => panic!("{other:?}"),
    }
    known
}

fn taken(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Captured { amount_minor, .. } => Some(*amount_minor),
        _ => None,
    }
}

const USER: &str = "worldpay-user";
const SECRET: &str = "shared-with-worldpay";
const ATTEMPT: &str = "pay_1_1";
const VISA: &str = "4444333322221111";

#[tokio::test]
async fn payment_settled_at_once_is_taken_once_and_found_again() {
    let trip = Trip::new();
    let outcome = trip.done(&Operation::Authorize(authorize(CaptureMethod::Automatic))).await;
    let Outcome::Captured { psp_id, amount_minor: 1000, network_transaction_id, handles } = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((psp_id.as_str(), network_transaction_id.as_deref()), (ATTEMPT, Some("000000000000001")));
    assert_eq!(trip.told(), [Told::Nothing, Told::Look, Told::Look]);
    // With the handles, and as if the answer had been lost.
    assert_eq!(taken(&trip.done(&sync(handles)).await), Some(1000));
    assert_eq!(trip.done(&sync(&Handles::new())).await, outcome);
    assert_eq!((trip.moved().authorizations, trip.moved().captured), (1, 1000));
}

#[tokio::test]
async fn refusals_are_declines_of_their_kind_and_move_no_money() {
    for (number, name, code, kind) in [
        (VISA, "REFUSED", "5", DeclineKind::Soft),
        (VISA, "REFUSED41", "41", DeclineKind::DoNotRetry),
        (VISA, "REFUSED33", "33", DeclineKind::Hard),
        ("4000000000000002", "Sherlock Holmes", "5", DeclineKind::Soft),
        ("4000000000009995", "Sherlock Holmes", "51", DeclineKind::Soft),
        ("4000000000009979", "Sherlock Holmes", "43", DeclineKind::DoNotRetry),
        ("4000002500003155", "Sherlock Holmes", "65", DeclineKind::Soft),
    ] {
        let trip = Trip::new();
        let Step::Done(Outcome::Declined(decline)) = trip.paid(number, name).await else { panic!("{name}") };
        assert_eq!((decline.decline_code.as_deref(), decline.kind), (Some(code), kind), "{name}");
        assert_eq!(trip.told(), [Told::Nothing, Told::Look]);
        let Outcome::Declined(again) = trip.done(&sync(&Handles::new())).await else { panic!("{name}") };
        // The history tells the code and no advice.
        assert_eq!((again.decline_code, again.message), (decline.decline_code, decline.message));
        assert_eq!(trip.moved(), Moved::default());
    }
}

#[tokio::test]
async fn card_that_is_not_published_and_wrong_credentials_are_refusals() {
    let mut trip = Trip::new();
    let Step::Done(Outcome::Refused(refusal)) = trip.paid("4111111111111111", "A").await else { panic!("taken") };
    assert_eq!(refusal.code, "bodyDoesNotMatchSchema");
    assert!(refusal.message.ends_with("$.instruction.paymentInstrument.cardNumber"), "{}", refusal.message);
    trip.credentials.api_key = Zeroizing::new("nobody".into());
    let Step::Done(Outcome::Refused(refusal)) = trip.paid(VISA, "A").await else { panic!("taken") };
    assert_eq!(refusal.code, "authentication_failed");
    let questioned = trip.run(&sync(&Handles::new()), &card(VISA, "A")).await;
    assert_eq!(questioned, Step::InDoubt(Doubt::QuestionRefused));
    assert_eq!(trip.moved(), Moved::default());
}

#[tokio::test]
async fn answer_that_was_lost_is_found_by_our_reference_and_absence_is_said_only_then() {
    let trip = Trip::new();
    assert_eq!(trip.run(&sync(&Handles::new()), &card(VISA, "A")).await, Step::Absent);
    trip.provider.arm_error(true);
    let lost = trip.paid(VISA, "Sherlock Holmes").await;
    assert_eq!(lost, Step::InDoubt(Doubt::ServerFault));
    assert_eq!(taken(&trip.done(&sync(&Handles::new())).await), Some(1000));
    assert_eq!((trip.moved().authorizations, trip.moved().captured), (1, 1000));
}

#[tokio::test]
async fn issuer_that_could_not_be_asked_leaves_doubt_that_a_question_ends() {
    let trip = Trip::new();
    assert_eq!(trip.paid(VISA, "ERROR").await, Step::InDoubt(Doubt::ServerFault));
    let Outcome::Declined(decline) = trip.done(&sync(&Handles::new())).await else { panic!("not declined") };
    assert_eq!((decline.code.as_str(), decline.kind), ("error", DeclineKind::Soft));
    assert_eq!(trip.moved(), Moved::default());
}

#[tokio::test]
async fn two_payments_under_one_reference_are_nobodys() {
    let trip = Trip::new();
    for _ in 0..2 {
        trip.paid(VISA, "Sherlock Holmes").await;
    }
    assert_eq!(trip.moved().authorizations, 2, "Worldpay reserves twice, so nothing may be sent twice");
    let questioned = trip.run(&sync(&Handles::new()), &card(VISA, "A")).await;
    assert_eq!(questioned, Step::InDoubt(Doubt::Unreadable));
}

#[tokio::test]
async fn several_captures_add_up_and_the_rest_is_released() {
    let trip = Trip::new();
    let mut handles = trip.reserved(false).await;
    let Outcome::Authorized { handles: again, .. } = trip.done(&sync(&handles)).await else { panic!("not reserved") };
    assert_eq!(again, handles);
    trip.told();
    for (number, id, before) in [(1, "cap_1", 0), (2, "cap_2", 300)] {
        handles = pending(handles.clone(), trip.done(&capture(&handles, id, 300, before, false)).await);
        assert_eq!(taken(&trip.done(&sync(&handles)).await), Some(300 * number));
        let told = trip.told();
        let [Told::Capture { capture_id, outcome }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((capture_id.as_deref(), taken(outcome)), (Some(id), Some(300)));
    }
    handles = pending(handles.clone(), trip.done(&cancel(&handles, 600)).await);
    assert_eq!(taken(&trip.done(&sync(&handles)).await), Some(600));
    let Operation::Sync(question) = sync(&handles) else { panic!("no question") };
    let released = Operation::Sync(Sync { released_after: Some(gbp(600)), ..question });
    assert_eq!(trip.done(&released).await, Outcome::Cancelled { psp_id: ATTEMPT.into() });
    assert_eq!(trip.told(), [Told::Cancel(Outcome::Cancelled { psp_id: ATTEMPT.into() })]);
    let Step::Done(Outcome::Refused(_)) = trip.run(&capture(&handles, "cap_3", 1, 600, true), &card(VISA, "A")).await
    else {
        panic!("captured after the end")
    };
    let moved = trip.moved();
    assert_eq!((moved.authorized, moved.captured, moved.released), (1000, 600, 400));
}

#[tokio::test]
async fn only_capture_of_a_part_releases_the_rest() {
    let trip = Trip::new();
    let handles = trip.reserved(false).await;
    let handles = pending(handles.clone(), trip.done(&capture(&handles, "cap_1", 300, 0, true)).await);
    assert_eq!(taken(&trip.done(&sync(&handles)).await), Some(300));
    assert_eq!((trip.moved().captured, trip.moved().released), (300, 700));
}

#[tokio::test]
async fn capture_whose_answer_was_lost_is_in_the_history_with_its_amount() {
    for work_is_done in [true, false] {
        let trip = Trip::new();
        let handles = trip.reserved(false).await;
        trip.provider.arm_error(work_is_done);
        let lost = trip.run(&capture(&handles, "cap_1", 400, 0, false), &card(VISA, "A")).await;
        assert_eq!(lost, Step::InDoubt(Doubt::ServerFault));
        let outcome = trip.done(&sync(&handles)).await;
        if work_is_done {
            assert_eq!(taken(&outcome), Some(400));
        } else {
            assert!(matches!(outcome, Outcome::Authorized { .. }), "{outcome:?}");
        }
        assert_eq!(trip.moved().captured, if work_is_done { 400 } else { 0 });
    }
}

#[tokio::test]
async fn reservation_is_released_whole() {
    let trip = Trip::new();
    let handles = trip.reserved(false).await;
    let handles = pending(handles.clone(), trip.done(&cancel(&handles, 0)).await);
    let cancelled = Outcome::Cancelled { psp_id: ATTEMPT.into() };
    assert_eq!(trip.done(&sync(&handles)).await, cancelled);
    assert!(trip.told().contains(&Told::Cancel(cancelled)));
    assert_eq!((trip.moved().captured, trip.moved().released), (0, 1000));
}

#[tokio::test]
async fn payment_settled_on_its_own_is_reversed_and_the_money_goes_back() {
    let trip = Trip::new();
    let Step::Done(Outcome::Captured { handles, .. }) = trip.paid(VISA, "A").await else { panic!("not taken") };
    let handles = pending(handles.clone(), trip.done(&cancel(&handles, 0)).await);
    assert_eq!(trip.done(&sync(&handles)).await, Outcome::Cancelled { psp_id: ATTEMPT.into() });
    assert_eq!((trip.moved().captured, trip.moved().refunded), (1000, 1000));
}

#[tokio::test]
async fn refunds_are_told_apart_by_their_references() {
    let trip = Trip::new();
    let Step::Done(Outcome::Captured { handles, .. }) = trip.paid(VISA, "A").await else { panic!("not taken") };
    trip.told();
    for (id, minor) in [("ref_1", 300), ("ref-2", 700)] {
        assert_eq!(
            trip.run(&sync_refund(&handles, id, minor, false), &card(VISA, "A")).await,
            Step::Absent,
            "{id} is not there before it is made"
        );
        let psp_id = super::reference::of(id);
        let made = trip.done(&refund(&handles, id, minor)).await;
        assert!(matches!(&made, Outcome::Pending { psp_id: named, .. } if *named == psp_id), "{made:?}");
        let outcome = Outcome::Refunded { psp_id: psp_id.clone(), amount_minor: minor };
        assert_eq!(trip.done(&sync_refund(&handles, id, minor, true)).await, outcome);
        // As if the first answer had been lost, with the payment's own.
        assert_eq!(trip.done(&sync_refund(&Handles::new(), id, minor, false)).await, outcome);
        let refund_id = Some(id.to_owned());
        assert_eq!(trip.told(), [Told::Refund { refund_id, psp_refund_id: Some(psp_id), outcome }]);
    }
    let Step::Done(Outcome::Refused(_)) = trip.run(&refund(&handles, "ref_3", 1), &card(VISA, "A")).await else {
        panic!("more than was taken")
    };
    assert_eq!(trip.moved().refunded, 1000);
}

#[tokio::test]
async fn whole_refund_goes_by_its_own_link() {
    let trip = Trip::new();
    let Step::Done(Outcome::Captured { handles, .. }) = trip.paid(VISA, "A").await else { panic!("not taken") };
    trip.done(&refund(&handles, "ref_1", 1000)).await;
    let back = Outcome::Refunded { psp_id: "ref-u1".into(), amount_minor: 1000 };
    assert_eq!(trip.done(&sync_refund(&handles, "ref_1", 1000, true)).await, back);
    assert_eq!(trip.moved().refunded, 1000);
}

#[tokio::test]
async fn refund_that_fails_at_the_bank_is_told_as_failed_both_ways() {
    let trip = Trip::new();
    let Step::Done(Outcome::Captured { handles, .. }) = trip.paid("4000000000005126", "A").await else {
        panic!("not taken")
    };
    trip.done(&refund(&handles, "ref_1", 1000)).await;
    trip.told();
    let Outcome::Refused(refusal) = trip.done(&sync_refund(&handles, "ref_1", 1000, true)).await else {
        panic!("not failed")
    };
    assert_eq!(refusal.code, "refund_failed");
    let told = trip.told();
    assert!(
        matches!(told.as_slice(), [Told::Refund { refund_id: Some(id), outcome: Outcome::Refused(_), .. }] if id == "ref_1"),
        "{told:?}"
    );
    assert_eq!(trip.moved().refunded, 0);
}

#[tokio::test]
async fn raised_estimate_is_captured_in_full_by_the_new_links() {
    let trip = Trip::new();
    let mut handles = trip.reserved(true).await;
    let increment = Operation::Increment(Increment {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        handles: handles.clone(),
        idempotency_key: "key_5".into(),
        before: gbp(1000),
        total: gbp(1500),
        reason: None,
    });
    let Outcome::Authorized { handles: new, .. } = trip.done(&increment).await else { panic!("not raised") };
    assert_ne!(new.get("settle"), handles.get("settle"));
    handles.extend(new);
    let whole = Operation::Capture(Capture {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        idempotency_key: "key_2".into(),
        handles: handles.clone(),
        capture_id: "cap_1".into(),
        amount: gbp(1500),
        authorized: gbp(1500),
        taken: gbp(0),
        is_final: true,
    });
    let handles = pending(handles, trip.done(&whole).await);
    assert_eq!(taken(&trip.done(&sync(&handles)).await), Some(1500));
    let moved = trip.moved();
    assert_eq!((moved.authorized, moved.captured, moved.released), (1500, 1500, 0));
}

#[tokio::test]
async fn merchant_charges_a_kept_card_without_its_security_code() {
    let trip = Trip::new();
    for (category, network) in [
        (MitCategory::Unscheduled, Some("MCSPD1X1C0104  ")),
        (MitCategory::Recurring, Some("000000000000042")),
        (MitCategory::Installment, None),
        (MitCategory::Resubmission, None),
    ] {
        let network_transaction_id = network.map(str::to_owned);
        let credential = Credential::StoredByMerchant { network_transaction_id, category };
        let operation =
            Operation::Authorize(Authorize { credential, three_ds: true, ..authorize(CaptureMethod::Automatic) });
        assert_eq!(taken(&trip.done(&operation).await), Some(1000), "{category:?}");
    }
    for credential in
        [Credential::FirstToStore { off_session: true }, Credential::StoredByPayer { network_transaction_id: None }]
    {
        let operation = Operation::Authorize(Authorize { credential, ..authorize(CaptureMethod::Automatic) });
        assert_eq!(taken(&trip.done(&operation).await), Some(1000));
    }
}

#[tokio::test]
async fn chargeback_is_told_as_a_dispute_of_the_payment() {
    let trip = Trip::new();
    assert!(!trip.provider.dispute("pay_1"));
    trip.paid(VISA, "A").await;
    trip.told();
    assert!(trip.provider.dispute("pay_1") && !trip.provider.dispute("pay_1"));
    let told = trip.told();
    let [Told::Dispute(dispute)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((dispute.stage, dispute.amount), (DisputeStage::Dispute, Some(gbp(1000))));
    assert_eq!(dispute.dispute_id, "pay_1_1.dispute");
}
