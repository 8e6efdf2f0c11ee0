//! Lists of payments and refunds: every page once, every filter, and nothing of anybody else's.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{Shop, code, paying};
use crate::intent::rig::{DECLINED, GOOD};

async fn ids(shop: &Shop, query: &str) -> Vec<String> {
    let (status, list) = shop.get(&format!("/payments/list?{query}")).await;
    assert_eq!(status, 200, "{query}: {list}");
    let items = list["data"].as_array().unwrap();
    assert_eq!(list["count"], items.len());
    items.iter().map(|item| item["payment_id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn payments_are_listed_once_over_all_pages_newest_first() {
    let shop = Shop::new().await;
    for number in 0..7 {
        shop.post("/payments", json!({"payment_id": format!("pay_{number}"), "amount": 1, "currency": "USD"})).await;
        // Three of them in one millisecond.
        if number % 3 == 0 {
            shop.rig.clock.advance(1);
        }
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let (_, page) = shop.get(&format!("/payments/list?limit=2{next}")).await;
        for item in page["data"].as_array().unwrap() {
            seen.push(item["payment_id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..7).rev().map(|number| format!("pay_{number}")).collect();
    assert_eq!(seen, expected);
    assert_eq!(ids(&shop, "").await, expected);
}

#[actix_web::test]
async fn payments_are_filtered_by_what_the_query_says() {
    let shop = Shop::new().await;
    let mut declined = paying(DECLINED);
    declined["payment_id"] = json!("pay_bad");
    shop.post("/payments", declined).await;
    shop.rig.clock.advance(1000);
    let mut good = paying(GOOD);
    (good["payment_id"], good["amount"]) = (json!("pay_good"), json!(2500));
    shop.post("/payments", good).await;
    shop.rig.clock.advance(1000);
    shop.post("/payments", json!({"payment_id": "pay_new", "amount": 70, "currency": "EUR"})).await;
    for (query, expected) in [
        ("customer_id=cus_1", vec!["pay_good", "pay_bad"]),
        ("status=succeeded", vec!["pay_good"]),
        ("status=succeeded&status=failed", vec!["pay_good", "pay_bad"]),
        ("status=requires_payment_method,failed", vec!["pay_new", "pay_bad"]),
        ("connector=rig", vec!["pay_good", "pay_bad"]),
        ("currency=EUR", vec!["pay_new"]),
        ("amount_from=71&amount_until=2499", vec!["pay_bad"]),
        ("created_from=2027-01-15T08:00:01Z", vec!["pay_new", "pay_good"]),
        ("created.gte=2027-01-15T08:00:01Z&created.lte=2027-01-15T08:00:01%2B00:00", vec!["pay_good"]),
        ("created_until=2027-01-15T09:00:00.999%2B01:00", vec!["pay_bad"]),
        ("status=succeeded&currency=EUR", vec![]),
    ] {
        assert_eq!(ids(&shop, query).await, expected, "{query}");
    }
}

#[actix_web::test]
async fn queries_that_cannot_be_meant_are_refused() {
    let shop = Shop::new().await;
    let many = vec!["USD"; limits::LIST_CHOICES_MAX + 1].join(",");
    let long = "A".repeat(limits::CURSOR_CHARS_MAX + 1);
    let refunds = super::lists::cursor("r", 5, "ref_1");
    for query in [
        "limit=0".to_owned(),
        format!("limit={}", limits::PAGE_ITEMS_MAX + 1),
        "limit=x".to_owned(),
        "limit=1&limit=2".to_owned(),
        "status=paid".to_owned(),
        "status=".to_owned(),
        "connector=nobody".to_owned(),
        "currency=usd".to_owned(),
        format!("currency={many}"),
        "customer_id=%00".to_owned(),
        "amount_from=-1".to_owned(),
        "created_from=yesterday".to_owned(),
        "created_from=2027-01-15T08:00:01Z&created.gte=2027-01-15T08:00:01Z".to_owned(),
        "colour=red".to_owned(),
        "cursor=".to_owned(),
        "cursor=%21%21".to_owned(),
        "cursor=cCAxMg".to_owned(),
        format!("cursor={refunds}"),
        format!("cursor={long}"),
    ] {
        assert_eq!(code(&shop.get(&format!("/payments/list?{query}")).await), (400, "IR_06"), "{query}");
    }
    assert_eq!(code(&shop.get("/refunds/list?status=failed").await), (400, "IR_06"));
    assert_eq!(code(&shop.get("/refunds/list?cursor=cCA1IHBheV8x").await), (400, "IR_06"), "of the other list");
}

#[actix_web::test]
async fn refunds_are_listed_for_a_payment_and_for_all() {
    let shop = Shop::new().await;
    for payment in ["pay_a", "pay_b"] {
        let mut body = paying(GOOD);
        body["payment_id"] = json!(payment);
        assert_eq!(shop.post("/payments", body).await.0, 200);
        for number in 0..2 {
            shop.rig.clock.advance(1);
            let body = json!({"payment_id": payment, "refund_id": format!("ref_{payment}_{number}"), "amount": 10});
            assert_eq!(shop.post("/refunds", body).await.0, 200);
        }
    }
    let list = async |query: &str| -> (Vec<String>, Value) {
        let (status, list) = shop.get(&format!("/refunds/list?{query}")).await;
        assert_eq!(status, 200, "{list}");
        let items = list["data"].as_array().unwrap();
        assert_eq!(list["count"], items.len());
        (items.iter().map(|item| item["refund_id"].as_str().unwrap().to_owned()).collect(), list["next_cursor"].clone())
    };
    assert_eq!(list("payment_id=pay_a").await.0, ["ref_pay_a_1", "ref_pay_a_0"]);
    let (first, next) = list("limit=3").await;
    assert_eq!(first, ["ref_pay_b_1", "ref_pay_b_0", "ref_pay_a_1"]);
    let (rest, end) = list(&format!("limit=3&cursor={}", next.as_str().unwrap())).await;
    assert_eq!((rest, end), (vec!["ref_pay_a_0".to_owned()], Value::Null));
    assert!(list("payment_id=pay_none").await.0.is_empty());
}

#[actix_web::test]
async fn lists_are_the_merchants_servers_alone_and_no_payment_takes_their_place() {
    let shop = Shop::new().await;
    for path in ["/payments/list", "/refunds/list"] {
        let (status, _) = shop.call(Method::GET, path, "pk_rig_0123456789", Value::Null).await;
        assert!((400..500).contains(&status), "a browser was answered {status}");
        assert_eq!(shop.call(Method::GET, path, "nobody", Value::Null).await.0, 401);
        assert_eq!(shop.post(path, json!({})).await.0, 405);
    }
    let named = json!({"payment_id": "list", "amount": 1, "currency": "USD"});
    assert_eq!(code(&shop.post("/payments", named).await), (400, "IR_06"));
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    let named = json!({"payment_id": paid["payment_id"], "refund_id": "list", "amount": 1});
    assert_eq!(code(&shop.post("/refunds", named).await), (400, "IR_06"));
}
