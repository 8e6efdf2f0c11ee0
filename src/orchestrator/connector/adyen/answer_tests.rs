//! Answers that prove nothing, and results that are not what they seem.

use serde_json::{Value, json};

use super::*;

fn answer(status: u16, body: &Value) -> PspAnswer {
    PspAnswer { status, body: body.to_string().into_bytes() }
}

fn step(body: &Value, minor: u64, automatic: bool) -> Step {
    let amount = Money { minor, currency: "EUR".parse().unwrap() };
    let Said::Object(payment) = read::<Payment>(&answer(200, body)) else { panic!("{body}") };
    payment.step(&Asked { amount, automatic, reference: "pay_1_1" })
}

#[test]
fn status_that_proves_nothing_leaves_doubt() {
    let said = |status, body: &str| match read::<Payment>(&PspAnswer { status, body: body.as_bytes().to_vec() }) {
        Said::Doubt(doubt) => Some(doubt),
        _ => None,
    };
    let error = r#"{"status":500,"errorCode":"905","errorType":"configuration","message":"x"}"#;
    for status in [500, 502, 503, 504] {
        assert_eq!(said(status, error), Some(Doubt::ServerFault), "{status}");
    }
    for (status, body) in
        [(200, "{"), (200, "[]"), (200, "{}"), (302, ""), (204, ""), (409, error), (403, "<html>"), (422, "{}")]
    {
        assert_eq!(said(status, body), Some(Doubt::Unreadable), "{status} {body}");
    }
    assert_eq!(said(422, r#"{"status":422,"errorCode":"704","message":"x"}"#), Some(Doubt::StillRunning));
    assert_eq!(said(422, r#"{"status":422,"errorCode":"130","message":"x"}"#), None);
    assert_eq!(said(200, r#"{"resultCode":"Authorised","aNewField":{"x":1}}"#), None);
}

#[test]
fn result_code_that_is_not_known_or_not_asked_for_leaves_doubt() {
    let codes = [
        "AuthenticationFinished",
        "AuthenticationNotRequired",
        "PartiallyAuthorised",
        "PresentToShopper",
        "Success",
        "authorised",
        "",
    ];
    for code in codes {
        let said = step(&json!({"resultCode": code, "pspReference": "993617895215577D"}), 1999, false);
        assert_eq!(said, Step::InDoubt(Doubt::Unreadable), "{code}");
    }
}

#[test]
fn approval_of_another_payment_or_of_less_money_leaves_doubt() {
    let good = json!({"resultCode": "Authorised", "pspReference": "993617895215577D", "merchantReference": "pay_1_1",
        "amount": {"value": 1999, "currency": "EUR"}});
    assert!(matches!(step(&good, 1999, false), Step::Done(Outcome::Authorized { .. })));
    for (field, value) in [
        ("amount", json!({"value": 999, "currency": "EUR"})),
        ("amount", json!({"value": 1999, "currency": "USD"})),
        ("merchantReference", json!("pay_1_2")),
        ("pspReference", json!("../../x")),
        ("pspReference", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(step(&bad, 1999, false), Step::InDoubt(Doubt::Unreadable), "{bad}");
    }
}

#[test]
fn authorised_means_what_was_asked_for() {
    let body = json!({"resultCode": "Authorised", "pspReference": "993617895215577D"});
    assert!(matches!(step(&body, 0, false), Step::Done(Outcome::Verified { .. })));
    assert!(matches!(step(&body, 5, true), Step::Done(Outcome::Captured { amount_minor: 5, .. })));
    assert!(matches!(step(&body, 5, false), Step::Done(Outcome::Authorized { .. })));
}

#[test]
fn authentication_that_a_link_cannot_do_declines() {
    let redirect = |action: Value| step(&json!({"resultCode": "RedirectShopper", "action": action}), 5, false);
    let url = "https://checkoutshopper-test.adyen.com/checkoutshopper/threeDS/redirect?MD=x";
    assert!(matches!(
        redirect(json!({"type": "redirect", "method": "GET", "url": url})),
        Step::Done(Outcome::RequiresAction { psp_id, .. }) if psp_id == "pay_1_1"
    ));
    for action in [
        json!(null),
        json!({"type": "threeDS2", "url": url}),
        json!({"type": "redirect", "method": "POST", "url": url}),
        json!({"type": "redirect", "method": "GET", "url": "http://a.example"}),
        json!({"type": "redirect", "method": "GET"}),
    ] {
        assert!(matches!(redirect(action.clone()), Step::Done(Outcome::Declined(_))), "{action}");
    }
}

#[test]
fn modification_of_another_payment_or_amount_is_not_received() {
    let good = json!({"pspReference": "BBBB1", "paymentPspReference": "AAAA1", "status": "received",
        "amount": {"value": 5, "currency": "EUR"}});
    let is = |body: &Value| {
        let Said::Object(modification) = read::<Modification>(&answer(201, body)) else { panic!("{body}") };
        modification.is_received("AAAA1", Some(Money { minor: 5, currency: "EUR".parse().unwrap() }))
    };
    assert!(is(&good));
    for (field, value) in [
        ("paymentPspReference", json!("AAAA2")),
        ("paymentPspReference", json!(null)),
        ("status", json!("done")),
        ("amount", json!({"value": 6, "currency": "EUR"})),
        ("amount", json!(null)),
        ("pspReference", json!("")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(!is(&bad), "{bad}");
    }
}

#[test]
fn code_that_is_no_code_is_not_repeated() {
    for good in ["101", "905_1", "14_030", "000"] {
        assert!(is_code(good), "{good}");
    }
    for odd in ["", "4111111111111111", "<script>", &"x".repeat(41)] {
        assert!(!is_code(odd), "{odd}");
    }
}
