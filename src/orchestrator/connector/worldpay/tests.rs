//! What no exchange shows: credentials, headers, and requests that are refused before anything is sent.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::*;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Complete, Credential, Handles, Increment, MitCategory, Payer, Refund,
};

fn check(api_key: &str, key1: Option<&str>, api_secret: Option<&str>) -> Option<&'static str> {
    let part = |text: &str| Zeroizing::new(text.to_owned());
    let credentials = Credentials {
        api_key: part(api_key),
        key1: key1.map(part),
        api_secret: api_secret.map(part),
        webhook_secret: None,
    };
    Worldpay.check_credentials(&credentials).err().map(|bad| bad.field)
}

fn money(minor: u64, currency: &str) -> Money {
    Money { minor, currency: currency.parse().unwrap() }
}

fn authorize() -> Authorize {
    Authorize {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        idempotency_key: "key_1".into(),
        amount: money(250, "GBP"),
        capture: CaptureMethod::Manual,
        incremental: false,
        three_ds: false,
        return_url: None,
        credential: Credential::OneTime,
        description: None,
        statement_descriptor: None,
        payer: Payer::default(),
    }
}

fn request(operation: &Operation) -> Result<PspRequest, Unsupported> {
    Worldpay.request(operation, &Progress::default())
}

fn handles(names: &[(&str, &str)]) -> Handles {
    names.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect()
}

#[test]
fn credentials_that_cannot_be_those_of_access_worldpay_are_refused() {
    let (user, password, entity) = ("user1", Some("p:a-s$s"), Some("default"));
    assert_eq!(check(user, password, entity), None);
    assert_eq!(check(user, password, Some("PO4080334630 GB")), None);
    let long = "a".repeat(SECRET_CHARS_MAX + 1);
    for wrong in ["", "us:er", "us er", "user\n", "bénutzer", &long] {
        assert_eq!(check(wrong, password, entity), Some("api_key"));
    }
    for wrong in [None, Some(""), Some("pass word"), Some("pass\r\n"), Some(&*long)] {
        assert_eq!(check(user, wrong, entity), Some("key1"));
    }
    let long = "a".repeat(ENTITY_CHARS_MAX + 1);
    for wrong in [None, Some(""), Some(" default"), Some("default&x"), Some("entité"), Some(&*long)] {
        assert_eq!(check(user, password, wrong), Some("api_secret"));
    }
}

#[test]
fn every_request_names_its_media_type_and_carries_no_key_that_worldpay_does_not_know() {
    let made = request(&Operation::Authorize(authorize())).unwrap();
    let cards = "application/vnd.worldpay.payments-v7+json".to_owned();
    assert_eq!(made.headers, [("Accept", cards.clone()), ("Content-Type", cards)]);
    assert_eq!((made.auth, made.idempotency_key), (Auth::Basic, None));
    assert!(CAPABILITIES.idempotent_replay_s.is_none());
}

#[test]
fn authentication_that_is_wished_for_is_refused_and_not_left_out() {
    let wished = Authorize { three_ds: true, ..authorize() };
    assert!(request(&Operation::Authorize(wished.clone())).is_err());
    let network_transaction_id = None;
    let credential = Credential::StoredByMerchant { network_transaction_id, category: MitCategory::Unscheduled };
    let nobody_there = Authorize { credential, ..wished };
    assert!(request(&Operation::Authorize(nobody_there)).is_ok());
}

#[test]
fn estimate_that_worldpay_could_not_raise_is_refused() {
    let estimate = Authorize { incremental: true, ..authorize() };
    assert!(request(&Operation::Authorize(estimate.clone())).is_ok());
    let at_once = Authorize { capture: CaptureMethod::Automatic, ..estimate.clone() };
    assert!(request(&Operation::Authorize(at_once)).is_err());
    let credential = Credential::StoredByMerchant { network_transaction_id: None, category: MitCategory::Installment };
    assert!(request(&Operation::Authorize(Authorize { credential, ..estimate })).is_err());
}

#[test]
fn operation_that_worldpay_does_not_have_is_refused() {
    assert!(request(&Operation::Verify(Authorize { amount: money(0, "GBP"), ..authorize() })).is_err());
    let complete = Complete {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        psp_id: None,
        handles: Handles::new(),
        idempotency_key: "key_1".into(),
        amount: money(250, "GBP"),
        capture: CaptureMethod::Manual,
        returned: BTreeMap::new(),
    };
    assert!(request(&Operation::Complete(complete)).is_err());
}

#[test]
fn step_without_its_link_is_refused_and_nothing_is_sent() {
    let (payment_id, psp_id, idempotency_key) = ("pay_1".to_owned(), "pay_1_1".to_owned(), "key_1".to_owned());
    let capture = |handles: Handles| {
        Operation::Capture(Capture {
            payment_id: payment_id.clone(),
            psp_id: psp_id.clone(),
            idempotency_key: idempotency_key.clone(),
            handles,
            capture_id: "cap_1".into(),
            amount: money(250, "GBP"),
            authorized: money(250, "GBP"),
            taken: money(0, "GBP"),
            is_final: true,
        })
    };
    assert!(request(&capture(handles(&[("settle", "/payments/settlements/full/abc")]))).is_ok());
    assert!(request(&capture(Handles::new())).is_err());
    assert!(request(&capture(handles(&[("settle", "/payments/settlements/refunds/full/abc")]))).is_err());
    let cancel = Cancel {
        payment_id: payment_id.clone(),
        psp_id: psp_id.clone(),
        handles: handles(&[("settle", "/payments/settlements/full/abc")]),
        authorized: money(250, "GBP"),
        taken: money(0, "GBP"),
        idempotency_key: idempotency_key.clone(),
        reason: None,
    };
    assert!(request(&Operation::Cancel(cancel)).is_err());
}

#[test]
fn amounts_that_do_not_go_together_are_refused() {
    let (payment_id, psp_id, idempotency_key) = ("pay_1".to_owned(), "pay_1_1".to_owned(), "key_1".to_owned());
    let links = handles(&[
        ("partialSettle", "/payments/settlements/partials/abc"),
        ("partialRefund", "/payments/settlements/refunds/partials/abc"),
        ("increaseAuthorizedAmount", "/payments/authorizations/incrementalAuthorizations/abc"),
    ]);
    let capture = |amount: Money, taken| {
        request(&Operation::Capture(Capture {
            payment_id: payment_id.clone(),
            psp_id: psp_id.clone(),
            idempotency_key: idempotency_key.clone(),
            handles: links.clone(),
            capture_id: "cap_1".into(),
            amount,
            authorized: money(250, "GBP"),
            taken: money(taken, "GBP"),
            is_final: true,
        }))
    };
    assert!(capture(money(150, "GBP"), 100).is_ok());
    assert!(capture(money(151, "GBP"), 100).is_err() && capture(money(100, "EUR"), 0).is_err());
    let refund = |amount: Money| {
        request(&Operation::Refund(Refund {
            payment_id: payment_id.clone(),
            refund_id: "ref_1".into(),
            psp_id: psp_id.clone(),
            handles: links.clone(),
            idempotency_key: idempotency_key.clone(),
            amount,
            captured: money(250, "GBP"),
            reason: None,
        }))
    };
    assert!(refund(money(250, "GBP")).is_ok());
    assert!(refund(money(251, "GBP")).is_err() && refund(money(1, "USD")).is_err());
    let raise = |total: Money| {
        request(&Operation::Increment(Increment {
            payment_id: payment_id.clone(),
            psp_id: psp_id.clone(),
            handles: links.clone(),
            idempotency_key: idempotency_key.clone(),
            before: money(250, "GBP"),
            total,
            reason: None,
        }))
    };
    assert!(raise(money(251, "GBP")).is_ok());
    assert!(
        raise(money(250, "GBP")).is_err() && raise(money(249, "GBP")).is_err() && raise(money(300, "EUR")).is_err()
    );
    let huge = Authorize { amount: money(u64::MAX, "GBP"), ..authorize() };
    assert!(request(&Operation::Authorize(huge)).is_err());
}
