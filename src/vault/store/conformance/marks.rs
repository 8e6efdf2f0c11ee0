//! Rows under several terms of the fingerprint key.

use std::sync::Arc;

use strongroom_wire::{CustomerId, SecretId, TenantId, Token, limits};

use super::rows::{NOW, acme, answer, card, customer, random, secret};
use crate::store::{
    AnswerRow, CardFilter, CardRow, Inserted, MarkCount, MarkSwap, Marks, SecretRow, Store, StoreError,
};

pub(in crate::store) async fn a_card_under_another_term_is_a_duplicate_all_the_same(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = card(&tenant, customer("cus_1"));
    assert_eq!(store.insert_card(first.clone(), None).await, Ok(Inserted::Stored));
    let again = CardRow { other_fingerprints: vec![random(), first.fingerprint], ..next(&tenant, "cus_1") };
    assert_eq!(store.insert_card(again.clone(), None).await, Ok(Inserted::Duplicate(first.token)));
    let elsewhere = CardRow { token: Token::fresh(), customer: customer("cus_2"), ..again };
    assert_eq!(store.insert_card(elsewhere.clone(), None).await, Ok(Inserted::Stored));
    // What it was looked for with is not part of the row.
    let stored = store.card(&tenant, &elsewhere.token, NOW).await.unwrap().unwrap();
    assert_eq!(stored, CardRow { other_fingerprints: Vec::new(), ..elsewhere });
    assert_eq!(stored.mac_term, 2);
}

pub(in crate::store) async fn an_answer_under_another_term_replays_all_the_same(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let kept = answer(&tenant, 1);
    store.insert_answer(kept.clone(), NOW).await.unwrap();
    let again = AnswerRow { mac_term: 2, other_names: vec![[7; 32], kept.name], ..answer(&tenant, 2) };
    assert_eq!(store.insert_answer(again.clone(), NOW).await, Ok(Some(kept.clone())));
    let with_card = store.insert_card(card(&tenant, None), Some(again.clone())).await;
    assert_eq!(with_card, Ok(Inserted::Replayed(kept.clone())));
    // Once the old one is over the new one has the place.
    assert_eq!(store.insert_answer(again.clone(), kept.expires_ms).await, Ok(None));
}

pub(in crate::store) async fn the_walk_finds_each_row_under_an_old_term_once(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut old = Vec::new();
    for place in 0..7 {
        let row = CardRow { mac_term: 1 + place % 3, ..card(&tenant, None) };
        store.insert_card(row.clone(), None).await.unwrap();
        if row.mac_term < 3 {
            old.push(row);
        }
    }
    let (one, two) = (secret(&tenant), SecretRow { mac_term: 3, ..secret(&tenant) });
    store.insert_secret(one.clone()).await.unwrap();
    store.insert_secret(two).await.unwrap();
    store.insert_answer(answer(&tenant, 1), NOW).await.unwrap();
    for limit in [1, 2, 100] {
        let (mut cards, mut secrets, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let page = store.stale_marks(&tenant, 3, from, limit).await.unwrap();
            cards.extend(page.cards);
            secrets.extend(page.secrets);
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        assert_eq!(cards, old, "limit {limit}");
        assert_eq!(secrets, std::slice::from_ref(&one));
    }
    let count = MarkCount { cards: old.len() as u64, secrets: 1, answers: 1 };
    assert_eq!(store.count_stale_marks(&tenant, 3).await, Ok(count));
    assert_eq!(store.count_stale_marks(&tenant, 1).await, Ok(MarkCount::default()));
}

pub(in crate::store) async fn swapping_marks_needs_the_old_ones(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let row = card(&tenant, customer("cus_1"));
    let kept = secret(&tenant);
    store.insert_card(row.clone(), None).await.unwrap();
    store.insert_secret(kept.clone()).await.unwrap();
    let old = marks(&row);
    let new = Marks { fingerprint: random(), mac_term: 2, binding: random() };
    for wrong in
        [Marks { fingerprint: random(), ..old }, Marks { mac_term: 3, ..old }, Marks { binding: random(), ..old }]
    {
        assert_eq!(store.swap_marks(&tenant, vec![MarkSwap::Card(row.token, wrong, new)]).await, Ok(0));
    }
    let of_secret = Marks { fingerprint: [0; 16], mac_term: 1, binding: kept.binding };
    let swaps = vec![
        MarkSwap::Card(row.token, old, new),
        MarkSwap::Card(Token::fresh(), old, new),
        MarkSwap::Secret(kept.id, of_secret, new),
        MarkSwap::Secret(SecretId::fresh(), of_secret, new),
    ];
    assert_eq!(store.swap_marks(&tenant, swaps.clone()).await, Ok(2));
    assert_eq!(store.swap_marks(&tenant, swaps).await, Ok(0));
    let after = store.card(&tenant, &row.token, NOW).await.unwrap().unwrap();
    assert_eq!((marks(&after), after.content.envelope), (new, row.content.envelope));
    let after = store.secret(&tenant, &kept.id).await.unwrap().unwrap();
    assert_eq!(after, SecretRow { mac_term: 2, binding: new.binding, ..kept });
    let many = vec![MarkSwap::Card(row.token, old, new); limits::STORE_PAGE_MAX as usize + 1];
    assert_eq!(store.swap_marks(&tenant, many).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn a_card_is_found_by_the_fingerprint_that_it_has_now(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    // Enough that most of them stand in segments and some do not.
    let rows: Vec<CardRow> = (0..6000).map(|_| card(&tenant, None)).collect();
    for chunk in rows.chunks(500) {
        store.insert_cards(chunk.iter().map(|row| (row.clone(), None)).collect()).await.unwrap();
    }
    let mine = card(&tenant, customer("cus_1"));
    store.insert_card(mine.clone(), None).await.unwrap();
    let moved: Vec<(&CardRow, Marks)> = rows
        .iter()
        .step_by(300)
        .chain([&mine])
        .map(|row| (row, Marks { fingerprint: random(), mac_term: 2, binding: random() }))
        .collect();
    let swaps = moved.iter().map(|(row, new)| MarkSwap::Card(row.token, marks(row), *new)).collect();
    assert_eq!(store.swap_marks(&tenant, swaps).await, Ok(moved.len() as u64));
    for (row, new) in &moved {
        assert_eq!(by_fingerprint(&*store, &tenant, new.fingerprint).await, [row.token]);
        assert_eq!(by_fingerprint(&*store, &tenant, row.fingerprint).await, []);
    }
    assert_eq!(by_fingerprint(&*store, &tenant, rows[1].fingerprint).await, [rows[1].token]);
    let of: CustomerId = "cus_1".parse().unwrap();
    let new = moved.last().unwrap().1.fingerprint;
    assert_eq!(store.find_duplicate(&tenant, &of, &new, NOW).await, Ok(Some(mine.token)));
    assert_eq!(store.find_duplicate(&tenant, &of, &mine.fingerprint, NOW).await, Ok(None));
    // A deleted card leaves the place that it has now.
    assert_eq!(store.delete_card(&tenant, &rows[0].token).await, Ok(true));
    assert_eq!(by_fingerprint(&*store, &tenant, moved[0].1.fingerprint).await, []);
}

fn marks(row: &CardRow) -> Marks {
    Marks { fingerprint: row.fingerprint, mac_term: row.mac_term, binding: row.content.binding }
}

fn next(tenant: &TenantId, of: &str) -> CardRow {
    CardRow { mac_term: 2, ..card(tenant, customer(of)) }
}

async fn by_fingerprint(store: &dyn Store, tenant: &TenantId, fingerprint: [u8; 16]) -> Vec<Token> {
    let filter = CardFilter { customer: None, fingerprint: Some(fingerprint) };
    let found = store.cards(tenant, &filter, None, 100, NOW).await.unwrap();
    found.into_iter().map(|row| row.token).collect()
}
