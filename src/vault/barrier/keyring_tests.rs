//! A keyring is a value: what a change leaves alone, and what it refuses.

use super::super::rig::{NOW_MS, keks, keys, signer};
use super::*;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn ring() -> Keyring {
    Keyring::new(KeyFacts::fresh(1, NOW_MS), signer()).add_tenant(acme(), keys(1)).unwrap()
}

fn states(ring: &Keyring) -> Vec<(u32, KeyState)> {
    ring.key_infos(&Cryptoperiods::default(), NOW_MS)
        .into_iter()
        .filter(|info| info.purpose == KeyPurpose::Kek)
        .map(|info| (info.term, info.state))
        .collect()
}

fn kek(term: u32, state: KeyState) -> KekTerm {
    KekTerm::new(KeyFacts { state, ..KeyFacts::fresh(term, NOW_MS) }, &Key::generate().unwrap())
}

#[test]
fn the_active_key_cannot_be_removed() {
    let ring = ring();
    assert_eq!(ring.remove_term(&acme(), 1).err(), Some(KeyringError::Active));
    let next = ring.add_term(&acme(), keks(2)).unwrap();
    assert_eq!(next.remove_term(&acme(), 2).err(), Some(KeyringError::Active));
    assert_eq!(states(&next.remove_term(&acme(), 1).unwrap()), [(2, KeyState::Active)]);
}

#[test]
fn a_new_term_retires_the_old_one_and_leaves_the_old_ring_alone() {
    let before = ring();
    let after = before.add_term(&acme(), keks(2)).unwrap();
    assert_eq!(states(&before), [(1, KeyState::Active)]);
    assert_eq!(states(&after), [(1, KeyState::Retiring), (2, KeyState::Active)]);
}

#[test]
fn a_pending_term_opens_and_does_not_seal_until_it_is_activated() {
    let ring = ring().add_term(&acme(), kek(2, KeyState::Pending)).unwrap();
    let keys = ring.tenant(&acme()).unwrap();
    assert_eq!(keys.active().facts().term, 1);
    assert!(keys.kek(1).is_ok() && keys.kek(2).is_ok() && keys.kek(3).is_err());
    let after = ring.activate_term(&acme(), 2).unwrap();
    assert_eq!(states(&after), [(1, KeyState::Retiring), (2, KeyState::Active)]);
    assert_eq!(ring.activate_term(&acme(), 1).err(), Some(KeyringError::Missing));
}

#[test]
fn terms_only_grow_and_never_repeat() {
    let ring = ring().add_term(&acme(), keks(5)).unwrap();
    assert_eq!(ring.add_term(&acme(), keks(5)).err(), Some(KeyringError::Exists));
    assert_eq!(ring.add_term(&acme(), keks(4)).err(), Some(KeyringError::Facts));
    assert_eq!(ring.add_term(&acme(), keks(0)).err(), Some(KeyringError::Facts));
    assert_eq!(ring.add_term(&acme(), kek(6, KeyState::Retiring)).err(), Some(KeyringError::Facts));
    assert_eq!(ring.add_term(&"other".parse().unwrap(), keks(6)).err(), Some(KeyringError::Missing));
}

#[test]
fn a_tenant_is_not_replaced() {
    assert_eq!(ring().add_tenant(acme(), keys(1)).err(), Some(KeyringError::Exists));
}

#[test]
fn the_inventory_names_every_key_with_its_age_and_use() {
    let ring = ring().add_term(&acme(), keks(2)).unwrap();
    let infos = ring.key_infos(&Cryptoperiods::default(), NOW_MS + 3 * DAY_MS);
    let rows: Vec<_> = infos.iter().map(|info| (info.purpose, info.term, info.age_days)).collect();
    assert_eq!(
        rows,
        [
            (KeyPurpose::Sign, 1, 3),
            (KeyPurpose::Kek, 1, 3),
            (KeyPurpose::Kek, 2, 3),
            (KeyPurpose::Fingerprint, 1, 3),
            (KeyPurpose::Session, 1, 3),
        ]
    );
    assert!(infos[0].tenant.is_none() && infos[1..].iter().all(|info| info.tenant == Some(acme())));
}

#[test]
fn a_change_shares_the_use_count_of_a_term() {
    let before = ring();
    let after = before.add_term(&acme(), kek(2, KeyState::Pending)).unwrap();
    let (one, two) = (before.tenant(&acme()).unwrap(), after.tenant(&acme()).unwrap());
    assert!(std::ptr::eq(one.active().wraps(), two.active().wraps()));
}

#[test]
fn a_new_term_of_a_mac_key_is_pending_then_active_and_leaves_the_old_ring_alone() {
    let before = ring();
    let key =
        MacTerm::new(KeyFacts { state: KeyState::Pending, ..KeyFacts::fresh(2, NOW_MS) }, Key::generate().unwrap());
    let pending = before.add_mac_term(&acme(), KeyPurpose::Fingerprint, key).unwrap();
    let term = |ring: &Keyring| ring.tenant(&acme()).unwrap().fingerprint().active().0.term;
    assert_eq!((term(&before), term(&pending)), (1, 1));
    let after = pending.activate_mac_term(&acme(), KeyPurpose::Fingerprint, 2).unwrap();
    assert_eq!((term(&pending), term(&after)), (1, 2));
    let kek = after.activate_mac_term(&acme(), KeyPurpose::Kek, 2);
    assert_eq!(kek.err(), Some(KeyringError::Missing));
    assert_eq!(after.remove_mac_term(&acme(), KeyPurpose::Fingerprint, 2).err(), Some(KeyringError::Active));
    assert!(after.remove_mac_term(&acme(), KeyPurpose::Fingerprint, 1).is_ok());
}

#[test]
fn a_signer_is_replaced_by_a_later_term_alone_and_stays_listed() {
    let ring = Keyring::new(KeyFacts::fresh(1, NOW_MS), signer());
    assert_eq!(ring.replace_signer(KeyFacts::fresh(1, NOW_MS), signer()).err(), Some(KeyringError::Facts));
    let next = ring.replace_signer(KeyFacts::fresh(2, NOW_MS), signer()).unwrap();
    let infos = next.key_infos(&Cryptoperiods::default(), NOW_MS);
    let listed: Vec<_> = infos.iter().map(|info| (info.term, info.state)).collect();
    assert_eq!(listed, [(1, KeyState::Retiring), (2, KeyState::Active)]);
    assert_eq!(next.remove_former_signer(2).err(), Some(KeyringError::Active));
    assert_eq!(next.remove_former_signer(1).unwrap().key_infos(&Cryptoperiods::default(), NOW_MS).len(), 1);
}
