//! What the orchestrator refuses, in the words and codes of the native dialect, with nothing changed.

use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Shop, World, card, word};

use crate::ledger::moved;

#[tokio::test]
async fn wrong_and_missing_keys_are_refused() {
    let world = World::with_payments().await.unwrap();
    let orchestrator = world.payments().unwrap();
    let body = json!({ "amount": 100, "currency": "EUR" });
    let forged = orchestrator.anyone().with("api-key", "snd_0000000000000000000000000000000000000000000");
    for client in [orchestrator.anyone(), forged, orchestrator.operator()] {
        refused(client.post("/payments", &body).await.unwrap(), 401, "IR_01");
    }
    // A publishable key is for pages: it begins no payment and reads nobody's.
    refused_with(orchestrator.page().post("/payments", &body).await.unwrap(), &[401, 403]);
    refused_with(orchestrator.shop().post("/accounts", &json!({})).await.unwrap(), &[401, 403]);
}

#[tokio::test]
async fn no_route_answers_without_a_key() {
    let world = World::with_payments().await.unwrap();
    let orchestrator = world.payments().unwrap();
    let document = orchestrator.anyone().get("/openapi.json").await.unwrap().expect(200).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            if OPEN.iter().any(|open| path.starts_with(open)) {
                continue;
            }
            let concrete = path.replace(['{', '}'], "x");
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let body = (method == reqwest::Method::POST).then(|| json!({}));
            let answer = orchestrator.anyone().send(method.clone(), &concrete, body.as_ref(), &[]).await.unwrap();
            assert_eq!(answer.status, 401, "{method} {path} answered {} to nobody", answer.status);
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} routes were tried");
}

/// What answers without a key: whether it lives, what it takes, and the way back of a browser from its bank.
const OPEN: [&str; 3] = ["/health", "/openapi.json", "/redirect/"];

#[tokio::test]
async fn a_client_secret_opens_its_own_payment_alone() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let (mine, other) =
        (shop.begin(100, None, json!({})).await.unwrap(), shop.begin(200, None, json!({})).await.unwrap());
    let path = format!("/payments/{}/confirm", mine.payment_id);
    let with = |secret: &str| with_card(json!({ "client_secret": secret }), card::VISA, "12", "2031", "123");
    refused(shop.page().post(&path, &with(&other.client_secret)).await.unwrap(), 400, "IR_09");
    let without = with_card(json!({}), card::VISA, "12", "2031", "123");
    refused(shop.page().post(&path, &without).await.unwrap(), 400, "IR_08");
    assert_eq!(moved(&world, &mine.payment_id).await, []);
}

#[tokio::test]
async fn bad_cards_are_refused_before_any_psp_is_asked() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let wrong_check_digit = "4242424242424241";
    for (case, number, month, year, cvc) in [
        ("check digit", wrong_check_digit, "12", "2031", "123"),
        ("length", "424242424242", "12", "2031", "123"),
        ("month", card::VISA, "13", "2031", "123"),
        ("year", card::VISA, "12", "2020", "123"),
        ("CVC", card::VISA, "12", "2031", "12"),
    ] {
        let body = with_card(json!({ "amount": 100, "currency": "EUR", "confirm": true }), number, month, year, cvc);
        let answer = shop.server().post("/payments", &body).await.unwrap();
        assert_eq!(answer.status, 400, "{case}: {}", answer.text());
        assert!(!answer.text().contains(number), "{case}: the refusal repeats the number");
        let code = answer.json().unwrap()["error"]["code"].as_str().unwrap_or_default().to_owned();
        assert!(["IR_06", "IR_16"].contains(&code.as_str()), "{case}: {code}");
    }
    assert!(world.psp().unwrap().ledger().await.unwrap().is_empty());
}

#[tokio::test]
async fn moves_that_the_state_does_not_allow_are_refused() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    let paid = shop.pay_new(1000, None, card::VISA, json!({})).await.unwrap();
    let id = word(&paid, "payment_id").unwrap();
    let post = |path: String, body: Value| {
        let shop = &shop;
        async move { shop.server().post(&path, &body).await.unwrap() }
    };
    refused(post(format!("/payments/{id}/cancel"), json!({})).await, 400, "IR_16");
    refused(post(format!("/payments/{id}/capture"), json!({})).await, 400, "IR_14");
    let again = with_card(json!({}), card::VISA, "12", "2031", "123");
    refused(post(format!("/payments/{id}/confirm"), again).await, 400, "IR_16");

    let held = shop.pay_new(1000, None, card::VISA, json!({ "capture_method": "manual" })).await.unwrap();
    let held = word(&held, "payment_id").unwrap();
    refused(post(format!("/payments/{held}/capture"), json!({ "amount_to_capture": 1001 })).await, 422, "IR_06");
    refused(post("/refunds".to_owned(), json!({ "payment_id": held })).await, 400, "IR_14");
    assert_eq!(moved(&world, &held).await.len(), 1, "a refused move moved money");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    for path in ["/payments/pay_nobody", "/refunds/ref_nobody", "/customers/cus_nobody"] {
        refused(shop.server().get(path).await.unwrap(), 404, "HE_02");
    }
    refused(shop.server().get("/nothing").await.unwrap(), 404, "IR_02");
    let other = world.payments().unwrap().set_up("other").await.unwrap();
    let checkout = shop.begin(100, None, json!({})).await.unwrap();
    let stranger = world.payments().unwrap().anyone().with("api-key", other.api_key);
    refused(stranger.get(&format!("/payments/{}", checkout.payment_id)).await.unwrap(), 404, "HE_02");
}

#[tokio::test]
async fn unknown_fields_and_values_are_refused() {
    let world = World::with_payments().await.unwrap();
    let shop = Shop::of(&world).unwrap();
    for body in [
        json!({ "amount": 100, "currency": "EUR", "surprise": true }),
        json!({ "amount": 100, "currency": "XXX" }),
        json!({ "amount": 100, "currency": "EUR", "capture_method": "sometimes" }),
        json!({ "amount": "100", "currency": "EUR" }),
        json!({ "amount": -1, "currency": "EUR" }),
    ] {
        refused_with(shop.server().post("/payments", &body).await.unwrap(), &[400, 422]);
    }
    refused(shop.server().post("/payments", &json!({ "currency": "EUR" })).await.unwrap(), 400, "IR_04");
}

fn with_card(mut body: Value, number: &str, month: &str, year: &str, cvc: &str) -> Value {
    body["payment_method"] = json!("card");
    body["payment_method_data"] = json!({ "card": {
        "card_number": number, "card_exp_month": month, "card_exp_year": year, "card_cvc": cvc,
    } });
    body
}

fn refused(answer: Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.json().unwrap()["error"]["code"], code, "{text}");
}

fn refused_with(answer: Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "answered {}: {}", answer.status, answer.text());
}
