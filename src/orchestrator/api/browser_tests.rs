//! A merchant's page and the payer's browser: which pages are let in, what they may do with a client secret, and whose
//! cards they reach.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::browser::OPEN;
use super::tests::{ADMIN, Shop, code, paying};
use super::{OPENAPI, ROUTES};
use crate::intent::rig::{AUTHENTICATE, DECLINED, GOOD};

const PAGE: &str = "https://shop.test";
const FOREIGN: &str = "https://evil.test";
const BROWSER: &str = "pk_rig_0123456789";
const OTHER: &str = "5555555555554444";

impl Shop {
    /// As a page of this origin sends it.
    async fn page(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value, HeaderMap) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.clone(), format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null), headers)
    }

    async fn as_page(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, answer, headers) = self.page(method, path, &[("origin", PAGE), ("api-key", BROWSER)], &body).await;
        assert_eq!(headers["access-control-allow-origin"], PAGE, "{path}: {answer}");
        (status, answer)
    }

    /// A payment of a customer that waits for its payer: id and client secret.
    async fn waits(&self, customer: Option<&str>) -> (String, String) {
        let (_, made) =
            self.post("/payments", json!({"amount": 500, "currency": "USD", "customer_id": customer})).await;
        let word = |name: &str| made[name].as_str().unwrap().to_owned();
        (word("payment_id"), word("client_secret"))
    }

    /// A card that this customer keeps.
    async fn kept(&self, customer: &str, number: &str) -> String {
        let mut body = paying(number);
        body["customer_id"] = json!(customer);
        self.post("/payments", body).await.1["payment_method_id"].as_str().unwrap().to_owned()
    }

    /// A fresh card as the vault's intake answers for it.
    async fn fresh(&self, number: &str) -> Value {
        use crate::vault::{CardInput, SecretText, Vault as _};
        let text = |text: &str| SecretText::new(text.into());
        let (number, cvc) = (text(number), Some(text("123")));
        let card = CardInput { number, exp_month: 12, exp_year: 2034, cvc, holder_name: None };
        let customer = "cus_1".parse().unwrap();
        let stored = self.rig.vault.tokenize(&self.rig.merchant, &card, Some(&customer)).await.unwrap();
        json!({"payment_method_id": stored.payment_method_id,
               "payment_method_data": {"card_token": {"cvc_token": stored.cvc_token}}})
    }
}

fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[actix_web::test]
async fn preflight_is_answered_on_the_routes_of_pages_and_nowhere_else() {
    let shop = Shop::new().await;
    let asks = [("origin", PAGE), ("access-control-request-method", "POST")];
    for (path, _) in ROUTES {
        let (status, _, headers) = shop.page(Method::OPTIONS, path, &asks, &Value::Null).await;
        let allows = headers.contains_key("access-control-allow-headers");
        assert_eq!((status == 204, allows), (OPEN.contains(path), OPEN.contains(path)), "{path}: {status}");
    }
    assert!(OPEN.iter().all(|open| ROUTES.iter().any(|(path, _)| path == open)), "a name that no route has");
    let (status, ..) = shop.page(Method::OPTIONS, "/payments/p/confirm", &[("origin", PAGE)], &Value::Null).await;
    assert_eq!(status, 405, "this is no preflight");
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let takes = |verb: &Value| verb["security"].to_string().contains("publishable_key");
        assert_eq!(verbs.as_object().unwrap().values().any(takes), OPEN.contains(&path.as_str()), "{path}");
    }
}

#[actix_web::test]
async fn page_of_the_merchant_reads_answers_and_refusals_alike() {
    let shop = Shop::new().await;
    let (id, secret) = shop.waits(None).await;
    let path = format!("/payments/{id}?client_secret={secret}");
    assert_eq!(shop.as_page(Method::GET, &path, Value::Null).await.1["status"], "requires_payment_method");
    let wrong = shop.as_page(Method::GET, &format!("/payments/{id}?client_secret=x"), Value::Null).await;
    assert_eq!(code(&wrong), (400, "IR_09"));
    assert_eq!(code(&shop.as_page(Method::GET, &format!("/payments/{id}"), Value::Null).await), (400, "IR_08"));
    let (.., headers) = shop.page(Method::GET, &path, &[("api-key", BROWSER)], &Value::Null).await;
    assert!(!headers.contains_key("access-control-allow-origin"), "who names no origin is no page");
    assert_eq!(headers["vary"], "origin");
}

#[actix_web::test]
async fn page_of_a_foreign_origin_is_refused_before_anything_is_done_and_reads_nothing() {
    let shop = Shop::new().await;
    let (id, secret) = shop.waits(Some("cus_1")).await;
    let body = with(shop.fresh(GOOD).await, json!({"client_secret": secret}));
    let confirm = format!("/payments/{id}/confirm");
    for origin in [FOREIGN, "null", "https://shop.test.evil.test", "http://shop.test", "https://shop.test:8443", ""] {
        let sent = [("origin", origin), ("api-key", BROWSER)];
        for (method, path) in [
            (Method::POST, confirm.clone()),
            (Method::POST, format!("/payments/{id}/vault_session")),
            (Method::GET, format!("/payments/{id}?client_secret={secret}")),
            (Method::GET, format!("/customers/payment_methods?client_secret={secret}")),
        ] {
            let (status, answer, headers) = shop.page(method, &path, &sent, &body).await;
            assert_eq!(code(&(status, answer)), (403, "IR_22"), "{origin} {path}");
            assert!(!headers.contains_key("access-control-allow-origin"), "{origin} {path}");
        }
    }
    assert_eq!((shop.rig.charges(), shop.rig.vault.state.lock().unwrap().sessions.len()), (0, 0));
    assert_eq!(shop.as_page(Method::POST, &confirm, body).await.1["status"], "succeeded");
}

#[actix_web::test]
async fn servers_key_in_a_page_is_refused_also_in_a_page_of_the_merchant() {
    let shop = Shop::new().await;
    let (id, _) = shop.waits(None).await;
    for path in [format!("/payments/{id}"), "/customers".to_owned()] {
        let sent = [("origin", PAGE), ("api-key", shop.key.as_str())];
        let (status, answer, headers) = shop.page(Method::GET, &path, &sent, &Value::Null).await;
        assert_eq!(code(&(status, answer)), (403, "IR_22"));
        assert!(!headers.contains_key("access-control-allow-origin"));
        assert_eq!(shop.get(&path).await.0, 200, "from a server it works");
    }
}

#[actix_web::test]
async fn page_gets_a_vault_session_for_the_registered_origins_and_for_no_other() {
    let shop = Shop::new().await;
    let (id, secret) = shop.waits(None).await;
    let path = format!("/payments/{id}/vault_session");
    let (status, session) = shop.as_page(Method::POST, &path, json!({"client_secret": secret})).await;
    assert_eq!((status, &session["client_secret"]), (200, &json!("cs_rig")));
    assert_eq!(session["intake_url"], "https://vault.test");
    let opened = || shop.rig.vault.state.lock().unwrap().sessions.clone();
    assert_eq!(opened(), [[PAGE, "https://other.shop.test"]]);
    let named = json!({"client_secret": secret, "allowed_origins": [FOREIGN]});
    assert_eq!(code(&shop.as_page(Method::POST, &path, named).await), (400, "IR_06"));
    assert_eq!(code(&shop.as_page(Method::POST, &path, json!({})).await), (400, "IR_08"));
    let (_, other) = shop.waits(None).await;
    assert_eq!(code(&shop.as_page(Method::POST, &path, json!({"client_secret": other})).await), (400, "IR_09"));
    let server = shop.post(&path, json!({"allowed_origins": [FOREIGN]})).await;
    assert_eq!((server.0, opened().len()), (200, 2), "the merchant's server names any");
    assert_eq!(code(&shop.post(&path, json!({})).await), (400, "IR_04"));

    for _ in 1..limits::VAULT_SESSIONS_MAX {
        assert_eq!(shop.as_page(Method::POST, &path, json!({"client_secret": secret})).await.0, 200);
    }
    let beyond = shop.as_page(Method::POST, &path, json!({"client_secret": secret})).await;
    assert_eq!(code(&beyond), (400, "IR_16"));
    assert_eq!(opened().len(), 1 + usize::try_from(limits::VAULT_SESSIONS_MAX).unwrap());

    shop.rig.clock.advance(i64::try_from(limits::CLIENT_SECRET_TTL_S).unwrap() * 1000 + 1);
    let late = shop.as_page(Method::POST, &path, json!({"client_secret": secret})).await;
    assert_eq!(code(&late), (400, "IR_08"), "the secret has expired");
}

#[actix_web::test]
async fn merchant_without_pages_has_no_browser_and_is_told_so() {
    let shop = Shop::new().await;
    let (id, secret) = shop.waits(None).await;
    let path = format!("/payments/{id}/vault_session");
    let none = json!({"allowed_origins": []});
    assert_eq!(shop.call(Method::POST, "/accounts/shop", ADMIN, none).await.1["allowed_origins"], json!([]));
    let refused = shop.call(Method::POST, &path, BROWSER, json!({"client_secret": secret})).await;
    assert_eq!(code(&refused), (400, "IR_16"));
    let sent = [("origin", PAGE), ("api-key", BROWSER)];
    assert_eq!(shop.page(Method::POST, &path, &sent, &json!({"client_secret": secret})).await.0, 403);
}

#[actix_web::test]
async fn origins_of_an_account_are_checked_kept_and_replaced() {
    let shop = Shop::new().await;
    let account = async |path: &str, body: Value| shop.call(Method::POST, path, ADMIN, body).await;
    let many: Vec<_> = (0..=limits::SESSION_ORIGINS_MAX).map(|n| format!("https://s{n}.test")).collect();
    for bad in [json!(["https://shop.test/"]), json!(["*"]), json!(many), json!([PAGE, PAGE]), json!(PAGE)] {
        let new = account("/accounts", json!({"merchant_id": "two", "allowed_origins": bad})).await;
        assert_eq!(code(&new), (400, "IR_06"), "{bad}");
        assert_eq!(code(&account("/accounts/shop", json!({"allowed_origins": bad})).await), (400, "IR_06"), "{bad}");
    }
    let shown = shop.call(Method::GET, "/accounts/shop", ADMIN, Value::Null).await.1;
    assert_eq!(shown["allowed_origins"], json!([PAGE, "https://other.shop.test"]), "a refusal changed something");
    let (_, two) = account("/accounts", json!({"merchant_id": "two", "allowed_origins": [FOREIGN]})).await;
    assert_eq!(two["allowed_origins"], json!([FOREIGN]));
    account("/accounts/two", json!({"merchant_name": "Two"})).await;
    let (_, moved) = account("/accounts/two", json!({"allowed_origins": ["http://localhost:8080"]})).await;
    assert_eq!(
        (&moved["allowed_origins"], &moved["merchant_name"]),
        (&json!(["http://localhost:8080"]), &json!("Two"))
    );
}

#[actix_web::test]
async fn payer_manages_their_own_cards_while_they_are_about_to_pay_and_nobody_elses() {
    let shop = Shop::new().await;
    let (first, second) = (shop.kept("cus_1", GOOD).await, shop.kept("cus_1", OTHER).await);
    let foreign = shop.kept("cus_2", GOOD).await;
    let (id, secret) = shop.waits(Some("cus_1")).await;
    let card = |id: &str| format!("/customers/payment_methods/{id}");
    let with_secret = |id: &str, secret: &str| format!("{}?client_secret={secret}", card(id));
    let default = |id: &str| format!("{}/default", card(id));

    let made = shop.as_page(Method::POST, &default(&first), json!({"client_secret": secret})).await;
    assert_eq!((made.0, &made.1["default_payment_method_id"]), (200, &json!(first)));
    let kept = shop.as_page(Method::DELETE, &with_secret(&first, &secret), Value::Null).await;
    assert_eq!(code(&kept), (400, "IR_25"), "the default stays while there are others");

    let (guest, guests) = shop.waits(None).await;
    for (case, path, secret, expected) in [
        ("another customer's card", &foreign, secret.as_str(), (404, "HE_02")),
        ("a card of nobody", &"pm_none".to_owned(), &secret, (404, "HE_02")),
        ("a guest", &first, &guests, (404, "HE_02")),
        ("a secret of nothing", &first, "pay_x_secret_y", (400, "IR_09")),
        ("a secret cut short", &first, &secret[..secret.len() - 1], (400, "IR_09")),
    ] {
        let deleted = shop.as_page(Method::DELETE, &with_secret(path, secret), Value::Null).await;
        assert_eq!(code(&deleted), expected, "{case}");
        let made = shop.as_page(Method::POST, &default(path), json!({"client_secret": secret})).await;
        assert_eq!(code(&made), expected, "{case}");
    }
    assert_eq!(code(&shop.as_page(Method::DELETE, &card(&first), Value::Null).await), (400, "IR_08"));
    assert_eq!(code(&shop.as_page(Method::POST, &default(&first), json!({})).await), (400, "IR_08"));
    assert!(guest.starts_with("pay_"));
    assert_eq!(shop.rig.cards_in_vault(), 3, "a refusal deleted a card");

    let gone = shop.as_page(Method::DELETE, &with_secret(&second, &secret), Value::Null).await;
    assert_eq!((gone.0, shop.rig.cards_in_vault()), (200, 2));
    let list = format!("/customers/payment_methods?client_secret={secret}");
    let (_, list) = shop.as_page(Method::GET, &list, Value::Null).await;
    assert_eq!(list["customer_payment_methods"].as_array().unwrap().len(), 1);
    let token = list["customer_payment_methods"][0]["payment_token"].clone();

    let cvc = json!({"card_token": {"cvc_token": "cvc_of_the_page"}});
    let body = json!({"client_secret": secret, "payment_token": token, "payment_method_data": cvc});
    let (_, paid) = shop.as_page(Method::POST, &format!("/payments/{id}/confirm"), body).await;
    assert_eq!(paid["status"], "succeeded");
    let late = shop.as_page(Method::DELETE, &with_secret(&first, &secret), Value::Null).await;
    assert_eq!(code(&late), (400, "IR_16"), "the secret of a payment that is over changes no wallet");
    let late = shop.as_page(Method::POST, &default(&first), json!({"client_secret": secret})).await;
    assert_eq!(code(&late), (400, "IR_16"));
}

#[actix_web::test]
async fn page_that_confirms_again_pays_once_and_hears_how_the_payment_stands() {
    for (number, ends) in [(GOOD, "succeeded"), (DECLINED, "failed"), (AUTHENTICATE, "requires_customer_action")] {
        let shop = Shop::new().await;
        let (id, secret) = shop.waits(Some("cus_1")).await;
        let body = with(shop.fresh(number).await, json!({"client_secret": secret}));
        let path = format!("/payments/{id}/confirm");
        let sent = [("origin", PAGE), ("api-key", BROWSER), ("idempotency-key", "click")];
        let click = || shop.page(Method::POST, &path, &sent, &body);
        let (first, second) = tokio::join!(click(), click());
        assert_eq!((first.0, &first.1["status"]), (200, &json!(ends)));
        assert_eq!((&first.1, &first.1), (&second.1, &click().await.1), "a double click and a lost answer");
        let charges = shop.rig.charges();
        // Another window, which has another key.
        let refused = shop.as_page(Method::POST, &path, body.clone()).await;
        assert_eq!(code(&refused), (400, "IR_16"));
        assert!(refused.1["error"]["message"].as_str().unwrap().contains(ends));
        assert_eq!(shop.rig.charges(), charges);
        assert!(charges <= 1);
        let get = format!("/payments/{id}?client_secret={secret}");
        assert_eq!(shop.as_page(Method::GET, &get, Value::Null).await.1["status"], ends);
        // Whoever was at the bank for too long, or whose answer was lost, is not told that nothing happened.
        shop.rig.clock.advance(i64::try_from(limits::CLIENT_SECRET_TTL_S).unwrap() * 1000 + 1);
        let (status, late) = shop.as_page(Method::GET, &get, Value::Null).await;
        assert_eq!((status, &late["status"]), (200, &json!(ends)));
        assert_eq!(click().await.1["status"], ends);
        assert_eq!(shop.rig.charges(), charges);
        let wallet = format!("/customers/payment_methods?client_secret={secret}");
        assert_eq!(code(&shop.as_page(Method::GET, &wallet, Value::Null).await), (400, "IR_16"));
    }
}

#[actix_web::test]
async fn page_keeps_a_card_for_the_payer_and_makes_no_other_agreement() {
    let shop = Shop::new().await;
    let (id, secret) = shop.waits(Some("cus_1")).await;
    let path = format!("/payments/{id}/confirm");
    let card = with(shop.fresh(GOOD).await, json!({"client_secret": secret}));
    let off = with(card.clone(), json!({"setup_future_usage": "off_session"}));
    assert_eq!(code(&shop.as_page(Method::POST, &path, off).await), (400, "IR_06"));
    let foreign = with(card.clone(), json!({"return_url": "https://evil.test/done"}));
    assert_eq!(code(&shop.as_page(Method::POST, &path, foreign).await), (400, "IR_06"));
    assert_eq!(shop.rig.charges(), 0);
    let agreed = json!({"acceptance_type": "online", "accepted_at": "2027-01-15T08:00:00Z",
                        "online": {"user_agent": "a browser"}});
    let keep = json!({"setup_future_usage": "on_session", "customer_acceptance": agreed,
                      "return_url": "https://shop.test/done"});
    let (_, paid) = shop.as_page(Method::POST, &path, with(card, keep)).await;
    assert_eq!((&paid["status"], &paid["payment_method_status"]), (&json!("succeeded"), &json!("active")));
    assert_eq!(paid["return_url"], "https://shop.test/done");

    let mut subscription = json!({"amount": 5, "currency": "USD", "customer_id": "cus_1"});
    subscription["setup_future_usage"] = json!("off_session");
    let (_, made) = shop.post("/payments", subscription).await;
    let path = format!("/payments/{}", made["payment_id"].as_str().unwrap());
    let less = json!({"client_secret": made["client_secret"], "setup_future_usage": "on_session"});
    assert_eq!(code(&shop.as_page(Method::POST, &path, less).await), (400, "IR_06"), "the merchant needs it");
}
