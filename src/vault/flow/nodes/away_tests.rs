//! Nodes that are away, sealed, stopped or gone, and what is done at one of them alone.

use std::time::Duration;

use strongroom_wire::acts::{ActKind, ActState, SetRetention};
use strongroom_wire::admin::{KeyPurpose, KeyState, RotateRequest, RotationState};
use strongroom_wire::payment_method::SessionRequest;

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::super::{FlowError, Vault, intake, retention, rotate, session, tenant, unseal};
use super::tests::{CALM, VISA, approved, ask, done, eventually, store, two};
use super::{Bounds, beat, take};
use crate::store::{Cluster as _, KeyChange, KeyName};

#[actix_web::test]
async fn an_operator_who_seals_one_node_seals_all_and_who_opens_one_opens_that() {
    let (a, b) = two().await;
    unseal::seal(&a.vault, &officer("alice")).await.unwrap();
    eventually("the other node is sealed", async || !b.vault.barrier.is_unsealed()).await;
    assert!(b.notes("followed").await.iter().any(|note| note.contains("sealed by an operator")));
    assert!(a.vault.store.stays_sealed().await.unwrap());
    unseal::by_itself(&a.vault).await.unwrap();
    assert!(!a.vault.store.stays_sealed().await.unwrap());
    eventually("the one that was opened follows", async || store(&a.vault, VISA, "cus_1").await.is_ok()).await;
    assert!(!b.vault.barrier.is_unsealed());
    unseal::by_itself(&b.vault).await.unwrap();
    assert!(b.vault.barrier.is_unsealed());
}

#[actix_web::test]
async fn a_seal_that_the_others_were_not_told_of_says_so_and_tells_them_when_it_is_asked_again() {
    let (a, b) = two().await;
    let full = a.full();
    let answered = unseal::seal(&a.vault, &officer("alice")).await;
    assert!(matches!(answered, Err(FlowError::Store(_))), "{answered:?}");
    assert!(!a.vault.barrier.is_unsealed() && b.vault.barrier.is_unsealed());
    drop(full);
    unseal::seal(&a.vault, &officer("alice")).await.unwrap();
    eventually("the other node is sealed", async || !b.vault.barrier.is_unsealed()).await;
}

#[actix_web::test]
async fn a_node_that_is_behind_can_be_sealed() {
    let (a, mut b) = two().await;
    b.stop_beating();
    b.vault.barrier.fence().put_up();
    assert!(b.vault.is_behind());
    unseal::seal(&b.vault, &officer("alice")).await.unwrap();
    assert!(!b.vault.barrier.is_unsealed());
    eventually("the other node is sealed", async || !a.vault.barrier.is_unsealed()).await;
}

#[actix_web::test]
async fn keys_that_came_during_a_beat_wait_for_the_next_one() {
    let (a, mut b) = two().await;
    b.stop_beating();
    unseal::seal(&b.vault, &officer("alice")).await.unwrap();
    unseal::by_itself(&a.vault).await.ok();
    // What a beat of before the keys said counts for nothing once they are here.
    let view = super::follow::view(&b.vault).await.unwrap();
    b.vault.barrier.fence().down_until(std::time::Instant::now(), Duration::from_secs(3600));
    super::holds_now(&b.vault, view.generation, view.seals);
    assert!(b.vault.is_behind());
}

#[actix_web::test]
async fn a_node_that_is_unsealed_again_while_it_lets_go_says_that_it_holds_keys() {
    let (_a, mut b) = two().await;
    b.stop_beating();
    let request = b.vault.rounds.enter();
    unseal::seal(&b.vault, &officer("alice")).await.unwrap();
    super::will_hold(&b.vault).await.unwrap();
    drop(request);
    b.vault.rounds.settled().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    beat(&b.vault).await.unwrap();
    assert!(b.vault.nodes.own.as_ref().unwrap().state().holds);
}

#[actix_web::test]
async fn a_node_that_was_away_while_all_were_sealed_and_opened_seals_when_it_is_back() {
    let (a, mut b) = two().await;
    b.stop_beating();
    unseal::seal(&a.vault, &officer("alice")).await.unwrap();
    unseal::by_itself(&a.vault).await.unwrap();
    assert!(b.vault.barrier.is_unsealed());
    beat(&b.vault).await.unwrap();
    assert!(!b.vault.barrier.is_unsealed(), "it kept keys that an operator had all nodes forget");
}

#[actix_web::test]
async fn a_process_that_was_stopped_uses_no_key_when_it_wakes_until_it_has_followed() {
    let a = Rig::member("a", CALM).await;
    let mut b = a.member_beside("b", Bounds { fence: Duration::from_millis(300), ..CALM }).await;
    let token = store(&a.vault, VISA, "cus_1").await.unwrap();
    b.stop_beating();
    // By its clock alone: nothing tells it.
    eventually("the fence is up", async || b.vault.is_behind()).await;
    assert!(!b.shows(token).await);
    assert_eq!(store(&b.vault, VISA, "cus_1").await, Err(FlowError::Behind));
    let refused = b.vault.audit.entries(0, 1000).await.unwrap().entries;
    assert!(refused.iter().any(|entry| entry.reason == strongroom_wire::entry::Reason::Behind));
    assert!(a.shows(token).await);
    b.beat_again();
    eventually("it works again", async || b.shows(token).await).await;
}

#[actix_web::test]
async fn a_beat_whose_changes_were_not_followed_does_not_lower_the_fence() {
    let (a, mut b) = two().await;
    b.stop_beating();
    b.vault.barrier.fence().put_up();
    // What the store says cannot be a keyring: no term of a key is active.
    let kek = KeyName { purpose: KeyPurpose::Kek, tenant: Some(acme()), term: 1 };
    a.tampered("UPDATE keys SET state = 3 WHERE purpose = 1 AND term = 1");
    let states = vec![(kek, KeyState::Retiring, KeyState::Retiring)];
    assert!(a.vault.store.change_keys(KeyChange { states, ..KeyChange::default() }).await.unwrap());
    assert!(beat(&b.vault).await.is_err());
    assert!(b.vault.is_behind());
    a.tampered("UPDATE keys SET state = 2 WHERE purpose = 1 AND term = 1");
    beat(&b.vault).await.unwrap();
    assert!(!b.vault.is_behind());
}

#[actix_web::test]
async fn sessions_of_one_node_count_at_every_other_while_their_key_changes() {
    let (a, b) = two().await;
    let made = async |vault: &Vault| {
        let request: SessionRequest =
            serde_json::from_str(r#"{"allowed_origins":["https://shop.example"],"expires_in":3600}"#).unwrap();
        let made = session::create(vault, &orchestrator(), None, b"", request).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&made.json).unwrap();
        json["client_secret"].as_str().unwrap().to_owned()
    };
    let old = made(&b.vault).await;
    let begun = rotate::start(&a.vault, &officer("alice"), ask(KeyPurpose::Session)).await.unwrap();
    assert_eq!(begun.state, RotationState::Running);
    for text in [old.clone(), made(&a.vault).await, made(&b.vault).await] {
        assert!(a.vault.verify_session(&text).is_some() && b.vault.verify_session(&text).is_some());
    }
    let hurry = RotateRequest { emergency: true, ..ask(KeyPurpose::Session) };
    rotate::start(&a.vault, &officer("alice"), hurry).await.unwrap();
    eventually("old sessions end everywhere", async || b.vault.verify_session(&old).is_none()).await;
    done(&b.vault, KeyPurpose::Session).await;
    assert!(a.vault.verify_session(&old).is_none());
}

#[actix_web::test]
async fn clients_seal_to_no_key_that_a_node_does_not_have() {
    let (a, mut b) = two().await;
    eventually("there is a key", async || a.vault.barrier.intake_key().is_some()).await;
    eventually("both have it", async || b.vault.barrier.intake_key().is_some()).await;
    b.stop_beating();
    a.clock.advance_ms(25 * 3_600_000);
    let tended = intake::tend(&a.vault);
    let watched = async {
        eventually("the next one is made", async || a.vault.barrier.intake_keys().len() == 2).await;
        assert_eq!(a.vault.barrier.intake_key().unwrap().0.term, 1);
        b.beat_again();
    };
    tokio::join!(tended, watched).0.unwrap();
    assert_eq!(a.vault.barrier.intake_key().unwrap().0.term, 2);
    assert!(b.vault.barrier.intake_keys().iter().any(|facts| facts.term == 2));
}

#[actix_web::test]
async fn a_rule_of_one_person_does_not_undo_one_that_two_agreed_on_elsewhere() {
    let (a, b) = two().await;
    let rule = |days| SetRetention { tenant: acme(), days: Some(days) };
    assert_eq!(approved(&a, ActKind::SetRetention(rule(10)), &b).await, Ok(ActState::Done));
    for days in [20, 30, 40, 50] {
        let (long, longer) = (rule(days), rule(days + 5));
        let (alice, bob) = (officer("alice"), officer("bob"));
        let both = tokio::join!(retention::set(&a.vault, &alice, &longer), retention::set(&b.vault, &bob, &long));
        let now = retention::list(&a.vault, &officer("alice")).await.unwrap().rules[0].days;
        let most =
            [(&both.0, days + 5), (&both.1, days)].into_iter().filter(|(set, _)| set.is_ok()).map(|(_, days)| days);
        assert_eq!(now, most.max(), "a shorter rule came after a longer one: {both:?}");
    }
}

#[actix_web::test]
async fn one_node_leads_and_another_one_when_it_is_gone_or_leaves() {
    let (a, mut b) = two().await;
    let leaders = async || u32::from(a.vault.nodes.leads()) + u32::from(b.vault.nodes.leads());
    eventually("one leads", async || leaders().await == 1).await;
    assert!(a.vault.nodes.leads(), "who came first leads");
    b.stop_beating();
    b.beat_again();
    a.vault.nodes.begin_to_leave();
    eventually("the other one leads", async || b.vault.nodes.leads() && !a.vault.nodes.leads()).await;
    super::depart(&a.vault).await;
    eventually("it is not among them", async || b.vault.nodes.status().unwrap().nodes.len() == 1).await;
    assert_eq!(b.vault.nodes.leader(), Some("b".parse().unwrap()));
}

#[actix_web::test]
async fn what_has_a_lease_is_done_at_one_node_and_free_when_that_is_over() {
    let (a, b) = two().await;
    let lease = take(&a.vault, "turn/1".to_owned()).await.unwrap().unwrap();
    assert!(take(&a.vault, "turn/1".to_owned()).await.unwrap().is_none(), "twice in one process");
    assert!(take(&b.vault, "turn/1".to_owned()).await.unwrap().is_none());
    assert!(lease.counts(&a.vault));
    drop(lease);
    let free = async || take(&b.vault, "turn/1".to_owned()).await.unwrap().is_some();
    eventually("it is given back", free).await;
    // One that the store has and nobody knows of, as after an answer that was lost.
    let run = a.vault.nodes.run().unwrap();
    assert!(a.vault.store.lease("stray", run).await.unwrap());
    eventually("a stray one is given back", async || take(&b.vault, "stray".to_owned()).await.unwrap().is_some()).await;
}

#[actix_web::test]
async fn a_second_process_of_one_name_is_refused_while_the_first_lives() {
    let (a, mut b) = two().await;
    let hasty = Bounds { gone: Duration::from_millis(50), ..CALM };
    // The first one is seen often enough not to be gone by then, or is buried and comes back: both never serve at once.
    b.stop_beating();
    b.vault.store.depart(b.vault.nodes.run().unwrap()).await.unwrap();
    a.try_to_join("b", hasty).await.unwrap();
    assert_eq!(beat(&b.vault).await, Err(FlowError::Behind));
    assert!(matches!(beat(&b.vault).await, Err(FlowError::Conflict(_))), "two processes run under one name");
    assert_eq!(store(&b.vault, VISA, "cus_1").await, Err(FlowError::Behind));
}

#[actix_web::test]
async fn a_node_takes_another_root_from_its_own_file_or_seals() {
    let (a, mut b) = two().await;
    let c = a.member_beside("c", Bounds { wait: Duration::from_secs(3), ..CALM }).await;
    let (key, next) = strongroom_keys::root::dev::make_for(a.vault.root.descriptor().vault_id()).unwrap();
    a.put_next(&next);
    a.put_next_key(&key);
    b.stop_beating();
    let asked = strongroom_wire::custody::ChangeRootRequest {
        to: strongroom_wire::hex::hex(&next.sum()),
        keys_per_second_max: None,
    };
    approved(&a, ActKind::ChangeRoot(asked), &a).await.unwrap();
    let sum = async |rig: &Rig| rig.vault.root.descriptor().sum();
    eventually("it is in force where it was asked for", async || sum(&a).await == next.sum()).await;
    eventually("the other node takes it", async || sum(&c).await == next.sum()).await;
    // Keys that it makes from now on are wrapped under the new one.
    let made = tenant::add(&c.vault, &officer("alice"), "globex".parse().unwrap()).await;
    assert_eq!(made.err(), Some(FlowError::Unaware("b".parse().unwrap())));
    // A node that has not heard of it stores no key under the one of before: no Root in force would open it.
    let late = tenant::add(&b.vault, &officer("alice"), "initech".parse().unwrap()).await;
    assert_eq!(late.err(), Some(FlowError::Conflict("another root came into force in between; ask again")));
    let late = rotate::start(&b.vault, &officer("alice"), ask(KeyPurpose::Kek)).await;
    assert!(late.is_err(), "{late:?}");
    assert!(
        a.vault.store.keys().await.unwrap().iter().all(|row| row.name.purpose != KeyPurpose::Kek || row.name.term == 1)
    );
    a.remove_next();
    beat(&b.vault).await.unwrap();
    assert!(!b.vault.barrier.is_unsealed(), "a node without the file went on");
    assert!(b.notes("followed").await.iter().any(|note| note.contains("another root.json is in force")));
}

#[actix_web::test]
async fn a_vault_alone_asks_nobody_and_writes_nothing() {
    let rig = Rig::new().await;
    let before = rig.store.generation().await.unwrap();
    rig.vault.known().await.unwrap();
    rig.vault.settled_elsewhere().await.unwrap();
    rig.vault.caught_up().await.unwrap();
    beat(&rig.vault).await.unwrap();
    assert!(take(&rig.vault, "anything".to_owned()).await.unwrap().unwrap().counts(&rig.vault));
    assert!(rig.vault.nodes.leads() && !rig.vault.is_behind() && rig.vault.nodes.status().is_none());
    assert_eq!(rig.store.generation().await.unwrap(), before);
}
