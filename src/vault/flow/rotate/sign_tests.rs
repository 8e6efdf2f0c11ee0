//! The Sign key among several nodes: each log keeps its own line of keys.

use strongroom_keys::SignRole;
use strongroom_wire::admin::{KeyPurpose, RotateRequest, RotationState};

use super::super::{newest, start};
use super::*;
use crate::flow::rig::{Rig, acme, officer};
use crate::flow::rotate::Which;
use crate::store::KeptRow;

async fn rotated(rig: &Rig) {
    let request = RotateRequest { key: KeyPurpose::Sign, tenant: None, records_per_second_max: None, emergency: false };
    let begun = start(&rig.vault, &officer("alice"), request).await.unwrap();
    let which = Which { key: KeyPurpose::Sign, tenant: None };
    loop {
        let row = newest(&rig.vault, &which).await.unwrap().unwrap();
        if row.to_term == begun.to_term && row.state == RotationState::Done {
            return;
        }
        actix_web::rt::task::yield_now().await;
    }
}

/// What a node does when it sees that a term came.
async fn follow(rig: &Rig) {
    let root = rig.vault.root.get().await.unwrap();
    let rows = rig.vault.store.keys().await.unwrap();
    let row = rows.iter().filter(|row| row.name.purpose == KeyPurpose::Sign).max_by_key(|row| row.name.term).unwrap();
    let key = keyring::unwrap_as::<SignRole>(&root, row).await.unwrap();
    let _changing = rig.vault.root.still(&root).await.unwrap();
    take_over(&rig.vault, row, key).await.unwrap();
}

/// That every checkpoint of the node's log is signed by the key that counts for it; the number of its keys.
async fn holds(rig: &Rig) -> usize {
    let signed = rig.vault.audit.checkpoint().await.unwrap();
    let keys = audit::lineage(&rig.vault).await.unwrap();
    keys.open(&signed).unwrap();
    assert_eq!(keys.newest().name(), rig.vault.audit.origin());
    assert_eq!(rig.vault.audit.check(&keys).unwrap().size(), rig.vault.audit.size());
    // Whoever has the first key alone follows to the newest.
    let notes = audit::handovers(&rig.vault, &officer("alice")).await.unwrap().handovers;
    let first = strongroom_keys::lineage::Lineage::of(keys.keys()[0].0.clone());
    assert_eq!(notes.iter().try_fold(first, |keys, note| keys.follow(note)).unwrap(), keys);
    keys.keys().len()
}

#[actix_web::test]
async fn each_node_hands_over_in_its_own_log_and_knows_what_the_others_sign() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    assert_eq!((holds(&a).await, holds(&b).await), (1, 1));
    let by_b = b.vault.barrier.sign(|signer| kept::row(signer, "x", b"1".to_vec(), 0)).unwrap();
    rotated(&a).await;
    // A node that has not seen the new term yet reads what the other signs by the old one alone.
    let by_a = a.vault.barrier.sign(|signer| kept::row(signer, "x", b"1".to_vec(), 0)).unwrap();
    assert!(kept::is_ours(&a.vault, &by_b).unwrap() && !kept::is_ours(&b.vault, &by_a).unwrap());
    follow(&b).await;
    follow(&b).await;
    assert_eq!((holds(&a).await, holds(&b).await), (2, 2));
    for row in [by_a.clone(), by_b] {
        assert!(kept::is_ours(&a.vault, &row).unwrap() && kept::is_ours(&b.vault, &row).unwrap());
        let other = KeptRow { value: b"2".to_vec(), ..row };
        assert!(!kept::is_ours(&a.vault, &other).unwrap() && !kept::is_ours(&b.vault, &other).unwrap());
    }
    // One that comes later begins its log with the term of now.
    let c = b.beside("c").await;
    rotated(&c).await;
    follow(&a).await;
    follow(&b).await;
    assert_eq!((holds(&a).await, holds(&b).await, holds(&c).await), (3, 3, 2));
    assert!(kept::is_ours(&c.vault, &by_a).unwrap());
    assert_eq!(b.notes("key-made").await.iter().filter(|note| note.contains("from this entry on")).count(), 2);
}

#[actix_web::test]
async fn a_node_that_was_away_hands_over_when_it_is_back() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    holds(&b).await;
    b.stop().await;
    rotated(&a).await;
    rotated(&a).await;
    let b = a.beside("b").await;
    assert_eq!((holds(&a).await, holds(&b).await), (3, 2));
    b.card("cus_1").await;
    b.stop().await;
    let b = a.beside("b").await;
    assert_eq!(holds(&b).await, 2);
    assert!(b.vault.barrier.has_tenant(&acme()));
}

#[actix_web::test]
async fn a_log_that_is_begun_anew_begins_its_line_of_keys_anew() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    rotated(&a).await;
    follow(&b).await;
    assert_eq!(holds(&b).await, 2);
    b.stop().await;
    a.lose_log("b").await;
    let b = a.beside("b").await;
    assert_eq!((holds(&a).await, holds(&b).await), (2, 1));
    rotated(&a).await;
    follow(&b).await;
    assert_eq!((holds(&a).await, holds(&b).await), (3, 2));
}

#[actix_web::test]
async fn a_public_key_that_somebody_put_into_the_store_signs_nothing() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    holds(&b).await;
    b.stop().await;
    let foreign = Signer::new(&format!("{}/b", a.vault.audit.origin()), &Key::generate().unwrap()).unwrap();
    a.tampered(&format!("UPDATE sign_terms SET public_key = '{}' WHERE node = 'b'", foreign.public_key()));
    assert!(!kept::is_ours(&a.vault, &kept::row(&foreign, "x", Vec::new(), 0)).unwrap());
    assert_eq!(a.try_beside("b").await.err(), Some(FlowError::Tampered));
}
