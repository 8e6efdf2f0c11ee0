//! Tenants and keys.

use std::sync::Arc;

use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::{TenantId, limits};

use super::rows::{NOW, acme, key, tenant_row};
use crate::store::{KeyChange, KeyName, KeyRow, SignTerm, Store, StoreError, TenantRow};

pub(in crate::store) async fn a_tenant_comes_with_its_keys(store: Arc<dyn Store>) {
    let tenant: TenantId = "acme".parse().unwrap();
    let other: TenantId = "other".parse().unwrap();
    let keys = vec![key(KeyPurpose::Kek, Some(&tenant), 1), key(KeyPurpose::Session, Some(&tenant), 1)];
    assert_eq!(store.insert_tenant(tenant_row(&tenant), keys.clone(), None).await, Ok(true));
    let later = TenantRow { created_ms: NOW + 5, ..tenant_row(&tenant) };
    assert_eq!(store.insert_tenant(later, vec![key(KeyPurpose::Kek, Some(&tenant), 2)], None).await, Ok(false));
    let twice = vec![key(KeyPurpose::Kek, Some(&other), 1), key(KeyPurpose::Kek, Some(&other), 1)];
    assert_eq!(store.insert_tenant(tenant_row(&other), twice, None).await, Err(StoreError::Exists));
    let foreign = vec![key(KeyPurpose::Kek, Some(&tenant), 1)];
    assert_eq!(store.insert_tenant(tenant_row(&other), foreign, None).await, Err(StoreError::NoTenant));
    assert_eq!(store.tenants().await, Ok(vec![tenant_row(&tenant)]));
    assert_eq!(store.keys().await, Ok(keys));
}

pub(in crate::store) async fn a_key_change_that_does_not_fit_changes_nothing(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    let sign = key(KeyPurpose::Sign, None, 1);
    let change = KeyChange { insert: vec![sign.clone(), first.clone()], ..KeyChange::default() };
    assert_eq!(store.change_keys(change.clone()).await, Ok(true));
    assert_eq!(store.change_keys(change).await, Ok(false));

    let second = key(KeyPurpose::Kek, Some(&tenant), 2);
    let turn = KeyChange {
        insert: vec![second.clone()],
        states: vec![(first.name.clone(), KeyState::Active, KeyState::Retiring)],
        rewraps: vec![(sign.name.clone(), sign.wrapped.clone(), vec![9; 60])],
        sign_term: None,
        under: None,
    };
    let wrong = [
        KeyChange { states: vec![(first.name.clone(), KeyState::Pending, KeyState::Active)], ..turn.clone() },
        KeyChange { rewraps: vec![(sign.name.clone(), vec![1; 60], vec![9; 60])], ..turn.clone() },
    ];
    for wrong in wrong {
        assert_eq!(store.change_keys(wrong).await, Ok(false));
        assert_eq!(store.keys().await, Ok(vec![sign.clone(), first.clone()]));
    }
    assert_eq!(store.change_keys(turn).await, Ok(true));
    let sign = KeyRow { wrapped: vec![9; 60], ..sign };
    let first = KeyRow { state: KeyState::Retiring, ..first };
    assert_eq!(store.keys().await, Ok(vec![sign, first, second]));
}

pub(in crate::store) async fn a_destroyed_key_has_no_bytes(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    store.change_keys(KeyChange { insert: vec![first.clone()], ..KeyChange::default() }).await.unwrap();
    let end =
        KeyChange { states: vec![(first.name.clone(), KeyState::Active, KeyState::Destroyed)], ..KeyChange::default() };
    assert_eq!(store.change_keys(end).await, Ok(true));
    let gone = KeyRow { state: KeyState::Destroyed, wrapped: Vec::new(), ..first };
    assert_eq!(store.keys().await, Ok(vec![gone]));
}

pub(in crate::store) async fn a_sign_key_leaves_its_public_half_behind(store: Arc<dyn Store>) {
    let sign = key(KeyPurpose::Sign, None, 1);
    let public = |term: u32| SignTerm {
        node: None,
        term,
        public_key: format!("strongroom/test+{term}"),
        from_entry: u64::from(term) * 10,
        handover: (term > 1).then(|| "the note".to_owned()),
    };
    let make = |key: &KeyRow, term| KeyChange {
        insert: vec![key.clone()],
        sign_term: Some(public(term)),
        ..KeyChange::default()
    };
    assert_eq!(store.change_keys(make(&sign, 1)).await, Ok(true));
    // The key's name is taken: nothing of the change happens.
    assert_eq!(store.change_keys(make(&sign, 2)).await, Ok(false));
    assert_eq!(store.sign_terms().await, Ok(vec![public(1)]));
    let long = SignTerm { handover: Some("n".repeat(limits::ROTATION_TEXT_BYTES_MAX + 1)), ..public(2) };
    let next = key(KeyPurpose::Sign, None, 2);
    let refused = KeyChange { sign_term: Some(long), ..make(&next, 2) };
    assert_eq!(store.change_keys(refused).await, Err(StoreError::TooLarge));
    assert_eq!(store.change_keys(make(&next, 2)).await, Ok(true));
    assert_eq!(store.sign_terms().await, Ok(vec![public(1), public(2)]));
}

pub(in crate::store) async fn each_node_hands_over_by_itself_and_each_term_once(store: Arc<dyn Store>) {
    let public = |node: Option<&str>, term| SignTerm {
        node: node.map(|name| name.parse().unwrap()),
        term,
        public_key: format!("strongroom/test/{node:?}+{term}"),
        from_entry: 7,
        handover: None,
    };
    let add = |term: &SignTerm| {
        let change = KeyChange { sign_term: Some(term.clone()), ..KeyChange::default() };
        let store = Arc::clone(&store);
        async move { store.change_keys(change).await }
    };
    let all = [public(None, 1), public(Some("a"), 1), public(Some("a"), 2), public(Some("b"), 2)];
    for term in [3, 1, 0, 2].map(|place: usize| &all[place]) {
        assert_eq!(add(term).await, Ok(true));
        let other = SignTerm { from_entry: 8, ..term.clone() };
        assert_eq!(add(&other).await, Ok(false));
    }
    assert_eq!(store.sign_terms().await, Ok(all.to_vec()));
}

pub(in crate::store) async fn wraps_only_grow(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    store.change_keys(KeyChange { insert: vec![first.clone()], ..KeyChange::default() }).await.unwrap();
    assert_eq!(store.add_wraps(&first.name, 1000).await, Ok(1000));
    assert_eq!(store.add_wraps(&first.name, 24).await, Ok(1024));
    assert_eq!(store.keys().await.unwrap()[0].wraps, 1024);
    let none = KeyName { term: 2, ..first.name };
    assert_eq!(store.add_wraps(&none, 1).await, Err(StoreError::NoKey));
}

pub(in crate::store) async fn keys_over_the_limit_are_refused(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = key(KeyPurpose::Kek, Some(&tenant), 1);
    let fits = KeyRow { wrapped: vec![1; limits::WRAPPED_KEY_BYTES_MAX], ..first.clone() };
    let long = KeyRow { wrapped: vec![1; limits::WRAPPED_KEY_BYTES_MAX + 1], ..first };
    let change = |key| KeyChange { insert: vec![key], ..KeyChange::default() };
    assert_eq!(store.change_keys(change(long)).await, Err(StoreError::TooLarge));
    assert_eq!(store.change_keys(change(fits)).await, Ok(true));
}

pub(in crate::store) async fn what_an_operator_sealed_stays_noted(store: Arc<dyn Store>) {
    assert!(!store.stays_sealed().await.unwrap());
    for stays in [true, true, false, false, true] {
        store.set_stays_sealed(stays).await.unwrap();
        assert_eq!(store.stays_sealed().await.unwrap(), stays);
    }
}
