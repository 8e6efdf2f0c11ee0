//! What goes to the vault instead of a card, and what its answers prove.

use std::collections::BTreeMap;
use std::sync::Mutex;

use strongroom_wire::forward::NotSent as WireNotSent;
use strongroom_wire::{TenantId, Token};
use zeroize::Zeroizing;

use super::*;
use crate::connector::Auth;
use crate::vault::{SecretText, VaultError};

struct Told {
    answer: Mutex<Option<Result<Forwarded, ForwardFault>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Forwarder for Told {
    async fn forward(&self, _: &TenantId, request: &ForwardRequest, _: Duration) -> Result<Forwarded, ForwardFault> {
        self.asked.lock().unwrap().push(serde_json::to_string(request).unwrap());
        self.answer.lock().unwrap().take().unwrap()
    }
}

fn request(body: Body) -> PspRequest {
    PspRequest {
        method: Method::Post,
        path: "/v71/payments".into(),
        query: Vec::new(),
        auth: Auth::Header("x-api-key"),
        headers: vec![("Accept", "application/json".into())],
        idempotency_key: Some("key_1".into()),
        body,
        moves_money: true,
    }
}

fn card_body(description: &str) -> Body {
    Body::Json(Json::object([
        ("amount", Json::Number(100)),
        ("merchantAccount", Json::Account(AccountPart::Key1)),
        ("description", Json::text(description)),
        ("number", Json::Slot(Slot::Number)),
        ("month", Json::Slot(Slot::ExpMonthNumber)),
    ]))
}

fn credentials() -> Credentials {
    Credentials {
        api_key: Zeroizing::new("secret_key".into()),
        key1: Some(Zeroizing::new("Shop".into())),
        api_secret: None,
        webhook_secret: None,
    }
}

fn handover() -> Handover {
    Handover {
        tenant: "shop".parse().unwrap(),
        token: Token::fresh(),
        cvc_token: Some(SecretText::new("cvc_sealed".into())),
        reference: "pay_1".into(),
    }
}

async fn send(body: Body, answer: Result<Forwarded, ForwardFault>) -> (Sent, Vec<String>) {
    let vault = Arc::new(Told { answer: Mutex::new(Some(answer)), asked: Mutex::default() });
    let direct = HttpTransport::new(BTreeMap::new()).unwrap();
    let transport = ForwardTransport::new(direct, vault.clone(), Duration::from_secs(1));
    let handed = handover();
    let sent = transport.send("adyen", &request(body), &credentials(), CardPass::ByVault(&handed)).await;
    let asked = vault.asked.lock().unwrap().clone();
    (sent, asked)
}

fn good() -> Result<Forwarded, ForwardFault> {
    Ok(Forwarded::Sent { status: 200, headers: BTreeMap::new(), body: "{}".into() })
}

#[tokio::test]
async fn template_holds_slots_credentials_and_the_sealed_cvc_and_no_card() {
    let (sent, asked) = send(card_body("shoes"), good()).await;
    assert!(matches!(sent, Sent::Answer(answer) if answer.status == 200));
    let asked: serde_json::Value = serde_json::from_str(&asked[0]).unwrap();
    assert_eq!(asked["destination"], "adyen");
    assert_eq!(asked["idempotency_key"], "key_1");
    assert_eq!(asked["cvc_token"], "cvc_sealed");
    assert_eq!(asked["headers"], serde_json::json!([["accept", "application/json"], ["x-api-key", "secret_key"]]));
    assert_eq!(
        asked["body"]["json"],
        serde_json::json!({"amount": 100, "merchantAccount": "Shop", "description": "shoes",
            "number": "{{card.number}}", "month": "{{card.exp_month_number}}"})
    );
}

#[tokio::test]
async fn words_of_a_merchant_never_become_a_slot() {
    for words in ["{{card.number}}", "a {{card.number}} b", "{{"] {
        let (sent, asked) = send(card_body(words), good()).await;
        assert!(matches!(sent, Sent::NotSent(NotSent::Unbuildable)), "{words}");
        assert!(asked.is_empty(), "{words}");
        let form = vec![
            ("number".to_owned(), Field::Slot(Slot::Number)),
            ("description".to_owned(), Field::Text(words.to_owned())),
        ];
        let (sent, asked) = send(Body::Form(form), good()).await;
        assert!(matches!(sent, Sent::NotSent(NotSent::Unbuildable)) && asked.is_empty(), "{words}");
    }
}

#[tokio::test]
async fn what_the_vault_says_is_not_believed_to_prove_more_than_it_does() {
    let doubt = |reason| Ok(Forwarded::InDoubt { reason });
    for (answer, expected) in [
        (doubt(InDoubt::TimedOut), Doubt::TimedOut),
        (doubt(InDoubt::ConnectionLost), Doubt::ConnectionLost),
        (doubt(InDoubt::Unreadable), Doubt::Unreadable),
        (Err(ForwardFault::InDoubt(Doubt::StillRunning)), Doubt::StillRunning),
    ] {
        let (sent, _) = send(card_body("x"), answer).await;
        assert!(matches!(sent, Sent::InDoubt(found) if found == expected));
    }
    let unreachable = Ok(Forwarded::NotSent { reason: WireNotSent::Unreachable });
    assert!(matches!(send(card_body("x"), unreachable).await.0, Sent::NotSent(NotSent::Unreachable)));
    let gone = Err(ForwardFault::NotSent(VaultError::NotFound));
    assert!(matches!(send(card_body("x"), gone).await.0, Sent::NotSent(NotSent::Vault(VaultError::NotFound))));
}

#[tokio::test]
async fn request_with_slots_is_not_sent_without_the_vault() {
    let transport = ForwardTransport::new(
        HttpTransport::new(BTreeMap::new()).unwrap(),
        Arc::new(Told { answer: Mutex::default(), asked: Mutex::default() }),
        Duration::from_secs(1),
    );
    let sent = transport.send("adyen", &request(card_body("x")), &credentials(), CardPass::None).await;
    assert!(matches!(sent, Sent::NotSent(NotSent::Unbuildable)));
}
