//! The laws of the books, tried with random operations: nothing is taken twice, nothing more than was reserved, and
//! nothing is given back that was not taken.

use proptest::prelude::*;

use super::{Book, Call, Status};
use crate::page::Verdict;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;

fn form(text: &str) -> Form {
    Form::parse(text.as_bytes()).map_err(|refusal| refusal.body(None)).expect("a form")
}

fn call() -> Call {
    // 2026-11-15.
    Call { now: 1_794_700_800, base_url: "https://127.0.0.1:1".to_owned(), ..Call::default() }
}

fn pay(book: &mut Book, number: &str, more: &str) -> Result<String, Refusal> {
    let card = format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123");
    let card = if number.starts_with("37") { card.replace("cvc]=123", "cvc]=1234") } else { card };
    let method = book.create_method(form(&card), &call())?;
    let fields = format!("amount=1000&currency=usd&confirm=true&payment_method={method}&metadata[payment_id]=p{more}");
    book.create_intent(form(&fields), &call())
}

/// Books with one payment of 1000 in them.
pub(in crate::stripe) fn paid() -> (Book, String) {
    let mut book = Book::default();
    let id = pay(&mut book, "4242424242424242", "").map_err(|refusal| refusal.body(None)).expect("approved");
    (book, id)
}

fn verify(book: &mut Book, number: &str, more: &str) -> Result<String, Refusal> {
    let card = format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123");
    let method = book.create_method(form(&card), &call())?;
    book.create_setup(form(&format!("confirm=true&payment_method={method}&metadata[payment_id]=v{more}")), &call())
}

fn decline_of(number: &str) -> Option<(String, String)> {
    let mut book = Book::default();
    let refusal = pay(&mut book, number, "").err()?;
    assert_eq!(refusal.status, 402);
    assert_eq!(book.ledger.len(), 0, "a decline moves no money");
    let error = refusal.body(None)["error"].clone();
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    assert_eq!(error["payment_intent"]["last_payment_error"]["code"], error["code"]);
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Some((text("code"), text("decline_code")))
}

#[test]
fn approving_cards_are_charged_once_each() {
    for number in ["4242424242424242", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117"]
        .into_iter()
        .chain(["3056930009020004", "3566002020360505", "6200000000000005", "4000000000000101", "4000000000003055"])
    {
        let mut book = Book::default();
        let id = pay(&mut book, number, "").map_err(|refusal| refusal.body(None)).expect("approved");
        let intent = book.intent(&id).map_err(|_| "gone").expect("kept");
        assert_eq!((intent.status, intent.received), (Status::Succeeded, 1000));
        let sums = book.ledger.statement(Some("p")).totals;
        assert_eq!((sums.authorizations, sums.captures, sums.captured), (1, 1, 1000));
    }
}

#[test]
fn declining_cards_answer_their_published_codes() {
    let cases = [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000000341", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000009987", "card_declined", "lost_card"),
        ("4000000000009979", "card_declined", "stolen_card"),
        ("4100000000000019", "card_declined", "fraudulent"),
        ("4000000000006975", "card_declined", "card_velocity_exceeded"),
        ("4000000000000069", "expired_card", "expired_card"),
        ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        ("4000000000000119", "processing_error", "processing_error"),
    ];
    for (number, code, decline_code) in cases {
        assert_eq!(decline_of(number), Some((code.to_owned(), decline_code.to_owned())));
    }
}

#[test]
fn three_d_secure_charges_after_approval_and_only_once() {
    let mut book = Book::default();
    let id = pay(&mut book, "4000002500003155", "").map_err(|_| "refused").expect("made");
    let challenge = book.intent(&id).ok().and_then(|intent| intent.challenge.as_ref()).expect("waits").id.clone();
    assert_eq!(book.ledger.len(), 0, "nothing is charged before the cardholder has approved");
    for _ in 0..2 {
        assert!(book.authenticate(&challenge, Verdict::Approve, &call()).is_ok());
        assert!(book.authenticate(&challenge, Verdict::Fail, &call()).is_ok());
    }
    assert_eq!(book.intent(&id).ok().map(|intent| intent.status), Some(Status::Succeeded));
    assert_eq!(book.ledger.statement(None).totals.captures, 1);
}

#[test]
fn three_d_secure_that_fails_or_is_declined_afterwards_charges_nothing() {
    for (number, verdict, code) in [
        ("4000002760003184", Verdict::Fail, "payment_intent_authentication_failure"),
        ("4000008260003178", Verdict::Approve, "card_declined"),
        ("4000008400001629", Verdict::Approve, "card_declined"),
    ] {
        let mut book = Book::default();
        let id = pay(&mut book, number, "").map_err(|_| "refused").expect("made");
        let challenge = book.intent(&id).ok().and_then(|intent| intent.challenge.as_ref()).expect("waits").id.clone();
        assert!(book.authenticate(&challenge, verdict, &call()).is_ok());
        let intent = book.intent(&id).map_err(|_| "gone").expect("kept");
        assert_eq!(intent.status, Status::RequiresPaymentMethod);
        assert_eq!(
            crate::stripe::shape::intent(&book, intent, crate::stripe::shape::View::default())["last_payment_error"]["code"],
            code
        );
        assert_eq!(book.ledger.len(), 0);
    }
}

#[test]
fn authentication_without_the_cardholder_is_declined() {
    let mut book = Book::default();
    let refusal = pay(&mut book, "4000002760003184", "&off_session=true").expect_err("declined");
    assert_eq!(refusal.body(None)["error"]["decline_code"], "authentication_required");
}

#[test]
fn three_d_secure_is_shown_on_wish_where_the_card_supports_it() {
    let wish = "&payment_method_options[card][request_three_d_secure]=any";
    for (number, status) in [("4000000000003055", Status::RequiresAction), ("4242424242424242", Status::Succeeded)] {
        let mut book = Book::default();
        let id = pay(&mut book, number, wish).map_err(|_| "refused").expect("made");
        assert_eq!(book.intent(&id).ok().map(|intent| intent.status), Some(status));
    }
}

#[test]
fn refund_that_fails_later_gives_the_money_back_to_the_merchant() {
    let mut book = Book::default();
    let id = pay(&mut book, "4000000000005126", "").map_err(|_| "refused").expect("paid");
    let refund = book.create_refund(form(&format!("payment_intent={id}")), &call()).map_err(|_| "no").expect("made");
    assert_eq!(book.refund(&refund).ok().map(|refund| refund.status), Some("succeeded"));
    assert_eq!(book.ledger.statement(None).totals.refunded, 1000);
    assert_eq!(book.read_refund(&refund).ok().map(|refund| refund.status), Some("failed"));
    assert_eq!(book.ledger.statement(None).totals.refunded, 0);
}

#[test]
fn refused_request_leaves_no_trace() {
    let mut book = Book::default();
    let fields = "amount=1000&currency=usd&confirm=true&payment_method_data[type]=card&payment_method_data[card][number]=\
                  4242424242424242&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=2030";
    assert!(book.create_intent(form(&format!("{fields}&nonsense=1")), &call()).is_err());
    assert_eq!((book.methods.len(), book.intents.len(), book.ledger.len()), (0, 0, 0));
    assert!(book.create_intent(form(fields), &call()).is_ok());
    assert_eq!((book.methods.len(), book.intents.len(), book.ledger.len()), (1, 1, 2));
}

#[test]
fn reservation_is_raised_only_where_that_was_asked_for_and_a_decline_leaves_it() {
    let asked = "&payment_method_options[card][request_incremental_authorization]=if_available";
    for (more, fits) in [("&capture_method=manual", false), (&format!("&capture_method=manual{asked}"), true)] {
        let mut book = Book::default();
        let id = pay(&mut book, "4242424242424242", more).map_err(|_| "refused").expect("reserved");
        let declined = Call { declines: true, ..call() };
        assert!(book.increment_intent(&id, form("amount=1500"), &declined).is_err());
        assert!(book.increment_intent(&id, form("amount=1000"), &call()).is_err(), "not more than before");
        assert_eq!(book.intent(&id).ok().map(|intent| (intent.amount, intent.capturable)), Some((1000, 1000)));
        assert_eq!(book.increment_intent(&id, form("amount=1500"), &call()).is_ok(), fits);
        assert_eq!(book.ledger.statement(None).totals.authorized, if fits { 1500 } else { 1000 });
    }
}

#[test]
fn verification_moves_no_money_whatever_the_card_says() {
    for (number, status) in [
        ("4242424242424242", Status::Succeeded),
        ("4000000000009995", Status::RequiresPaymentMethod),
        ("4000002500003155", Status::RequiresAction),
    ] {
        let mut book = Book::default();
        let refused = verify(&mut book, number, "").err().map(|refusal| refusal.body(None)["error"].clone());
        let setup = book.setups().next().expect("a setup intent");
        assert_eq!((setup.status, refused.is_some()), (status, status == Status::RequiresPaymentMethod));
        assert!(refused.is_none_or(|error| error["setup_intent"]["last_setup_error"]["code"] == error["code"]));
        assert_eq!(book.ledger.len(), 0);
    }
}

#[test]
fn verification_is_approved_failed_or_abandoned_once() {
    for (verdict, status) in [(Verdict::Approve, Status::Succeeded), (Verdict::Fail, Status::RequiresPaymentMethod)] {
        let mut book = Book::default();
        let id = verify(&mut book, "4000002500003155", "&return_url=https://shop.example/back").map_err(|_| "no");
        let id = id.expect("waits");
        let challenge = book.setup(&id).ok().and_then(|setup| setup.challenge.as_ref()).expect("waits").id.clone();
        for _ in 0..2 {
            assert!(book.authenticate(&challenge, verdict, &call()).is_ok());
        }
        assert_eq!(book.setup(&id).ok().map(|setup| setup.status), Some(status));
        assert_eq!(book.cancel_setup(&id, form("")).is_ok(), status != Status::Succeeded);
        let back = book.challenged(&challenge).ok().and_then(|challenged| challenged.way_back()).expect("a way back");
        assert!(back.starts_with(&format!("https://shop.example/back?setup_intent={id}&")), "{back}");
    }
}

#[test]
fn several_captures_end_with_the_rest_released() {
    let asked = "&capture_method=manual&payment_method_options[card][request_multicapture]=if_available";
    for (more, fits) in [("&capture_method=manual", false), (asked, true)] {
        let mut book = Book::default();
        let id = pay(&mut book, "4242424242424242", more).map_err(|_| "refused").expect("reserved");
        let mut capture = |fields: &str| book.capture_intent(&id, form(fields), &call()).is_ok();
        assert_eq!(capture("amount_to_capture=300&final_capture=false"), fits);
        assert!(!capture("amount_to_capture=0&final_capture=false"));
        if fits {
            assert!(capture("amount_to_capture=300&final_capture=false"));
            assert!(!capture("amount_to_capture=500"));
            assert!(capture("amount_to_capture=0&final_capture=true"));
            let sums = book.ledger.statement(None).totals;
            assert_eq!((sums.captures, sums.captured, sums.cancels, sums.released), (2, 600, 1, 400));
            assert_eq!(
                book.intent(&id).ok().map(|intent| (intent.status, intent.received)),
                Some((Status::Succeeded, 600))
            );
        } else {
            assert!(!capture("amount_to_capture=0"));
        }
    }
}

#[test]
fn payment_that_follows_an_earlier_one_needs_no_cardholder() {
    let earlier = "payment_method_options[card][mit_exemption][network_transaction_id]=000000000000001";
    let mut book = Book::default();
    assert!(pay(&mut book, "4000002500003155", &format!("&{earlier}")).is_err(), "the cardholder is there");
    let id = pay(&mut book, "4000002500003155", &format!("&off_session=true&{earlier}"));
    let id = id.map_err(|refusal| refusal.body(None)).expect("approved");
    assert_eq!(book.intent(&id).ok().map(|intent| intent.status), Some(Status::Succeeded));
}

#[test]
fn changes_are_told_in_order_and_only_to_somebody_who_listens() {
    let kinds = |book: &mut Book| book.happened().iter().map(|happened| happened.kind).collect::<Vec<_>>();
    let (mut book, id) = paid();
    assert!(kinds(&mut book).is_empty());
    book.listened = true;
    let refunded = book.create_refund(form(&format!("payment_intent={id}")), &call());
    assert!(refunded.is_ok());
    assert!(pay(&mut book, "4000000000009995", "").is_err());
    let id = pay(&mut book, "4242424242424242", "&capture_method=manual").map_err(|_| "no").expect("reserved");
    assert!(book.cancel_intent(&id, form(""), &call()).is_ok());
    assert!(verify(&mut book, "4242424242424242", "").is_ok());
    let expected = [
        "refund.created",
        "payment_intent.payment_failed",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "setup_intent.succeeded",
    ];
    assert_eq!(kinds(&mut book), expected);
    assert!(kinds(&mut book).is_empty());
}

#[test]
fn decline_on_purpose_meets_a_card_that_would_be_approved() {
    let (mut book, _) = paid();
    let method = book.methods.keys().next().expect("a method").clone();
    let fields = format!("amount=1000&currency=usd&confirm=true&payment_method={method}");
    let refusal = book.create_intent(form(&fields), &Call { declines: true, ..call() }).expect_err("declined");
    assert_eq!(refusal.body(None)["error"]["decline_code"], "generic_decline");
    assert_eq!(book.ledger.len(), 2, "a decline moves no money");
}

#[test]
fn number_that_is_not_published_is_refused_without_an_echo() {
    // Another provider's published number.
    let text = pay(&mut Book::default(), "4111111111111111", "").expect_err("refused").body(None).to_string();
    assert!(text.contains("test_mode_live_card") && !text.contains("4111"), "{text}");
}

#[test]
fn wrong_check_digit_and_letters_have_their_own_answers() {
    let code =
        |number: &str| pay(&mut Book::default(), number, "").expect_err("refused").body(None)["error"]["code"].clone();
    assert_eq!(code("4242424242424241"), "incorrect_number");
    assert_eq!(code("4242x24242424242"), "invalid_number");
    assert_eq!(code("42"), "invalid_number");
}

#[test]
fn return_address_that_is_not_of_the_web_is_refused() {
    let mut book = Book::default();
    for url in ["javascript:alert(1)", "https://", "https://shop.example/%22", "ftp://shop.example"] {
        let quoted = url.replace("%22", "%2522%22");
        assert!(pay(&mut book, "4242424242424242", &format!("&return_url={quoted}")).is_err(), "{url}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Pay { manual: bool, several: bool },
    Verify,
    Confirm(usize),
    Increment(usize, i64),
    Capture(usize, i64, bool),
    Cancel(usize),
    Refund(usize, i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any::<(bool, bool)>().prop_map(|(manual, several)| Act::Pay { manual, several }),
        Just(Act::Verify),
        (0..4_usize).prop_map(Act::Confirm),
        (0..4_usize, 0..3000_i64).prop_map(|(which, amount)| Act::Increment(which, amount)),
        (0..4_usize, 0..1500_i64, any::<bool>()).prop_map(|(which, amount, last)| Act::Capture(which, amount, last)),
        (0..4_usize).prop_map(Act::Cancel),
        (0..4_usize, 0..1500_i64).prop_map(|(which, amount)| Act::Refund(which, amount)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn money_is_never_taken_twice_nor_given_back_beyond_what_was_taken(acts in prop::collection::vec(act(), 1..40)) {
        let mut book = Book::default();
        let mut ids: Vec<String> = Vec::new();
        let mut multiple: Vec<bool> = Vec::new();
        for act in acts {
            let pick = |which: usize| ids.get(which).map_or("pi_none", String::as_str).to_owned();
            // A refusal is as good as a success here: what counts is the books afterwards.
            match act {
                Act::Pay { manual, several } => {
                    let asks = "&payment_method_options[card][request_incremental_authorization]=if_available";
                    let mut more = ids.len().to_string();
                    if manual {
                        more.push_str("&capture_method=manual");
                        more.push_str(asks);
                    }
                    if several {
                        more.push_str("&payment_method_options[card][request_multicapture]=if_available");
                    }
                    ids.extend(pay(&mut book, "4242424242424242", &more));
                    multiple.push(manual && several);
                }
                Act::Verify => drop(verify(&mut book, "4242424242424242", "")),
                Act::Confirm(which) => drop(book.confirm_intent(&pick(which), form(""), &call())),
                Act::Increment(which, amount) => {
                    drop(book.increment_intent(&pick(which), form(&format!("amount={amount}")), &call()));
                }
                Act::Capture(which, amount, last) => {
                    let fields = format!("amount_to_capture={amount}&final_capture={last}");
                    drop(book.capture_intent(&pick(which), form(&fields), &call()));
                }
                Act::Cancel(which) => drop(book.cancel_intent(&pick(which), form(""), &call())),
                Act::Refund(which, amount) => {
                    let fields = format!("payment_intent={}&amount={amount}", pick(which));
                    drop(book.create_refund(form(&fields), &call()));
                }
            }
        }
        let statement = book.ledger.statement(None);
        prop_assert_eq!(statement.payments.len(), ids.len());
        for (payment, sums) in &statement.payments {
            prop_assert_eq!(sums.authorizations, 1, "{}", payment);
            let place: usize = payment[1..].parse().map_err(|_| TestCaseError::fail("a payment of nobody"))?;
            prop_assert!(multiple[place] || sums.captures + sums.cancels <= 1);
            prop_assert!(sums.cancels <= 1);
            prop_assert!(sums.captured + sums.released <= sums.authorized);
            prop_assert!(sums.refunded <= sums.captured);
        }
        for id in &ids {
            let intent = book.intent(id).map_err(|_| TestCaseError::fail("gone"))?;
            let sums = book.ledger.statement(Some(id)).totals;
            prop_assert_eq!(intent.received, sums.captured);
            prop_assert_eq!(intent.capturable, sums.authorized - sums.captured - sums.released);
        }
    }
}
