//! The laws of the books, tried with random operations: nothing more is taken or released than was reserved, and nothing is
//! given back that was not taken.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Book, Call};
use crate::worldpay::body::{Authorization, Increase, Part, Whole, read};
use crate::worldpay::refusal::Refusal;

fn call() -> Call {
    // 2026-11-15.
    Call { now: 1_794_700_800, account: "user".to_owned(), declines: false }
}

fn parse<T: serde::de::DeserializeOwned>(body: &Value) -> T {
    read(body.to_string().as_bytes()).expect("a body")
}

fn body(number: &str, name: &str, auto: bool, estimated: bool) -> Value {
    let mut body = json!({
        "transactionReference": "pay_1_1", "orderReference": "pay_1", "channel": "ecom",
        "merchant": {"entity": "default"},
        "instruction": {
            "requestAutoSettlement": {"enabled": auto}, "narrative": {"line1": "SHOP"},
            "value": {"currency": "GBP", "amount": 1000},
            "paymentInstrument": {"type": "card/plain", "cardNumber": number, "cardHolderName": name,
                "expiryDate": {"month": 12, "year": 2030}, "cvc": "123"}
        }
    });
    if estimated {
        body["instruction"]["value"]["estimated"] = json!(true);
    }
    body
}

fn pay(book: &mut Book, number: &str, name: &str, auto: bool, estimated: bool) -> Result<Value, Refusal> {
    book.authorize(&parse::<Authorization>(&body(number, name, auto, estimated)), true, &call())
}

/// The end of the link that an answer offers.
fn link(answer: &Value, name: &str) -> Option<String> {
    let href = answer["_links"][format!("cardPayments:{name}")]["href"].as_str()?;
    href.rsplit('/').next().map(str::to_owned)
}

fn part(reference: &str, amount: i64) -> Part {
    parse(&json!({"reference": reference, "value": {"currency": "GBP", "amount": amount}}))
}

#[test]
fn approved_payment_is_charged_once_and_offers_what_may_follow() {
    let mut book = Book::default();
    let answer = pay(&mut book, "4444333322221111", "Sherlock Holmes", true, false).expect("approved");
    assert_eq!(answer["outcome"], "Sent for Settlement");
    assert!(link(&answer, "settle").is_none() && link(&answer, "cancel").is_none());
    assert!(link(&answer, "refund").is_some() && link(&answer, "reverse").is_some());
    let sums = book.ledger.statement(Some("pay_1")).totals;
    assert_eq!((sums.authorizations, sums.captures, sums.captured), (1, 1, 1000));
    let told: Vec<_> = book.news().into_iter().map(|(_, event)| event["eventDetails"]["type"].clone()).collect();
    assert_eq!(told, ["sentForAuthorization", "authorized", "sentForSettlement"]);
}

#[test]
fn refused_and_failed_payments_move_no_money() {
    for (number, name, status, event) in [
        ("4444333322221111", "REFUSED51", None, "refused"),
        ("4000000000000002", "Sherlock Holmes", None, "refused"),
        ("4444333322221111", "ERROR", Some(500), "error"),
    ] {
        let mut book = Book::default();
        let answer = pay(&mut book, number, name, true, false);
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.status), status);
        if let Ok(answer) = answer {
            assert_eq!(answer["outcome"], "refused");
            assert!(answer.get("_links").is_none());
        }
        assert_eq!(book.ledger.len(), 0);
        assert_eq!(book.news().pop().map(|(_, told)| told["eventDetails"]["type"].clone()), Some(json!(event)));
    }
}

#[test]
fn same_reference_sent_twice_reserves_twice_as_nobody_promises_otherwise() {
    let mut book = Book::default();
    for _ in 0..2 {
        pay(&mut book, "4444333322221111", "AUTHORISED", false, false).expect("approved");
    }
    assert_eq!(book.ledger.statement(None).totals.authorizations, 2);
    assert_eq!(book.by_reference("pay_1_1", &call()).count(), 2);
}

#[test]
fn link_from_before_a_raise_settles_what_it_knew() {
    let mut book = Book::default();
    let before = pay(&mut book, "4444333322221111", "AUTHORISED", false, true).expect("approved");
    let raise: Increase = parse(&json!({"value": {"currency": "GBP", "amount": 500}}));
    let raised = link(&before, "increaseAuthorizedAmount").expect("a link");
    let after = book.increase(&raised, &raise, &call()).expect("raised");
    assert_eq!(after["amounts"]["totalAuthorized"], 1500);
    assert!(book.increase(&raised, &raise, &call()).is_err(), "the same link raises once");
    let old = link(&before, "settle").expect("a link");
    book.settle(&old, &Whole::default(), &call()).expect("settled");
    let sums = book.ledger.statement(None).totals;
    assert_eq!((sums.authorized, sums.captured, sums.released), (1500, 1000, 500));
    assert!(book.settle(&link(&after, "settle").expect("a link"), &Whole::default(), &call()).is_err());
}

#[test]
fn link_of_another_account_leads_nowhere() {
    let mut book = Book::default();
    let answer = pay(&mut book, "4444333322221111", "AUTHORISED", false, false).expect("approved");
    let other = Call { account: "other".to_owned(), ..call() };
    let settle = link(&answer, "settle").expect("a link");
    assert_eq!(book.settle(&settle, &Whole::default(), &other).err(), Some(Refusal::unknown()));
    assert!(book.by_link(&settle, &other).is_err());
    let id = answer["paymentId"].as_str().expect("an id");
    assert!(book.by_id(id, &other).is_err() && book.by_id(id, &call()).is_ok());
}

#[test]
fn last_of_a_sequence_releases_the_rest_and_closes_the_payment() {
    let mut book = Book::default();
    let answer = pay(&mut book, "4444333322221111", "AUTHORISED", false, false).expect("approved");
    let at = link(&answer, "partialSettle").expect("a link");
    let last: Part = parse(&json!({"reference": "cap-u1", "value": {"currency": "GBP", "amount": 300},
        "sequence": {"number": 1, "total": 1}}));
    let receipt = book.settle_part(&at, &last, &call()).expect("settled");
    assert!(link(&receipt, "partialSettle").is_none() && link(&receipt, "cancel").is_none());
    assert!(book.settle_part(&at, &part("cap-u2", 1), &call()).is_err());
    assert!(book.cancel(&at, &call()).is_err());
    let sums = book.ledger.statement(None).totals;
    assert_eq!((sums.captured, sums.released), (300, 700));
}

#[test]
fn refund_that_fails_at_the_bank_counts_in_no_sum_and_can_be_made_again() {
    let mut book = Book::default();
    let answer = pay(&mut book, "4000000000005126", "Sherlock Holmes", true, false).expect("approved");
    let id = answer["paymentId"].as_str().expect("an id").to_owned();
    let at = link(&answer, "partialRefund").expect("a link");
    book.refund_part(&at, &part("ref-u1", 1000), &call()).expect("a receipt");
    assert_eq!(book.ledger.statement(None).totals.refunded, 1000);
    let last = book.by_id(&id, &call()).expect("there").history.last().expect("an event")["eventName"].clone();
    assert_eq!(last, "refundFailed");
    assert_eq!(book.ledger.statement(None).totals.refunded, 0);
    assert!(book.refund_part(&at, &part("ref-u2", 1000), &call()).is_ok());
}

#[test]
fn body_that_is_not_of_the_schema_is_refused_and_nothing_happens() {
    let good = body("4444333322221111", "AUTHORISED", false, false);
    let with = |path: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(path).expect("the path") = value;
        body
    };
    let mut unknown = good.clone();
    unknown["instruction"]["tip"] = json!(1);
    let mut agreed = good.clone();
    agreed["instruction"]["customerAgreement"] = json!({"type": "unscheduled"});
    for body in [
        unknown,
        agreed,
        with("/transactionReference", json!("a b")),
        with("/transactionReference", json!("x".repeat(65))),
        with("/channel", json!("post")),
        with("/merchant/entity", json!("")),
        with("/instruction/narrative/line1", json!("x".repeat(25))),
        with("/instruction/value/amount", json!(0)),
        with("/instruction/value/amount", json!("1000")),
        with("/instruction/value/currency", json!("gbp")),
        with("/instruction/paymentInstrument/type", json!("card/token")),
        with("/instruction/paymentInstrument/cardNumber", json!("4444333322221112")),
        with("/instruction/paymentInstrument/expiryDate/month", json!(13)),
        with("/instruction/paymentInstrument/expiryDate/month", json!("12")),
        with("/instruction/paymentInstrument/cvc", json!("12")),
    ] {
        let mut book = Book::default();
        let done = read::<Authorization>(body.to_string().as_bytes())
            .and_then(|authorization| book.authorize(&authorization, true, &call()));
        assert_eq!(done.err().map(|refusal| refusal.status), Some(400), "{body}");
        assert!(book.ledger.len() == 0 && book.news().is_empty());
    }
    // What a merchant sends without the customer has no channel, no security code, and an agreement.
    let mut book = Book::default();
    let customers = parse::<Authorization>(&good);
    assert!(book.authorize(&customers, false, &call()).is_err());
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Settle,
    Part(i64, bool),
    Cancel,
    Reverse,
    Raise(i64),
    Refund,
    RefundPart(i64),
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Settle),
        (-5_i64..1600, any::<bool>()).prop_map(|(amount, last)| Act::Part(amount, last)),
        Just(Act::Cancel),
        Just(Act::Reverse),
        (-5_i64..600).prop_map(Act::Raise),
        Just(Act::Refund),
        (-5_i64..1600).prop_map(Act::RefundPart),
        Just(Act::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn sums_hold_whatever_is_done(
        auto in any::<bool>(),
        number in prop_oneof![Just("4444333322221111"), Just("4000000000007726"), Just("4000000000005126")],
        acts in prop::collection::vec((act(), any::<bool>()), 1..25),
    ) {
        let mut book = Book::default();
        let first = pay(&mut book, number, "Sherlock Holmes", auto, !auto).expect("approved");
        let id = first["paymentId"].as_str().expect("an id").to_owned();
        let old = link(&first, "events").expect("a link");
        let mut at = old.clone();
        for (act, with_old) in acts {
            let end = if with_old { old.clone() } else { at.clone() };
            let amount = |amount: i64| json!({"reference": "r", "value": {"currency": "GBP", "amount": amount}});
            let done = match act {
                Act::Settle => book.settle(&end, &Whole::default(), &call()),
                Act::Part(part, last) => {
                    let mut body = amount(part);
                    if last {
                        body["sequence"] = json!({"number": 2, "total": 2});
                    }
                    book.settle_part(&end, &parse(&body), &call())
                }
                Act::Cancel => book.cancel(&end, &call()),
                Act::Reverse => book.reverse(&end, &call()),
                Act::Raise(more) => {
                    let body = json!({"value": {"currency": "GBP", "amount": more}});
                    book.increase(&end, &parse(&body), &call())
                }
                Act::Refund => book.refund(&end, &Whole::default(), &call()),
                Act::RefundPart(part) => book.refund_part(&end, &parse(&amount(part)), &call()),
                Act::Look => book.by_id(&id, &call()).map(|_| Value::Null),
            };
            if let Some(next) = done.ok().as_ref().and_then(|answer| link(answer, "events")) {
                at = next;
            }
            let sums = book.ledger.statement(None).totals;
            prop_assert!(sums.authorizations == 1);
            prop_assert!(sums.captured + sums.released <= sums.authorized, "{sums:?}");
            prop_assert!(0 <= sums.refunded && sums.refunded <= sums.captured, "{sums:?}");
            let payment = book.by_link(&at, &call()).expect("there");
            prop_assert_eq!((payment.total(), payment.settled), (sums.authorized, sums.captured));
            prop_assert_eq!(payment.refunded, sums.refunded);
        }
    }
}
