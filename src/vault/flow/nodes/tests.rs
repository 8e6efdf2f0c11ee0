//! Two and three nodes over one store: every kind of change, and the races that were thought of.

use std::sync::Arc;
use std::time::Duration;

use strongroom_wire::acts::{ActKind, ActState, DestroyKey, SetRetention, ShredTenant};
use strongroom_wire::admin::{KeyPurpose, KeyState, RotateRequest, Rotation, RotationState};
use strongroom_wire::payment_method::PaymentMethod;
use strongroom_wire::{TenantId, Token};

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::super::{FlowError, Vault, acts, policy_change, retention, rotate, tenant, tokenize};
use super::{Bounds, beat};
use crate::card::Incoming;

/// Nothing goes up or is buried by itself, however slow the machine is.
pub(super) const CALM: Bounds = Bounds {
    beat: Duration::from_millis(10),
    fence: Duration::from_secs(3600),
    gone: Duration::from_secs(3600),
    wait: Duration::from_secs(60),
};

/// Whoever is not followed in time is said soon.
pub(super) const HASTY: Bounds = Bounds { wait: Duration::from_millis(50), ..CALM };

pub(super) async fn two() -> (Rig, Rig) {
    let a = Rig::member("a", CALM).await;
    let b = a.member_beside("b", CALM).await;
    (a, b)
}

pub(super) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..12_000 {
        if is_so().await {
            return;
        }
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to this: {what}");
}

pub(super) async fn store(vault: &Vault, number: &str, customer: &str) -> Result<Token, FlowError> {
    let body = format!(
        "{{\"type\":\"card\",\"customer_id\":\"{customer}\",\"card\":{{\"number\":\"{number}\",\"exp_month\":12,\"exp_year\":2031}}}}"
    );
    let body = Incoming::parse(body.as_bytes(), vault.now_ms()).unwrap();
    let done = tokenize::tokenize(vault, &orchestrator(), None, body).await?;
    Ok(serde_json::from_slice::<PaymentMethod>(&done.json).unwrap().payment_method_id)
}

pub(super) fn ask(key: KeyPurpose) -> RotateRequest {
    let tenant = Some(acme()).filter(|_| key != KeyPurpose::Sign);
    RotateRequest { key, tenant, records_per_second_max: None, emergency: false }
}

/// The newest rotation of a key, as another node's list shows it.
async fn shown(vault: &Vault, key: KeyPurpose) -> Option<Rotation> {
    let list = rotate::list(vault, &officer("alice")).await.unwrap();
    list.rotations.into_iter().find(|rotation| rotation.key == key)
}

pub(super) async fn done(vault: &Vault, key: KeyPurpose) -> Rotation {
    let is_done = async || shown(vault, key).await.is_some_and(|now| now.state == RotationState::Done);
    eventually("the rotation is done", is_done).await;
    shown(vault, key).await.unwrap()
}

pub(super) fn state_of(vault: &Vault, key: KeyPurpose, term: u32) -> Option<KeyState> {
    let facts = vault.barrier.key_facts().into_iter().find(|(purpose, _, facts)| (*purpose, facts.term) == (key, term));
    facts.map(|(_, _, facts)| facts.state)
}

pub(super) async fn approved(at: &Rig, what: ActKind, by: &Rig) -> Result<ActState, FlowError> {
    let act = acts::ask(&at.vault, &officer("alice"), what).await?;
    Ok(acts::approve(&by.vault, &officer("bob"), act.act_id).await?.state)
}

#[actix_web::test]
async fn whoever_hears_that_a_tenant_is_there_may_ask_any_node() {
    let (a, b) = two().await;
    let globex: TenantId = "globex".parse().unwrap();
    tenant::add(&a.vault, &officer("alice"), globex.clone()).await.unwrap();
    assert!(b.vault.barrier.has_tenant(&globex), "the answer came before the other node knew it");
    let token = store(&b.vault, VISA, "cus_1").await.unwrap();
    assert!(a.shows(token).await && b.shows(token).await);
    assert_eq!(store(&a.vault, VISA, "cus_1").await.unwrap(), token);
}

#[actix_web::test]
async fn two_nodes_that_make_one_tenant_make_its_keys_once() {
    let (a, b) = two().await;
    for name in ["t1", "t2", "t3", "t4"] {
        let name: TenantId = name.parse().unwrap();
        let (alice, bob) = (officer("alice"), officer("bob"));
        let both = tokio::join!(tenant::add(&a.vault, &alice, name.clone()), tenant::add(&b.vault, &bob, name.clone()));
        assert_eq!(both.0.unwrap(), both.1.unwrap());
        let keys = a.vault.store.keys().await.unwrap();
        assert_eq!(keys.iter().filter(|row| row.name.tenant.as_ref() == Some(&name)).count(), 3);
        assert!(a.vault.barrier.has_tenant(&name) && b.vault.barrier.has_tenant(&name));
    }
}

#[actix_web::test]
async fn no_node_seals_under_a_key_that_another_one_does_not_know() {
    let (a, mut b) = two().await;
    let old = store(&a.vault, VISA, "cus_1").await.unwrap();
    b.stop_beating();
    let (starter, begun) = (Arc::clone(&a.vault), ask(KeyPurpose::Kek));
    let starting = actix_web::rt::spawn(async move { rotate::start(&starter, &officer("alice"), begun).await });
    eventually("the term is made", async || state_of(&a.vault, KeyPurpose::Kek, 2).is_some()).await;
    for _ in 0..20 {
        assert_eq!(state_of(&a.vault, KeyPurpose::Kek, 2), Some(KeyState::Pending));
        assert_eq!(a.vault.barrier.active_term(&acme()), Some(1));
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    b.beat_again();
    assert_eq!(starting.await.unwrap().unwrap().to_term, 2);
    // From the answer on each node opens what the other one seals, in whichever state it has the term.
    let (first, second) =
        (store(&a.vault, MASTERCARD, "cus_1").await.unwrap(), store(&b.vault, MASTERCARD, "cus_2").await.unwrap());
    for token in [old, first, second] {
        assert!(a.shows(token).await && b.shows(token).await);
    }
    assert_eq!(done(&b.vault, KeyPurpose::Kek).await.to_term, 2);
    assert_eq!(a.vault.store.count_stale(&acme(), 2).await.unwrap(), 0);
    assert!(a.shows(old).await && b.shows(old).await);
}

#[actix_web::test]
async fn a_node_that_never_follows_stops_a_rotation_and_one_that_is_buried_does_not() {
    let a = Rig::member("a", HASTY).await;
    let mut b = a.member_beside("b", CALM).await;
    b.stop_beating();
    let late = rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Kek)).await;
    assert_eq!(late.err(), Some(FlowError::Unaware("b".parse().unwrap())));
    assert_eq!(a.vault.barrier.active_term(&acme()), Some(1));
    a.vault.store.bury(a.vault.nodes.run().unwrap(), Duration::ZERO).await.unwrap();
    rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Kek)).await.unwrap();
    assert_eq!(done(&a.vault, KeyPurpose::Kek).await.to_term, 2);
    // Back from the dead it uses no key before it knows all of this.
    let token = store(&a.vault, VISA, "cus_1").await.unwrap();
    assert_eq!(beat(&b.vault).await, Err(FlowError::Behind));
    assert!(b.vault.is_behind());
    assert_eq!(store(&b.vault, VISA, "cus_1").await, Err(FlowError::Behind));
    beat(&b.vault).await.unwrap();
    b.beat_again();
    eventually("it has the key that came", async || b.vault.barrier.active_term(&acme()) == Some(2)).await;
    assert!(b.shows(token).await);
}

#[actix_web::test]
async fn the_same_card_at_two_nodes_is_one_card_whatever_the_fingerprint_key_does() {
    let (a, b) = two().await;
    let mut cards = Vec::new();
    for n in 0..20 {
        cards.push(store(&a.vault, VISA, &format!("cus_{n}")).await.unwrap());
    }
    let request = RotateRequest { records_per_second_max: Some(40), ..ask(KeyPurpose::Fingerprint) };
    rotate::start(&b.vault, &officer("alice"), request).await.unwrap();
    let mut new = 0;
    loop {
        let is_done = shown(&a.vault, KeyPurpose::Fingerprint).await.unwrap().state == RotationState::Done;
        for (n, token) in cards.iter().enumerate() {
            let customer = format!("cus_{n}");
            let node = if n % 2 == 0 { &a } else { &b };
            assert_eq!(store(&node.vault, VISA, &customer).await.unwrap(), *token);
        }
        let fresh = format!("new_{new}");
        let (one, two) = tokio::join!(store(&a.vault, VISA, &fresh), store(&b.vault, VISA, &fresh));
        assert_eq!(one.unwrap(), two.unwrap(), "one card of one customer got two tokens");
        new += 1;
        if is_done {
            break;
        }
    }
    let left = a.vault.store.count_stale_marks(&acme(), 2).await.unwrap();
    assert_eq!((left.cards, left.secrets), (0, 0));
}

#[actix_web::test]
async fn a_fingerprint_term_is_used_by_nobody_before_every_request_of_every_node_knows_it() {
    let (a, b) = two().await;
    // A request of the other node that began before.
    let round = b.vault.rounds.enter();
    rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Fingerprint)).await.unwrap();
    let knows = async || state_of(&b.vault, KeyPurpose::Fingerprint, 2) == Some(KeyState::Pending);
    eventually("the other node knows the term", knows).await;
    for _ in 0..20 {
        assert_eq!((a.vault.barrier.mac_term(&acme()), b.vault.barrier.mac_term(&acme())), (Some(1), Some(1)));
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    drop(round);
    done(&b.vault, KeyPurpose::Fingerprint).await;
    eventually("it is used", async || b.vault.barrier.mac_term(&acme()) == Some(2)).await;
}

#[actix_web::test]
async fn a_node_that_opens_in_the_middle_of_a_rotation_knows_the_term_before_it_is_used() {
    let (a, b) = two().await;
    let round = b.vault.rounds.enter();
    rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Fingerprint)).await.unwrap();
    let c = a.member_beside("c", CALM).await;
    assert_eq!(state_of(&c.vault, KeyPurpose::Fingerprint, 2), Some(KeyState::Pending));
    assert_eq!(c.vault.barrier.mac_term(&acme()), Some(1));
    let late = c.vault.rounds.enter();
    drop(round);
    for _ in 0..20 {
        assert!(c.vault.barrier.mac_term(&acme()) == Some(1) || a.vault.barrier.mac_term(&acme()) == Some(2));
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    drop(late);
    done(&c.vault, KeyPurpose::Fingerprint).await;
}

#[actix_web::test]
async fn two_nodes_that_start_one_rotation_make_one_term() {
    let (a, b) = two().await;
    for n in 0..30 {
        store(&a.vault, VISA, &format!("cus_{n}")).await.unwrap();
    }
    for key in [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session, KeyPurpose::Sign] {
        let (alice, bob) = (officer("alice"), officer("bob"));
        // Slow where records move, so that it runs when the second one asks.
        let moves_records = matches!(key, KeyPurpose::Kek | KeyPurpose::Fingerprint);
        let slow = || RotateRequest { records_per_second_max: moves_records.then_some(10), ..ask(key) };
        let both = tokio::join!(rotate::start(&a.vault, &alice, slow()), rotate::start(&b.vault, &bob, slow()));
        // Whoever is second is shown the one that runs, or is told where.
        let terms = [both.0, both.1].map(|begun| match begun {
            Ok(begun) => begun.to_term,
            Err(FlowError::Elsewhere(_) | FlowError::Conflict(_)) => 2,
            Err(error) => panic!("{error:?}"),
        });
        assert!(terms.contains(&2), "{terms:?}");
        let made = a.vault.store.keys().await.unwrap().into_iter().filter(|row| row.name.purpose == key);
        let newest = made.map(|row| row.name.term).max();
        if key == KeyPurpose::Sign {
            // One that was done before the second one asked is followed by another.
            assert!(newest <= terms.iter().max().copied(), "{key}");
        } else {
            assert_eq!(newest, Some(2), "{key}");
        }
    }
}

#[actix_web::test]
async fn a_rotation_whose_node_is_gone_is_taken_up_by_the_one_that_leads() {
    let (a, mut b) = two().await;
    for n in 0..30 {
        store(&a.vault, VISA, &format!("cus_{n}")).await.unwrap();
    }
    let slow = RotateRequest { records_per_second_max: Some(10), ..ask(KeyPurpose::Kek) };
    rotate::start(&b.vault, &officer("alice"), slow).await.unwrap();
    eventually("the lease is seen", async || a.vault.nodes.holder("rotate/kek/acme").is_some()).await;
    let hurry = RotateRequest { emergency: true, ..ask(KeyPurpose::Kek) };
    assert_eq!(
        rotate::start(&a.vault, &officer("bob"), hurry).await.err(),
        Some(FlowError::Elsewhere("b".parse().unwrap()))
    );
    b.stop_beating();
    a.vault.store.bury(a.vault.nodes.run().unwrap(), Duration::ZERO).await.unwrap();
    // What is left of the old run stops by itself once it learns of it, and undoes nothing.
    assert_eq!(beat(&b.vault).await, Err(FlowError::Behind));
    let finished = done(&a.vault, KeyPurpose::Kek).await;
    assert_eq!((finished.to_term, a.vault.store.count_stale(&acme(), 2).await.unwrap()), (2, 0));
    let resumed = a.notes("rotate").await;
    assert!(resumed.iter().any(|note| note.starts_with("resume kek")), "{resumed:?}");
}

#[actix_web::test]
async fn a_key_that_is_destroyed_is_gone_from_every_node_before_that_is_said() {
    let (a, b) = two().await;
    let token = store(&a.vault, VISA, "cus_1").await.unwrap();
    rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Kek)).await.unwrap();
    done(&a.vault, KeyPurpose::Kek).await;
    let key = DestroyKey { purpose: KeyPurpose::Kek, tenant: Some(acme()), term: 1 };
    assert_eq!(approved(&a, ActKind::DestroyKey(key), &b).await, Ok(ActState::Done));
    for node in [&a, &b] {
        assert_eq!(state_of(&node.vault, KeyPurpose::Kek, 1), None);
        assert!(node.shows(token).await);
    }
}

#[actix_web::test]
async fn a_tenant_that_is_shredded_is_gone_from_every_node_before_that_is_said() {
    let (a, b) = two().await;
    let token = store(&b.vault, VISA, "cus_1").await.unwrap();
    let shred = ActKind::ShredTenant(ShredTenant { tenant: acme() });
    assert_eq!(approved(&a, shred, &a).await, Ok(ActState::Done));
    assert!(!b.vault.barrier.has_tenant(&acme()) && !b.shows(token).await);
    assert_eq!(store(&b.vault, VISA, "cus_1").await, Err(FlowError::NotFound));
}

#[actix_web::test]
async fn an_act_that_two_nodes_approve_at_once_is_done_once() {
    let (a, b) = two().await;
    for round in 0..4 {
        let days = 400 - round;
        let what = ActKind::SetRetention(SetRetention { tenant: acme(), days: Some(days) });
        let act = acts::ask(&a.vault, &officer("alice"), what).await.unwrap();
        let (bob, carol) = (officer("bob"), officer("carol"));
        let both = tokio::join!(acts::approve(&a.vault, &bob, act.act_id), acts::approve(&b.vault, &carol, act.act_id));
        let done = [&both.0, &both.1].into_iter().filter(|one| one.is_ok()).count();
        assert_eq!(done, 1, "{both:?}");
        let rules = retention::list(&b.vault, &officer("alice")).await.unwrap().rules;
        assert_eq!(rules[0].days, Some(days));
    }
}

#[actix_web::test]
async fn a_policy_that_is_approved_at_one_node_is_in_force_at_every_other() {
    let (a, b) = two().await;
    let text = a.put_policy("dora");
    let proposal = policy_change::proposal(&a.vault, &text).unwrap();
    let before = rotate::list(&b.vault, &officer("dora")).await;
    assert!(matches!(before, Err(FlowError::Denied(_))));
    assert_eq!(approved(&a, proposal, &b).await, Ok(ActState::Done));
    for node in [&a, &b] {
        assert!(rotate::list(&node.vault, &officer("dora")).await.is_ok());
    }
}

pub(super) const VISA: &str = "4242424242424242";
const MASTERCARD: &str = "5555555555554444";
