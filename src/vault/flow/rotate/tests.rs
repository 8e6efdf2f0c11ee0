//! Rotations of a whole vault whose clock a test moves: what is found, opened and refused before, during and after.

use strongroom_keys::destruction::Destruction;
use strongroom_wire::Token;
use strongroom_wire::payment_method::{Page, PaymentMethod, SessionRequest};

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::*;
use crate::card::Incoming;
use crate::flow::lifetime::look_after_keys;
use crate::flow::{IdempotencyKey, audit, read, reveal, secret, session, tokenize, unseal};
use crate::store::KeyChange;

fn ask(key: KeyPurpose) -> RotateRequest {
    let tenant = (!matches!(key, KeyPurpose::Sign | KeyPurpose::Intake)).then(acme);
    RotateRequest { key, tenant, records_per_second_max: None, emergency: false }
}

async fn rotate(rig: &Rig, request: RotateRequest) -> Rotation {
    let key = request.key;
    start(&rig.vault, &officer("alice"), request).await.unwrap();
    ended(rig, key).await
}

async fn ended(rig: &Rig, key: KeyPurpose) -> Rotation {
    for _ in 0..2000 {
        let all = list(&rig.vault, &officer("alice")).await.unwrap().rotations;
        let mine = all.into_iter().find(|rotation| rotation.key == key).unwrap();
        if mine.state != RotationState::Running {
            assert_eq!(mine.state, RotationState::Done, "{:?}", mine.fault);
            return mine;
        }
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the rotation does not end");
}

async fn store(rig: &Rig, number: &str, customer: &str, key: Option<&str>) -> Result<PaymentMethod, FlowError> {
    let text = format!(
        "{{\"type\":\"card\",\"card\":{{\"number\":\"{number}\",\"exp_month\":12,\"exp_year\":2031}},\
         \"customer_id\":\"{customer}\"}}"
    );
    let body = Incoming::parse(text.as_bytes(), rig.vault.now_ms()).ok().unwrap();
    let key: Option<IdempotencyKey> = key.map(|key| key.parse().unwrap());
    let done = tokenize::tokenize(&rig.vault, &orchestrator(), key.as_ref(), body).await?;
    Ok(serde_json::from_slice(&done.json).unwrap())
}

/// Changes a bit of the MAC of a card's row.
async fn damage(rig: &Rig, token: Token) {
    let row = rig.vault.store.card(&acme(), &token, rig.vault.now_ms()).await.unwrap().unwrap();
    let mut content = row.content.clone();
    content.binding[0] ^= 1;
    assert!(rig.vault.store.swap_card(&acme(), &token, row.content, content).await.unwrap());
}

async fn number_of(rig: &Rig, token: Token) -> String {
    let request = serde_json::from_str(r#"{"purpose":"authorize","reference":"pay_1"}"#).unwrap();
    let released = reveal::reveal(&rig.vault, &orchestrator(), token, None, &request).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&released.json).unwrap();
    json["card"]["number"].as_str().unwrap().to_owned()
}

async fn by_fingerprint(rig: &Rig, fingerprint: &str) -> Vec<Token> {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(fingerprint).unwrap();
    let query = read::Query { fingerprint: Some(bytes.try_into().unwrap()), ..read::Query::default() };
    let page: Page<PaymentMethod> = read::list(&rig.vault, &orchestrator(), query).await.unwrap();
    page.items.into_iter().map(|item| item.payment_method_id).collect()
}

async fn unsealed_again(rig: &Rig) {
    rig.vault.rotations.end().await;
    unseal::seal(&rig.vault, &officer("alice")).await.unwrap();
    // What a killed process forgets.
    rig.vault.rotations.forget();
    unseal::by_itself(&rig.vault).await.unwrap();
}

#[actix_web::test]
async fn a_card_and_an_answer_are_found_before_during_and_after_a_new_fingerprint_key() {
    let rig = Rig::new().await;
    let mut cards = Vec::new();
    for n in 0..6 {
        cards.push(store(&rig, VISA, &format!("cus_{n}"), Some(&format!("key-{n}"))).await.unwrap());
    }
    let slow = RotateRequest { records_per_second_max: Some(4), ..ask(KeyPurpose::Fingerprint) };
    start(&rig.vault, &officer("alice"), slow).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let now = show(&rig.vault, &officer("alice"), acme(), Some(KeyPurpose::Fingerprint)).await.unwrap();
        seen.insert(now.done);
        for (n, card) in cards.iter().enumerate() {
            let customer = format!("cus_{n}");
            let again = store(&rig, VISA, &customer, None).await.unwrap();
            assert_eq!(again.payment_method_id, card.payment_method_id, "another token after {} records", now.done);
            let replayed = store(&rig, VISA, &customer, Some(&format!("key-{n}"))).await.unwrap();
            assert_eq!(replayed.card.fingerprint, card.card.fingerprint, "not the answer of then");
            let other = store(&rig, MASTERCARD, &customer, Some(&format!("key-{n}"))).await;
            assert_eq!(other.err(), Some(FlowError::OtherRequest));
            assert_eq!(number_of(&rig, card.payment_method_id).await, VISA);
        }
        if now.state == RotationState::Done {
            break;
        }
        assert_eq!(now.state, RotationState::Running, "{:?}", now.fault);
    }
    assert!(seen.len() > 2, "it was met in {seen:?} only");
    let after = store(&rig, VISA, "cus_0", None).await.unwrap();
    assert_ne!(after.card.fingerprint, cards[0].card.fingerprint, "the fingerprint did not change with its key");
    let all: Vec<Token> = cards.iter().map(|card| card.payment_method_id).collect();
    assert_eq!(by_fingerprint(&rig, &after.card.fingerprint).await, all);
    assert_eq!(by_fingerprint(&rig, &cards[0].card.fingerprint).await, []);
    let left = rig.vault.store.count_stale_marks(&acme(), 2).await.unwrap();
    assert_eq!((left.cards, left.secrets), (0, 0));
    assert!(left.answers > 0, "answers keep their names until their day is over");
    unsealed_again(&rig).await;
    assert_eq!(store(&rig, VISA, "cus_1", Some("key-1")).await.unwrap(), cards[1]);
    assert_eq!(store(&rig, VISA, "cus_2", None).await.unwrap().payment_method_id, all[2]);
}

/// Every place in which a process may die, as it leaves the store there.
#[actix_web::test]
async fn a_fingerprint_rotation_goes_on_from_each_of_its_steps() {
    for step in 0..4 {
        let rig = Rig::new().await;
        let card = store(&rig, VISA, "cus_1", None).await.unwrap();
        let (key, body) = (Some("s".parse().unwrap()), br#"{"name":"psp","value":"hush"}"#);
        let secret_body = crate::card::SecretBody::parse(body).ok().unwrap();
        let written = secret::write(&rig.vault, &orchestrator(), key.as_ref(), body, secret_body).await.unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written.json).unwrap();
        let which = Which { key: KeyPurpose::Fingerprint, tenant: Some(acme()) };
        let mut row = fresh(&rig.vault, &which).await.unwrap();
        // 0: the row alone. 1: the new term is made and pending. 2: it is active in the store and not in the keyring.
        rig.vault.store.put_rotation(row.clone()).await.unwrap();
        if step > 0 {
            fingerprint::prepare(&rig.vault, &mut row).await.unwrap();
        }
        if step > 1 {
            let (new, active) = ends(&rig.vault, &row).await.unwrap();
            let states = vec![
                (active, KeyState::Active, KeyState::Retiring),
                (new.unwrap().name, KeyState::Pending, KeyState::Active),
            ];
            let change = KeyChange { states, ..KeyChange::default() };
            assert!(rig.vault.store.change_keys(change).await.unwrap());
        }
        // 3: the process lives and somebody asks again; before that it was killed.
        if step < 3 {
            unsealed_again(&rig).await;
        } else {
            start(&rig.vault, &officer("alice"), ask(KeyPurpose::Fingerprint)).await.unwrap();
        }
        let done = ended(&rig, KeyPurpose::Fingerprint).await;
        assert_eq!((done.to_term, done.done), (2, 2), "step {step}");
        assert!(done.proof.unwrap().contains("term 2: 0 cards and 0 secrets on older terms"));
        let again = store(&rig, VISA, "cus_1", None).await.unwrap();
        assert_eq!(again.payment_method_id, card.payment_method_id, "step {step}");
        assert_eq!(number_of(&rig, card.payment_method_id).await, VISA);
        let id = written["secret_id"].as_str().unwrap().parse().unwrap();
        let value = secret::reveal(&rig.vault, &orchestrator(), id, None).await.unwrap();
        assert_eq!(value.value.as_slice(), b"hush");
    }
}

#[actix_web::test]
async fn a_row_that_was_tampered_with_is_not_made_good() {
    let rig = Rig::new().await;
    let card = store(&rig, VISA, "cus_1", None).await.unwrap();
    damage(&rig, card.payment_method_id).await;
    start(&rig.vault, &officer("alice"), ask(KeyPurpose::Fingerprint)).await.unwrap();
    let stopped = loop {
        let now = show(&rig.vault, &officer("alice"), acme(), Some(KeyPurpose::Fingerprint)).await.unwrap();
        if now.state != RotationState::Running {
            break now;
        }
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((stopped.state, stopped.proof), (RotationState::Stopped, None));
    assert!(stopped.fault.unwrap().contains("integrity"));
    let found = rig.vault.audit.entries(0, 1000).await.unwrap().entries.into_iter().rfind(|e| e.act == "tamper-found");
    assert_eq!(found.unwrap().subject, Some(card.payment_method_id.to_string()));
}

#[actix_web::test]
async fn an_expired_key_takes_no_card_still_reveals_and_gets_its_next_term_by_itself() {
    let rig = Rig::new().await;
    let card = store(&rig, VISA, "cus_1", None).await.unwrap();
    rig.clock.advance_ms(366 * DAY_MS);
    intake::tend(&rig.vault).await.unwrap();
    let before = rig.vault.audit.entries(0, 1000).await.unwrap().entries.len();
    assert_eq!(store(&rig, MASTERCARD, "cus_1", None).await.err(), Some(FlowError::KeyExpired));
    assert_eq!(number_of(&rig, card.payment_method_id).await, VISA);
    // Not even the entry of a card that was not stored.
    assert_eq!(rig.vault.audit.entries(0, 1000).await.unwrap().entries.len(), before + 1);
    assert!(!crate::flow::lifetime::warnings(&rig.vault).is_empty());
    for _ in 0..200 {
        look_after_keys(&rig.vault, true).await.unwrap();
        if rig.vault.barrier.key_infos().iter().all(|info| !info.due) {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(crate::flow::lifetime::warnings(&rig.vault), Vec::<String>::new());
    assert!(store(&rig, MASTERCARD, "cus_1", None).await.is_ok());
    assert_eq!(store(&rig, VISA, "cus_1", None).await.unwrap().payment_method_id, card.payment_method_id);
    let said = rig.vault.audit.entries(0, 1000).await.unwrap().entries;
    let due: Vec<&str> = said.iter().filter(|e| e.act == "key-due").map(|e| e.note.as_str()).collect();
    assert_eq!(due.len(), 4, "each key is said to be due once: {due:?}");
    let by_itself = said.iter().filter(|entry| entry.note.starts_with("scheduled")).count();
    assert_eq!(by_itself, 4);
}

#[actix_web::test]
async fn a_rotation_that_cannot_come_to_its_end_keeps_no_other_key_from_its_own() {
    let rig = Rig::new().await;
    let card = store(&rig, VISA, "cus_1", None).await.unwrap();
    damage(&rig, card.payment_method_id).await;
    start(&rig.vault, &officer("alice"), ask(KeyPurpose::Fingerprint)).await.unwrap();
    while show(&rig.vault, &officer("alice"), acme(), Some(KeyPurpose::Fingerprint)).await.unwrap().state
        != RotationState::Stopped
    {
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    rig.clock.advance_ms(366 * DAY_MS);
    for _ in 0..200 {
        look_after_keys(&rig.vault, true).await.unwrap();
        if rig.vault.barrier.active_term(&acme()) == Some(2) {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.vault.barrier.active_term(&acme()), Some(2), "the Kek never got its next term");
}

#[actix_web::test]
async fn a_tenant_that_is_shredded_while_its_key_is_made_gets_none_and_the_vault_opens_again() {
    let rig = Rig::new().await;
    let which = Which { key: KeyPurpose::Fingerprint, tenant: Some(acme()) };
    let mut row = fresh(&rig.vault, &which).await.unwrap();
    // The Root is asked under this lock, so the rotation stands right there while the keys go.
    let held = rig.vault.root.held.lock().await;
    let late = async { fingerprint::prepare(&rig.vault, &mut row).await };
    let shred = async {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        rig.vault.store.shred_tenant(&acme()).await.unwrap();
        rig.vault.barrier.update(|ring| ring.remove_tenant(&acme())).unwrap();
        drop(held);
    };
    let (late, ()) = tokio::join!(late, shred);
    assert!(late.is_err(), "a shredded tenant got a key");
    let keys = rig.vault.store.keys().await.unwrap();
    assert!(keys.iter().all(|row| row.name.tenant != Some(acme()) || row.state == KeyState::Destroyed));
    unsealed_again(&rig).await;
}

#[actix_web::test]
async fn without_leave_to_rotate_by_itself_a_key_is_only_said_to_be_due() {
    let rig = Rig::new().await;
    rig.clock.advance_ms(360 * DAY_MS);
    for _ in 0..3 {
        look_after_keys(&rig.vault, false).await.unwrap();
    }
    assert_eq!(list(&rig.vault, &officer("alice")).await.unwrap().rotations, []);
    let said = rig.vault.audit.entries(0, 1000).await.unwrap().entries;
    // The intake key too: nobody exchanged it in time.
    assert_eq!(said.iter().filter(|entry| entry.act == "key-due").count(), 5);
}

#[actix_web::test]
async fn a_kek_near_its_use_limit_gets_its_next_term_by_itself() {
    let rig = Rig::new().await;
    let kek = KeyName { purpose: KeyPurpose::Kek, tenant: Some(acme()), term: 1 };
    rig.vault.store.add_wraps(&kek, crate::barrier::KEK_WRAPS_DUE).await.unwrap();
    unsealed_again(&rig).await;
    look_after_keys(&rig.vault, true).await.unwrap();
    assert_eq!(ended(&rig, KeyPurpose::Kek).await.to_term, 2);
    let said = rig.vault.audit.entries(0, 1000).await.unwrap().entries;
    assert!(said.iter().any(|entry| entry.act == "key-due" && entry.note.contains("near its use limit")));
    look_after_keys(&rig.vault, true).await.unwrap();
    assert_eq!(rig.vault.barrier.active_term(&acme()), Some(2));
}

#[actix_web::test]
async fn the_log_names_its_sign_key_from_an_entry_on_and_every_checkpoint_holds() {
    let rig = Rig::new().await;
    rig.vault.audit.checkpoint().await.unwrap();
    let first = audit::public_keys(&rig.vault, &officer("alice")).await.unwrap();
    for term in 2..4 {
        let done = rotate(&rig, ask(KeyPurpose::Sign)).await;
        assert_eq!((done.to_term, done.tenant), (term, None));
    }
    unsealed_again(&rig).await;
    let done = rotate(&rig, ask(KeyPurpose::Sign)).await;
    let keys = audit::lineage(&rig.vault).await.unwrap();
    assert_eq!(keys.keys().len(), 4);
    assert_eq!(rig.vault.audit.check(&keys).unwrap().size(), rig.vault.audit.size());
    keys.open(&rig.vault.audit.checkpoint().await.unwrap()).unwrap();
    let entries = rig.vault.audit.entries(0, 1000).await.unwrap().entries;
    let named: Vec<u64> =
        entries.iter().filter(|e| e.note.contains("from this entry on")).map(|entry| entry.index).collect();
    assert_eq!(named, keys.keys()[1..].iter().map(|(_, from)| *from).collect::<Vec<_>>());
    // Whoever has the first key alone follows to the newest.
    let notes = audit::handovers(&rig.vault, &officer("alice")).await.unwrap().handovers;
    let start = strongroom_keys::lineage::Lineage::parse(&first).unwrap();
    assert_eq!(notes.iter().try_fold(start, |keys, note| keys.follow(note)).unwrap(), keys);
    assert_eq!(done.proof.as_ref(), notes.last());
    // A key that was let go signs nothing that came later.
    let terms = rig.vault.barrier.key_infos().into_iter().filter(|info| info.purpose == KeyPurpose::Sign);
    assert_eq!(terms.filter(|info| info.state == KeyState::Active).count(), 1);
}

#[actix_web::test]
async fn sessions_outlive_their_key_by_an_hour_and_an_emergency_ends_them() {
    let rig = Rig::new().await;
    let make = || async {
        let request: SessionRequest =
            serde_json::from_str(r#"{"allowed_origins":["https://shop.example"],"expires_in":3600}"#).unwrap();
        let made = session::create(&rig.vault, &orchestrator(), None, b"", request).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&made.json).unwrap();
        json["client_secret"].as_str().unwrap().to_owned()
    };
    let old = make().await;
    let begun = start(&rig.vault, &officer("alice"), ask(KeyPurpose::Session)).await.unwrap();
    assert_eq!(begun.state, RotationState::Running);
    let new = make().await;
    assert!(rig.vault.verify_session(&old).is_some() && rig.vault.verify_session(&new).is_some());
    // The window is kept over a restart.
    unsealed_again(&rig).await;
    assert!(rig.vault.verify_session(&old).is_some() && rig.vault.verify_session(&new).is_some());
    let hurry = RotateRequest { emergency: true, ..ask(KeyPurpose::Session) };
    assert_eq!(rotate(&rig, hurry).await.to_term, 2);
    assert!(rig.vault.verify_session(&old).is_none() && rig.vault.verify_session(&new).is_some());
    unsealed_again(&rig).await;
    assert!(rig.vault.verify_session(&old).is_none(), "a session under a key that somebody has came back");
    let again = RotateRequest { emergency: true, ..ask(KeyPurpose::Session) };
    start(&rig.vault, &officer("alice"), again).await.unwrap();
    assert!(rig.vault.verify_session(&new).is_none(), "an emergency waits for nothing");
}

#[actix_web::test]
async fn what_makes_no_sense_is_refused_and_makes_no_key() {
    let rig = Rig::new().await;
    let keys = rig.vault.store.keys().await.unwrap();
    let limited =
        |emergency, limit| RotateRequest { records_per_second_max: Some(limit), emergency, ..ask(KeyPurpose::Kek) };
    for wrong in [
        RotateRequest { tenant: Some(acme()), ..ask(KeyPurpose::Sign) },
        RotateRequest { tenant: None, ..ask(KeyPurpose::Session) },
        RotateRequest { tenant: Some(acme()), ..ask(KeyPurpose::Intake) },
        RotateRequest { records_per_second_max: Some(5), ..ask(KeyPurpose::Intake) },
        limited(false, 0),
        limited(true, 5),
    ] {
        let refused = start(&rig.vault, &officer("alice"), wrong).await;
        assert!(matches!(refused, Err(FlowError::Field { .. })), "{refused:?}");
    }
    let unknown = RotateRequest { tenant: Some("nobody".parse().unwrap()), ..ask(KeyPurpose::Kek) };
    assert_eq!(start(&rig.vault, &officer("alice"), unknown).await.err(), Some(FlowError::NotFound));
    // An officer of one tenant has no say over the vault's own keys.
    for key in [KeyPurpose::Sign, KeyPurpose::Intake] {
        let own = start(&rig.vault, &officer("carol"), RotateRequest { emergency: true, ..ask(key) }).await;
        assert_eq!(own.err(), Some(FlowError::Denied(Reason::Tenant)));
    }
    assert_eq!(rig.vault.store.keys().await.unwrap(), keys);
    assert!(start(&rig.vault, &officer("carol"), ask(KeyPurpose::Kek)).await.is_ok());
}

#[actix_web::test]
async fn the_intake_key_is_exchanged_on_demand_and_in_an_emergency_those_of_before_are_destroyed() {
    let rig = Rig::new().await;
    let terms = || {
        let infos = rig.vault.barrier.key_infos().into_iter();
        infos.filter(|info| info.purpose == KeyPurpose::Intake).map(|info| (info.term, info.state)).collect::<Vec<_>>()
    };
    let asked = start(&rig.vault, &officer("alice"), ask(KeyPurpose::Intake)).await.unwrap();
    assert_eq!((asked.state, asked.to_term, asked.tenant), (RotationState::Done, 2, None));
    assert_eq!(terms(), [(1, KeyState::Retiring), (2, KeyState::Active)]);
    // Two at once are two exchanges, one after the other.
    let urgent = || RotateRequest { emergency: true, ..ask(KeyPurpose::Intake) };
    let (alice, bob) = (officer("alice"), officer("bob"));
    let both = tokio::join!(start(&rig.vault, &alice, urgent()), start(&rig.vault, &bob, urgent()));
    let mut made = [both.0.unwrap().to_term, both.1.unwrap().to_term];
    made.sort_unstable();
    assert_eq!(made, [3, 4]);
    assert_eq!(terms(), [(4, KeyState::Active)]);
    let mut acts = Vec::new();
    let gather = |_: u64, entry: &strongroom_wire::Entry| acts.push(format!("{} {}", entry.act.as_str(), entry.note));
    rig.vault.audit.walk_back(0, gather).unwrap();
    for expected in ["rotate start intake", "rotate start emergency intake"] {
        assert!(acts.iter().any(|act| act == expected), "{acts:?}");
    }
    let destroyed = acts.iter().filter(|act| act.starts_with("key-destroyed intake: term"));
    assert_eq!(destroyed.count(), 3);
    // A store that takes nothing exchanges nothing, and asking again does.
    let full = rig.full();
    assert!(matches!(start(&rig.vault, &officer("alice"), urgent()).await, Err(FlowError::Store(_))));
    assert_eq!(terms(), [(4, KeyState::Active)]);
    drop(full);
    let again = start(&rig.vault, &officer("alice"), urgent()).await.unwrap();
    assert_eq!(again.to_term, 5);
    let key = rig.vault.barrier.sign(|signer| signer.public_key().clone()).unwrap();
    let told = Destruction::open(&again.proof.unwrap(), &key).unwrap();
    assert_eq!((told.purpose, told.tenant, told.term), (KeyPurpose::Intake, None, 4));
}

#[actix_web::test]
async fn two_who_ask_at_once_get_one_new_term() {
    let rig = Rig::new().await;
    store(&rig, VISA, "cus_1", None).await.unwrap();
    for key in [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session] {
        let slow = || RotateRequest { records_per_second_max: Some(1), ..ask(key) };
        let (alice, bob) = (officer("alice"), officer("bob"));
        let both = tokio::join!(start(&rig.vault, &alice, slow()), start(&rig.vault, &bob, slow()));
        assert_eq!((both.0.unwrap().to_term, both.1.unwrap().to_term), (2, 2), "{key}");
    }
    let terms = rig.vault.store.keys().await.unwrap();
    assert!(terms.iter().all(|row| row.name.term <= 2));
}

#[actix_web::test]
async fn a_kek_rotation_whose_store_takes_nothing_says_so_and_goes_on_when_there_is_room() {
    stops_and_goes_on(KeyPurpose::Kek).await;
}

#[actix_web::test]
async fn a_fingerprint_rotation_whose_store_takes_nothing_says_so_and_goes_on_when_there_is_room() {
    stops_and_goes_on(KeyPurpose::Fingerprint).await;
}

async fn stops_and_goes_on(key: KeyPurpose) {
    let rig = Rig::new().await;
    let mut cards = Vec::new();
    for n in 0..8 {
        cards.push(store(&rig, VISA, &format!("cus_{n}"), None).await.unwrap());
    }
    let slow = RotateRequest { records_per_second_max: Some(8), ..ask(key) };
    start(&rig.vault, &officer("alice"), slow).await.unwrap();
    let full = rig.full();
    let now = async || show(&rig.vault, &officer("alice"), acme(), Some(key)).await;
    // Neither a record nor that it stopped can be written, and it is said all the same.
    let stopped = loop {
        let now = now().await.unwrap();
        if now.state != RotationState::Running {
            break now;
        }
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(stopped.state, RotationState::Stopped);
    assert!(stopped.fault.as_deref().is_some_and(|fault| fault.contains("make room on its disk")), "{stopped:?}");
    assert!(stopped.done < 8 && list(&rig.vault, &officer("alice")).await.unwrap().rotations[0] == stopped);
    for card in &cards {
        assert_eq!(number_of(&rig, card.payment_method_id).await, VISA);
    }
    drop(full);
    // It is written down by itself, and then it is taken up again by itself.
    while rig.vault.rotations.stalled(&Which { key, tenant: Some(acme()) }).is_some() {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(now().await.unwrap().state, RotationState::Stopped);
    look_after_keys(&rig.vault, true).await.unwrap();
    let done = ended(&rig, key).await;
    assert!(done.proof.is_some() && done.fault.is_none(), "{done:?}");
    for card in &cards {
        assert_eq!(number_of(&rig, card.payment_method_id).await, VISA);
    }
}

const VISA: &str = "4242424242424242";
const MASTERCARD: &str = "5555555555554444";
const DAY_MS: u64 = 24 * 3600 * 1000;
