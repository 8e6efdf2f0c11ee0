//! What every store must do with cards.

use std::sync::Arc;

use strongroom_wire::{TenantId, Token, limits};
use uuid::Uuid;

use super::rows::{NOW, acme, answer, card, content, customer, envelope, tenant_row};
use crate::store::{CardContent, CardFilter, CardRow, Inserted, Store, StoreError};

pub(in crate::store) async fn a_card_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut full = card(&tenant, customer("cus_1"));
    full.content.metadata = Some(envelope(1, 3000));
    full.content.expires_ms = Some(NOW + 1);
    full.created_ms = 5;
    for card in [card(&tenant, None), full] {
        assert_eq!(store.insert_card(card.clone(), None).await, Ok(Inserted::Stored));
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card)));
    }
}

pub(in crate::store) async fn a_token_of_another_tenant_is_not_found(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let other: TenantId = "other".parse().unwrap();
    store.insert_tenant(tenant_row(&other), Vec::new(), None).await.unwrap();
    let card = card(&tenant, customer("cus_1"));
    store.insert_card(card.clone(), None).await.unwrap();
    let old = card.content.clone();
    assert_eq!(store.card(&other, &card.token, NOW).await, Ok(None));
    assert_eq!(store.delete_card(&other, &card.token).await, Ok(false));
    assert_eq!(store.swap_card(&other, &card.token, old, content(2)).await, Ok(false));
    for customer in [None, customer("cus_1")] {
        let filter = CardFilter { customer, fingerprint: None };
        assert_eq!(store.cards(&other, &filter, None, 10, NOW).await, Ok(vec![]));
    }
    assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card)));
}

pub(in crate::store) async fn an_expired_card_is_gone_at_once(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut card = card(&tenant, None);
    card.content.expires_ms = Some(NOW + 10);
    store.insert_card(card.clone(), None).await.unwrap();
    assert!(store.card(&tenant, &card.token, NOW + 9).await.unwrap().is_some());
    assert_eq!(store.card(&tenant, &card.token, NOW + 10).await, Ok(None));
    assert_eq!(store.cards(&tenant, &CardFilter::default(), None, 10, NOW + 10).await, Ok(vec![]));
}

/// Tokens made elsewhere, in one millisecond: the same first 64 bits, or the next number.
pub(in crate::store) async fn tokens_that_share_their_first_half_are_told_apart(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let head = 0x0199_0000_0000_7fff;
    let tokens: Vec<Token> = [(head, 9), (head, 5), (head + 1, 5), (head, 7), (head + 2, 1), (head - 1, 3)]
        .map(|(head, rest)| Token::from_uuid(Uuid::from_u64_pair(head, 0x8000_0000_0000_0000 | rest)))
        .to_vec();
    let cards: Vec<CardRow> = tokens.iter().map(|token| CardRow { token: *token, ..card(&tenant, None) }).collect();
    for card in &cards {
        assert_eq!(store.insert_card(card.clone(), None).await, Ok(Inserted::Stored));
    }
    for card in &cards {
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card.clone())));
        assert_eq!(store.insert_card(card.clone(), None).await, Err(StoreError::Exists));
    }
    assert_eq!(store.cards(&tenant, &CardFilter::default(), None, 10, NOW).await.unwrap().len(), 6);
    // The first is deleted, so its place is free; the others are still found by their own bits.
    assert_eq!(store.delete_card(&tenant, &tokens[0]).await, Ok(true));
    for card in &cards[1..] {
        assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(Some(card.clone())));
        assert_eq!(store.insert_card(card.clone(), None).await, Err(StoreError::Exists));
    }
    assert_eq!(store.insert_card(cards[0].clone(), None).await, Ok(Inserted::Stored));
    assert_eq!(store.card(&tenant, &tokens[0], NOW).await, Ok(Some(cards[0].clone())));
}

pub(in crate::store) async fn a_taken_token_is_refused_and_nothing_changes(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = card(&tenant, None);
    store.insert_card(first.clone(), None).await.unwrap();
    let second = CardRow { token: first.token, ..card(&tenant, None) };
    let result = store.insert_card(second, Some(answer(&tenant, 1))).await;
    assert_eq!(result, Err(StoreError::Exists));
    assert_eq!(store.card(&tenant, &first.token, NOW).await, Ok(Some(first)));
    assert_eq!(store.answer(&tenant, &[1; 32], NOW).await, Ok(None));
}

pub(in crate::store) async fn one_customer_has_one_row_for_one_card(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = card(&tenant, customer("cus_1"));
    let mut again = card(&tenant, customer("cus_1"));
    again.fingerprint = first.fingerprint;
    store.insert_card(first.clone(), None).await.unwrap();
    assert_eq!(store.insert_card(again.clone(), None).await, Ok(Inserted::Duplicate(first.token)));
    assert_eq!(store.card(&tenant, &again.token, NOW).await, Ok(None));
    let customer_id = first.customer.clone().unwrap();
    let found = store.find_duplicate(&tenant, &customer_id, &first.fingerprint, NOW).await;
    assert_eq!(found, Ok(Some(first.token)));

    let mut similar = first.fingerprint;
    similar[15] ^= 1;
    assert_eq!(store.find_duplicate(&tenant, &customer_id, &similar, NOW).await, Ok(None));
    again.fingerprint = similar;
    assert_eq!(store.insert_card(again, None).await, Ok(Inserted::Stored));
    for customer in [customer("cus_2"), None, None] {
        let same = CardRow { fingerprint: first.fingerprint, ..card(&tenant, customer) };
        assert_eq!(store.insert_card(same, None).await, Ok(Inserted::Stored));
    }
}

pub(in crate::store) async fn an_expired_card_is_no_duplicate(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut first = card(&tenant, customer("cus_1"));
    first.content.expires_ms = Some(NOW + 10);
    store.insert_card(first.clone(), None).await.unwrap();
    let again = CardRow { fingerprint: first.fingerprint, created_ms: NOW + 10, ..card(&tenant, customer("cus_1")) };
    assert_eq!(store.insert_card(again, None).await, Ok(Inserted::Stored));
}

pub(in crate::store) async fn many_cards_go_in_together_or_not_at_all(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = card(&tenant, customer("cus_1"));
    let same = CardRow { fingerprint: first.fingerprint, ..card(&tenant, customer("cus_1")) };
    let third = card(&tenant, None);
    let results = store.insert_cards(vec![(first.clone(), None), (same, None), (third.clone(), None)]).await;
    assert_eq!(results, Ok(vec![Inserted::Stored, Inserted::Duplicate(first.token), Inserted::Stored]));

    let good = card(&tenant, None);
    let taken = CardRow { token: third.token, ..card(&tenant, None) };
    let results = store.insert_cards(vec![(good.clone(), None), (taken, None)]).await;
    assert_eq!(results, Err(StoreError::Exists));
    assert_eq!(store.card(&tenant, &good.token, NOW).await, Ok(None));

    let over = (0..=limits::STORE_GROUP_MAX).map(|_| (card(&tenant, None), None)).collect();
    assert_eq!(store.insert_cards(over).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn a_list_has_every_card_once_in_order(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let print = [7; 16];
    let mut cards = Vec::new();
    for n in 0..30 {
        let mut card = card(&tenant, customer(if n % 3 == 0 { "cus_3" } else { "cus_1" }));
        if n % 5 == 0 {
            card.fingerprint = print;
            card.customer = customer(&format!("cus_own_{n}"));
        }
        cards.push(card);
    }
    cards.sort_by_key(|card| card.token);
    for card in cards.iter().rev() {
        store.insert_card(card.clone(), None).await.unwrap();
    }
    let filters = [
        CardFilter::default(),
        CardFilter { customer: customer("cus_3"), fingerprint: None },
        CardFilter { customer: None, fingerprint: Some(print) },
        CardFilter { customer: customer("cus_own_10"), fingerprint: Some(print) },
        CardFilter { customer: customer("cus_none"), fingerprint: None },
    ];
    for (filter, count) in filters.iter().zip([30, 8, 6, 1, 0]) {
        let wanted: Vec<CardRow> = cards
            .iter()
            .filter(|card| filter.customer.is_none() || card.customer == filter.customer)
            .filter(|card| filter.fingerprint.is_none_or(|print| print == card.fingerprint))
            .cloned()
            .collect();
        assert_eq!(wanted.len(), count);
        let mut listed = Vec::new();
        loop {
            let after = listed.last().map(|card: &CardRow| card.token);
            let page = store.cards(&tenant, filter, after, 4, NOW).await.unwrap();
            let last = page.len() < 4;
            listed.extend(page);
            if last {
                break;
            }
        }
        // Tokens of one millisecond may stand in the order in which they came.
        listed.sort_by_key(|card| card.token);
        assert_eq!(listed, wanted);
    }
}

pub(in crate::store) async fn a_list_goes_on_after_a_card_that_was_deleted(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mint = crate::store::TokenMint::new();
    let cards: Vec<CardRow> = (0..4).map(|_| CardRow { token: mint.token(NOW), ..card(&tenant, None) }).collect();
    for card in &cards {
        store.insert_card(card.clone(), None).await.unwrap();
    }
    store.delete_card(&tenant, &cards[1].token).await.unwrap();
    let page = store.cards(&tenant, &CardFilter::default(), Some(cards[1].token), 10, NOW).await;
    assert_eq!(page, Ok(cards[2..].to_vec()));
}

pub(in crate::store) async fn a_swap_needs_every_part_to_be_as_it_was(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let card = CardRow {
        content: CardContent { metadata: Some(envelope(1, 60)), expires_ms: Some(NOW + 5), ..content(1) },
        ..card(&tenant, None)
    };
    store.insert_card(card.clone(), None).await.unwrap();
    let old = card.content.clone();
    let wrong = [
        CardContent { envelope: envelope(1, 145), ..old.clone() },
        CardContent { metadata: None, ..old.clone() },
        CardContent { expires_ms: None, ..old.clone() },
        CardContent { binding: [0; 16], ..old.clone() },
    ];
    for wrong in wrong {
        assert_eq!(store.swap_card(&tenant, &card.token, wrong, content(2)).await, Ok(false));
    }
    assert_eq!(store.card(&tenant, &card.token, NOW).await.unwrap().map(|card| card.content), Some(old.clone()));
    let new = content(2);
    assert_eq!(store.swap_card(&tenant, &card.token, old.clone(), new.clone()).await, Ok(true));
    assert_eq!(store.card(&tenant, &card.token, NOW).await.unwrap().map(|card| card.content), Some(new.clone()));
    assert_eq!(store.swap_card(&tenant, &card.token, old, content(3)).await, Ok(false));
    let too_large = CardContent { envelope: envelope(1, limits::STORED_ENVELOPE_BYTES_MAX + 1), ..content(1) };
    assert_eq!(store.swap_card(&tenant, &card.token, new, too_large).await, Err(StoreError::TooLarge));
}

/// A caller whose references are chosen by itself deletes a card and stores it again under the same one.
pub(in crate::store) async fn a_token_whose_card_was_deleted_may_be_used_again(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let first = card(&tenant, customer("cus_1"));
    let again = CardRow { content: content(9), created_ms: first.created_ms + 5, ..first.clone() };
    assert_eq!(store.insert_card(first.clone(), None).await, Ok(Inserted::Stored));
    let other = CardRow { customer: customer("cus_2"), ..again.clone() };
    assert_eq!(store.insert_card(other, None).await, Err(StoreError::Exists));
    assert_eq!(store.card(&tenant, &first.token, NOW).await, Ok(Some(first.clone())));
    assert_eq!(store.delete_card(&tenant, &first.token).await, Ok(true));
    assert_eq!(store.insert_card(again.clone(), None).await, Ok(Inserted::Stored));
    assert_eq!(store.card(&tenant, &first.token, NOW).await, Ok(Some(again.clone())));
    let filter = CardFilter { customer: customer("cus_1"), fingerprint: None };
    assert_eq!(store.cards(&tenant, &filter, None, 10, NOW).await, Ok(vec![again]));
}

pub(in crate::store) async fn a_deleted_card_stays_gone(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let card = card(&tenant, customer("cus_1"));
    store.insert_card(card.clone(), None).await.unwrap();
    assert_eq!(store.delete_card(&tenant, &card.token).await, Ok(true));
    assert_eq!(store.delete_card(&tenant, &card.token).await, Ok(false));
    assert_eq!(store.card(&tenant, &card.token, NOW).await, Ok(None));
    let duplicate = store.find_duplicate(&tenant, card.customer.as_ref().unwrap(), &card.fingerprint, NOW).await;
    assert_eq!(duplicate, Ok(None));
    assert_eq!(store.cards(&tenant, &CardFilter::default(), None, 10, NOW).await, Ok(vec![]));
}

pub(in crate::store) async fn the_sweep_sees_the_earliest_end_first(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut tokens = Vec::new();
    for end in [30, 10, 20] {
        let mut card = card(&tenant, None);
        card.content.expires_ms = Some(NOW + end);
        store.insert_card(card.clone(), None).await.unwrap();
        tokens.push(card.token);
    }
    store.insert_card(card(&tenant, None), None).await.unwrap();
    let due = |found: Vec<crate::store::Expired>| found.into_iter().map(|due| due.token).collect::<Vec<_>>();
    assert_eq!(due(store.expired(NOW + 9, 10).await.unwrap()), vec![]);
    assert_eq!(due(store.expired(NOW + 20, 10).await.unwrap()), vec![tokens[1], tokens[2]]);
    assert_eq!(due(store.expired(NOW + 99, 1).await.unwrap()), vec![tokens[1]]);
}

/// The sweep lists, writes its entry, and only then shreds: what was made long-term in between is kept.
pub(in crate::store) async fn a_card_that_was_retained_meanwhile_is_not_swept(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let (mut kept, mut ended) = (card(&tenant, None), card(&tenant, None));
    for card in [&mut kept, &mut ended] {
        card.content.expires_ms = Some(NOW + 10);
        store.insert_card(card.clone(), None).await.unwrap();
    }
    let listed = store.expired(NOW + 10, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let long_term = CardContent { expires_ms: None, ..kept.content.clone() };
    assert_eq!(store.swap_card(&tenant, &kept.token, kept.content.clone(), long_term).await, Ok(true));
    for due in &listed {
        assert_eq!(store.shred_expired(due, NOW + 10).await, Ok(due.token == ended.token));
    }
    assert!(store.card(&tenant, &kept.token, NOW + 10).await.unwrap().is_some());
    assert_eq!(store.delete_card(&tenant, &ended.token).await, Ok(false));
}

pub(in crate::store) async fn an_unregistered_tenant_is_refused(store: Arc<dyn Store>) {
    let tenant: TenantId = "nobody".parse().unwrap();
    let card = card(&tenant, None);
    assert_eq!(store.insert_card(card.clone(), None).await, Err(StoreError::NoTenant));
    assert_eq!(store.card(&tenant, &card.token, NOW).await, Err(StoreError::NoTenant));
    store.insert_tenant(tenant_row(&tenant), Vec::new(), None).await.unwrap();
    assert_eq!(store.insert_card(card, None).await, Ok(Inserted::Stored));
}

pub(in crate::store) async fn envelopes_over_the_limit_are_refused(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    for length in [5, limits::STORED_ENVELOPE_BYTES_MAX] {
        let card =
            CardRow { content: CardContent { envelope: envelope(1, length), ..content(1) }, ..card(&tenant, None) };
        assert_eq!(store.insert_card(card, None).await, Ok(Inserted::Stored));
    }
    for bytes in [vec![], vec![1; 4], envelope(1, limits::STORED_ENVELOPE_BYTES_MAX + 1)] {
        let body = CardContent { envelope: bytes.clone(), ..content(1) };
        let notes = CardContent { metadata: Some(bytes), ..content(1) };
        for content in [body, notes] {
            let card = CardRow { content, ..card(&tenant, None) };
            assert_eq!(store.insert_card(card, None).await, Err(StoreError::TooLarge));
        }
    }
}

pub(in crate::store) async fn two_racing_swaps_have_one_winner(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let card = card(&tenant, None);
    store.insert_card(card.clone(), None).await.unwrap();
    let mut racers = tokio::task::JoinSet::new();
    for term in 2..10 {
        let (store, tenant, card) = (Arc::clone(&store), tenant.clone(), card.clone());
        racers.spawn(async move { store.swap_card(&tenant, &card.token, card.content, content(term)).await });
    }
    let wins = racers.join_all().await.into_iter().filter(|won| *won == Ok(true)).count();
    assert_eq!(wins, 1);
}

pub(in crate::store) async fn racing_inserts_of_one_card_make_one_row(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, card) = (Arc::clone(&store), CardRow { fingerprint: [3; 16], ..card(&tenant, customer("cus_1")) });
        racers.spawn(async move { store.insert_card(card, None).await.unwrap() });
    }
    let stored = racers.join_all().await.into_iter().filter(|result| *result == Inserted::Stored).count();
    assert_eq!(stored, 1);
    assert_eq!(store.cards(&tenant, &CardFilter::default(), None, 100, NOW).await.unwrap().len(), 1);
}
