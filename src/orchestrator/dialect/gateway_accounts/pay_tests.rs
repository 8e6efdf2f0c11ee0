//! Transactions from charge to refund, tokens, repetitions, and bodies that are refused before anything is charged.

use serde_json::{Value, json};
use strongroom_wire::limits;

use super::door_tests::{CHARGE, Till, answered, card, code, paying, with};
use crate::api::once::digest;
use crate::intent::rig::{AUTHENTICATE, DECLINED, GOOD, Trouble};
use crate::store::{Claim, Kept, KeptState};

const AUTHORIZE: &str = "/PaymentGateway/authorize";
const CAPTURE: &str = "/PaymentGateway/capture";
const VOID: &str = "/PaymentGateway/void";
const REFUND: &str = "/PaymentGateway/refund";

fn id(answer: &(u16, Value)) -> String {
    answer.1["transactionId"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[actix_web::test]
async fn charge_is_captured_refunded_in_parts_and_never_beyond_what_was_captured() {
    let till = Till::new().await;
    let paid = till.post(CHARGE, with("metadata", json!({"order": "7"}))).await;
    assert_eq!((paid.0, &paid.1["status"], &paid.1["type"]), (200, &json!("captured"), &json!("charge")), "{paid:?}");
    assert_eq!(paid.1["paymentGatewayAccountName"], "rig 1");
    assert_eq!(
        (&paid.1["amount"], &paid.1["currency"], &paid.1["capturedAmount"]),
        (&json!(1000), &json!("USD"), &json!(1000))
    );
    assert_eq!(paid.1["card"], json!({"brand": "Visa", "last4": "4242"}));
    assert!(paid.1.get("error").is_none() && !paid.1.to_string().contains(GOOD));
    let transaction = id(&paid);
    assert!(transaction.starts_with("txn_"));
    let back = till.post(REFUND, json!({"transactionId": transaction, "amount": 300, "reason": "half"})).await;
    assert_eq!((back.0, &back.1["status"], &back.1["amount"]), (200, &json!("refunded"), &json!(300)), "{back:?}");
    for above in [701, 1000, u64::MAX] {
        let refused = till.post(REFUND, json!({"transactionId": transaction, "amount": above})).await;
        assert_eq!((code(&refused), &refused.1["error"]["field"]), ((400, "invalidAmount"), &json!("amount")));
    }
    let shown = till.get(&format!("/PaymentGateway/transactions/{transaction}")).await.1;
    assert_eq!((&shown["status"], &shown["refundedAmount"]), (&json!("partiallyRefunded"), &json!(300)));
    assert_eq!(till.post(REFUND, json!({"transactionId": transaction})).await.1["amount"], 700);
    let shown = till.get(&format!("/PaymentGateway/transactions/{transaction}?refresh=true")).await.1;
    assert_eq!((&shown["status"], shown["refunds"].as_array().unwrap().len()), (&json!("refunded"), 2));
    assert_eq!(code(&till.post(REFUND, json!({"transactionId": transaction})).await), (400, "invalidAmount"));
    assert_eq!(code(&till.post(VOID, json!({"transactionId": transaction})).await), (409, "invalidState"));
    let words: Vec<Value> = till.told().await.iter().map(|told| told["type"].clone()).collect();
    assert_eq!(words, ["transaction.captured", "refund.refunded", "refund.refunded"]);
    assert!(
        till.told()
            .await
            .iter()
            .all(|told| told["transactionId"] == transaction.as_str() && told["eventId"].is_string())
    );
}

#[actix_web::test]
async fn authorization_is_captured_in_part_or_voided_and_not_both() {
    let till = Till::new().await;
    let held = till.post(AUTHORIZE, paying(GOOD)).await;
    assert_eq!((&held.1["status"], &held.1["capturedAmount"]), (&json!("authorized"), &json!(0)));
    assert_eq!(held.1["type"], "authorization");
    let transaction = id(&held);
    assert_eq!(code(&till.post(REFUND, json!({"transactionId": transaction})).await), (409, "invalidState"));
    let above = till.post(CAPTURE, json!({"transactionId": transaction, "amount": 1001})).await;
    assert_eq!((above.0, &above.1["error"]["field"]), (400, &json!("amount")), "{above:?}");
    let taken = till.post(CAPTURE, json!({"transactionId": transaction, "amount": 400})).await;
    assert_eq!(
        (&taken.1["status"], &taken.1["capturedAmount"]),
        (&json!("partiallyCaptured"), &json!(400)),
        "{taken:?}"
    );
    assert_eq!(code(&till.post(VOID, json!({"transactionId": transaction})).await), (409, "invalidState"));
    let other = id(&till.post(AUTHORIZE, paying(GOOD)).await);
    let void = till.post(VOID, json!({"transactionId": other, "reason": "out of stock"})).await;
    assert_eq!((void.0, &void.1["status"]), (200, &json!("voided")));
    assert_eq!(code(&till.post(CAPTURE, json!({"transactionId": other})).await), (409, "invalidState"));
}

#[actix_web::test]
async fn decline_is_an_answer_and_not_an_error() {
    let till = Till::new().await;
    let declined = till.post(CHARGE, paying(DECLINED)).await;
    assert_eq!((declined.0, &declined.1["status"]), (200, &json!("declined")));
    let error = &declined.1["error"];
    assert_eq!((&error["code"], &error["providerCode"]), (&json!("declined"), &json!("card_declined")));
    assert_eq!(declined.1["attempts"].as_array().unwrap().len(), 1);
    let away = till.post(CHARGE, paying(AUTHENTICATE)).await.1;
    assert_eq!(away["status"], "requiresAction");
    assert!(away["redirectUrl"].as_str().unwrap().starts_with("https://"));
    assert_eq!(till.rig.charges(), 0);
}

#[actix_web::test]
async fn card_token_pays_again_and_again_until_it_is_deleted() {
    let till = Till::new().await;
    let made = till.once("/Tokenization/tokenize", &json!({"card": card(GOOD)}), "t").await;
    assert_eq!((made.0, &made.1["card"]["last4"]), (200, &json!("4242")), "{made:?}");
    assert!(!made.1.to_string().contains(GOOD) && !made.1.to_string().contains("Ada"));
    assert_eq!(till.once("/Tokenization/tokenize", &json!({"card": card(GOOD)}), "t").await, made);
    assert_eq!(till.rig.cards_in_vault(), 1, "the repetition kept no second card");
    let token = made.1["cardToken"].as_str().unwrap();
    let mut body = json!({"amount": 500, "currency": "USD", "paymentGatewayAccountName": "rig 1", "cardToken": token});
    for _ in 0..2 {
        assert_eq!(till.post(CHARGE, body.clone()).await.1["status"], "captured");
    }
    body["cvv"] = json!("123");
    assert_eq!(till.post(CHARGE, body.clone()).await.1["status"], "captured");
    till.rig.engine.round(false).await;
    assert_eq!(till.rig.cards_in_vault(), 1, "no transaction takes a kept card with it");
    let path = format!("/Tokenization/tokens/{token}");
    assert_eq!(till.get(&path).await.1["card"]["expirationYear"], "2034");
    assert_eq!(till.send(reqwest::Method::DELETE, &path, Value::Null).await.1["deleted"], true);
    assert_eq!(till.rig.cards_in_vault(), 0);
    let gone = till.post(CHARGE, body.clone()).await;
    assert_eq!((code(&gone), &gone.1["error"]["field"]), ((404, "cardTokenNotFound"), &json!("cardToken")));
    for nobody in ["tok_", "pm_0190", "tok_4242424242424242", ""] {
        body["cardToken"] = json!(nobody);
        assert_eq!(code(&till.post(CHARGE, body.clone()).await), (404, "cardTokenNotFound"), "{nobody}");
    }
    assert_eq!(till.rig.charges(), 3);
}

#[actix_web::test]
async fn one_idempotency_key_is_one_charge_also_when_both_come_at_once() {
    let till = Till::new().await;
    let body = paying(GOOD);
    let (first, second) = tokio::join!(till.once(CHARGE, &body, "k"), till.once(CHARGE, &body, "k"));
    assert_eq!((first.0, &first), (200, &second));
    assert_eq!(till.once(CHARGE, &body, "k").await, first);
    assert_eq!(till.rig.charges(), 1);
    let other = till.once(CHARGE, &with("amount", json!(1001)), "k").await;
    assert_eq!(code(&other), (400, "idempotencyKeyReused"));
    let refund = json!({"transactionId": id(&first), "amount": 100});
    let (one, two) = tokio::join!(till.once(REFUND, &refund, "k"), till.once(REFUND, &refund, "k"));
    assert_eq!((one.0, &one), (200, &two));
    assert_eq!(
        till.rig.psp.state.lock().unwrap().refunds,
        100,
        "one refund; the key is another one at another address"
    );
    assert_eq!(till.once(CHARGE, &body, "k").await, first, "the answer is the one that was given, whatever came later");
    let unknown = with("paymentGatewayAccountName", json!("nobody"));
    let refused = till.once(CHARGE, &unknown, "n").await;
    assert_eq!(code(&refused), (404, "accountNotFound"));
    assert_eq!(till.once(CHARGE, &unknown, "n").await, refused, "a refusal is repeated alike");
    assert_eq!(code(&till.once(CHARGE, &body, GOOD).await), (400, "invalidRequest"));
}

#[actix_web::test]
async fn charge_that_an_unanswered_request_left_is_the_answer_to_its_repetition() {
    let till = Till::new().await;
    let paid = till.post(CHARGE, paying(GOOD)).await;
    let asked = json!([
        "/gateway/PaymentGateway/charge",
        1000,
        "USD",
        "rig 1",
        [],
        ["4242", "12", "2034"],
        null,
        null,
        null,
        null,
        null,
        null
    ]);
    let claim = Claim {
        merchant_id: till.rig.merchant.clone(),
        key: "POST /gateway/PaymentGateway/charge k".into(),
        run: "run_gone".into(),
    };
    let kept = Kept {
        claim,
        digest: digest(asked.to_string().as_bytes()),
        subject: format!("payment pay_{}", id(&paid).strip_prefix("txn_").unwrap()),
        lease_ms: 0,
        expires_ms: i64::MAX,
    };
    assert_eq!(till.rig.store.begin_kept(&kept, 0).await.unwrap(), KeptState::Fresh);
    for _ in 0..2 {
        assert_eq!(till.once(CHARGE, &paying(GOOD), "k").await, paid);
    }
    assert_eq!(till.rig.charges(), 1);
}

#[actix_web::test]
async fn body_that_is_wrong_charges_nothing_and_leaves_no_card() {
    let till = Till::new().await;
    let in_card = |field: &str, value: Value| {
        let mut body = paying(GOOD);
        body["card"][field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = paying(GOOD);
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, status, word, field) in [
        (with("surprise", json!(1)), 400, "invalidRequest", Value::Null),
        (with("amount", json!(10.5)), 400, "invalidRequest", Value::Null),
        (with("amount", json!("1000")), 400, "invalidRequest", Value::Null),
        (with("amount", json!(0)), 400, "invalidRequest", json!("amount")),
        (with("amount", json!(limits::AMOUNT_MINOR_MAX + 1)), 400, "invalidRequest", json!("amount")),
        (with("currency", json!("usd")), 400, "invalidRequest", json!("currency")),
        (with("description", json!(GOOD)), 400, "invalidRequest", json!("description")),
        (with("reference", json!(GOOD)), 400, "invalidRequest", json!("reference")),
        (with("metadata", json!({"note": GOOD})), 400, "invalidRequest", json!("metadata")),
        (with("metadata", json!({GOOD: "note"})), 400, "invalidRequest", json!("metadata")),
        (with("returnUrl", json!("shop")), 400, "invalidRequest", json!("returnUrl")),
        (with("cvv", json!("123")), 400, "invalidRequest", json!("cvv")),
        (with("cardToken", json!("tok_1")), 400, "invalidRequest", json!("cardToken")),
        (in_card("holderName", json!("Ada 4242 4242 4242 4242")), 400, "invalidCard", json!("card.holderName")),
        (in_card("number", json!("4242")), 400, "invalidCard", json!("card.number")),
        (in_card("expirationMonth", json!(13)), 400, "invalidCard", json!("card.expirationMonth")),
        (in_card("expirationMonth", json!("+1")), 400, "invalidCard", json!("card.expirationMonth")),
        (in_card("expirationYear", json!("203")), 400, "invalidCard", json!("card.expirationYear")),
        (in_card("cvv", json!("12")), 400, "invalidCard", json!("card.cvv")),
        (in_card("track2", json!("x")), 400, "invalidRequest", Value::Null),
        (without("amount"), 400, "missingField", json!("amount")),
        (without("card"), 400, "missingField", json!("card")),
    ] {
        let refused = till.post(CHARGE, body.clone()).await;
        assert_eq!((code(&refused), &refused.1["error"]["field"]), ((status, word), &field), "{body}");
        assert!(!refused.1.to_string().contains(GOOD));
    }
    assert_eq!(code(&till.post(CAPTURE, json!({})).await), (400, "missingField"));
    assert_eq!((till.rig.charges(), till.rig.cards_in_vault()), (0, 0));
}

#[actix_web::test]
async fn payment_of_another_door_is_no_transaction_here() {
    let till = Till::new().await;
    let new = crate::intent::rig::new_payment(|_| {});
    till.rig.engine.create(&till.rig.merchant, new, crate::intent::rig::card(GOOD), true).await.unwrap();
    for name in ["txn_1", "pay_1", "1", "txn_", "txn_a b"] {
        for path in [CAPTURE, VOID, REFUND] {
            let refused = till.post(path, json!({"transactionId": name})).await;
            assert_eq!(code(&refused), (404, "transactionNotFound"), "{path} {name}");
        }
    }
    assert_eq!(code(&till.get("/PaymentGateway/transactions/txn_1").await), (404, "transactionNotFound"));
    let native = till.client.get(format!("{}/payments/pay_1", till.base)).header("api-key", &till.key);
    assert_eq!(answered(native).await.1["status"], "succeeded", "and it stays where it was");
}

#[actix_web::test]
async fn charge_in_doubt_is_pending_and_settled_by_a_look() {
    let till = Till::new().await;
    till.rig.trouble("/pay", Trouble::LostAnswer);
    let doubted = till.post(CHARGE, paying(GOOD)).await;
    assert_eq!((doubted.0, &doubted.1["status"]), (200, &json!("pending")));
    let path = format!("/PaymentGateway/transactions/{}?refresh=true", id(&doubted));
    assert_eq!(till.get(&path).await.1["status"], "captured");
    assert_eq!(till.rig.charges(), 1);
}
