//! Shredding: a tenant, cards that are too old, what is kept under the vault's signature.

use std::sync::Arc;

use strongroom_wire::admin::{KeyPurpose, KeyState, RotationState};
use strongroom_wire::{SecretId, Token, limits};

use super::rows::{NOW, acme, answer, card, content, customer, key, random, tenant_row};
use crate::store::{
    AnswerRow, CardContent, CardFilter, CardRow, KeptRow, KeyChange, OverAge, Place, RotationRow, SecretRow, Shredded,
    Store, StoreError, TenantRow,
};

pub(in crate::store) async fn a_shredded_tenant_keeps_its_name_and_no_key(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let rows = vec![key(KeyPurpose::Kek, Some(&tenant), 1), key(KeyPurpose::Session, Some(&tenant), 1)];
    let sign = key(KeyPurpose::Sign, None, 1);
    let insert = [rows.clone(), vec![sign.clone()]].concat();
    store.change_keys(KeyChange { insert, ..KeyChange::default() }).await.unwrap();
    let rotation = RotationRow {
        key: KeyPurpose::Kek,
        tenant: Some(tenant.clone()),
        emergency: false,
        to_term: 2,
        state: RotationState::Running,
        done: 0,
        total: 1,
        started_ms: NOW,
        records_per_second_max: None,
        fault: None,
        proof: None,
    };
    store.put_rotation(rotation).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.shred_tenant(&tenant).await, Ok(2), "once or twice is the same");
    }
    let keys = store.keys().await.unwrap();
    let gone: Vec<_> = keys.iter().filter(|row| row.name.tenant.is_some()).collect();
    assert!(gone.len() == 2 && gone.iter().all(|row| row.state == KeyState::Destroyed && row.wrapped.is_empty()));
    assert!(keys.contains(&sign));
    assert_eq!(store.rotations().await, Ok(Vec::new()));
    let marked = |shredded| vec![TenantRow { shredded, ..tenant_row(&tenant) }];
    assert_eq!(store.tenants().await, Ok(marked(Shredded::Keys)));
    assert_eq!(store.insert_tenant(tenant_row(&tenant), rows, None).await, Ok(false));
    // Whoever was on the way to make it another key comes too late.
    let late = KeyChange { insert: vec![key(KeyPurpose::Fingerprint, Some(&tenant), 2)], ..KeyChange::default() };
    assert_eq!(store.change_keys(late).await, Ok(false));
    assert_eq!(store.keys().await.unwrap().len(), keys.len());
    store.end_shredding(&tenant).await.unwrap();
    assert_eq!(store.tenants().await, Ok(marked(Shredded::All)));
    assert_eq!(store.shred_tenant(&"other".parse().unwrap()).await, Err(StoreError::NoTenant));
}

pub(in crate::store) async fn every_record_of_a_tenant_is_shredded_by_its_place(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let row = CardRow {
        content: CardContent { metadata: Some(content(1).envelope), ..content(1) },
        ..card(&tenant, customer("c"))
    };
    store.insert_card(row.clone(), Some(answer(&tenant, 1))).await.unwrap();
    let secret = SecretRow {
        tenant: tenant.clone(),
        id: SecretId::fresh(),
        name: "psp".to_owned(),
        created_ms: NOW,
        envelope: content(1).envelope,
        mac_term: 1,
        binding: random(),
    };
    store.insert_secret(secret.clone()).await.unwrap();
    let (mut places, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.stale_records(&tenant, u32::MAX, cursor, 100).await.unwrap();
        places.extend(page.records.into_iter().map(|record| record.place));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(places.len(), 4);
    assert_eq!(store.shred_places(&tenant, places.clone()).await, Ok(3));
    assert_eq!(store.shred_places(&tenant, places).await, Ok(0));
    assert_eq!(store.count_stale(&tenant, u32::MAX).await, Ok(0));
    assert_eq!(store.card(&tenant, &row.token, NOW).await, Ok(None));
    assert_eq!(store.secret(&tenant, &secret.id).await, Ok(None));
    let many = vec![Place::Card(row.token); limits::STORE_PAGE_MAX as usize + 1];
    assert_eq!(store.shred_places(&tenant, many).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn a_deleted_card_takes_the_answers_that_show_it(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let (gone, stays) = (card(&tenant, None), card(&tenant, None));
    for (card, name) in [(&gone, 1), (&stays, 2)] {
        let shown = AnswerRow { card: Some(card.token), ..answer(&tenant, name) };
        store.insert_card(card.clone(), Some(shown.clone())).await.unwrap();
        assert_eq!(store.answer(&tenant, &shown.name, NOW).await, Ok(Some(shown)));
    }
    assert_eq!(store.delete_card(&tenant, &gone.token).await, Ok(true));
    assert_eq!(store.answer(&tenant, &[1; 32], NOW).await, Ok(None));
    assert!(store.answer(&tenant, &[2; 32], NOW).await.unwrap().is_some());
    assert_eq!(store.count_stale(&tenant, u32::MAX).await, Ok(2));
    assert_eq!(store.cards(&tenant, &CardFilter::default(), None, 10, NOW).await, Ok(vec![stays]));
}

pub(in crate::store) async fn cards_over_age_are_counted_and_listed_oldest_first(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let day = 24 * 3_600 * 1_000;
    let mut tokens = Vec::new();
    for age in (0..10).rev() {
        let created_ms = NOW - age * day;
        let row = CardRow { token: store_token(created_ms), created_ms, ..card(&tenant, None) };
        tokens.push(row.token);
        store.insert_card(row, None).await.unwrap();
    }
    // A token of today for a card that says it is old, as after an import.
    let late = CardRow { created_ms: NOW - 20 * day, token: store_token(NOW - 8 * day), ..card(&tenant, None) };
    store.insert_card(late.clone(), None).await.unwrap();
    let over = store.over_age(&tenant, NOW - 5 * day, 0).await.unwrap();
    assert_eq!(over, OverAge { first: Vec::new(), count: 5, oldest_ms: Some(late.created_ms) });
    let over = store.over_age(&tenant, NOW - 5 * day, 2).await.unwrap();
    assert_eq!(over.first.len(), 2);
    assert_eq!(over.first[0], tokens[0]);
    let over = store.over_age(&tenant, NOW - 5 * day, 100).await.unwrap();
    assert!(over.first.contains(&late.token) && !over.first.contains(&tokens[4]) && over.first.len() == 5);
    assert_eq!(store.over_age(&tenant, NOW - 30 * day, 100).await, Ok(OverAge::default()));
}

pub(in crate::store) async fn what_is_kept_is_found_by_its_name(store: Arc<dyn Store>) {
    let row = |name: &str, bytes: usize| KeptRow { name: name.to_owned(), value: vec![7; bytes], note: "n".to_owned() };
    for name in ["rule/b", "rule/a", "ruler"] {
        store.put_kept(row(name, 1)).await.unwrap();
    }
    store.put_kept(row("rule/a", 2)).await.unwrap();
    assert_eq!(store.kept("rule/").await, Ok(vec![row("rule/a", 2), row("rule/b", 1)]));
    assert_eq!(store.kept("rule/_").await, Ok(Vec::new()));
    assert_eq!(store.put_kept(row("x", limits::POLICY_BYTES_MAX)).await, Ok(()));
    assert_eq!(store.put_kept(row("x", limits::POLICY_BYTES_MAX + 1)).await, Err(StoreError::TooLarge));
}

/// A token of this time.
fn store_token(at_ms: u64) -> Token {
    let mut bytes = *Token::fresh().uuid().as_bytes();
    bytes[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    Token::from_uuid(uuid::Uuid::from_bytes(bytes))
}
