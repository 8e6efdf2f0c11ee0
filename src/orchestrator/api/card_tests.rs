//! What a payment can be paid with, and the housekeeping of saved cards: whose they are, which is the default, what goes.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::Token;

use super::tests::{Shop, code, paying};
use crate::account::{Accepts, ConnectorAccount};
use crate::intent::rig::GOOD;

const BROWSER: &str = "pk_rig_0123456789";
const OTHER: &str = "5555555555554444";

impl Shop {
    /// Pays with a card and keeps it for this customer; answers its id.
    async fn keeps(&self, customer: &str, number: &str) -> String {
        let mut body = paying(number);
        body["customer_id"] = json!(customer);
        let (_, paid) = self.post("/payments", body).await;
        paid["payment_method_id"].as_str().unwrap().to_owned()
    }

    async fn limits(&self, number: usize, accepts: Accepts) {
        let accounts = self.rig.store.connector_accounts(&self.rig.merchant).await.unwrap();
        let seen = &accounts[number - 1];
        let changed = ConnectorAccount { accepts, ..seen.clone() };
        self.rig.store.save_connector_account(&changed, seen).await.unwrap();
    }

    /// The networks that a payment can be paid with, and the whole answer.
    async fn payable(&self, payment: Value, country: Option<&str>) -> (Vec<String>, Value) {
        let (status, intent) = self.post("/payments", payment).await;
        assert_eq!(status, 200, "{intent}");
        let secret = intent["client_secret"].as_str().unwrap();
        let country = country.map_or(String::new(), |country| format!("&country={country}"));
        let path = format!("/account/payment_methods?client_secret={secret}{country}");
        let (status, shown) = self.call(Method::GET, &path, BROWSER, Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        let networks = shown["payment_methods"][0]["payment_method_types"][0]["card_networks"].as_array().cloned();
        let networks = networks.unwrap_or_default();
        (networks.iter().map(|one| one["card_network"].as_str().unwrap().to_owned()).collect(), shown)
    }

    async fn saved(&self, customer: &str) -> Vec<Value> {
        let (_, list) = self.get(&format!("/customers/{customer}/payment_methods")).await;
        list["customer_payment_methods"].as_array().cloned().unwrap()
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, &self.key, Value::Null).await
    }
}

fn euros(amount: u64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

#[actix_web::test]
async fn networks_are_those_that_an_enabled_account_takes_for_this_payment() {
    let shop = Shop::new().await;
    let (all, shown) = shop.payable(euros(1000), None).await;
    assert_eq!(all.len(), 11);
    let types = &shown["payment_methods"][0]["payment_method_types"];
    assert_eq!(types[0]["card_networks"][0]["eligible_connectors"], json!(["rig"]));
    assert_eq!(types.as_array().unwrap().len(), 2);
    let number = "payment_method_data.card.card_number";
    assert_eq!(types[0]["required_fields"][number]["field_type"], "user_card_number");
    assert_eq!((&shown["payment_type"], &shown["mandate_payment"]), (&json!("normal"), &Value::Null));

    let visa = strongroom_wire::payment_method::Brand::Visa;
    let euro = "EUR".parse().unwrap();
    let limited = Accepts {
        card_networks: vec![visa],
        currencies: vec![euro],
        maximum_amount: Some(1000),
        minimum_amount: Some(10),
        countries: Vec::new(),
    };
    shop.limits(1, limited.clone()).await;
    assert_eq!(shop.payable(euros(1000), None).await.0, ["Visa"]);
    for refused in [euros(1001), euros(9), json!({"amount": 1000, "currency": "USD"})] {
        let (networks, shown) = shop.payable(refused, None).await;
        assert_eq!((networks.len(), &shown["payment_methods"]), (0, &json!([])));
    }
    shop.rig.add_account(2).await;
    assert_eq!(shop.payable(euros(1001), None).await.0.len(), 11, "another account takes it");
}

#[actix_web::test]
async fn country_comes_from_the_payment_or_the_page_and_is_asked_for_where_it_matters() {
    let shop = Shop::new().await;
    shop.limits(1, Accepts { countries: vec!["DE".into()], ..Accepts::default() }).await;
    let field = |shown: &Value| {
        shown["payment_methods"][0]["payment_method_types"][0]["required_fields"]["billing.address.country"].clone()
    };
    assert_eq!(shop.payable(euros(5), None).await.0.len(), 0);
    assert_eq!(shop.payable(euros(5), Some("FR")).await.0.len(), 0);
    let (networks, shown) = shop.payable(euros(5), Some("DE")).await;
    assert_eq!((networks.len(), &field(&shown)["value"]), (11, &json!("DE")));
    let mut billed = euros(5);
    billed["billing"] = json!({"address": {"country": "DE"}});
    let (networks, shown) = shop.payable(billed, Some("FR")).await;
    assert_eq!((networks.len(), &field(&shown)["value"]), (11, &json!("DE")), "the payment knows better than the page");
    let (_, intent) = shop.post("/payments", euros(5)).await;
    let path =
        format!("/account/payment_methods?country=de&client_secret={}", intent["client_secret"].as_str().unwrap());
    assert_eq!(code(&shop.call(Method::GET, &path, BROWSER, Value::Null).await), (400, "IR_06"));
    assert_eq!(code(&shop.call(Method::GET, "/account/payment_methods", BROWSER, Value::Null).await), (400, "IR_08"));
}

#[actix_web::test]
async fn page_is_told_that_the_payer_agrees_to_payments_without_them() {
    let shop = Shop::new().await;
    let mut body = euros(5);
    body["customer_id"] = json!("cus_1");
    body["setup_future_usage"] = json!("off_session");
    let (_, shown) = shop.payable(body, None).await;
    assert_eq!(
        (&shown["payment_type"], &shown["mandate_payment"]),
        (&json!("new_mandate"), &json!({"multi_use": null}))
    );
}

#[actix_web::test]
async fn choice_of_an_account_limits_what_a_payment_can_be_paid_with() {
    let shop = Shop::new().await;
    shop.rig.add_account(2).await;
    let visa = strongroom_wire::payment_method::Brand::Visa;
    shop.limits(2, Accepts { card_networks: vec![visa], ..Accepts::default() }).await;
    let mut body = euros(5);
    body["routing"] = json!({"type": "single", "data": {"connector": "stripe", "merchant_connector_id": "mca_2"}});
    assert_eq!(shop.payable(body, None).await.0, ["Visa"]);
}

#[actix_web::test]
async fn default_card_is_shown_and_not_deleted_while_there_are_others() {
    let shop = Shop::new().await;
    let (first, second) = (shop.keeps("cus_1", GOOD).await, shop.keeps("cus_1", OTHER).await);
    assert!(shop.saved("cus_1").await.iter().all(|card| card["default_payment_method_set"] == false));
    let path = format!("/customers/cus_1/payment_methods/{first}");
    let (status, set) = shop.post(&format!("{path}/default"), json!({})).await;
    assert_eq!((status, &set["default_payment_method_id"], &set["customer_id"]), (200, &json!(first), &json!("cus_1")));
    for card in shop.saved("cus_1").await {
        assert_eq!(card["default_payment_method_set"], card["payment_method_id"] == json!(first));
    }
    assert_eq!(shop.get(&format!("/payment_methods/{first}")).await.1["default_payment_method_set"], true);
    assert_eq!(shop.get("/customers/cus_1").await.1["default_payment_method_id"], json!(first));
    assert_eq!(code(&shop.delete(&path).await), (400, "IR_25"));
    assert_eq!(shop.rig.cards_in_vault(), 2);
    assert_eq!(shop.delete(&format!("/payment_methods/{second}")).await.0, 200);
    assert_eq!(shop.delete(&path).await, (200, json!({"payment_method_id": first, "deleted": true})));
    assert_eq!((shop.rig.cards_in_vault(), shop.saved("cus_1").await.len()), (0, 0));
    assert_eq!(shop.get("/customers/cus_1").await.1["default_payment_method_id"], Value::Null);
    let uses = shop.rig.store.saved_uses(&shop.rig.merchant, &"cus_1".parse().unwrap()).await.unwrap();
    assert!(uses.is_empty(), "nothing is known of a card that is gone");
}

#[actix_web::test]
async fn cards_of_others_and_cards_that_are_none_are_not_found() {
    let shop = Shop::new().await;
    let theirs = shop.keeps("cus_1", GOOD).await;
    shop.keeps("cus_2", OTHER).await;
    let none = Token::fresh();
    for (method, path) in [
        (Method::DELETE, format!("/customers/cus_2/payment_methods/{theirs}")),
        (Method::POST, format!("/customers/cus_2/payment_methods/{theirs}/default")),
        (Method::POST, format!("/customers/cus_9/payment_methods/{theirs}/default")),
        (Method::GET, format!("/payment_methods/{none}")),
        (Method::GET, "/payment_methods/pm_none".to_owned()),
        (Method::DELETE, format!("/payment_methods/{none}")),
        (Method::DELETE, format!("/customers/cus_1/payment_methods/{none}")),
    ] {
        assert_eq!(code(&shop.call(method, &path, &shop.key, json!({})).await), (404, "HE_02"), "{path}");
    }
    for (method, path) in [
        (Method::DELETE, format!("/payment_methods/{theirs}")),
        (Method::GET, format!("/payment_methods/{theirs}")),
        (Method::POST, format!("/customers/cus_1/payment_methods/{theirs}/default")),
        (Method::POST, "/customers/cus_1".to_owned()),
    ] {
        assert_eq!(code(&shop.call(method, &path, BROWSER, json!({})).await), (401, "IR_01"), "{path}");
    }
    assert_eq!(shop.rig.cards_in_vault(), 2);
}

#[actix_web::test]
async fn saved_card_is_shown_masked() {
    let shop = Shop::new().await;
    let id = shop.keeps("cus_1", GOOD).await;
    let (status, shown) = shop.get(&format!("/payment_methods/{id}")).await;
    assert_eq!((status, &shown["customer_id"], &shown["merchant_id"]), (200, &json!("cus_1"), &json!("shop")));
    assert_eq!(shown["card"]["last4_digits"], "4242");
    assert!(!shown.to_string().contains(GOOD));
}

#[actix_web::test]
async fn deletion_that_the_vault_could_not_do_leaves_everything_and_can_be_repeated() {
    let shop = Shop::new().await;
    let id = shop.keeps("cus_1", GOOD).await;
    let path = format!("/payment_methods/{id}");
    shop.rig.vault.state.lock().unwrap().down = true;
    assert_eq!(code(&shop.delete(&path).await), (503, "HE_00"));
    shop.rig.vault.state.lock().unwrap().down = false;
    assert_eq!(shop.saved("cus_1").await.len(), 1);
    assert_eq!(shop.delete(&path).await.0, 200);
    assert_eq!(code(&shop.delete(&path).await), (404, "HE_02"));
}

#[actix_web::test]
async fn customer_changes_by_what_is_given_and_null_removes() {
    let shop = Shop::new().await;
    let made = json!({"customer_id": "cus_1", "name": "Ada", "email": "ada@a.test", "metadata": {"k": 1}});
    assert_eq!(shop.post("/customers", made).await.0, 200);
    let (status, changed) = shop.post("/customers/cus_1", json!({"email": null, "phone": "5550100"})).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&changed["name"], &changed["email"], &changed["phone"]),
        (&json!("Ada"), &Value::Null, &json!("5550100"))
    );
    assert_eq!(changed["metadata"], json!({"k": 1}));
    assert_eq!(shop.get("/customers/cus_1").await.1, changed);
    for bad in [json!({"customer_id": "cus_2"}), json!({"name": GOOD}), json!({"name": "x".repeat(256)})] {
        assert_eq!(code(&shop.post("/customers/cus_1", bad).await), (400, "IR_06"));
    }
    assert_eq!(code(&shop.post("/customers/cus_9", json!({})).await), (404, "HE_02"));
    assert_eq!(shop.get("/customers/cus_1").await.1, changed);
}
