//! The connector and the simulator's Adyen, without a network between them: every operation goes there as the transport
//! would send it, and every webhook comes back through the connector.

use std::sync::atomic::{AtomicU32, Ordering};

use strongroom_simulator::{Inside, Moved};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::Adyen;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Complete, Connector, Credential, Credentials, DeclineKind,
    DisputeStatus, Doubt, Handles, Increment, MitCategory, Operation, Outcome, Payer, Progress, PspAnswer, Refund,
    Step, Told, WebhookCall,
};
use crate::money::Money;
use crate::transport::Rendered;
use crate::vault::Card;

/// A merchant at the simulator.
struct Trip {
    provider: Inside,
    credentials: Credentials,
    keys: AtomicU32,
}

impl Trip {
    fn at(account: &str) -> Self {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let key = "4b".repeat(32);
        Self {
            // 2026-11-15.
            provider: Inside::new(API_KEY, &key, || 1_794_700_800),
            credentials: Credentials {
                api_key: text(API_KEY),
                key1: Some(text(account)),
                api_secret: None,
                webhook_secret: Some(text(&key)),
            },
            keys: AtomicU32::new(0),
        }
    }

    fn key(&self) -> String {
        format!("key_{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    async fn send(&self, operation: &Operation, card: Option<&Card>) -> PspAnswer {
        let request = Adyen.request(operation, &Progress::default()).unwrap();
        let rendered = Rendered::of(&request, &self.credentials, card).unwrap();
        let headers: Vec<(&str, &str)> =
            rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = rendered.body.as_ref().map_or(&[][..], |body| &body[..]);
        let (status, body) = self.provider.handle("POST", &rendered.target, &headers, body).await;
        PspAnswer { status, body }
    }

    async fn step(&self, operation: &Operation) -> Step {
        let answer = self.send(operation, Some(&card(VISA, "J. Smith"))).await;
        Adyen.outcome(operation, &Progress::default(), &answer)
    }

    async fn done(&self, operation: &Operation) -> Outcome {
        match self.step(operation).await {
            Step::Done(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    async fn paid(&self, operation: &Operation, card: &Card) -> Outcome {
        let answer = self.send(operation, Some(card)).await;
        match Adyen.outcome(operation, &Progress::default(), &answer) {
            Step::Done(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// What the webhooks since the last call tell, verified and read by the connector.
    fn told(&self) -> Vec<Told> {
        let mut told = Vec::new();
        for webhook in self.provider.webhooks() {
            assert_eq!(webhook.provider, "adyen");
            let call = WebhookCall { headers: &webhook.headers, body: webhook.body.as_bytes(), now_ms: 0 };
            for event in Adyen.webhook(&call, &self.credentials).unwrap() {
                assert_eq!(event.about.payment_id.as_deref(), Some("pay_1"), "{event:?}");
                told.push(event.what);
            }
        }
        told
    }

    fn moved(&self) -> Moved {
        self.provider.moved("pay_1")
    }

    async fn reserved(&self) -> String {
        match self.done(&Operation::Authorize(authorize(self, CaptureMethod::Manual))).await {
            Outcome::Authorized { psp_id, .. } => psp_id,
            other => panic!("{other:?}"),
        }
    }

    fn capture(&self, psp_id: &str, minor: u64, taken: u64) -> Operation {
        Operation::Capture(Capture {
            payment_id: "pay_1".into(),
            psp_id: psp_id.into(),
            idempotency_key: self.key(),
            handles: Handles::new(),
            capture_id: format!("cap_{taken}"),
            amount: eur(minor),
            authorized: eur(2000),
            taken: eur(taken),
            is_final: false,
        })
    }

    fn cancel(&self, psp_id: &str) -> Operation {
        Operation::Cancel(Cancel {
            payment_id: "pay_1".into(),
            psp_id: psp_id.into(),
            handles: Handles::new(),
            authorized: eur(2000),
            taken: eur(0),
            idempotency_key: self.key(),
            reason: None,
        })
    }

    fn refund(&self, psp_id: &str, minor: u64) -> Operation {
        Operation::Refund(Refund {
            payment_id: "pay_1".into(),
            refund_id: format!("ref_{minor}"),
            psp_id: psp_id.into(),
            handles: Handles::new(),
            idempotency_key: self.key(),
            amount: eur(minor),
            captured: eur(2000),
            reason: Some("duplicate".into()),
        })
    }
}

fn eur(minor: u64) -> Money {
    Money { minor, currency: "EUR".parse().unwrap() }
}

fn card(number: &str, holder: &str) -> Card {
    Card {
        number: Zeroizing::new(number.into()),
        exp_month: 3,
        exp_year: 2030,
        cvc: Some(Zeroizing::new("737".into())),
        holder_name: Some(Zeroizing::new(holder.into())),
    }
}

fn authorize(trip: &Trip, capture: CaptureMethod) -> Authorize {
    Authorize {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        idempotency_key: trip.key(),
        amount: eur(2000),
        capture,
        incremental: false,
        three_ds: false,
        return_url: Some("https://pay.example/redirect/m/pay_1".into()),
        credential: Credential::OneTime,
        description: None,
        statement_descriptor: Some("TICKETS".into()),
        payer: Payer::default(),
    }
}

const API_KEY: &str = "sk_test_adyen_trip";
const VISA: &str = "4111111111111111";

#[tokio::test]
async fn approval_that_adyen_captures_by_itself_is_told_as_taken_both_ways() {
    let trip = Trip::at("Shop");
    let outcome = trip.done(&Operation::Authorize(authorize(&trip, CaptureMethod::Automatic))).await;
    assert!(matches!(outcome, Outcome::Captured { amount_minor: 2000, network_transaction_id: Some(_), .. }));
    assert_eq!(trip.told(), [Told::Payment(outcome)]);
    assert_eq!((trip.moved().authorizations, trip.moved().captured), (1, 2000));
}

#[tokio::test]
async fn later_payment_without_the_payer_goes_through_with_the_schemes_id() {
    let trip = Trip::at("Shop");
    let credential = Credential::StoredByMerchant {
        network_transaction_id: Some("000000000000042".into()),
        category: MitCategory::Recurring,
    };
    let operation = Operation::Authorize(Authorize { credential, ..authorize(&trip, CaptureMethod::Automatic) });
    assert!(matches!(trip.done(&operation).await, Outcome::Captured { .. }));
}

#[tokio::test]
async fn reservation_is_captured_in_part_and_the_rest_is_released() {
    let trip = Trip::at("Shop");
    let psp_id = trip.reserved().await;
    assert!(matches!(trip.told()[..], [Told::Payment(Outcome::Authorized { .. })]));
    let outcome = trip.done(&trip.capture(&psp_id, 700, 0)).await;
    assert_eq!(outcome, Outcome::Pending { psp_id: psp_id.clone(), handles: Handles::new() });
    assert!(matches!(&trip.told()[..], [Told::Capture { capture_id: Some(id),
        outcome: Outcome::Captured { amount_minor: 700, psp_id: of, .. } }] if id == "cap_0" && *of == psp_id));
    assert!(matches!(trip.done(&trip.capture(&psp_id, 700, 700)).await, Outcome::Pending { .. }));
    assert!(matches!(&trip.told()[..], [Told::Capture { outcome: Outcome::Refused(_), .. }]));
    let moved = trip.moved();
    assert_eq!((moved.authorized, moved.captured, moved.released), (2000, 700, 1300));
}

#[tokio::test]
async fn reservation_is_captured_several_times_and_its_rest_cancelled() {
    let trip = Trip::at("Shop_MultipleCaptures");
    let psp_id = trip.reserved().await;
    for taken in [0, 500] {
        trip.done(&trip.capture(&psp_id, 500, taken)).await;
    }
    trip.done(&trip.cancel(&psp_id)).await;
    assert!(matches!(&trip.told()[1..], [Told::Capture { .. }, Told::Capture { .. },
        Told::Cancel(Outcome::Cancelled { psp_id: of })] if *of == psp_id));
    let moved = trip.moved();
    assert_eq!((moved.captured, moved.released), (1000, 1000));
}

#[tokio::test]
async fn reservation_is_raised_and_refunds_stay_within_what_was_taken() {
    let trip = Trip::at("Shop");
    let outcome = trip
        .done(&Operation::Authorize(Authorize { incremental: true, ..authorize(&trip, CaptureMethod::Manual) }))
        .await;
    let Outcome::Authorized { psp_id, .. } = outcome else { panic!("{outcome:?}") };
    let increment = Operation::Increment(Increment {
        payment_id: "pay_1".into(),
        psp_id: psp_id.clone(),
        handles: Handles::new(),
        idempotency_key: trip.key(),
        before: eur(1500),
        total: eur(2500),
        reason: None,
    });
    assert!(matches!(trip.done(&increment).await, Outcome::Pending { .. }));
    trip.done(&trip.capture(&psp_id, 2000, 0)).await;
    let Outcome::Pending { psp_id: refund, .. } = trip.done(&trip.refund(&psp_id, 1500)).await else { panic!() };
    trip.done(&trip.refund(&psp_id, 600)).await;
    let told = trip.told();
    assert!(matches!(told[1], Told::Increment(Outcome::Authorized { .. })));
    assert!(matches!(&told[3], Told::Refund { refund_id: Some(id), psp_refund_id: Some(of),
        outcome: Outcome::Refunded { amount_minor: 1500, .. } } if id == "ref_1500" && *of == refund));
    assert!(matches!(&told[4], Told::Refund { outcome: Outcome::Refused(_), .. }));
    let moved = trip.moved();
    assert_eq!((moved.authorized, moved.captured, moved.refunded), (2500, 2000, 1500));
}

#[tokio::test]
async fn card_is_proven_good_without_money() {
    let trip = Trip::at("Shop");
    let credential = Credential::FirstToStore { off_session: true };
    let verify =
        Operation::Verify(Authorize { amount: eur(0), credential, ..authorize(&trip, CaptureMethod::Automatic) });
    let outcome = trip.done(&verify).await;
    assert!(matches!(outcome, Outcome::Verified { network_transaction_id: Some(_), .. }));
    assert_eq!(trip.told(), [Told::Payment(outcome)]);
    assert_eq!(trip.moved(), Moved::default());
}

/// Sends a payer away and, with a verdict, back again: what the browser brings.
async fn sent_away(trip: &Trip, number: &str, approves: bool) -> Operation {
    let operation = Operation::Authorize(Authorize { three_ds: true, ..authorize(trip, CaptureMethod::Automatic) });
    let outcome = trip.paid(&operation, &card(number, "J. Smith")).await;
    let Outcome::RequiresAction { psp_id, redirect_url, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(psp_id, "pay_1_1.sale", "Adyen has not named it yet");
    let back = trip.provider.click(&redirect_url, approves).await.unwrap();
    let (_, query) = back.split_once('?').unwrap();
    Operation::Complete(Complete {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        psp_id: Some(psp_id),
        handles: Handles::new(),
        idempotency_key: trip.key(),
        amount: eur(2000),
        capture: CaptureMethod::Automatic,
        returned: serde_urlencoded::from_str(query).unwrap(),
    })
}

#[tokio::test]
async fn payer_authenticates_and_comes_back() {
    let trip = Trip::at("Shop");
    let complete = sent_away(&trip, "4917610000000000", true).await;
    assert_eq!((trip.moved(), trip.told()), (Moved::default(), Vec::new()));
    let outcome = trip.done(&complete).await;
    assert!(matches!(outcome, Outcome::Captured { amount_minor: 2000, .. }), "{outcome:?}");
    assert_eq!(trip.told(), [Told::Payment(outcome)]);
    // The same call again is answered from memory; another one for the same result is not made.
    assert!(matches!(trip.done(&complete).await, Outcome::Captured { .. }));
    let Operation::Complete(complete) = complete else { panic!() };
    let again = Operation::Complete(Complete { idempotency_key: trip.key(), ..complete });
    assert_eq!(trip.step(&again).await, Step::InDoubt(Doubt::StillRunning));
    assert_eq!(trip.moved().authorizations, 1);
}

#[tokio::test]
async fn payer_who_fails_to_authenticate_is_declined() {
    let trip = Trip::at("Shop");
    let complete = sent_away(&trip, "5454545454545454", false).await;
    assert!(matches!(trip.done(&complete).await, Outcome::Declined(decline) if decline.code == "11"));
    assert!(matches!(&trip.told()[..], [Told::Payment(Outcome::Declined(decline))] if decline.code == "11"));
    assert_eq!(trip.moved(), Moved::default());
}

#[tokio::test]
async fn payer_who_is_called_back_from_the_page_is_never_charged() {
    let trip = Trip::at("Shop");
    let complete = sent_away(&trip, "4917610000000000", true).await;
    let outcome = trip.done(&trip.cancel("pay_1_1.sale")).await;
    assert_eq!(outcome, Outcome::Pending { psp_id: "pay_1_1.sale".into(), handles: Handles::new() });
    assert!(matches!(&trip.told()[..], [Told::Cancel(Outcome::Cancelled { .. })]));
    assert_eq!(trip.step(&complete).await, Step::InDoubt(Doubt::StillRunning));
    assert_eq!(trip.moved(), Moved::default());
}

#[tokio::test]
async fn declines_have_the_kind_that_the_issuer_meant() {
    for (number, holder, code, kind) in [
        (VISA, "NOT_ENOUGH_BALANCE", "12", DeclineKind::Soft),
        (VISA, "BLOCK_CARD", "5", DeclineKind::DoNotRetry),
        (VISA, "CVC_DECLINED", "24", DeclineKind::Hard),
        (VISA, "FRAUD_CANCELLED", "22", DeclineKind::DoNotRetry),
        ("4000000000000119", "J. Smith", "4", DeclineKind::Soft),
        ("4111111111111112", "J. Smith", "101", DeclineKind::Hard),
    ] {
        let trip = Trip::at("Shop");
        let operation = Operation::Authorize(authorize(&trip, CaptureMethod::Automatic));
        let outcome = trip.paid(&operation, &card(number, holder)).await;
        assert!(matches!(&outcome, Outcome::Declined(no) if no.code == code && no.kind == kind), "{outcome:?}");
        let told = trip.told();
        // A number that is none is no payment, so nothing is told of it.
        assert_eq!(told.is_empty(), code == "101");
        assert!(told.iter().all(|told| matches!(told, Told::Payment(Outcome::Declined(no)) if no.kind == kind)));
        assert_eq!(trip.moved(), Moved::default());
    }
}

#[tokio::test]
async fn call_whose_answer_is_lost_is_repeated_without_the_security_code_and_charges_once() {
    for work_is_done in [true, false] {
        let trip = Trip::at("Shop");
        let operation = Operation::Authorize(authorize(&trip, CaptureMethod::Automatic));
        trip.provider.arm_error(work_is_done);
        let answer = trip.send(&operation, Some(&card(VISA, "J. Smith"))).await;
        let step = Adyen.outcome(&operation, &Progress::default(), &answer);
        assert_eq!(step, Step::InDoubt(Doubt::ServerFault));
        let bare = Card { cvc: None, ..card(VISA, "J. Smith") };
        let outcome = trip.paid(&operation, &bare).await;
        assert!(matches!(outcome, Outcome::Captured { amount_minor: 2000, .. }), "{outcome:?}");
        assert_eq!((trip.moved().authorizations, trip.told().len()), (1, 1));
    }
}

#[tokio::test]
async fn key_longer_than_adyen_takes_and_wrong_api_key_do_nothing() {
    let trip = Trip::at("Shop");
    let idempotency_key = "k".repeat(limits::ADYEN_KEY_CHARS_MAX + 1);
    let long = Authorize { idempotency_key, ..authorize(&trip, CaptureMethod::Automatic) };
    assert!(matches!(trip.done(&Operation::Authorize(long)).await, Outcome::Refused(_)));
    let stranger = Trip {
        credentials: Credentials { api_key: Zeroizing::new("sk_test_of_a_stranger".into()), ..trip.credentials },
        ..trip
    };
    let operation = Operation::Authorize(authorize(&stranger, CaptureMethod::Automatic));
    let outcome = stranger.done(&operation).await;
    assert!(matches!(outcome, Outcome::Refused(refusal) if refusal.code == "authentication_failed"));
    assert_eq!((stranger.moved(), stranger.told()), (Moved::default(), Vec::new()));
}

#[tokio::test]
async fn dispute_is_told() {
    let trip = Trip::at("Shop");
    trip.done(&Operation::Authorize(authorize(&trip, CaptureMethod::Automatic))).await;
    trip.told();
    assert!(trip.provider.dispute("pay_1"));
    assert!(matches!(&trip.told()[..], [Told::Dispute(dispute)]
        if dispute.status == DisputeStatus::Opened && dispute.amount == Some(eur(2000))));
}

#[tokio::test]
async fn currency_with_other_decimals_reaches_adyen_in_adyens_units() {
    let trip = Trip::at("Shop");
    let amount = Money { minor: 500, currency: "ISK".parse().unwrap() };
    let operation = Operation::Authorize(Authorize { amount, ..authorize(&trip, CaptureMethod::Automatic) });
    assert!(matches!(trip.done(&operation).await, Outcome::Captured { amount_minor: 500, .. }));
    assert_eq!(trip.moved().captured, 50_000);
    assert!(matches!(&trip.told()[..], [Told::Payment(Outcome::Captured { amount_minor: 500, .. })]));
}
