//! A policy that is approved at one node is the policy of all, and one of an earlier day is nobody's.

use strongroom_wire::Scope;
use strongroom_wire::acts::{ActState, PendingAct};

use super::super::rig::{Rig, officer};
use super::super::{acts, policy_change};
use super::*;
use crate::policy::Identity;

/// Asks for the policy with one more officer at a node.
async fn asked(rig: &Rig, newcomer: &str) -> PendingAct {
    let text = rig.put_policy(newcomer);
    let what = policy_change::proposal(&rig.vault, &text).unwrap();
    acts::ask(&rig.vault, &officer("alice"), what).await.unwrap()
}

async fn approved(rig: &Rig, newcomer: &str) {
    let act = asked(rig, newcomer).await;
    let done = acts::approve(&rig.vault, &officer("bob"), act.act_id).await.unwrap();
    assert_eq!(done.state, ActState::Done);
}

fn admits(rig: &Rig, name: &str) -> bool {
    let who = Identity::parse(&format!("spiffe://strongroom/security/{name}")).unwrap();
    rig.vault.policy.holds(&who, Scope::Rotate, None)
}

async fn kept_now(rig: &Rig) -> KeptRow {
    find(&rig.vault).await.unwrap().unwrap()
}

async fn tampers(rig: &Rig) -> usize {
    rig.notes("tamper-found").await.len()
}

#[actix_web::test]
async fn a_policy_of_another_node_is_taken_and_an_earlier_one_is_refused_and_said_once() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    let first = kept_now(&a).await;
    approved(&a, "dora").await;
    assert!(admits(&a, "dora") && !admits(&b, "dora"));
    follow(&b.vault).await.unwrap();
    follow(&b.vault).await.unwrap();
    assert!(admits(&b, "dora"));
    let said = b.notes("reloaded").await;
    assert_eq!(said.iter().filter(|note| note.ends_with("approved at another node")).count(), 1);
    assert!(said.last().unwrap().ends_with("is in force as number 2"), "{said:?}");
    // Each node asks for the next one in its turn.
    approved(&b, "erik").await;
    follow(&a.vault).await.unwrap();
    assert!(admits(&a, "erik") && !admits(&a, "dora"));
    let newest = kept_now(&a).await;
    let foreign = KeptRow { note: newest.note.replace("number 3", "number 4"), ..newest.clone() };
    for wrong in [first, foreign, KeptRow { value: b"version = 1".to_vec(), ..newest.clone() }] {
        let before = tampers(&a).await;
        a.vault.store.put_kept(wrong).await.unwrap();
        follow(&a.vault).await.unwrap();
        follow(&a.vault).await.unwrap();
        assert!(admits(&a, "erik"));
        assert_eq!(tampers(&a).await, before + 1);
    }
    a.vault.store.put_kept(newest).await.unwrap();
    follow(&a.vault).await.unwrap();
    assert_eq!(tampers(&a).await, 3);
}

#[actix_web::test]
async fn a_node_that_was_away_takes_a_newer_policy_and_seals_under_an_older_one() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    let first = kept_now(&a).await;
    b.stop().await;
    approved(&a, "dora").await;
    let b = a.beside("b").await;
    assert!(admits(&b, "dora"));
    assert!(is_newest(&b.vault).unwrap());
    b.stop().await;
    a.vault.store.put_kept(first).await.unwrap();
    let b = a.beside("b").await;
    assert!(!is_newest(&b.vault).unwrap());
    while b.vault.barrier.is_unsealed() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    b.stop().await;
    let foreign = KeptRow { note: "none".to_owned(), ..kept_now(&a).await };
    a.vault.store.put_kept(foreign).await.unwrap();
    assert_eq!(a.try_beside("b").await.err(), Some(FlowError::Tampered));
}

#[actix_web::test]
async fn of_two_policies_that_two_nodes_put_in_force_at_once_one_counts() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    approved(&a, "dora").await;
    // This node has not heard of it.
    let act = asked(&b, "erik").await;
    assert!(acts::approve(&b.vault, &officer("bob"), act.act_id).await.is_err());
    assert!(!admits(&b, "erik"));
    follow(&b.vault).await.unwrap();
    assert!(admits(&b, "dora") && !admits(&b, "erik"));
    let again = policy_change::proposal(&b.vault, &b.put_policy("erik")).unwrap();
    let act = acts::ask(&b.vault, &officer("alice"), again).await.unwrap();
    acts::approve(&b.vault, &officer("bob"), act.act_id).await.unwrap();
    assert!(admits(&b, "erik"));
}

#[actix_web::test]
async fn a_policy_that_is_begun_anew_gets_the_next_number_and_counts_everywhere() {
    let a = Rig::node("a").await;
    approved(&a, "dora").await;
    let b = a.beside("b").await;
    a.put_policy("erik");
    let c = a.beside_anew("c").await;
    assert!(admits(&c, "erik") && !admits(&b, "erik"));
    follow(&b.vault).await.unwrap();
    assert!(admits(&b, "erik") && !admits(&b, "dora"));
    assert!(b.notes("reloaded").await.last().unwrap().ends_with("is in force as number 3"));
    assert_eq!(tampers(&b).await, 0);
}
