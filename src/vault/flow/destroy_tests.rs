//! Retired terms of MAC keys go when nothing counts under them any more, and not before.

use strongroom_wire::acts::{ActKind, ActState, PendingAct};
use strongroom_wire::admin::RotateRequest;
use strongroom_wire::payment_method::PaymentMethod;

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::super::{IdempotencyKey, acts, rotate, sweep, tokenize, unseal};
use super::*;
use crate::card::Incoming;

async fn rotated(rig: &Rig, purpose: KeyPurpose, emergency: bool) -> DestroyKey {
    let request = RotateRequest { key: purpose, tenant: Some(acme()), records_per_second_max: None, emergency };
    let begun = rotate::start(&rig.vault, &officer("alice"), request).await.unwrap();
    if emergency || purpose != KeyPurpose::Session {
        for _ in 0..2000 {
            let now = rotate::show(&rig.vault, &officer("alice"), acme(), Some(purpose)).await.unwrap();
            if now.state == RotationState::Done {
                break;
            }
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    DestroyKey { purpose, tenant: Some(acme()), term: begun.to_term - 1 }
}

async fn store(rig: &Rig, customer: &str, key: Option<&str>) -> PaymentMethod {
    let text = format!(
        "{{\"type\":\"card\",\"card\":{{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031}},\
         \"customer_id\":\"{customer}\"}}"
    );
    let body = Incoming::parse(text.as_bytes(), rig.vault.now_ms()).ok().unwrap();
    let key: Option<IdempotencyKey> = key.map(|key| key.parse().unwrap());
    let done = tokenize::tokenize(&rig.vault, &orchestrator(), key.as_ref(), body).await.unwrap();
    serde_json::from_slice(&done.json).unwrap()
}

async fn asked(rig: &Rig, key: &DestroyKey) -> Result<PendingAct, FlowError> {
    acts::ask(&rig.vault, &officer("alice"), ActKind::DestroyKey(key.clone())).await
}

async fn destroyed(rig: &Rig, key: &DestroyKey) -> String {
    let act = asked(rig, key).await.unwrap();
    let done = acts::approve(&rig.vault, &officer("bob"), act.act_id).await.unwrap();
    assert_eq!(done.state, ActState::Done);
    let row = find(&rig.vault, key).await.unwrap();
    assert_eq!((row.state, row.wrapped.len()), (KeyState::Destroyed, 0));
    done.result.unwrap()
}

async fn unsealed_again(rig: &Rig) {
    unseal::seal(&rig.vault, &officer("alice")).await.unwrap();
    unseal::by_itself(&rig.vault).await.unwrap();
}

#[actix_web::test]
async fn a_retired_fingerprint_key_stays_while_an_answer_is_named_by_it_and_goes_after_that() {
    let rig = Rig::new().await;
    let card = store(&rig, "cus_1", Some("key-1")).await;
    let old = rotated(&rig, KeyPurpose::Fingerprint, false).await;
    assert_eq!(asked(&rig, &old).await.err(), Some(FlowError::Conflict(ANSWERS)));
    rig.clock.advance_ms(25 * 3600 * 1000);
    sweep::sweep(&rig.vault).await.unwrap();
    let note = destroyed(&rig, &old).await;
    assert!(note.contains("\nfingerprint term 1 destroyed: 0 records on it or on older terms\n"), "{note}");
    let again = store(&rig, "cus_1", None).await;
    assert_eq!(again.payment_method_id, card.payment_method_id, "the card is not known any more");
    unsealed_again(&rig).await;
    let again = store(&rig, "cus_1", Some("key-2")).await;
    assert_eq!(again.payment_method_id, card.payment_method_id, "the card is not known after another unseal");
    // The next rotation does not miss it.
    let next = rotated(&rig, KeyPurpose::Fingerprint, false).await;
    assert_eq!(next.term, 2);
    assert_eq!(store(&rig, "cus_1", None).await.payment_method_id, card.payment_method_id);
    let active = DestroyKey { term: 3, ..next };
    assert!(matches!(asked(&rig, &active).await, Err(FlowError::Conflict(_))), "the key in use may not go");
}

#[actix_web::test]
async fn a_retired_session_key_stays_for_its_hour_and_goes_after_that() {
    let rig = Rig::new().await;
    let old = rotated(&rig, KeyPurpose::Session, false).await;
    assert_eq!(asked(&rig, &old).await.err(), Some(FlowError::Conflict(SESSIONS)));
    // Somebody has the key: it counts no more from now on, and nobody has to wait.
    rotated(&rig, KeyPurpose::Session, true).await;
    let note = destroyed(&rig, &old).await;
    assert!(note.contains("\nsession term 1 destroyed"), "{note}");
    unsealed_again(&rig).await;
    store(&rig, "cus_1", None).await;
}

#[actix_web::test]
async fn keys_of_the_vault_itself_are_not_destroyed_by_their_term() {
    let rig = Rig::new().await;
    let sign = DestroyKey { purpose: KeyPurpose::Sign, tenant: None, term: 1 };
    assert!(asked(&rig, &sign).await.is_err(), "the key that signs is in use");
    let request = RotateRequest { key: KeyPurpose::Sign, tenant: None, records_per_second_max: None, emergency: false };
    rotate::start(&rig.vault, &officer("alice"), request).await.unwrap();
    for _ in 0..2000 {
        if find(&rig.vault, &sign).await.unwrap().state == KeyState::Retiring {
            break;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(matches!(asked(&rig, &sign).await, Err(FlowError::Field { field: "purpose", .. })));
}
