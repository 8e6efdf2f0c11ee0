//! How often keys may ask, and what a page does not learn however often it asks.

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::InvoicesConfig;
use super::tests::{PAGE_KEY, Shop, error};
use crate::intent::rig::GOOD;

const SHOP: &str = "https://shop.test";

fn told(answer: &Response) -> [&str; 3] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
        .map(|name| answer.headers().get(name).map_or("", |text| text.to_str().unwrap()))
}

async fn card(shop: &Shop, number: &str) -> Response {
    let body = json!({"number": number, "exp_month": 12, "exp_year": 2034}).to_string();
    let asked = shop.request(Method::POST, "/cards").basic_auth(PAGE_KEY, None::<&str>).body(body);
    asked.header(header::ORIGIN, SHOP).send().await.unwrap()
}

#[actix_web::test]
async fn page_makes_no_cards_without_limit() {
    let config =
        InvoicesConfig { requests_per_minute: 120, page_requests_per_minute: 60, burst: 6, ..Default::default() };
    let shop = Shop::with(config).await;
    let before = shop.rig.cards_in_vault();
    let asked = (0..9).map(|_| card(&shop, GOOD));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == StatusCode::OK).count(), 3, "the clock stands still");
    assert_eq!(shop.rig.cards_in_vault() - before, 3);
    let refused = answers.into_iter().find(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS).unwrap();
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(told(&refused), ["3", "0", "3"]);
    assert_eq!(refused.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], SHOP, "the page may read why");
    let body: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(error(&(429, body)), (429, "request.rate-limited"));

    let server = || shop.request(Method::GET, "/customers/cust_x").basic_auth("shop", Some(&shop.secret)).send();
    let other = server().await.unwrap();
    assert_eq!(
        (other.status(), told(&other)),
        (StatusCode::NOT_FOUND, ["6", "5", "1"]),
        "the server has its own bucket"
    );
    for _ in 0..5 {
        assert_eq!(server().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(server().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    let nobody = shop.request(Method::GET, "/customers/cust_x").basic_auth("shop", Some("wrong")).send().await.unwrap();
    assert_eq!((nobody.status(), told(&nobody)), (StatusCode::UNAUTHORIZED, ["", "", ""]));

    shop.rig.clock.advance(1000);
    assert_eq!(card(&shop, GOOD).await.status(), StatusCode::OK);
    assert_eq!(card(&shop, GOOD).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[actix_web::test]
async fn page_cannot_compare_cards_by_their_fingerprint() {
    let shop = Shop::new().await;
    let seen: Value = serde_json::from_slice(&card(&shop, GOOD).await.bytes().await.unwrap()).unwrap();
    assert_eq!(seen["card"]["last_4_digits"], "4242");
    assert_eq!(seen["card"].get("fingerprint"), None);
    let body = json!({"number": GOOD, "exp_month": 12, "exp_year": 2034});
    let (_, seen) = shop.post("/cards", body).await;
    assert!(seen["card"]["fingerprint"].is_string(), "{seen}");
}
