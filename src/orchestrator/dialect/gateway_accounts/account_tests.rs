//! Accounts by name: tried when saved, rotated and deleted while transactions are open, and never shown with a credential.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::GatewayAccountsConfig;
use super::door_tests::{CHARGE, Till, answered, code, paying, with};
use crate::intent::rig::GOOD;

const ACCOUNTS: &str = "/PaymentGatewayAccounts";

fn account(name: &str, key: &str) -> Value {
    json!({"name": name, "provider": "rig", "credentials": {"apiKey": key, "webhookSecret": "whsec_hidden"}})
}

fn at(name: &str) -> Value {
    with("paymentGatewayAccountName", json!(name))
}

#[actix_web::test]
async fn account_is_tried_when_saved_and_its_credentials_never_come_back() {
    let till = Till::new().await;
    let secrets = || till.rig.vault.state.lock().unwrap().secrets.len();
    let before = secrets();
    let refused = till.post(ACCOUNTS, account("north", "sk_wrong")).await;
    assert_eq!((code(&refused), &refused.1["error"]["field"]), ((400, "credentialsRefused"), &json!("credentials")));
    assert_eq!(secrets(), before, "what the provider refuses is not kept");
    let made = till.post(ACCOUNTS, account("north", "sk_test_rig_2")).await;
    assert_eq!(
        (made.0, &made.1["verification"], &made.1["name"]),
        (200, &json!("accepted"), &json!("north")),
        "{made:?}"
    );
    let listed = till.get(ACCOUNTS).await.1;
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 2);
    for shown in [made.1, listed, till.get(&format!("{ACCOUNTS}/north")).await.1] {
        assert!(!shown.to_string().contains("sk_test") && !shown.to_string().contains("whsec_hidden"), "{shown}");
    }
    assert_eq!(till.post(CHARGE, at("north")).await.1["paymentGatewayAccountName"], "north");
    assert_eq!(till.rig.psp.state.lock().unwrap().charged_by, ["sk_test_rig_2"]);
}

#[actix_web::test]
async fn names_that_differ_only_in_case_are_one_name() {
    let till = Till::new().await;
    assert_eq!(till.post(ACCOUNTS, account("North", "sk_test_rig_2")).await.0, 200);
    for name in ["North", "north", "NORTH"] {
        let taken = till.post(ACCOUNTS, account(name, "sk_test_rig_3")).await;
        assert_eq!((code(&taken), &taken.1["error"]["field"]), ((409, "accountExists"), &json!("name")), "{name}");
    }
    assert_eq!(till.post(ACCOUNTS, account("south", "sk_test_rig_3")).await.0, 200);
    let renamed = till.send(Method::PUT, &format!("{ACCOUNTS}/south"), json!({"name": "nOrth"})).await;
    assert_eq!(code(&renamed), (409, "accountExists"));
    let own = till.send(Method::PUT, &format!("{ACCOUNTS}/North"), json!({"name": "north", "testMode": true})).await;
    assert_eq!((own.0, &own.1["name"], &own.1["testMode"]), (200, &json!("north"), &json!(true)), "its own may change");
    assert_eq!(code(&till.post(CHARGE, at("North")).await), (404, "accountNotFound"), "a charge names it exactly");
}

#[actix_web::test]
async fn account_with_a_bad_name_or_field_is_refused() {
    let till = Till::new().await;
    let long = "n".repeat(limits::GATEWAY_ACCOUNT_NAME_CHARS_MAX);
    assert_eq!(till.post(ACCOUNTS, account(&long, "sk_test_rig_2")).await.0, 200);
    for name in ["", ".", "..", "a b", "a/b", "ä", "mca_1", "stripe", GOOD, &format!("{long}n")] {
        let refused = till.post(ACCOUNTS, account(name, "sk_test_rig_2")).await;
        assert_eq!((code(&refused), &refused.1["error"]["field"]), ((400, "invalidRequest"), &json!("name")), "{name}");
    }
    let with = |field: &str, value: Value| {
        let mut body = account("west", "sk_test_rig_2");
        body[field] = value;
        body
    };
    for body in [
        with("surprise", json!(1)),
        with("provider", json!("nobody")),
        with("destination", json!("elsewhere")),
        with("credentials", json!({"apiKey": ""})),
        with("credentials", json!({"apiKey": "pk_not_this"})),
        with("credentials", json!({"apiKey": "sk_test_rig_2", "token": "x"})),
        with("credentials", json!({"apiKey": "sk_test_rig_2", "apiSecret": "x"})),
    ] {
        assert_eq!(code(&till.post(ACCOUNTS, body.clone()).await), (400, "invalidRequest"), "{body}");
    }
    let asked = till.request(Method::POST, ACCOUNTS).header("Idempotency-Key", "k");
    let keyed = answered(asked.body(account("west", "sk_test_rig_2").to_string())).await;
    assert_eq!(code(&keyed), (400, "notSupported"));
    assert_eq!(till.get(ACCOUNTS).await.1["accounts"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn rotation_and_deletion_leave_open_authorizations_capturable() {
    let till = Till::new().await;
    assert_eq!(till.post(ACCOUNTS, account("north", "sk_test_rig_2")).await.0, 200);
    let hold = async || till.post("/PaymentGateway/authorize", at("north")).await.1["transactionId"].clone();
    let (rotated, deleted, voided) = (hold().await, hold().await, hold().await);
    let path = format!("{ACCOUNTS}/north/rotate");
    let wrong = till.post(&path, json!({"credentials": {"apiKey": "sk_wrong"}})).await;
    assert_eq!(code(&wrong), (400, "credentialsRefused"), "what is refused replaces nothing");
    let turned = till.post(&path, json!({"credentials": {"apiKey": "sk_test_rig_3"}})).await;
    assert_eq!(
        (turned.0, turned.1["rotatedAt"].is_string(), &turned.1["verification"]),
        (200, true, &json!("accepted"))
    );
    let capture = |id: &Value| till.post("/PaymentGateway/capture", json!({"transactionId": id}));
    assert_eq!(capture(&rotated).await.1["status"], "captured");

    let gone = till.send(Method::DELETE, &format!("{ACCOUNTS}/north"), Value::Null).await;
    assert_eq!((gone.0, &gone.1["deleted"]), (200, &json!(true)));
    assert_eq!(code(&till.post(CHARGE, at("north")).await), (404, "accountNotFound"), "no transaction begins there");
    // Longer than the two days of the native dialect, and as long as the provider holds the money.
    till.rig.clock.advance(6 * 24 * 3_600_000);
    till.rig.engine.round(false).await;
    let taken = capture(&deleted).await.1;
    assert_eq!((&taken["status"], &taken["paymentGatewayAccountName"]), (&json!("captured"), &json!("north")));
    assert_eq!(till.post("/PaymentGateway/refund", json!({"transactionId": deleted})).await.1["status"], "refunded");
    assert_eq!(till.post("/PaymentGateway/void", json!({"transactionId": voided})).await.1["status"], "voided");
    assert_eq!(till.post(ACCOUNTS, account("north", "sk_test_rig")).await.0, 200, "the name is free again");
}

#[actix_web::test]
async fn disabled_account_takes_nothing_new() {
    let till = Till::new().await;
    assert_eq!(till.post(ACCOUNTS, account("north", "sk_test_rig_2")).await.0, 200);
    let off = till.send(Method::PUT, &format!("{ACCOUNTS}/north"), json!({"enabled": false})).await;
    assert_eq!(off.1["enabled"], false);
    assert_eq!(code(&till.post(CHARGE, at("north")).await), (400, "noAccountFits"));
    let mut falling = at("north");
    falling["fallbackAccounts"] = json!(["rig 1"]);
    assert_eq!(till.post(CHARGE, falling).await.1["paymentGatewayAccountName"], "rig 1", "it is passed over");
}

#[actix_web::test]
async fn merchants_change_no_accounts_where_the_operator_keeps_that() {
    let till = Till::with(GatewayAccountsConfig { manage_accounts: false, ..Default::default() }).await;
    let path = format!("{ACCOUNTS}/rig%201");
    for (method, path, body) in [
        (Method::POST, ACCOUNTS.to_owned(), account("north", "sk_test_rig_2")),
        (Method::PUT, path.clone(), json!({"enabled": false})),
        (Method::POST, format!("{path}/rotate"), json!({"credentials": {"apiKey": "sk_test_rig_2"}})),
        (Method::DELETE, path.clone(), Value::Null),
    ] {
        assert_eq!(code(&till.send(method.clone(), &path, body).await), (403, "forbidden"), "{method} {path}");
    }
    assert_eq!(till.get(&path).await.1["enabled"], true);
    assert_eq!(till.post(CHARGE, paying(GOOD)).await.1["status"], "captured");
}
