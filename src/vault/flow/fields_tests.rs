//! Encrypted fields through the whole vault: store, log and keys are real.

use serde_json::{Value, json};
use strongroom_wire::admin::EntryView;
use strongroom_wire::entry::{Outcome, Reason};
use strongroom_wire::payment_method::{PaymentMethod, Storage, StoredSecret};
use strongroom_wire::{SecretId, limits};
use uuid::Uuid;

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::super::{secret, tenant};
use super::*;
use crate::card::SecretBody;
use crate::policy::SessionClaims;

/// The bytes 0 to 31, and what OpenSSL encrypted under them and the nonce.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NUMBER: &str = "2BUyUdgomb2Ow+xzyikkh8KGvK/d59d+yH6FsX68jvc=";
const MONTH: &str = "3B5x4K3wi8UyDeRbf67hUQOI";
const YEAR: &str = "3xVz/XCtn7AYJbbYr8ukwJ36";
const CVV: &str = "3RU1IAFgnq0N86ifDQIZWooGlg==";
const PIN: &str = "3RU1V5gQKDOZ0VGlziBZnbdZbZc=";

async fn key_of(rig: &Rig, value: &str) -> SecretId {
    let body = json!({"name": "page", "value": value}).to_string();
    let asked = SecretBody::parse(body.as_bytes()).ok().unwrap();
    let written = secret::write(&rig.vault, &orchestrator(), None, body.as_bytes(), asked).await.unwrap();
    serde_json::from_slice::<StoredSecret>(&written.json).unwrap().secret_id
}

fn body(key: SecretId) -> Value {
    json!({
        "secret_id": key, "nonce": "a1B2c3D4e5F6", "encrypted_card_number": NUMBER, "encrypted_expiry_month": MONTH,
        "encrypted_expiry_year": YEAR, "encrypted_cvv": CVV, "customer_id": "cus_1",
    })
}

async fn post(rig: &Rig, asker: &Asker, key: Option<&str>, body: &Value) -> Result<Tokenized, FlowError> {
    let key: Option<IdempotencyKey> = key.map(|key| key.parse().unwrap());
    tokenize(&rig.vault, asker, key.as_ref(), FieldsBody::parse(body.to_string().as_bytes())?).await
}

fn shown(done: &Tokenized) -> PaymentMethod {
    serde_json::from_slice(&done.json).unwrap()
}

async fn check(rig: &Rig, key: SecretId, field: &str) -> Result<(), FlowError> {
    let body = json!({"secret_id": key, "nonce": "a1B2c3D4e5F6", "encrypted_pin": field}).to_string();
    check_pin(&rig.vault, &orchestrator(), &PinBody::parse(body.as_bytes())?).await
}

/// The entries about one record.
async fn about(rig: &Rig, subject: String) -> Vec<EntryView> {
    let page = rig.vault.audit.entries(0, 1000).await.unwrap();
    page.entries.into_iter().filter(|entry| entry.subject.as_ref() == Some(&subject)).collect()
}

async fn cards(rig: &Rig) -> usize {
    rig.vault.store.count_stale(&acme(), u32::MAX).await.map(|count| usize::try_from(count).unwrap()).unwrap()
}

#[actix_web::test]
async fn the_use_of_the_key_is_recorded_before_the_card_and_both_name_what_they_are_about() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    let done = post(&rig, &orchestrator(), None, &body(key)).await.unwrap();
    let card = shown(&done);
    assert!(done.is_new && card.cvc_token.is_some());
    assert_eq!((card.storage, card.card.last4.as_str(), card.card.exp_year), (Storage::ShortTerm, "4242", 2032));
    assert!(rig.revealed(card.payment_method_id, &card.cvc_token.unwrap()).await.unwrap().contains("\"123\""));
    let of_key = about(&rig, key.to_string()).await;
    let of_card = about(&rig, card.payment_method_id.to_string()).await;
    let said = |entry: &EntryView| (entry.act.clone(), entry.outcome, entry.note.clone());
    let allowed = |note: &str| ("tokenize".to_owned(), Outcome::Allowed, note.to_owned());
    assert_eq!(said(&of_key[1]), allowed("encrypted fields"));
    assert_eq!(said(&of_card[0]), allowed("encrypted fields"));
    assert!(of_key[1].index < of_card[0].index && of_card[0].index == done.audit_index);
    assert_eq!(of_key.len(), 2, "the secret itself was stored and used, and not revealed");
}

#[actix_web::test]
async fn the_same_card_has_one_token_however_it_came_and_however_often() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    let (asker, body) = (orchestrator(), body(key));
    let at_once = (0..8).map(|_| post(&rig, &asker, None, &body));
    let tokens: Vec<_> = futures_util::future::join_all(at_once)
        .await
        .into_iter()
        .map(|done| shown(&done.unwrap()).payment_method_id)
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(rig.card("cus_1").await, tokens[0], "the same card in clear is another one");
    let first = post(&rig, &asker, Some("order-1"), &body).await.unwrap();
    let again = post(&rig, &asker, Some("order-1"), &body).await.unwrap();
    assert!(!first.is_replay && again.is_replay);
    let mut other = body.clone();
    other["customer_id"] = json!("cus_2");
    assert!(matches!(post(&rig, &asker, Some("order-1"), &other).await, Err(FlowError::OtherRequest)));
}

#[actix_web::test]
async fn a_secret_of_nobody_of_another_tenant_or_deleted_is_not_there() {
    let rig = Rig::new().await;
    tenant::add(&rig.vault, &officer("alice"), "globex".parse().unwrap()).await.unwrap();
    let key = key_of(&rig, KEY).await;
    let other = Asker { tenant: Some("globex".parse().unwrap()), ..orchestrator() };
    assert_eq!(post(&rig, &other, None, &body(key)).await.err(), Some(FlowError::NotFound));
    let nobody = SecretId::fresh();
    assert_eq!(post(&rig, &orchestrator(), None, &body(nobody)).await.err(), Some(FlowError::NotFound));
    assert_eq!(check(&rig, nobody, PIN).await, Err(FlowError::NotFound));
    let failed = about(&rig, nobody.to_string()).await;
    assert_eq!(failed.iter().filter(|entry| entry.outcome == Outcome::Failed).count(), 2);
    assert!(post(&rig, &orchestrator(), None, &body(key)).await.is_ok());
    secret::delete(&rig.vault, &orchestrator(), key).await.unwrap();
    assert_eq!(post(&rig, &orchestrator(), None, &body(key)).await.err(), Some(FlowError::NotFound));
    assert_eq!(check(&rig, key, PIN).await, Err(FlowError::NotFound));
}

#[actix_web::test]
async fn a_secret_that_is_no_key_says_so_and_stores_nothing() {
    let rig = Rig::new().await;
    let key = key_of(&rig, "sk_test_1").await;
    let before = cards(&rig).await;
    for refused in [post(&rig, &orchestrator(), None, &body(key)).await.err(), check(&rig, key, PIN).await.err()] {
        assert!(matches!(refused, Some(FlowError::Field { field: "secret_id", .. })), "{refused:?}");
    }
    assert_eq!(cards(&rig).await, before);
}

#[actix_web::test]
async fn a_field_that_does_not_open_is_a_failure_of_the_act_and_stores_nothing() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    let before = cards(&rig).await;
    let mut wrong = body(key);
    wrong["nonce"] = json!("a1B2c3D4e5F7");
    let Err(FlowError::Body(why)) = post(&rig, &orchestrator(), None, &wrong).await else { panic!("it opened") };
    assert_eq!(why.field, Some("encrypted_card_number"));
    let last = about(&rig, key.to_string()).await.pop().unwrap();
    assert_eq!((last.outcome, last.note.as_str()), (Outcome::Failed, "refused"));
    assert_eq!(cards(&rig).await, before);
}

#[actix_web::test]
async fn the_log_says_of_a_pin_that_it_was_checked_and_nothing_else() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    assert_eq!(check(&rig, key, PIN).await, Ok(()));
    assert!(matches!(check(&rig, key, CVV).await, Err(FlowError::Body(_))), "three digits are a PIN");
    let entries = about(&rig, key.to_string()).await;
    let of_pins: Vec<_> = entries.iter().skip(1).map(|entry| (entry.outcome, entry.note.as_str())).collect();
    assert_eq!(of_pins, [(Outcome::Allowed, "PIN checked"); 2], "a PIN of another length has another entry");
}

#[actix_web::test]
async fn a_browser_uses_no_secret() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    let claims = SessionClaims {
        id: Uuid::now_v7(),
        tenant: acme(),
        customer: None,
        origins: Vec::new(),
        expires_ms: rig.vault.now_ms() + limits::SESSION_TTL_DEFAULT_S * 1000,
    };
    let session = Asker { who: claims.into(), ..orchestrator() };
    assert_eq!(post(&rig, &session, None, &body(key)).await.err(), Some(FlowError::Denied(Reason::Scope)));
}

#[actix_web::test]
async fn a_sealed_vault_opens_no_field() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    rig.vault.barrier.seal_now();
    assert_eq!(post(&rig, &orchestrator(), None, &body(key)).await.err(), Some(FlowError::Sealed));
    assert_eq!(check(&rig, key, PIN).await, Err(FlowError::Sealed));
}

#[actix_web::test]
async fn a_log_that_cannot_be_written_opens_neither_secret_nor_field() {
    let rig = Rig::new().await;
    let key = key_of(&rig, KEY).await;
    let before = cards(&rig).await;
    // Whoever opened this secret would find that it was tampered with, and count it.
    rig.tampered("UPDATE secrets SET name = 'other'");
    rig.vault.audit.limit_pages(Some(0)).await;
    let mut tried = 0;
    while !matches!(check(&rig, key, PIN).await, Err(FlowError::NotRecorded(_))) {
        tried += 1;
        assert!(tried < 1_000, "the log never filled");
    }
    let found = rig.vault.metrics.tampered.get();
    assert!(matches!(post(&rig, &orchestrator(), None, &body(key)).await, Err(FlowError::NotRecorded(_))));
    assert!(matches!(check(&rig, key, PIN).await, Err(FlowError::NotRecorded(_))));
    assert_eq!(rig.vault.metrics.tampered.get(), found, "the secret was looked at without an entry");
    rig.vault.audit.limit_pages(None).await;
    assert_eq!(post(&rig, &orchestrator(), None, &body(key)).await.err(), Some(FlowError::Tampered));
    assert!(rig.vault.metrics.tampered.get() > found);
    assert_eq!(cards(&rig).await, before);
}
