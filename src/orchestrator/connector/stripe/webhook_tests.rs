//! Stripe's webhooks: signatures in every shape, and what each event means.

use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::connector::Connector as _;
use crate::connector::stripe::Stripe;

const NOW_S: i64 = 1_794_700_800;

fn credentials(webhook_secret: Option<&str>) -> Credentials {
    Credentials {
        api_key: Zeroizing::new("sk_test_123456".to_owned()),
        key1: None,
        api_secret: None,
        webhook_secret: webhook_secret.map(|secret| Zeroizing::new(secret.to_owned())),
    }
}

fn mac(time: &str, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(b"whsec_test").expect("any length");
    let mac = mac.chain_update(time).chain_update(".").chain_update(body).finalize().into_bytes();
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn told(header: &str, body: &str) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let headers = [("stripe-signature".to_owned(), header.to_owned())];
    let call = WebhookCall { headers: &headers, body: body.as_bytes(), now_ms: NOW_S * 1000 };
    Stripe.webhook(&call, &credentials(Some("whsec_test")))
}

fn event(kind: &str, object: &Value) -> Result<PspEvent, WebhookRefusal> {
    let body = json!({ "id": "evt_1", "object": "event", "type": kind, "data": { "object": object } }).to_string();
    let time = NOW_S.to_string();
    told(&format!("t={time},v1={}", mac(&time, &body)), &body).map(|mut events| events.remove(0))
}

const BODY: &str = r#"{"id":"evt_1","object":"event","type":"a.b","data":{"object":{}}}"#;

#[test]
fn header_with_several_signatures_or_other_schemes_is_judged_by_the_one_that_fits() {
    let time = NOW_S.to_string();
    let (right, wrong) = (mac(&time, BODY), mac(&time, "another"));
    for header in [
        format!("t={time},v1={right}"),
        format!("t={time}, v1={wrong}, v1={right}"),
        format!("v1={right},v1={wrong},v0={wrong},t={time}"),
        format!("t={time},v1=nonsense,v1={right}"),
    ] {
        assert!(told(&header, BODY).is_ok(), "{header}");
    }
    for header in [
        format!("t={time},v0={right}"),
        format!("t={time},v1={wrong}"),
        format!("t={time}"),
        format!("v1={right}"),
        format!("t={time},t={time},v1={right}"),
        format!("t={time},v1={}", &right[..62]),
        format!("t=+{time},v1={right}"),
        format!("t={time},v1={right}{}", " ".repeat(HEADER_CHARS_MAX)),
        String::new(),
    ] {
        assert_eq!(told(&header, BODY), Err(WebhookRefusal::Signature), "{header}");
    }
}

#[test]
fn signature_that_is_too_old_or_from_the_future_is_refused() {
    for (age_s, fits) in [(0, true), (300, true), (301, false), (-300, true), (-301, false), (i64::MAX / 2, false)] {
        let time = (NOW_S - age_s).to_string();
        let result = told(&format!("t={time},v1={}", mac(&time, BODY)), BODY);
        assert_eq!(result.is_ok(), fits, "{age_s}");
    }
}

#[test]
fn two_headers_and_none_are_refused() {
    let time = NOW_S.to_string();
    let header = ("stripe-signature".to_owned(), format!("t={time},v1={}", mac(&time, BODY)));
    for headers in [vec![], vec![header.clone(), header]] {
        let call = WebhookCall { headers: &headers, body: BODY.as_bytes(), now_ms: NOW_S * 1000 };
        let refused = Stripe.webhook(&call, &credentials(Some("whsec_test")));
        assert_eq!(refused, Err(WebhookRefusal::Signature));
        assert_eq!(Stripe.webhook(&call, &credentials(None)), Err(WebhookRefusal::NoSecret));
        assert_eq!(Stripe.webhook(&call, &credentials(Some(""))), Err(WebhookRefusal::NoSecret));
    }
}

#[test]
fn payments_verifications_and_refunds_are_hints_to_ask() {
    let metadata = json!({ "payment_id": "pay_1", "attempt_id": "pay_1_1" });
    let intent = json!({ "id": "pi_1", "object": "payment_intent", "status": "a_new_one", "metadata": metadata });
    let about = |psp_id: &str, attempt_id: Option<&str>| About {
        attempt_id: attempt_id.map(str::to_owned),
        payment_id: Some("pay_1".to_owned()),
        psp_id: Some(psp_id.to_owned()),
    };
    for kind in ["payment_intent.succeeded", "payment_intent.amount_capturable_updated", "payment_intent.a_new_one"] {
        let event = event(kind, &intent).expect("an event");
        assert_eq!((event.event_id.as_str(), event.what), ("evt_1", Told::Look));
        assert_eq!(event.about, about("pi_1", Some("pay_1_1")));
    }
    let setup = json!({ "id": "seti_1", "metadata": metadata });
    let event_of = event("setup_intent.succeeded", &setup).expect("an event");
    assert_eq!((event_of.about, event_of.what), (about("seti_1", Some("pay_1_1")), Told::Look));
    let metadata = json!({ "payment_id": "pay_1", "refund_id": "ref_1" });
    let refund = json!({ "id": "re_1", "payment_intent": "pi_1", "status": "failed", "metadata": metadata });
    for kind in ["charge.refund.updated", "refund.updated", "refund.failed"] {
        let event = event(kind, &refund).expect("an event");
        assert_eq!((event.about, event.what), (about("pi_1", None), Told::Look));
    }
}

#[test]
fn dispute_is_told_with_its_stage_amount_and_end_of_evidence() {
    let dispute = |status: &str| {
        json!({ "id": "dp_1", "object": "dispute", "amount": 50_000, "currency": "isk", "charge": "ch_1",
            "payment_intent": "pi_1", "reason": "fraudulent", "status": status,
            "evidence_details": { "due_by": 1_795_305_600, "has_evidence": false } })
    };
    let cases = [
        ("warning_needs_response", DisputeStage::PreDispute, DisputeStatus::Opened),
        ("needs_response", DisputeStage::Dispute, DisputeStatus::Opened),
        ("under_review", DisputeStage::Dispute, DisputeStatus::Challenged),
        ("warning_closed", DisputeStage::PreDispute, DisputeStatus::Cancelled),
        ("charge_refunded", DisputeStage::Dispute, DisputeStatus::Accepted),
        ("won", DisputeStage::Dispute, DisputeStatus::Won),
        ("lost", DisputeStage::Dispute, DisputeStatus::Lost),
    ];
    for (word, stage, status) in cases {
        let event = event("charge.dispute.updated", &dispute(word)).expect("an event");
        assert_eq!(event.about.psp_id.as_deref(), Some("pi_1"));
        let expected = PspDispute {
            dispute_id: "dp_1".to_owned(),
            stage,
            status,
            amount: from_stripe(50_000, "isk"),
            reason: Some("fraudulent".to_owned()),
            evidence_due_ms: Some(1_795_305_600_000),
        };
        assert_eq!(event.what, Told::Dispute(expected), "{word}");
    }
    assert_eq!(event("charge.dispute.created", &dispute("a_new_word")), Err(WebhookRefusal::Unreadable));
}

#[test]
fn event_that_is_not_about_a_payment_of_ours_is_taken_and_means_nothing() {
    let foreign = json!({ "id": "dp_1", "amount": 1, "currency": "usd", "status": "lost", "payment_intent": null });
    for (kind, object) in [
        ("charge.dispute.closed", &foreign),
        ("customer.created", &json!({})),
        ("charge.refunded", &json!({ "id": "ch_1", "payment_intent": "pi_1" })),
        ("refund.created", &json!({ "id": "re_1", "payment_intent": "pi_1/../x" })),
    ] {
        assert_eq!(event(kind, object).expect("taken").what, Told::Nothing, "{kind}");
    }
    let odd = json!({ "id": "pi_1", "metadata": { "payment_id": "pay 1", "attempt_id": "x".repeat(65) } });
    let about = event("payment_intent.succeeded", &odd).expect("an event").about;
    assert_eq!(about, About { psp_id: Some("pi_1".to_owned()), ..About::default() });
}

#[test]
fn signed_body_that_is_no_event_is_unreadable() {
    for body in ["", "{}", "[]", r#"{"id":"evt_1","object":"v2.core.event","type":"a.b","data":{"object":{}}}"#] {
        let time = NOW_S.to_string();
        assert_eq!(told(&format!("t={time},v1={}", mac(&time, body)), body), Err(WebhookRefusal::Unreadable), "{body}");
    }
    assert_eq!(event("payment_intent.succeeded", &json!({ "id": "pi_1/.." })), Err(WebhookRefusal::Unreadable));
}
