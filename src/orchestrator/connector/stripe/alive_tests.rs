//! Every operation, end to end: the connector's own requests, filled as `transport` fills them, against the simulator, and
//! its webhooks back into the connector. What the connector believes and what the simulator's ledger says must agree.

use strongroom_simulator::{Inside, Moved};
use zeroize::Zeroizing;

use super::Stripe;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Connector as _, Credential, Credentials, DeclineKind, DisputeStatus,
    Doubt, Handles, Increment, Method, Operation, Outcome, Payer, Progress, PspAnswer, PspEvent, Refund, Step, Sync,
    SyncRefund, Told, WebhookCall,
};
use crate::money::Money;
use crate::transport::Rendered;
use crate::vault::Card;

const NOW_S: i64 = 1_794_700_800;
const VISA: &str = "4242424242424242";
const WANTS_PAYER: &str = "4000002500003155";

/// A merchant whose provider is the simulator.
struct Merchant {
    provider: Inside,
    credentials: Credentials,
}

impl Merchant {
    fn new() -> Self {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let credentials = Credentials {
            api_key: text("sk_test_alive"),
            key1: None,
            api_secret: None,
            webhook_secret: Some(text("whsec_alive")),
        };
        Self { provider: Inside::new("sk_test_alive", "whsec_alive", || NOW_S), credentials }
    }

    /// Makes one request of an operation and reads its answer.
    async fn step(&self, operation: &Operation, progress: &Progress, number: &str) -> Step {
        let card = Card {
            number: Zeroizing::new(number.to_owned()),
            exp_month: 12,
            exp_year: 2031,
            cvc: Some(Zeroizing::new("123".to_owned())),
            holder_name: None,
        };
        let request = Stripe.request(operation, progress).expect("offered");
        let rendered = Rendered::of(&request, &self.credentials, Some(&card)).expect("filled");
        let headers: Vec<_> = rendered.headers.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        let body = rendered.body.as_ref().map_or(&[][..], |body| &body[..]);
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let (status, body) = self.provider.handle(method, &rendered.target, &headers, body).await;
        Stripe.outcome(operation, progress, &PspAnswer { status, body })
    }

    /// Runs an operation to its end.
    async fn run(&self, operation: &Operation, number: &str) -> Step {
        let mut progress = Progress::default();
        loop {
            match self.step(operation, &progress, number).await {
                Step::Next(next) => progress = next,
                end => return end,
            }
        }
    }

    async fn done(&self, operation: &Operation, number: &str) -> Outcome {
        match self.run(operation, number).await {
            Step::Done(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// What the provider told since the last call.
    fn told(&self) -> Vec<PspEvent> {
        let read = |carried: strongroom_simulator::Carried| {
            let call =
                WebhookCall { headers: &carried.headers, body: carried.body.as_bytes(), now_ms: NOW_S * 1000 + 999 };
            Stripe.webhook(&call, &self.credentials).expect("signed and readable")
        };
        self.provider.webhooks().into_iter().flat_map(read).collect()
    }
}

fn usd(minor: u64) -> Money {
    Money { minor, currency: "USD".parse().expect("a currency") }
}

fn authorize(amount: u64) -> Authorize {
    Authorize {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        idempotency_key: "key1".into(),
        amount: usd(amount),
        capture: CaptureMethod::Automatic,
        incremental: false,
        three_ds: false,
        return_url: Some("https://pay.example/back".into()),
        credential: Credential::OneTime,
        description: Some("Tickets".into()),
        statement_descriptor: Some("TICKETS".into()),
        payer: Payer { email: Some("ada@example.com".into()), ..Payer::default() },
    }
}

fn sync(psp_id: Option<&str>, amount: u64) -> Operation {
    Operation::Sync(Sync {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        psp_id: psp_id.map(str::to_owned),
        handles: Handles::new(),
        amount: usd(amount),
        since_unix_s: NOW_S - 60,
        released_after: None,
        raised_to: None,
    })
}

fn capture(psp_id: &str, key: &str, amount: u64, taken: u64, is_final: bool) -> Capture {
    Capture {
        payment_id: "pay_1".into(),
        psp_id: psp_id.into(),
        idempotency_key: key.into(),
        handles: Handles::new(),
        capture_id: key.into(),
        amount: usd(amount),
        authorized: usd(1500),
        taken: usd(taken),
        is_final,
    }
}

fn cancel(psp_id: &str, taken: u64) -> Operation {
    Operation::Cancel(Cancel {
        payment_id: "pay_1".into(),
        psp_id: psp_id.into(),
        handles: Handles::new(),
        authorized: usd(1500),
        taken: usd(taken),
        idempotency_key: "cancel".into(),
        reason: Some("abandoned".into()),
    })
}

fn psp_id(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Authorized { psp_id, .. }
        | Outcome::Captured { psp_id, .. }
        | Outcome::Verified { psp_id, .. }
        | Outcome::RequiresAction { psp_id, .. } => psp_id.clone(),
        other => panic!("{other:?}"),
    }
}

fn captured(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Captured { amount_minor, .. } => Some(*amount_minor),
        _ => None,
    }
}

#[tokio::test]
async fn reservation_is_raised_captured_in_parts_and_its_rest_released() {
    let merchant = Merchant::new();
    let wanted = Authorize { capture: CaptureMethod::ManualMultiple, incremental: true, ..authorize(1000) };
    let reserved = merchant.done(&Operation::Authorize(wanted), VISA).await;
    let id = psp_id(&reserved);
    let Outcome::Authorized { network_transaction_id: Some(_), handles, .. } = &reserved else {
        panic!("{reserved:?}");
    };
    assert!(handles.is_empty(), "both were asked for and are offered: {handles:?}");
    let increment = Operation::Increment(Increment {
        payment_id: "pay_1".into(),
        psp_id: id.clone(),
        handles: Handles::new(),
        idempotency_key: "more".into(),
        before: usd(1000),
        total: usd(1500),
        reason: None,
    });
    for _ in 0..2 {
        assert!(matches!(merchant.done(&increment, VISA).await, Outcome::Authorized { .. }));
    }
    let first = Operation::Capture(capture(&id, "c1", 300, 0, false));
    for _ in 0..2 {
        assert_eq!(captured(&merchant.done(&first, VISA).await), Some(300), "the same key captures once");
    }
    assert_eq!(captured(&merchant.done(&sync(Some(&id), 1500), VISA).await), Some(300));
    let second = Operation::Capture(capture(&id, "c2", 200, 300, false));
    assert_eq!(captured(&merchant.done(&second, VISA).await), Some(500));
    assert_eq!(merchant.done(&cancel(&id, 500), VISA).await, Outcome::Cancelled { psp_id: id.clone() });
    assert_eq!(captured(&merchant.done(&sync(None, 1500), VISA).await), Some(500), "found by our reference");
    let moved = Moved { authorizations: 1, authorized: 1500, captured: 500, released: 1000, refunded: 0 };
    assert_eq!(merchant.provider.moved("pay_1"), moved);
    for event in merchant.told() {
        assert_eq!((event.about.psp_id.as_deref(), event.about.attempt_id.as_deref()), (Some(&*id), Some("pay_1_1")));
        assert_eq!(event.what, Told::Look);
    }
}

#[tokio::test]
async fn payment_that_asked_for_one_capture_is_not_captured_twice() {
    let merchant = Merchant::new();
    let wanted = Authorize { capture: CaptureMethod::Manual, ..authorize(1500) };
    let reserved = merchant.done(&Operation::Authorize(wanted), VISA).await;
    let id = psp_id(&reserved);
    let Outcome::Authorized { handles, .. } = reserved else { panic!("not reserved") };
    let first_of_many = Operation::Capture(Capture { handles, ..capture(&id, "c0", 300, 0, false) });
    assert!(Stripe.request(&first_of_many, &Progress::default()).is_err(), "it is known that Stripe would refuse");
    let refused = merchant.done(&Operation::Capture(capture(&id, "c1", 300, 0, false)), VISA).await;
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
    let last = Operation::Capture(capture(&id, "c2", 300, 0, true));
    assert_eq!(captured(&merchant.done(&last, VISA).await), Some(300));
    let moved = Moved { authorizations: 1, authorized: 1500, captured: 300, released: 1200, refunded: 0 };
    assert_eq!(merchant.provider.moved("pay_1"), moved);
}

#[tokio::test]
async fn card_is_verified_and_charged_later_without_its_payer() {
    let merchant = Merchant::new();
    let credential = Credential::FirstToStore { off_session: true };
    let verify = Operation::Verify(Authorize { credential, ..authorize(0) });
    let outcome = merchant.done(&verify, WANTS_PAYER).await;
    let Outcome::RequiresAction { redirect_url, psp_id, .. } = &outcome else { panic!("{outcome:?}") };
    let back = merchant.provider.click(redirect_url, true).await.expect("the way back");
    assert!(back.starts_with("https://pay.example/back?setup_intent=seti_"), "{back}");
    for asked in [Some(psp_id.as_str()), None] {
        let proven = merchant.done(&sync(asked, 0), WANTS_PAYER).await;
        assert!(matches!(&proven, Outcome::Verified { psp_id: id, .. } if id == psp_id), "{proven:?}");
    }
    assert!(matches!(merchant.done(&cancel(psp_id, 0), VISA).await, Outcome::Refused(_)), "it has succeeded");
    assert_eq!(merchant.provider.moved("pay_1"), Moved::default());

    let later = |network_transaction_id: Option<&str>, key: &str| {
        let network_transaction_id = network_transaction_id.map(str::to_owned);
        let credential = Credential::StoredByMerchant { network_transaction_id, category: Default::default() };
        Operation::Authorize(Authorize { credential, idempotency_key: key.into(), ..authorize(1500) })
    };
    let declined = merchant.done(&later(None, "key2"), WANTS_PAYER).await;
    assert!(
        matches!(&declined, Outcome::Declined(decline) if decline.code == "authentication_required"),
        "{declined:?}"
    );
    let paid = merchant.done(&later(Some("000000000000001"), "key3"), WANTS_PAYER).await;
    assert_eq!(captured(&paid), Some(1500));
    assert!(merchant.told().iter().all(|event| event.what == Told::Look));
}

#[tokio::test]
async fn verification_that_waits_is_abandoned_and_a_declined_one_says_why() {
    let merchant = Merchant::new();
    let verify = |key: &str| Operation::Verify(Authorize { idempotency_key: key.into(), ..authorize(0) });
    let waits = psp_id(&merchant.done(&verify("a"), WANTS_PAYER).await);
    for _ in 0..2 {
        assert_eq!(merchant.done(&cancel(&waits, 0), VISA).await, Outcome::Cancelled { psp_id: waits.clone() });
    }
    let declined = merchant.done(&verify("b"), "4000000000009979").await;
    let Outcome::Declined(decline) = declined else { panic!("{declined:?}") };
    assert_eq!((decline.kind, decline.decline_code.as_deref()), (DeclineKind::DoNotRetry, Some("stolen_card")));
    assert_eq!(merchant.provider.moved("pay_1"), Moved::default());
}

#[tokio::test]
async fn refund_and_dispute_are_told_and_asked_about() {
    let merchant = Merchant::new();
    let id = psp_id(&merchant.done(&Operation::Authorize(authorize(1500)), VISA).await);
    merchant.told();
    let refund = Operation::Refund(Refund {
        payment_id: "pay_1".into(),
        refund_id: "ref_1".into(),
        psp_id: id.clone(),
        handles: Handles::new(),
        idempotency_key: "refund".into(),
        amount: usd(400),
        captured: usd(1500),
        reason: None,
    });
    let refunded = merchant.done(&refund, VISA).await;
    assert!(matches!(&refunded, Outcome::Refunded { amount_minor: 400, .. }), "{refunded:?}");
    let ask = Operation::SyncRefund(SyncRefund {
        refund_id: "ref_1".into(),
        psp_id: id.clone(),
        handles: Handles::new(),
        amount: usd(400),
        psp_refund_id: None,
    });
    assert_eq!(merchant.done(&ask, VISA).await, refunded);
    let told = merchant.told();
    assert_eq!((told.len(), &told[0].what, told[0].about.psp_id.as_deref()), (1, &Told::Look, Some(&*id)));

    assert!(merchant.provider.dispute("pay_1"));
    let told = merchant.told();
    let Told::Dispute(dispute) = &told[0].what else { panic!("{told:?}") };
    assert_eq!((dispute.status, dispute.amount), (DisputeStatus::Opened, Some(usd(1500))));
    assert!(dispute.evidence_due_ms.is_some_and(|due_ms| due_ms > NOW_S * 1000));
}

#[tokio::test]
async fn answer_that_is_lost_leaves_doubt_and_the_question_finds_the_money() {
    let cases = [(Operation::Authorize(authorize(1500)), 1500), (Operation::Verify(authorize(0)), 0)];
    for (operation, amount) in cases {
        for work_is_done in [true, false] {
            let merchant = Merchant::new();
            assert_eq!(merchant.run(&sync(None, amount), VISA).await, Step::Absent, "nothing was tried yet");
            // The first request carries the card and moves nothing; the one after it loses its answer.
            let Step::Next(progress) = merchant.step(&operation, &Progress::default(), VISA).await else {
                panic!("the card was not taken");
            };
            merchant.provider.arm_error(work_is_done);
            let lost = merchant.step(&operation, &progress, VISA).await;
            assert_eq!(lost, Step::InDoubt(Doubt::ServerFault));
            let found = merchant.run(&sync(None, amount), VISA).await;
            if work_is_done {
                assert!(matches!(found, Step::Done(Outcome::Captured { .. } | Outcome::Verified { .. })), "{found:?}");
            } else {
                assert_eq!(found, Step::Absent);
            }
            let taken = if work_is_done { amount } else { 0 };
            assert_eq!(merchant.provider.moved("pay_1").captured, taken);
        }
    }
}
