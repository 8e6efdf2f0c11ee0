//! The laws of the books, tried with random operations: nothing is taken twice, nothing more than was reserved, and
//! nothing is given back that was not taken.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Book, Call, State};
use crate::adyen::refusal::Refusal;
use crate::adyen::request::read;
use crate::page::Verdict;

const CARD: &str = "4111111111111111";

fn call() -> Call {
    // 2026-11-15.
    Call { now: 1_794_700_800, base_url: "https://127.0.0.1:1".to_owned(), ..Call::default() }
}

/// A payment of 1000 with this card, changed by `more`.
fn body(number: &str, more: &Value) -> Vec<u8> {
    let cvc = if number.starts_with("37") { "7373" } else { "737" };
    let mut body = json!({
        "amount": { "value": 1000, "currency": "EUR" }, "merchantAccount": "Shop", "reference": "pay_1_1",
        "returnUrl": "https://shop.example/back?x=1", "metadata": { "payment_id": "pay_1" },
        "paymentMethod": { "type": "scheme", "number": number, "expiryMonth": "03", "expiryYear": "2030", "cvc": cvc,
            "holderName": "J. Smith" },
    });
    merge(&mut body, more);
    body.to_string().into_bytes()
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

fn pay(book: &mut Book, number: &str, more: &Value) -> Result<Value, Refusal> {
    book.pay(&read(&body(number, more))?, &call())
}

/// Books with one captured payment of 1000 in them.
pub(in crate::adyen) fn paid() -> (Book, String) {
    let mut book = Book::default();
    let answer = pay(&mut book, CARD, &json!({})).expect("tried");
    (book, answer["pspReference"].as_str().expect("a reference").to_owned())
}

fn manual(account: &str) -> Value {
    json!({ "merchantAccount": account, "additionalData": { "manualCapture": "true", "authorisationType": "PreAuth" } })
}

/// Books with one reserved payment of 1000 in them.
fn held(account: &str) -> (Book, String) {
    let mut book = Book::default();
    let answer = pay(&mut book, CARD, &manual(account)).expect("tried");
    (book, answer["pspReference"].as_str().expect("a reference").to_owned())
}

fn modify(account: &str, minor: i64) -> Vec<u8> {
    json!({ "merchantAccount": account, "amount": { "value": minor, "currency": "EUR" }, "reference": "mine" })
        .to_string()
        .into_bytes()
}

fn act(book: &mut Book, id: &str, account: &str, what: &str, minor: i64) -> Result<Value, Refusal> {
    let body = modify(account, minor);
    match what {
        "capture" => book.capture(id, &read(&body)?, &call()),
        "refund" => book.refund(id, &read(&body)?, &call()),
        "update" => book.update(id, &read(&body)?, &call()),
        _ => book.cancel(id, &read(json!({ "merchantAccount": account }).to_string().as_bytes())?, &call()),
    }
}

/// The last notification: its code, whether it says yes, and its reason.
fn last(book: &mut Book) -> (String, bool, String) {
    let (_, event) = book.events().pop().expect("an event");
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (text("eventCode"), event["success"] == "true", text("reason"))
}

#[test]
fn approving_cards_are_charged_once_each_and_told_once() {
    for number in
        [CARD, "4242424242424242", "5454545454545454", "370000000000002", "36006666333344", "4000000000003055"]
    {
        let mut book = Book::default();
        let answer = pay(&mut book, number, &json!({})).expect("tried");
        assert_eq!(answer["resultCode"], "Authorised");
        let sums = book.ledger.statement(Some("pay_1")).totals;
        assert_eq!((sums.authorizations, sums.captures, sums.captured), (1, 1, 1000));
        let events = book.events();
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0].1["eventCode"], &events[0].1["success"]), (&json!("AUTHORISATION"), &json!("true")));
    }
}

#[test]
fn refusals_have_the_published_codes_and_move_no_money() {
    let name = |name: &str| json!({ "paymentMethod": { "holderName": name } });
    let code = json!({ "additionalData": { "RequestedTestAcquirerResponseCode": "6" } });
    let expired = json!({ "paymentMethod": { "expiryYear": "2025" } });
    for (number, more, result, code) in [
        (CARD, name("NOT_ENOUGH_BALANCE"), "Refused", "12"),
        (CARD, name("ERROR"), "Error", "4"),
        (CARD, name("FRAUD_CANCELLED"), "Cancelled", "22"),
        (CARD, code, "Refused", "6"),
        (CARD, expired, "Refused", "6"),
        ("4000000000000002", json!({}), "Refused", "2"),
        ("4000000000009995", json!({}), "Refused", "12"),
        ("4000000000009979", json!({}), "Refused", "5"),
        ("4000000000000127", json!({}), "Refused", "24"),
        ("4000000000000119", json!({}), "Error", "4"),
    ] {
        let mut book = Book::default();
        let answer = pay(&mut book, number, &more).expect("tried");
        assert_eq!((&answer["resultCode"], &answer["refusalReasonCode"]), (&json!(result), &json!(code)));
        assert_eq!(book.ledger.len(), 0);
        assert!(!last(&mut book).1);
    }
}

#[test]
fn request_that_adyen_would_not_try_is_refused_and_leaves_nothing() {
    for (number, more) in [
        ("4111111111111112", json!({})),
        ("4012888888881881", json!({})),
        (CARD, json!({ "paymentMethod": { "cvc": "7373" } })),
        (CARD, json!({ "paymentMethod": { "expiryMonth": "13" } })),
        (CARD, json!({ "paymentMethod": { "type": "giftcard" } })),
        (CARD, json!({ "paymentMethod": { "storedPaymentMethodId": "x" } })),
        (CARD, json!({ "amount": { "value": -1 } })),
        (CARD, json!({ "amount": { "currency": "eur" } })),
        (CARD, json!({ "amount": { "value": "1000" } })),
        (CARD, json!({ "reference": "" })),
        (CARD, json!({ "returnUrl": "javascript:alert(1)" })),
        (CARD, json!({ "storePaymentMethod": true })),
        (CARD, json!({ "captureDelayHours": 24 })),
        (CARD, json!({ "authenticationData": { "threeDSRequestData": { "nativeThreeDS": "preferred" } } })),
    ] {
        let mut book = Book::default();
        assert!(pay(&mut book, number, &more).is_err(), "{more}");
        assert_eq!((book.ledger.len(), book.events().len(), book.payments.len()), (0, 0, 0), "{more}");
    }
}

#[test]
fn verification_reserves_nothing() {
    let mut book = Book::default();
    let answer = pay(&mut book, CARD, &json!({ "amount": { "value": 0 } })).expect("tried");
    assert_eq!(answer["resultCode"], "Authorised");
    assert_eq!(book.ledger.len(), 0);
}

/// A payment that wants authentication: books, the page, and the payer's way back after the verdict.
fn challenged(number: &str, verdict: Verdict) -> (Book, String) {
    let mut book = Book::default();
    let more = json!({ "authenticationData": { "attemptAuthentication": "always" } });
    let answer = pay(&mut book, number, &more).expect("tried");
    assert_eq!(answer["resultCode"], "RedirectShopper");
    assert!(answer.get("pspReference").is_none());
    let page = answer["action"]["url"].as_str().expect("a page").rsplit('/').next().expect("an id").to_owned();
    let back = book.authenticate(&page, verdict).expect("a way back");
    assert_eq!(book.authenticate(&page, Verdict::Approve), None, "the first verdict counts");
    assert_eq!((book.ledger.len(), book.events().len()), (0, 0), "nothing happens before the merchant goes on");
    let result = back.rsplit("redirectResult=").next().expect("a result").to_owned();
    assert!(back.starts_with("https://shop.example/back?x=1&redirectResult="));
    (book, result)
}

#[test]
fn authentication_charges_when_its_result_is_handed_over_and_only_once() {
    for number in ["4917610000000000", "5454545454545454", "4000002500003155"] {
        let (mut book, result) = challenged(number, Verdict::Approve);
        assert_eq!(book.details(&result, &call()).expect("done")["resultCode"], "Authorised");
        assert_eq!(book.details(&result, &call()), Err(Refusal::in_progress()));
        assert_eq!(book.ledger.statement(None).totals.captures, 1);
        assert_eq!(book.events().len(), 1);
    }
}

#[test]
fn authentication_that_fails_or_is_declined_afterwards_charges_nothing() {
    for (number, verdict, code) in [
        ("4917610000000000", Verdict::Fail, "11"),
        ("4000002500003155", Verdict::Fail, "11"),
        ("4000008260003178", Verdict::Approve, "12"),
    ] {
        let (mut book, result) = challenged(number, verdict);
        assert_eq!(book.details(&result, &call()).expect("done")["refusalReasonCode"], code);
        assert_eq!(book.ledger.len(), 0);
    }
    assert!(Book::default().details("guessed", &call()).is_err());
}

#[test]
fn authentication_that_may_not_be_shown_is_refused() {
    let mut book = Book::default();
    let never = json!({ "authenticationData": { "attemptAuthentication": "never" } });
    let answer = pay(&mut book, "4000002500003155", &never).expect("tried");
    assert_eq!(answer["refusalReasonCode"], "38");
}

#[test]
fn payment_that_was_given_up_on_the_page_is_never_charged() {
    let (mut book, result) = challenged("4917610000000000", Verdict::Approve);
    let cancel = json!({ "merchantAccount": "Shop", "paymentReference": "pay_1_1", "reference": "mine" });
    let answer =
        book.cancel_by_reference(&read(cancel.to_string().as_bytes()).expect("read"), &call()).expect("received");
    assert_eq!((&answer["status"], &answer["paymentReference"]), (&json!("received"), &json!("pay_1_1")));
    assert_eq!(last(&mut book), ("TECHNICAL_CANCEL".into(), true, String::new()));
    assert!(book.details(&result, &call()).is_err());
    assert_eq!(book.ledger.len(), 0);
}

#[test]
fn account_without_several_captures_releases_the_rest_and_refuses_a_second() {
    let (mut book, id) = held("Shop");
    act(&mut book, &id, "Shop", "capture", 700).expect("received");
    assert_eq!(last(&mut book), ("CAPTURE".into(), true, String::new()));
    act(&mut book, &id, "Shop", "capture", 300).expect("received");
    assert!(!last(&mut book).1);
    let sums = book.ledger.statement(None).totals;
    assert_eq!((sums.captured, sums.released, sums.captures), (700, 300, 1));
}

#[test]
fn account_with_several_captures_keeps_the_rest_until_it_is_captured_or_cancelled() {
    let account = "Shop_MultipleCaptures";
    let (mut book, id) = held(account);
    for minor in [300, 300] {
        act(&mut book, &id, account, "capture", minor).expect("received");
        assert!(last(&mut book).1);
    }
    act(&mut book, &id, account, "capture", 500).expect("received");
    assert_eq!(last(&mut book), ("CAPTURE".into(), false, "Insufficient balance on payment".into()));
    act(&mut book, &id, account, "cancel", 0).expect("received");
    assert_eq!(last(&mut book), ("CANCELLATION".into(), true, String::new()));
    let sums = book.ledger.statement(None).totals;
    assert_eq!((sums.captured, sums.released), (600, 400));
}

#[test]
fn amount_of_a_pre_authorization_is_raised_until_it_is_captured() {
    let (mut book, id) = held("Shop");
    act(&mut book, &id, "Shop", "update", 1500).expect("received");
    assert_eq!(last(&mut book), ("AUTHORISATION_ADJUSTMENT".into(), true, String::new()));
    act(&mut book, &id, "Shop", "capture", 1500).expect("received");
    assert!(last(&mut book).1);
    act(&mut book, &id, "Shop", "update", 2000).expect("received");
    assert!(!last(&mut book).1);
    let sums = book.ledger.statement(None).totals;
    assert_eq!((sums.increments, sums.authorized, sums.captured), (1, 1500, 1500));
}

#[test]
fn refund_that_the_bank_sends_back_is_told_twice_and_counts_in_no_sum() {
    let mut book = Book::default();
    let answer = pay(&mut book, "4000000000005126", &json!({})).expect("tried");
    let id = answer["pspReference"].as_str().expect("a reference").to_owned();
    book.events();
    act(&mut book, &id, "Shop", "refund", 1000).expect("received");
    let codes: Vec<Value> = book.events().into_iter().map(|(_, event)| event["eventCode"].clone()).collect();
    assert_eq!(codes, ["REFUND", "REFUND_FAILED"]);
    assert_eq!(book.ledger.statement(None).totals.refunded, 0);
}

#[test]
fn modification_of_no_payment_or_of_another_account_is_refused() {
    let (mut book, id) = held("Shop");
    book.events();
    assert_eq!(act(&mut book, "NONE", "Shop", "capture", 1), Err(Refusal::no_payment()));
    for what in ["capture", "refund", "update", "cancel"] {
        assert_eq!(act(&mut book, &id, "Other", what, 1), Err(Refusal::account()), "{what}");
    }
    assert_eq!(book.events().len(), 0);
}

proptest! {
    #[test]
    fn books_balance_whatever_is_asked(
        often in any::<bool>(),
        steps in prop::collection::vec((0usize..4, 1i64..1600), 0..12),
    ) {
        let account = if often { "Shop_MultipleCaptures" } else { "Shop" };
        let (mut book, id) = held(account);
        let mut told = book.events().len();
        for (what, minor) in steps {
            let what = ["capture", "refund", "update", "cancel"][what];
            prop_assert!(act(&mut book, &id, account, what, minor).is_ok());
            told += book.events().len();
            let sums = book.ledger.statement(None).totals;
            let payment = book.payment(&id).expect("kept");
            prop_assert!(sums.captured + sums.released <= sums.authorized, "{sums:?}");
            prop_assert!(sums.refunded <= sums.captured, "{sums:?}");
            prop_assert_eq!(sums.authorizations, 1);
            prop_assert_eq!(sums.authorized - sums.captured - sums.released, payment.capturable);
            prop_assert_eq!((sums.captured, sums.refunded), (payment.captured, payment.refunded));
            prop_assert!(payment.state == State::Authorised || payment.capturable == 0);
        }
        prop_assert!(told >= 1);
    }
}
