//! Who may change rules, over what, and what a wrong text or a foreign form does: nothing.

use actix_web::http::StatusCode;
use serde_json::json;
use strongroom_wire::limits;

use super::desk_tests::{Desk, HERE, Log, Seat, form, with_cookie};
use crate::intent::rig::{GOOD, Rig};

const ROUTING: &str = "/dashboard/routing";
const RULES: &str = r#"{"rules":[{"use":{"order":["rig 2"]}}]}"#;

async fn two_accounts() -> Desk {
    let rig = Rig::new().await;
    rig.add_account(2).await;
    Desk::on(rig, &super::desk_tests::operators()).await
}

async fn version(desk: &Desk, seat: &Seat) -> String {
    desk.get(seat, ROUTING).await.field("version")
}

async fn stored(desk: &Desk) -> Option<String> {
    desk.rig.store.routing(&desk.rig.merchant).await.unwrap()
}

async fn save(desk: &Desk, seat: &Seat, version: &str, rules: &str) -> super::desk_tests::Seen {
    let fields = [("merchant", "shop"), ("version", version), ("rules", rules), ("act", "save")];
    desk.post(seat, ROUTING, &fields).await
}

#[actix_web::test]
async fn editor_saves_rules_that_the_next_payment_follows_and_takes_them_away_again() {
    let desk = two_accounts().await;
    let log = Log::begin();
    let ada = desk.log_in("ada").await;
    let seen = save(&desk, &ada, "none", RULES).await;
    assert_eq!(
        (seen.status, seen.header("location")),
        (StatusCode::SEE_OTHER, "/dashboard/routing?merchant=shop&saved=1")
    );
    assert_eq!(stored(&desk).await.as_deref(), Some(RULES));
    let page = desk.get(&ada, seen.header("location")).await;
    assert!(page.text.contains("id=\"saved\"") && page.text.contains("rig 2"));
    let id = desk.pay(GOOD, |_| {}).await;
    let (payment, _) = desk.rig.engine.payment(&desk.rig.merchant, &id).await.unwrap();
    assert_eq!(payment.attempts[0].account_id, "mca_2");
    let version = version(&desk, &ada).await;
    assert_eq!(save(&desk, &ada, &version, " \r\n").await.status, StatusCode::SEE_OTHER);
    assert_eq!(stored(&desk).await, None);
    assert!(log.tells("operator_rules", "ada"));
    assert!(!log.text().contains("rig 2"), "the log names versions and repeats no text");
}

#[actix_web::test]
async fn rules_that_somebody_else_saved_meanwhile_are_not_overwritten() {
    let desk = two_accounts().await;
    let (ada, seen) = (desk.log_in("ada").await, "none");
    desk.rig.store.save_routing(&desk.rig.merchant, Some(r#"{"fallback":["rig 1"]}"#)).await.unwrap();
    let mine = r#"{"fallback":["rig 2"]}"#;
    let refused = save(&desk, &ada, seen, mine).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("id=\"conflict\"") && refused.text.contains("id=\"stored\""));
    assert!(
        refused.text.contains("rig 1") && refused.text.contains("{&quot;fallback&quot;:[&quot;rig 2&quot;]}"),
        "both"
    );
    assert_eq!(stored(&desk).await.as_deref(), Some(r#"{"fallback":["rig 1"]}"#));
    let again = save(&desk, &ada, &refused.field("version"), mine).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "who has seen them may replace them");
    assert_eq!(save(&desk, &ada, &refused.field("version"), mine).await.status, StatusCode::CONFLICT);
    assert_eq!(save(&desk, &ada, "", mine).await.status, StatusCode::CONFLICT, "no version is none");
}

#[actix_web::test]
async fn text_that_is_no_rules_is_refused_with_line_and_reason_and_kept_for_mending() {
    let desk = two_accounts().await;
    let ada = desk.log_in("ada").await;
    for act in ["validate", "dry_run", "save"] {
        for (text, line) in [
            ("{\n  \"rules\": [\n", "line 3"),
            ("{\n  \"rulez\": []\n}", "line 2"),
            ("{\n \"rules\": [\n  {\"use\": {\"order\": [\"nobody\"]}}\n ]\n}", "line 3"),
        ] {
            let fields = [("merchant", "shop"), ("version", "none"), ("rules", text), ("act", act)];
            let seen = desk.post(&ada, ROUTING, &fields).await;
            assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY, "{act} {text}");
            assert!(seen.text.contains("id=\"invalid\"") && seen.text.contains(line), "{text}: {}", seen.text);
            assert!(seen.text.contains(&text.replace('"', "&quot;")), "the text is still there");
        }
        let card = r#"{"rules":[{"name":"4242424242424242","use":{"order":["rig 1"]}}]}"#;
        let fields = [("merchant", "shop"), ("version", "none"), ("rules", card), ("act", act)];
        let seen = desk.post(&ada, ROUTING, &fields).await;
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!seen.text.contains("4242424242424242"));
    }
    let long = " ".repeat(limits::DASHBOARD_RULES_BYTES_MAX) + RULES;
    assert_eq!(save(&desk, &ada, "none", &long).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let huge = " ".repeat(4 * limits::DASHBOARD_RULES_BYTES_MAX + limits::DASHBOARD_FORM_BYTES_MAX);
    assert_eq!(save(&desk, &ada, "none", &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(stored(&desk).await, None);
}

#[actix_web::test]
async fn viewer_may_try_rules_and_not_save_them() {
    let desk = two_accounts().await;
    desk.pay(GOOD, |_| {}).await;
    let vic = desk.log_in("vic").await;
    let page = desk.get(&vic, ROUTING).await;
    assert!(page.text.contains("readonly") && !page.text.contains("id=\"save\""));
    let act = async |word: &str| {
        let fields = [("merchant", "shop"), ("version", "none"), ("rules", RULES), ("act", word)];
        desk.post(&vic, ROUTING, &fields).await
    };
    assert!(act("validate").await.text.contains("id=\"valid\""));
    let tried = act("dry_run").await;
    assert!(tried.text.contains("id=\"dry-run-summary\"") && tried.text.contains("<strong>1</strong> past payments"));
    assert_eq!(act("save").await.status, StatusCode::FORBIDDEN);
    assert_eq!(stored(&desk).await, None);
}

#[actix_web::test]
async fn forms_that_no_page_of_the_session_sent_change_nothing() {
    let desk = two_accounts().await;
    let (ada, vic) = (desk.log_in("ada").await, desk.log_in("vic").await);
    let post = |token: &str, seat: &Seat| {
        let fields =
            [("merchant", "shop"), ("version", "none"), ("rules", RULES), ("act", "save"), ("form_token", token)];
        with_cookie(form(ROUTING, &fields), seat)
    };
    let ours = || post(&ada.form_token, &ada);
    for request in [
        post("", &ada).insert_header(("origin", HERE)),
        post("wrong", &ada).insert_header(("origin", HERE)),
        post(&vic.form_token, &ada).insert_header(("origin", HERE)),
        ours(),
        ours().insert_header(("origin", "https://evil.test")),
        ours().insert_header(("origin", "null")),
        ours().insert_header(("origin", HERE)).insert_header(("sec-fetch-site", "cross-site")),
        ours().append_header(("origin", HERE)).append_header(("origin", "https://evil.test")),
    ] {
        assert_eq!(desk.send(request).await.status, StatusCode::FORBIDDEN);
    }
    let nobody = desk.send(post(&ada.form_token, &Seat::default()).insert_header(("origin", HERE))).await;
    assert_eq!(
        (nobody.status, nobody.header("location")),
        (StatusCode::SEE_OTHER, "/dashboard/login?next=%2Fdashboard")
    );
    assert_eq!(stored(&desk).await, None);
    assert_eq!(desk.send(ours().insert_header(("origin", HERE))).await.status, StatusCode::SEE_OTHER);
}

#[actix_web::test]
async fn strange_wishes_are_refused() {
    let desk = two_accounts().await;
    let ada = desk.log_in("ada").await;
    let most = limits::DRY_RUN_PAYMENTS_MAX;
    for (payments, expected) in
        [(most, StatusCode::OK), (most + 1, StatusCode::BAD_REQUEST), (0, StatusCode::BAD_REQUEST)]
    {
        let payments = payments.to_string();
        let fields = [("merchant", "shop"), ("rules", RULES), ("act", "dry_run"), ("payments", payments.as_str())];
        assert_eq!(desk.post(&ada, ROUTING, &fields).await.status, expected, "{payments}");
    }
    for (fields, expected) in [
        (vec![("merchant", "nobody"), ("rules", RULES), ("act", "save")], StatusCode::NOT_FOUND),
        (vec![("rules", RULES), ("act", "save")], StatusCode::BAD_REQUEST),
        (vec![("merchant", "shop"), ("rules", RULES)], StatusCode::BAD_REQUEST),
        (vec![("merchant", "shop"), ("rules", RULES), ("act", "delete")], StatusCode::BAD_REQUEST),
        (vec![("merchant", "shop"), ("rules", RULES), ("act", "save"), ("x", "1")], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(desk.post(&ada, ROUTING, &fields).await.status, expected, "{fields:?}");
    }
    assert_eq!(stored(&desk).await, None);
}

#[actix_web::test]
async fn dry_run_counts_what_would_begin_elsewhere() {
    let desk = two_accounts().await;
    for number in 0..4u32 {
        let amount = 1000 * (number + 1);
        desk.pay(GOOD, |body| body["amount"] = json!(amount)).await;
    }
    desk.call_api(actix_web::http::Method::POST, "/payments", json!({"amount": 1, "currency": "USD"})).await;
    let ada = desk.log_in("ada").await;
    let rules = r#"{"rules":[{"if":{"amount":{"from":3000}},"use":{"order":["rig 2"]}}]}"#;
    let seen = desk.post(&ada, ROUTING, &[("merchant", "shop"), ("rules", rules), ("act", "dry_run")]).await;
    assert!(seen.text.contains("Of <strong>4</strong> past payments, <strong>2</strong> would begin"), "{}", seen.text);
    assert!(seen.text.contains("<td class=\"num\">4</td><td class=\"num\">2</td>"), "{}", seen.text);
    assert!(seen.text.contains("Would begin where they begin now (2)"));
    assert_eq!(stored(&desk).await, None);
    assert_eq!(desk.rig.charges(), 4, "nothing was paid again");
}
