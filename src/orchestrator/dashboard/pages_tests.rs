//! What each page shows to whom, that nothing written by others becomes markup, and that no card number gets through.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::desk_tests::{Desk, Log, Seat, with_cookie};
use crate::account::Merchant;
use crate::intent::AttemptStatus;
use crate::intent::rig::{DECLINED, GOOD};
use crate::store::{Effects, NewEvent, OutboxState, SeenEvent};

/// Every page about the shop and this payment and event.
fn pages(payment: &str, event: &str) -> Vec<String> {
    vec![
        "/dashboard".into(),
        "/dashboard?merchant=shop&window=7d".into(),
        "/dashboard/payments?merchant=shop".into(),
        format!("/dashboard/payments/shop/{payment}"),
        "/dashboard/connectors".into(),
        "/dashboard/routing".into(),
        "/dashboard/webhooks".into(),
        format!("/dashboard/webhooks/shop/{event}"),
    ]
}

/// A shop with a receiver, so that there are events.
async fn telling() -> Desk {
    let desk = Desk::new().await;
    let seen = desk.rig.store.merchant(&desk.rig.merchant).await.unwrap().unwrap();
    let mut told: Merchant = seen.clone();
    told.webhooks.url = Some("https://shop.test/hook".into());
    desk.rig.store.save_merchant(&told, &seen).await.unwrap();
    desk
}

async fn event_of(desk: &Desk, payment: &str) -> String {
    let events = desk.rig.store.outbox_events(&desk.rig.merchant, Some(payment), None, 10).await.unwrap();
    events.last().expect("the merchant is told").event_id.clone()
}

#[actix_web::test]
async fn pages_are_for_operators_alone_and_viewers_see_them_all() {
    let desk = telling().await;
    let payment = desk.pay(GOOD, |_| {}).await;
    let event = event_of(&desk, &payment).await;
    let (ada, vic) = (desk.log_in("ada").await, desk.log_in("vic").await);
    for path in pages(&payment, &event) {
        let nobody = desk.get(&Seat::default(), &path).await;
        assert_eq!((nobody.status, nobody.text.as_str()), (StatusCode::SEE_OTHER, ""), "{path}");
        assert!(nobody.header("location").starts_with("/dashboard/login?next="));
        for (seat, name) in [(&ada, "ada"), (&vic, "vic")] {
            let seen = desk.get(seat, &path).await;
            assert_eq!(seen.status, StatusCode::OK, "{path}");
            assert!(seen.text.contains(&format!("<span id=\"visitor\">{name} ")), "{path}");
        }
    }
    for asset in ["/dashboard/style.css", "/dashboard/script.js", "/dashboard/icon.svg"] {
        assert_eq!(desk.get(&Seat::default(), asset).await.status, StatusCode::OK, "the login page needs them");
    }
}

#[actix_web::test]
async fn every_answer_forbids_scripts_of_others_frames_and_caches() {
    let desk = telling().await;
    let payment = desk.pay(GOOD, |_| {}).await;
    let event = event_of(&desk, &payment).await;
    let ada = desk.log_in("ada").await;
    let others =
        ["/dashboard/login", "/dashboard/nowhere", "/dashboard/payments/shop/pay_none", "/dashboard/payments?x=1"];
    for path in pages(&payment, &event).into_iter().chain(others.map(str::to_owned)) {
        for seat in [&ada, &Seat::default()] {
            let seen = desk.get(seat, &path).await;
            let policy = seen.header("content-security-policy");
            for part in [
                "default-src 'none'",
                "style-src 'self'",
                "script-src 'self'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            ] {
                assert!(policy.contains(part), "{path}: {part}");
            }
            assert!(!policy.contains("unsafe") && !policy.contains("nonce"));
            assert_eq!(seen.header("cache-control"), "no-store", "{path}");
            assert_eq!(seen.header("x-content-type-options"), "nosniff");
            for inline in ["style=\"", "onclick", "onload", "<style", "javascript:"] {
                assert!(!seen.text.contains(inline), "{path} holds {inline}");
            }
            assert_eq!(
                seen.text.matches("<script").count(),
                seen.text.matches("<script src=\"/dashboard/script.js\"").count()
            );
        }
    }
}

#[actix_web::test]
async fn nothing_that_others_wrote_becomes_markup() {
    const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
    let desk = telling().await;
    let seen = desk.rig.store.connector_accounts(&desk.rig.merchant).await.unwrap().remove(0);
    let mut account = seen.clone();
    account.label = EVIL.into();
    desk.rig.store.save_connector_account(&account, &seen).await.unwrap();
    let rules = json!({"rules": [{"name": EVIL, "use": {"order": [EVIL]}}]});
    desk.rig.store.save_routing(&desk.rig.merchant, Some(&rules.to_string())).await.unwrap();
    let evil = |body: &mut Value| {
        body["description"] = json!(EVIL);
        body["metadata"] = json!({"<b>k": EVIL});
        body["customer_id"] = json!("cus_1");
        body["name"] = json!(EVIL);
    };
    let payment = desk.pay(GOOD, evil).await;
    let (mut stored, version) = desk.rig.engine.payment(&desk.rig.merchant, &payment).await.unwrap();
    stored.attempts[0].error_message = Some(EVIL.into());
    stored.attempts[0].status = AttemptStatus::Failure;
    stored.attempts[0].psp_id = Some(EVIL.into());
    stored.cancellation_reason = Some(EVIL.into());
    desk.rig.store.save_payment(&stored, version, &Effects::default()).await.unwrap();
    let event = event_of(&desk, &payment).await;
    let ada = desk.log_in("ada").await;
    let mut shown = 0;
    for path in pages(&payment, &event) {
        let seen = desk.get(&ada, &path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        assert!(!seen.text.contains("<script>") && !seen.text.contains("<img") && !seen.text.contains("<b>"), "{path}");
        shown += seen.text.matches("&lt;script&gt;alert(1)").count();
    }
    assert!(shown > 10, "it was shown {shown} times, as text");
    for path in ["/dashboard/payments?merchant=shop&id=", "/dashboard/webhooks?merchant=shop&payment="] {
        let query = serde_urlencoded::to_string([("x", EVIL)]).unwrap();
        let seen = desk.get(&ada, &format!("{path}{}", &query[2..])).await;
        assert_eq!(seen.status, StatusCode::OK);
        assert!(!seen.text.contains("<script>") && !seen.text.contains("<img"), "{path}");
    }
    let posted =
        desk.post(&ada, "/dashboard/routing", &[("merchant", "shop"), ("rules", EVIL), ("act", "validate")]).await;
    assert!(!posted.text.contains("<script>") && posted.text.contains("&lt;script&gt;"));
    let tried = rules.to_string();
    let tried =
        desk.post(&ada, "/dashboard/routing", &[("merchant", "shop"), ("rules", &tried), ("act", "dry_run")]).await;
    assert!(tried.text.contains("dry-run-summary") && !tried.text.contains("<script>"));
}

#[actix_web::test]
async fn card_number_that_came_into_the_store_by_accident_is_on_no_page() {
    const CANARY: &str = "5555555555554444";
    let desk = telling().await;
    let id = desk.pay(DECLINED, |body| body["metadata"] = json!({"order": "7"})).await;
    let (mut payment, version) = desk.rig.engine.payment(&desk.rig.merchant, &id).await.unwrap();
    let text = || Some(format!("card {CANARY} of a payer"));
    payment.terms.description = text();
    payment.terms.statement_descriptor = text();
    payment.terms.metadata.insert("note".into(), json!(CANARY));
    payment.terms.metadata.insert(CANARY.into(), json!("x"));
    payment.terms.extra.insert("name".into(), json!(text()));
    payment.terms.customer_id = Some("cus_1".parse().unwrap());
    payment.cancellation_reason = text();
    payment.attempts[0].error_message = text();
    payment.attempts[0].error_code = text();
    payment.attempts[0].psp_id = text();
    let effects = Effects {
        events: vec![NewEvent {
            event_id: "evt_canary".into(),
            merchant_id: desk.rig.merchant.clone(),
            event_type: "payment_failed".into(),
            payment_id: id.clone(),
            body: json!({"content": {"description": text(), "client_secret": "pay_x_secret_y"}}).to_string(),
            created_ms: 1,
        }],
        ..Effects::default()
    };
    desk.rig.store.save_payment(&payment, version, &effects).await.unwrap();
    let accounts = desk.rig.store.connector_accounts(&desk.rig.merchant).await.unwrap();
    let mut labelled = accounts[0].clone();
    labelled.label = CANARY.into();
    desk.rig.store.save_connector_account(&labelled, &accounts[0]).await.unwrap();
    let rules = json!({"rules": [{"name": text(), "use": {"order": [CANARY]}}]}).to_string();
    desk.rig.store.save_routing(&desk.rig.merchant, Some(&rules)).await.unwrap();
    let ada = desk.log_in("ada").await;
    let mut withheld = 0;
    for path in pages(&id, "evt_canary") {
        let seen = desk.get(&ada, &path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        assert!(!seen.text.contains(CANARY), "{path}");
        withheld += seen.text.matches("withheld").count();
        assert!(!seen.text.contains("client_secret") && !seen.text.contains("_secret_"), "{path}");
    }
    assert!(withheld > 8, "{withheld}");
    let page = desk.get(&ada, &format!("/dashboard/payments/shop/{id}")).await;
    assert!(page.text.contains("···· 0002"), "the last four digits are what the engine itself holds");
    for search in
        ["payments?merchant=shop&id=", "webhooks?payment=", "routing?merchant=", "login?next=/dashboard/payments?id="]
    {
        for seat in [&ada, &Seat::default()] {
            let seen = desk.get(seat, &format!("/dashboard/{search}{CANARY}")).await;
            assert!(!seen.text.contains(CANARY), "also where somebody searches for it: {search}");
        }
    }
}

#[actix_web::test]
async fn payment_page_tells_attempts_refunds_and_webhooks_in_their_order() {
    let desk = telling().await;
    let id = desk.pay(GOOD, |body| body["amount"] = json!(123_456)).await;
    desk.rig.clock.advance(61_000);
    let refund = json!({"payment_id": id, "amount": 456, "refund_id": "ref_1", "reason": "too large"});
    desk.call_api(actix_web::http::Method::POST, "/refunds", refund).await;
    let heard = SeenEvent {
        merchant_id: desk.rig.merchant.clone(),
        account_id: "mca_1".into(),
        event_id: "psp_evt_7".into(),
        seen_ms: desk.rig.engine.now_ms() + 5_000,
        payment_id: Some(id.clone()),
    };
    desk.rig.store.mark_seen(&heard).await.unwrap();
    let vic = desk.log_in("vic").await;
    let page = desk.get(&vic, &format!("/dashboard/payments/shop/{id}")).await.text;
    let order = [
        "Payment made",
        "Attempt 1 at rig",
        "Webhook to the merchant: payment succeeded",
        "Refund of 4.56 USD",
        "Webhook of the provider",
    ];
    let places: Vec<_> = order.iter().map(|what| page.find(what).unwrap_or_else(|| panic!("{what}: {page}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    for part in ["1,234.56 USD", "money was taken, after 0 ms", "psp_evt_7", "···· 4242", "ref_1", "too large", "rig 1"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("_secret_") && !page.contains("424242"));
    let found = desk.get(&vic, "/dashboard/payments?merchant=shop&id=ref_1").await;
    assert_eq!(found.header("location"), format!("/dashboard/payments/shop/{id}"), "found by its refund");
}

#[actix_web::test]
async fn list_is_filtered_and_goes_on_page_by_page() {
    let desk = Desk::new().await;
    let declined = desk.pay(DECLINED, |_| {}).await;
    for _ in 0..limits::PAGE_ITEMS_DEFAULT {
        desk.rig.clock.advance(1_000);
        desk.pay(GOOD, |_| {}).await;
    }
    let ada = desk.log_in("ada").await;
    let list = async |query: &str| desk.get(&ada, &format!("/dashboard/payments?merchant=shop{query}")).await.text;
    let rows = |page: &str| page.matches("/dashboard/payments/shop/pay_").count();
    let first = list("").await;
    assert_eq!((rows(&first), first.contains(&declined)), (limits::PAGE_ITEMS_DEFAULT as usize, false));
    let older = first.split("id=\"older\"").next().unwrap().rsplit("href=\"").next().unwrap();
    let older = older.split('"').next().unwrap().replace("&amp;", "&");
    let second = desk.get(&ada, &older).await.text;
    assert_eq!((rows(&second), second.contains(&declined)), (1, true));
    assert!(!second.contains("id=\"older\"") && second.contains("id=\"newest\""));
    let failed = list("&state=failed").await;
    assert_eq!((rows(&failed), failed.contains(&declined)), (1, true));
    assert_eq!(rows(&list("&state=failed&connector=full").await), 0);
    assert_eq!(rows(&list("&connector=rig&state=failed&from=2027-01-15T08:00&until=2027-01-15T08:00").await), 1);
    assert_eq!(rows(&list("&until=2027-01-15T07:59").await), 0);
    assert!(list("&id=pay_nobody").await.contains("id=\"not-found\""));
    for bad in ["&state=lost", "&connector=nobody", "&from=soon", "&cursor=x", "&x=1", "&state=failed&state=failed"] {
        let seen = desk.get(&ada, &format!("/dashboard/payments?merchant=shop{bad}")).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    for gone in [
        "/dashboard/payments?merchant=nobody",
        "/dashboard/payments/nobody/pay_1",
        "/dashboard/payments/shop/pay_x",
        "/dashboard/payments/BAD!/pay_x",
        "/dashboard/webhooks/shop/evt_x",
        "/dashboard/else",
    ] {
        assert_eq!(desk.get(&ada, gone).await.status, StatusCode::NOT_FOUND, "{gone}");
    }
}

#[actix_web::test]
async fn overview_counts_what_the_store_has_and_looks_back_no_further_than_it_says() {
    let desk = Desk::new().await;
    desk.pay(GOOD, |_| {}).await;
    desk.rig.clock.advance(2 * 86_400_000);
    for number in [GOOD, GOOD, GOOD, DECLINED] {
        desk.pay(number, |_| {}).await;
    }
    let vic = desk.log_in("vic").await;
    let tile = |page: &str, id: &str| {
        page.split(&format!("id=\"{id}\">")).nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let day = desk.get(&vic, "/dashboard").await.text;
    assert_eq!((tile(&day, "tile-payments"), tile(&day, "tile-rate")), ("4".into(), "75.0 %".into()));
    let week = desk.get(&vic, "/dashboard?window=7d").await.text;
    assert_eq!((tile(&week, "tile-payments"), tile(&week, "tile-rate")), ("5".into(), "80.0 %".into()));
    assert!(day.contains("<svg") && day.contains("Bars: 3 approved, 1 declined"));
    assert_eq!(desk.get(&vic, "/dashboard?window=1y").await.status, StatusCode::BAD_REQUEST);
    assert!(!day.contains("more payments than this page counts"));
}

#[actix_web::test]
async fn connectors_show_their_health_and_never_a_credential() {
    let desk = Desk::new().await;
    desk.pay(DECLINED, |_| {}).await;
    let vic = desk.log_in("vic").await;
    let page = desk.get(&vic, "/dashboard/connectors").await.text;
    for part in
        ["rig 1", "mca_1", "enabled", "works", "0 authorized, 1 failed, 0 open", "Last failure", "card_declined"]
    {
        assert!(page.contains(part) || part == "card_declined" && page.contains("generic_decline"), "{part}: {page}");
    }
    for _ in 0..10 {
        desk.rig.engine.breakers.record("mca_1", false, desk.rig.engine.now_ms());
    }
    let page = desk.get(&vic, "/dashboard/connectors").await.text;
    assert!(page.contains("rests for 10.0 s after faults"), "{page}");
    let secrets: Vec<String> =
        desk.rig.vault.state.lock().unwrap().secrets.values().map(|text| text.to_string()).collect();
    assert!(!secrets.is_empty());
    for secret in secrets {
        let fields: serde_json::Map<String, Value> = serde_json::from_str(&secret).unwrap();
        assert!(fields.values().filter_map(Value::as_str).all(|secret| !page.contains(secret)));
    }
    let account = desk.rig.store.connector_accounts(&desk.rig.merchant).await.unwrap().remove(0);
    assert!(!page.contains(&account.secret_id.to_string()), "not even the secret's name in the vault");
}

#[actix_web::test]
async fn editor_sends_a_webhook_again_after_being_asked_and_a_viewer_does_not() {
    let desk = telling().await;
    let log = Log::begin();
    let payment = desk.pay(GOOD, |_| {}).await;
    let event = event_of(&desk, &payment).await;
    let claimed = desk.rig.store.claim_due_events(i64::MAX / 2, 1, 10).await.unwrap();
    desk.rig.store.finish_event(claimed[0].seq, 200, desk.rig.engine.now_ms()).await.unwrap();
    let state = async || desk.rig.store.outbox_event(&desk.rig.merchant, &event).await.unwrap().unwrap().state;
    let path = format!("/dashboard/webhooks/shop/{event}");
    let (ada, vic) = (desk.log_in("ada").await, desk.log_in("vic").await);
    let page = desk.get(&vic, &path).await.text;
    assert!(
        page.contains("delivered") && !page.contains("replay-confirm") && page.contains("<td") || page.contains("200")
    );
    assert_eq!(desk.post(&vic, &path, &[]).await.status, StatusCode::FORBIDDEN);
    let mut foreign = ada.clone();
    foreign.form_token = vic.form_token.clone();
    assert_eq!(desk.post(&foreign, &path, &[]).await.status, StatusCode::FORBIDDEN);
    let got = desk.send(with_cookie(TestRequest::get().uri(&format!("{path}/replay")), &ada)).await;
    assert_eq!(got.status, StatusCode::NOT_FOUND, "looking sends nothing");
    assert_eq!(state().await, OutboxState::Delivered);
    assert!(desk.get(&ada, &path).await.text.contains("id=\"replay-confirm\""));
    let sent = desk.post(&ada, &path, &[]).await;
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, format!("{path}?replayed=1").as_str()));
    assert_eq!(state().await, OutboxState::Waiting);
    assert!(desk.get(&ada, sent.header("location")).await.text.contains("id=\"replayed\""));
    assert!(log.tells("operator_replay", "ada") && !log.tells("operator_replay", "vic"));
    assert_eq!(desk.post(&ada, "/dashboard/webhooks/shop/evt_none", &[]).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn merchants_beyond_those_on_offer_can_be_named() {
    let desk = Desk::new().await;
    let shop = desk.rig.store.merchant(&desk.rig.merchant).await.unwrap().unwrap();
    for number in 0..limits::DASHBOARD_MERCHANTS_MAX {
        let merchant_id = format!("a{number:03}").parse().unwrap();
        let more = Merchant { merchant_id, publishable_key: format!("pk_{number}"), ..shop.clone() };
        desk.rig.store.add_merchant(&more).await.unwrap();
    }
    let ada = desk.log_in("ada").await;
    let first = desk.get(&ada, "/dashboard").await.text;
    assert!(first.contains("<datalist") && first.contains("value=\"a000\"") && !first.contains("value=\"shop\""));
    assert!(desk.get(&ada, "/dashboard?merchant=shop").await.text.contains("value=\"shop\""));
    assert_eq!(desk.get(&ada, "/dashboard?merchant=b").await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn other_verbs_and_addresses_do_nothing() {
    let desk = Desk::new().await;
    let ada = desk.log_in("ada").await;
    for (method, path) in
        [("PUT", "/dashboard/routing"), ("DELETE", "/dashboard/webhooks/shop/evt_1"), ("POST", "/dashboard")]
    {
        let request = TestRequest::with_uri(path).method(method.parse().unwrap());
        assert_eq!(
            desk.send(with_cookie(request, &ada)).await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
    }
    let logout = desk.get(&ada, "/dashboard/logout").await;
    assert_eq!(logout.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(desk.is_in(&ada).await, "no link logs anybody out");
}
