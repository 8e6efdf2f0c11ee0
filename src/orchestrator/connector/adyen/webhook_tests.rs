//! Forged, changed and repeated notifications, and what true ones tell.

use serde_json::{Value, json};

use super::*;
use crate::connector::adyen::Adyen;
use crate::connector::{About, Connector, DeclineKind, DisputeStage, DisputeStatus, Outcome, Told};

/// Adyen's published example key and notification (its open-source libraries test with them).
const KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

fn credentials(account: &str) -> Credentials {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    Credentials {
        api_key: text("AQEyhmfxK4zMaBxEw0m"),
        key1: Some(text(account)),
        api_secret: None,
        webhook_secret: Some(text(KEY)),
    }
}

fn read_all(body: &Value) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let body = body.to_string();
    let call = WebhookCall { headers: &[], body: body.as_bytes(), now_ms: 0 };
    Adyen.webhook(&call, &credentials("TestMerchant"))
}

fn published() -> Value {
    json!({"live": "false", "notificationItems": [{"NotificationRequestItem": {
        "pspReference": "7914073381342284", "originalReference": "", "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704", "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION", "success": "true", "eventDate": "2019-05-06T17:15:34.121+02:00",
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="}
    }}]})
}

/// A notification about `reference`, signed.
fn item(code: &str, reference: &str, minor: i64, more: &Value) -> Value {
    let mut item = json!({"pspReference": "BBBB000000000002", "originalReference": "AAAA000000000001",
        "merchantAccountCode": "TestMerchant", "merchantReference": reference,
        "amount": {"value": minor, "currency": "EUR"}, "eventCode": code, "success": "true",
        "eventDate": "2026-11-25T10:00:00+01:00", "reason": "", "additionalData": {}});
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    sign(&mut item);
    item
}

fn sign(item: &mut Value) {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    let signed = [
        text("pspReference"),
        text("originalReference"),
        text("merchantAccountCode"),
        text("merchantReference"),
        item["amount"]["value"].to_string(),
        item["amount"]["currency"].as_str().unwrap().to_owned(),
        text("eventCode"),
        text("success"),
    ]
    .join(":");
    let mac = Hmac::<Sha256>::new_from_slice(&*key(KEY).unwrap()).unwrap().chain_update(signed.as_bytes());
    item["additionalData"]["hmacSignature"] = json!(STANDARD.encode(mac.finalize().into_bytes()));
}

fn body(items: &[Value]) -> Value {
    let items: Vec<Value> = items.iter().map(|item| json!({"NotificationRequestItem": item})).collect();
    json!({"live": "false", "notificationItems": items})
}

fn told(code: &str, reference: &str, minor: i64, more: &Value) -> PspEvent {
    read_all(&body(&[item(code, reference, minor, more)])).unwrap().remove(0)
}

#[test]
fn signature_of_adyens_own_example_is_good_and_every_change_of_a_signed_field_breaks_it() {
    assert_eq!(read_all(&published()).unwrap().len(), 1);
    for (field, value) in [
        ("pspReference", json!("7914073381342285")),
        ("originalReference", json!("7914073381342284")),
        ("merchantAccountCode", json!("TestMerchan")),
        ("merchantReference", json!("TestPayment-1407325143705")),
        ("amount", json!({"value": 11300, "currency": "EUR"})),
        ("amount", json!({"value": 1130, "currency": "USD"})),
        ("eventCode", json!("CAPTURE")),
        ("success", json!("false")),
        ("additionalData", json!({"hmacSignature": ""})),
        ("additionalData", json!({"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo"})),
        ("additionalData", json!({})),
    ] {
        let mut bad = published();
        bad["notificationItems"][0]["NotificationRequestItem"][field] = value;
        assert_eq!(read_all(&bad), Err(WebhookRefusal::Signature), "{field}");
    }
}

#[test]
fn signature_does_not_cover_fields_whose_borders_were_moved() {
    let good = item("AUTHORISATION", "pay:1_1", 5, &json!({}));
    assert_eq!(read_all(&body(std::slice::from_ref(&good))), Err(WebhookRefusal::Signature));
    let mut moved = good;
    moved["merchantAccountCode"] = json!("TestMerchant:pay");
    moved["merchantReference"] = json!("1_1");
    assert_eq!(read_all(&body(&[moved])), Err(WebhookRefusal::Signature));
}

#[test]
fn one_forged_notification_among_several_refuses_all() {
    let good = item("CAPTURE", "pay_1.capture.cap_1", 5, &json!({}));
    assert_eq!(read_all(&body(&[good.clone(), good.clone()])).unwrap().len(), 2);
    let mut forged = good.clone();
    forged["amount"]["value"] = json!(6);
    assert_eq!(read_all(&body(&[good, forged])), Err(WebhookRefusal::Signature));
}

#[test]
fn body_that_holds_no_notification_or_too_many_is_refused() {
    let many = vec![item("CAPTURE", "pay_1.capture.cap_1", 5, &json!({})); limits::WEBHOOK_EVENTS_MAX + 1];
    assert!(read_all(&body(&many[1..])).is_ok());
    for bad in [json!({}), json!([]), body(&[]), body(&[json!({})]), body(&many)] {
        assert_eq!(read_all(&bad), Err(WebhookRefusal::Signature));
    }
}

#[test]
fn account_without_a_webhook_key_takes_nothing() {
    let text = published().to_string();
    let call = WebhookCall { headers: &[], body: text.as_bytes(), now_ms: 0 };
    let credentials = Credentials { webhook_secret: None, ..credentials("TestMerchant") };
    assert_eq!(Adyen.webhook(&call, &credentials), Err(WebhookRefusal::NoSecret));
}

#[test]
fn events_come_oldest_first_whatever_the_zone_of_their_times() {
    let at = |reference: &str, date: &str| item("CAPTURE", reference, 5, &json!({ "eventDate": date }));
    let events = read_all(&body(&[
        at("pay_2.capture.b", "2026-11-25T10:00:01+01:00"),
        at("pay_1.capture.a", "2026-11-25T10:00:00+02:00"),
    ]));
    let ids: Vec<_> = events.unwrap().into_iter().map(|event| event.about.payment_id.unwrap()).collect();
    assert_eq!(ids, ["pay_1", "pay_2"]);
}

#[test]
fn event_of_another_account_or_about_nothing_of_ours_tells_nothing() {
    let other = json!({"merchantAccountCode": "OtherMerchant"});
    assert_eq!(told("CAPTURE", "pay_1.capture.cap_1", 5, &other).what, Told::Nothing);
    assert_eq!(told("AUTHORISATION", "an order of somebody", 5, &json!({})).what, Told::Nothing);
    assert_eq!(told("REPORT_AVAILABLE", "", 0, &json!({"originalReference": ""})).what, Told::Nothing);
    assert_eq!(told("A_NEW_CODE", "pay_1_1", 5, &json!({})).what, Told::Nothing);
    assert_eq!(told("CAPTURE", "pay_1.capture.cap_1", 5, &json!({"success": "maybe"})).what, Told::Nothing);
}

#[test]
fn same_event_told_again_has_the_same_id_and_its_opposite_another() {
    let again = told("REFUND", "pay_1.refund.ref_1", 5, &json!({"eventDate": "2026-11-26T10:00:00+01:00"}));
    let first = told("REFUND", "pay_1.refund.ref_1", 5, &json!({}));
    let failed = told("REFUND", "pay_1.refund.ref_1", 5, &json!({"success": "false"}));
    let later = told("REFUND_FAILED", "pay_1.refund.ref_1", 5, &json!({}));
    assert_eq!(again.event_id, first.event_id);
    assert!(first.event_id != failed.event_id && first.event_id != later.event_id);
}

#[test]
fn authorisation_means_what_its_signed_reference_and_amount_say() {
    let alone = json!({"originalReference": "", "additionalData": {"networkTxReference": "016153570198200"}});
    let payment = |reference: &str, minor| told("AUTHORISATION", reference, minor, &alone);
    let event = payment("pay_1_1", 1999);
    let about = About {
        attempt_id: Some("pay_1_1".into()),
        payment_id: Some("pay_1".into()),
        psp_id: Some("BBBB000000000002".into()),
    };
    assert_eq!(event.about, about);
    assert!(matches!(event.what, Told::Payment(Outcome::Authorized { network_transaction_id: Some(_), .. })));
    assert!(matches!(payment("pay_1_1.sale", 1999).what, Told::Payment(Outcome::Captured { amount_minor: 1999, .. })));
    assert!(matches!(payment("pay_1_1", 0).what, Told::Payment(Outcome::Verified { .. })));
    assert_eq!(payment("pay_1.refund.r", 1999).what, Told::Nothing, "no reference of a payment");
}

#[test]
fn refusal_has_the_kind_of_its_words() {
    let refused = |reason: &str| {
        let more = json!({"success": "false", "originalReference": "", "reason": reason});
        match told("AUTHORISATION", "pay_1_1", 5, &more).what {
            Told::Payment(Outcome::Declined(decline)) => (decline.code, decline.kind),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("Not enough balance"), ("12".into(), DeclineKind::Soft));
    assert_eq!(refused("Blocked Card"), ("5".into(), DeclineKind::DoNotRetry));
    assert_eq!(refused("null"), ("refused".into(), DeclineKind::Hard));
}

#[test]
fn modifications_name_what_they_are_about_and_how_they_ended() {
    let psp_id = || "AAAA000000000001".to_owned();
    let failed = json!({"success": "false", "reason": "Insufficient balance on payment"});
    let of = |code: &str, reference: &str, more: &Value| {
        let event = told(code, reference, 700, more);
        assert_eq!((event.about.payment_id.as_deref(), event.about.psp_id), (Some("pay_1"), Some(psp_id())), "{code}");
        event.what
    };
    let all = json!({});
    assert!(matches!(of("CAPTURE", "pay_1.capture.cap_1", &all),
        Told::Capture { capture_id: Some(id), outcome: Outcome::Captured { amount_minor: 700, .. } } if id == "cap_1"));
    assert!(matches!(
        of("CAPTURE", "pay_1.capture.cap_1", &failed),
        Told::Capture { capture_id: Some(_), outcome: Outcome::Refused(_) }
    ));
    assert!(matches!(
        of("CAPTURE_FAILED", "pay_1_1.sale", &all),
        Told::Capture { capture_id: None, outcome: Outcome::Refused(_) }
    ));
    assert_eq!(of("CANCELLATION", "pay_1.cancel", &all), Told::Cancel(Outcome::Cancelled { psp_id: psp_id() }));
    assert!(matches!(of("CANCELLATION", "pay_1.cancel", &failed), Told::Cancel(Outcome::Refused(_))));
    assert!(matches!(of("TECHNICAL_CANCEL", "pay_1_1", &all), Told::Cancel(Outcome::Cancelled { .. })));
    assert!(matches!(
        of("AUTHORISATION_ADJUSTMENT", "pay_1.increment", &all),
        Told::Increment(Outcome::Authorized { .. })
    ));
    assert!(matches!(of("AUTHORISATION_ADJUSTMENT", "pay_1.increment", &failed), Told::Increment(Outcome::Refused(_))));
    assert_eq!(of("EXPIRE", "pay_1_1", &all), Told::Cancel(Outcome::Cancelled { psp_id: psp_id() }));
    assert!(matches!(of("REFUND", "pay_1.refund.ref_1", &all),
        Told::Refund { refund_id: Some(id), outcome: Outcome::Refunded { amount_minor: 700, .. }, .. } if id == "ref_1"));
    for code in ["REFUND", "REFUND_FAILED", "REFUNDED_REVERSED"] {
        let more = if code == "REFUND" { &failed } else { &all };
        assert!(
            matches!(of(code, "pay_1.refund.ref_1", more), Told::Refund { outcome: Outcome::Refused(_), .. }),
            "{code}"
        );
    }
}

#[test]
fn cancellation_by_our_reference_needs_no_reference_of_adyen() {
    let event = told("TECHNICAL_CANCEL", "pay_1_1", 5, &json!({"originalReference": ""}));
    assert_eq!(event.about.attempt_id.as_deref(), Some("pay_1_1"));
    assert_eq!(event.what, Told::Cancel(Outcome::Cancelled { psp_id: "pay_1_1".into() }));
}

#[test]
fn disputes_tell_how_far_they_are() {
    use DisputeStage::{Dispute, PreArbitration, PreDispute};
    use DisputeStatus::{Accepted, Cancelled, Challenged, Expired, Lost, Opened, Won};
    let more = json!({"additionalData": {"chargebackReasonCode": " 4853", "defensePeriodEndsAt": "2026-12-25T00:00:00+01:00"}});
    for (code, stage, status) in [
        ("REQUEST_FOR_INFORMATION", PreDispute, Opened),
        ("NOTIFICATION_OF_CHARGEBACK", Dispute, Opened),
        ("CHARGEBACK", Dispute, Opened),
        ("INFORMATION_SUPPLIED", Dispute, Challenged),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", Dispute, Expired),
        ("CHARGEBACK_REVERSED", Dispute, Won),
        ("SECOND_CHARGEBACK", PreArbitration, Lost),
        ("PREARBITRATION_OPEN", PreArbitration, Opened),
        ("PREARBITRATION_ACCEPTED", PreArbitration, Accepted),
        ("PREARBITRATION_WON", PreArbitration, Won),
        ("PREARBITRATION_LOST", PreArbitration, Lost),
        ("PREARBITRATION_ISSUER_WITHDRAWN", PreArbitration, Cancelled),
    ] {
        let Told::Dispute(dispute) = told(code, "pay_1_1.sale", 700, &more).what else { panic!("{code}") };
        assert_eq!((dispute.stage, dispute.status), (stage, status), "{code}");
        assert_eq!(dispute.dispute_id, "BBBB000000000002");
        assert_eq!(dispute.amount.map(|money| money.minor), Some(700));
        assert_eq!(dispute.reason.as_deref(), Some("4853"));
        assert_eq!(dispute.evidence_due_ms, Some(1_798_153_200_000));
    }
    assert_eq!(told("CHARGEBACK", "pay_1_1", 5, &json!({"success": "false"})).what, Told::Nothing);
}
