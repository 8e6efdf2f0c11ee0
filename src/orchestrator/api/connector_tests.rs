//! Connector accounts and routing rules over HTTP: tried, rotated, deleted, and never in the way of a payment that runs.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::tests::{ADMIN, Shop, code, paying};
use crate::account::ConnectorAccount;
use crate::intent::State;
use crate::intent::rig::{GOOD, Trouble};
use crate::vault::Vault as _;

fn account(key: &str) -> Value {
    json!({"connector_type": "payment_processor", "connector_name": "rig",
           "connector_account_details": {"auth_type": "HeaderKey", "api_key": key}})
}

impl Shop {
    async fn admin(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.call(method, path, ADMIN, body).await
    }

    async fn stored(&self, id: &str) -> ConnectorAccount {
        let accounts = self.rig.store.connector_accounts(&self.rig.merchant).await.unwrap();
        accounts.into_iter().find(|account| account.account_id == id).unwrap()
    }

    fn secrets(&self) -> usize {
        self.rig.vault.state.lock().unwrap().secrets.len()
    }
}

const PATH: &str = "/account/shop/connectors";

#[actix_web::test]
async fn credentials_that_the_provider_refuses_are_told_at_once_and_not_kept() {
    let shop = Shop::new().await;
    let before = shop.secrets();
    let refused = shop.admin(Method::POST, PATH, account("sk_wrong")).await;
    assert_eq!(code(&refused), (400, "IR_06"));
    assert!(!refused.1.to_string().contains("sk_wrong"));
    assert_eq!(shop.secrets(), before);
    let mut unverified = account("sk_wrong");
    unverified["verify"] = json!(false);
    let (status, made) = shop.admin(Method::POST, PATH, unverified).await;
    assert_eq!((status, &made["verification"]), (200, &json!("unknown")));
    let (status, made) = shop.admin(Method::POST, PATH, account("sk_test_rig_2")).await;
    assert_eq!((status, &made["verification"]), (200, &json!("accepted")));
}

#[actix_web::test]
async fn fields_that_make_no_sense_are_refused_and_nothing_is_kept() {
    let shop = Shop::new().await;
    let before = shop.secrets();
    let with = |field: &str, value: Value| {
        let mut body = account("sk_test_rig_2");
        body[field] = value;
        body
    };
    for body in [
        with("surprise", json!(1)),
        with("connector_label", json!("")),
        with("connector_label", json!("mca_1")),
        with("connector_label", json!("stripe")),
        with("connector_label", json!("x".repeat(limits::PAYMENT_TEXT_BYTES_MAX + 1))),
        with("connector_webhook_details", json!({"merchant_secret": "a\"b"})),
        with("destination", json!("elsewhere")),
        with("destination", json!("rigged")),
        with("accepts", json!({"currencies": ["EURO"]})),
        with("accepts", json!({"countries": ["de"]})),
        with("accepts", json!({"card_networks": ["visa"]})),
        with("accepts", json!({"minimum_amount": 2, "maximum_amount": 1})),
        with("accepts", json!({"countries": vec!["DE"; limits::ACCEPTED_VALUES_MAX + 1]})),
        with("accepts", json!({"colours": []})),
    ] {
        assert_eq!(code(&shop.admin(Method::POST, PATH, body.clone()).await), (400, "IR_06"), "{body}");
    }
    let taken = with("connector_label", json!("rig 1"));
    assert_eq!(code(&shop.admin(Method::POST, PATH, taken).await), (400, "HE_01"));
    assert_eq!(shop.secrets(), before);
}

#[actix_web::test]
async fn account_is_shown_changed_and_hidden_without_its_credentials() {
    let shop = Shop::new().await;
    let mut body = account("sk_test_rig_2");
    body["connector_label"] = json!("north");
    body["connector_webhook_details"] = json!({"merchant_secret": "whsec_north"});
    body["accepts"] = json!({"currencies": ["EUR"], "card_networks": ["Visa"], "maximum_amount": 5000});
    let (_, made) = shop.admin(Method::POST, PATH, body).await;
    let path = format!("{PATH}/{}", made["merchant_connector_id"].as_str().unwrap());
    let (status, shown) = shop.admin(Method::GET, &path, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(shown["accepts"]["card_networks"], json!(["Visa"]));
    assert!(!shown.to_string().contains("sk_test_rig_2") && !shown.to_string().contains("whsec_north"));
    let change = json!({"connector_label": "south", "disabled": true, "accepts": {"maximum_amount": 9}});
    let (status, changed) = shop.admin(Method::POST, &path, change).await;
    assert_eq!((status, &changed["connector_label"], &changed["status"]), (200, &json!("south"), &json!("inactive")));
    assert_eq!(changed["accepts"]["currencies"], json!([]), "what is given stands as a whole");
    assert_eq!(code(&shop.admin(Method::POST, &path, json!({"connector_label": "rig 1"})).await), (400, "HE_01"));
    assert_eq!(code(&shop.admin(Method::GET, &format!("{PATH}/mca_none"), Value::Null).await), (404, "HE_02"));
    assert_eq!(code(&shop.call(Method::GET, &path, &shop.key, Value::Null).await), (401, "IR_01"));
}

#[actix_web::test]
async fn credentials_that_are_replaced_or_deleted_soon_after_they_were_saved_last_for_their_overlap() {
    let shop = Shop::new().await;
    let mut ids = Vec::new();
    for label in ["rotated", "deleted"] {
        let mut body = account("sk_test_rig_2");
        body["connector_label"] = json!(label);
        let made = shop.admin(Method::POST, PATH, body).await.1;
        ids.push(made["merchant_connector_id"].as_str().unwrap().to_owned());
    }
    let secrets = [shop.stored(&ids[0]).await.secret_id, shop.stored(&ids[1]).await.secret_id];
    let change = json!({"connector_account_details": {"auth_type": "HeaderKey", "api_key": "sk_test_rig_3"}});
    assert_eq!(shop.admin(Method::POST, &format!("{PATH}/{}", ids[0]), change).await.0, 200);
    assert_eq!(shop.admin(Method::DELETE, &format!("{PATH}/{}", ids[1]), Value::Null).await.0, 200);
    let left = async || {
        shop.rig.engine.round(false).await;
        let mut left = Vec::new();
        for secret in secrets {
            left.push(shop.rig.vault.reveal_secret(&shop.rig.merchant, secret).await.is_ok());
        }
        left
    };
    let seconds = |s: u64| i64::try_from(s).unwrap() * 1000;
    shop.rig.clock.advance(seconds(limits::CREDENTIAL_OVERLAP_S) - 1);
    assert_eq!(left().await, [true, true]);
    shop.rig.clock.advance(1);
    assert_eq!(left().await, [false, true]);
    shop.rig.clock.advance(seconds(limits::DELETED_OVERLAP_S) - seconds(limits::CREDENTIAL_OVERLAP_S));
    assert_eq!(left().await, [false, false]);
}

#[actix_web::test]
async fn rotation_reaches_the_next_call_and_the_old_secret_ends_with_its_overlap() {
    let shop = Shop::new().await;
    assert_eq!(shop.post("/payments", paying(GOOD)).await.1["status"], "succeeded");
    let old = shop.stored("mca_1").await.secret_id;
    let path = format!("{PATH}/mca_1");
    let mut change = json!({"connector_account_details": {"auth_type": "HeaderKey", "api_key": "sk_wrong"}});
    assert_eq!(code(&shop.admin(Method::POST, &path, change.clone()).await), (400, "IR_06"));
    assert_eq!(shop.stored("mca_1").await.secret_id, old, "credentials that are refused replace nothing");
    change["connector_account_details"]["api_key"] = json!("sk_test_rig_2");
    change["connector_webhook_details"] = json!({"merchant_secret": "whsec_new"});
    let (status, rotated) = shop.admin(Method::POST, &path, change).await;
    assert_eq!((status, rotated["rotated_at"].is_string()), (200, true));
    let account = shop.stored("mca_1").await;
    assert_ne!(account.secret_id, old);
    assert_eq!(shop.post("/payments", paying(GOOD)).await.1["status"], "succeeded");
    assert_eq!(shop.rig.psp.state.lock().unwrap().charged_by, ["sk_test_rig", "sk_test_rig_2"]);
    let now = shop.rig.engine.now_ms();
    assert_eq!(account.webhook_secrets(now).collect::<Vec<_>>(), [account.secret_id, old]);

    let overlap_ms = i64::try_from(limits::CREDENTIAL_OVERLAP_S).unwrap() * 1000;
    shop.rig.clock.advance(overlap_ms - 1);
    shop.rig.engine.round(false).await;
    assert!(shop.rig.vault.reveal_secret(&shop.rig.merchant, old).await.is_ok(), "still within the overlap");
    shop.rig.clock.advance(1);
    shop.rig.vault.state.lock().unwrap().down = true;
    shop.rig.engine.round(false).await;
    shop.rig.vault.state.lock().unwrap().down = false;
    shop.rig.clock.advance(600_000);
    shop.rig.engine.round(false).await;
    assert!(
        shop.rig.vault.reveal_secret(&shop.rig.merchant, old).await.is_err(),
        "deleted, although the vault was away"
    );
    assert_eq!(shop.secrets(), 1, "the secret in use stays");
    let account = shop.stored("mca_1").await;
    assert_eq!((account.webhook_secrets(now + overlap_ms).count(), account.retired.len()), (1, 0));
    assert!(shop.rig.store.due_chores(i64::MAX, 10).await.unwrap().is_empty());
}

#[actix_web::test]
async fn webhook_secret_alone_is_replaced_beside_the_key_and_the_key_beside_it() {
    let shop = Shop::new().await;
    let path = format!("{PATH}/mca_1");
    let kept = async || {
        let id = shop.stored("mca_1").await.secret_id;
        shop.rig.vault.reveal_secret(&shop.rig.merchant, id).await.unwrap().to_string()
    };
    let hook = json!({"connector_webhook_details": {"merchant_secret": "whsec_1"}});
    assert_eq!(shop.admin(Method::POST, &path, hook).await.0, 200);
    assert_eq!(kept().await, r#"{"api_key":"sk_test_rig","webhook_secret":"whsec_1"}"#);
    let key = json!({"connector_account_details": {"auth_type": "HeaderKey", "api_key": "sk_test_rig_3"}});
    assert_eq!(shop.admin(Method::POST, &path, key).await.0, 200);
    assert_eq!(kept().await, r#"{"api_key":"sk_test_rig_3","webhook_secret":"whsec_1"}"#);
}

#[actix_web::test]
async fn rotations_beyond_their_limit_within_an_overlap_are_refused() {
    let shop = Shop::new().await;
    let path = format!("{PATH}/mca_1");
    let hook =
        |overlap: u64| json!({"connector_webhook_details": {"merchant_secret": "whsec_1"}, "overlap_seconds": overlap});
    let most = limits::CREDENTIAL_OVERLAP_MAX_S;
    assert_eq!(code(&shop.admin(Method::POST, &path, hook(most + 1)).await), (400, "IR_06"));
    for _ in 0..limits::RETIRED_SECRETS_MAX {
        assert_eq!(shop.admin(Method::POST, &path, hook(most)).await.0, 200);
    }
    assert_eq!(code(&shop.admin(Method::POST, &path, hook(0)).await), (400, "IR_16"));
}

#[actix_web::test]
async fn repetition_is_not_made_under_credentials_that_came_later() {
    let shop = Shop::new().await;
    shop.rig.trouble("/pay", Trouble::LostRequest);
    let (_, payment) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!(payment["status"], "processing");
    shop.rig.clock.advance(10_000);
    let key = json!({"connector_account_details": {"auth_type": "HeaderKey", "api_key": "sk_test_rig_2"}});
    assert_eq!(shop.admin(Method::POST, &format!("{PATH}/mca_1"), key).await.0, 200);
    let id = payment["payment_id"].as_str().unwrap();
    for _ in 0..3 {
        shop.rig.clock.advance(10_000);
        let payment = shop.rig.engine.resolve(&shop.rig.merchant, id, true).await.unwrap();
        // The new key could be of another account at the provider, which knows nothing of the first request.
        assert_eq!((payment.state, shop.rig.charges()), (State::Processing, 0));
    }
}

#[actix_web::test]
async fn deleted_account_takes_no_payment_and_its_credentials_end_later() {
    let shop = Shop::new().await;
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    let path = format!("{PATH}/mca_1");
    let (status, gone) = shop.admin(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    assert_eq!(shop.admin(Method::GET, PATH, Value::Null).await.1, json!([]));
    assert_eq!(code(&shop.admin(Method::GET, &path, Value::Null).await), (404, "HE_02"));
    assert_eq!(code(&shop.post("/payments", paying(GOOD)).await), (400, "IR_39"));
    let refund = |id: &str| json!({"payment_id": paid["payment_id"], "amount": 1, "refund_id": id});
    assert_eq!(shop.post("/refunds", refund("ref_1")).await.1["status"], "succeeded", "older payments still know it");
    shop.rig.clock.advance(i64::try_from(limits::DELETED_OVERLAP_S).unwrap() * 1000);
    shop.rig.engine.round(false).await;
    assert_eq!(shop.secrets(), 0);
    let (_, refused) = shop.post("/refunds", refund("ref_2")).await;
    assert_eq!((&refused["status"], &refused["error_code"]), (&json!("failed"), &json!("credentials_gone")));
    let mut again = account("sk_test_rig");
    again["connector_label"] = json!("rig 1");
    assert_eq!(shop.admin(Method::POST, PATH, again).await.0, 200, "its label is free");
}

#[actix_web::test]
async fn rules_are_checked_kept_shown_and_removed() {
    let shop = Shop::new().await;
    shop.rig.add_account(2).await;
    let path = "/account/shop/routing";
    assert_eq!(code(&shop.admin(Method::GET, path, Value::Null).await), (404, "HE_02"));
    let rules = json!({"rules": [{"if": {"currency": ["USD"]}, "use": {"order": ["rig 2"]}}], "fallback": ["mca_1"]});
    assert_eq!(shop.admin(Method::PUT, path, rules.clone()).await, (200, rules.clone()));
    assert_eq!(shop.admin(Method::GET, path, Value::Null).await, (200, rules));
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!(paid["merchant_connector_id"], "mca_2");
    for (bad, word) in [
        (json!({"rules": [{"use": {"order": ["mca_9"]}}]}), "rules[0].use"),
        (json!({"fallback": ["nobody"]}), "fallback"),
        (json!({"rules": [{"use": {"split": [{"account": "mca_1", "percent": 50}]}}]}), "rules[0].use.split"),
        (json!({"rules": [], "surprise": 1}), "does not take"),
        (json!({"rules": [{"name": "4242424242424242", "use": {"order": ["mca_1"]}}]}), "card number"),
    ] {
        let refused = shop.admin(Method::PUT, path, bad.clone()).await;
        assert_eq!(code(&refused), (400, "IR_06"), "{bad}");
        assert!(refused.1["error"]["message"].as_str().unwrap().contains(word), "{}", refused.1);
    }
    // An account that rules name keeps its name and its place.
    let account = format!("{PATH}/mca_2");
    assert_eq!(code(&shop.admin(Method::DELETE, &account, Value::Null).await), (400, "IR_16"));
    assert_eq!(code(&shop.admin(Method::POST, &account, json!({"connector_label": "x"})).await), (400, "IR_16"));
    assert_eq!(code(&shop.call(Method::PUT, path, &shop.key, json!({})).await), (401, "IR_01"));
    assert_eq!(shop.admin(Method::DELETE, path, Value::Null).await.0, 200);
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!(paid["merchant_connector_id"], "mca_1");
    assert_eq!(shop.admin(Method::DELETE, &account, Value::Null).await.0, 200);
}

#[actix_web::test]
async fn merchant_chooses_an_account_for_one_payment_and_a_browser_does_not() {
    let shop = Shop::new().await;
    shop.rig.add_account(2).await;
    let chosen = |name: &str| {
        let mut body = paying(GOOD);
        body["routing"] = json!({"type": "single", "data": {"connector": "stripe", "merchant_connector_id": name}});
        body
    };
    assert_eq!(shop.post("/payments", chosen("mca_2")).await.1["merchant_connector_id"], "mca_2");
    assert_eq!(code(&shop.post("/payments", chosen("mca_9")).await), (400, "IR_06"));
    let (_, intent) = shop.post("/payments", json!({"amount": 500, "currency": "USD"})).await;
    let path = format!("/payments/{}", intent["payment_id"].as_str().unwrap());
    let body = json!({"client_secret": intent["client_secret"], "routing": chosen("mca_2")["routing"]});
    assert_eq!(code(&shop.call(Method::POST, &path, "pk_rig_0123456789", body).await), (400, "IR_06"));
}

#[actix_web::test]
async fn failed_over_payment_shows_every_attempt() {
    let shop = Shop::new().await;
    shop.rig.add_account(2).await;
    shop.rig.trouble_of(1, "/pay", Trouble::Soft);
    let (_, paid) = shop.post("/payments", paying(GOOD)).await;
    assert_eq!((&paid["status"], &paid["attempt_count"]), (&json!("succeeded"), &json!(2)));
    assert_eq!((&paid["error_code"], &paid["merchant_connector_id"]), (&Value::Null, &json!("mca_2")));
    let attempts = paid["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a["merchant_connector_id"].clone(), a["status"].clone())).collect();
    assert_eq!(told, [(json!("mca_1"), json!("failure")), (json!("mca_2"), json!("charged"))]);
}
