//! Kept answers, secrets, envelopes on old terms, rotations.

use std::sync::Arc;

use strongroom_wire::admin::{KeyPurpose, RotationState};
use strongroom_wire::{SecretId, limits};

use super::rows::{NOW, acme, answer, card, envelope, secret};
use crate::store::{
    AnswerRow, CardContent, CardRow, EnvelopeSwap, Inserted, Place, RotationRow, SecretRow, Store, StoreError,
};

pub(in crate::store) async fn the_same_idempotency_key_replays(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let kept = answer(&tenant, 1);
    let first = card(&tenant, None);
    assert_eq!(store.insert_card(first, Some(kept.clone())).await, Ok(Inserted::Stored));
    let second = card(&tenant, None);
    let again = store.insert_card(second.clone(), Some(answer(&tenant, 1))).await;
    assert_eq!(again, Ok(Inserted::Replayed(kept.clone())));
    assert_eq!(store.card(&tenant, &second.token, NOW).await, Ok(None));
    assert_eq!(store.answer(&tenant, &kept.name, NOW).await, Ok(Some(kept.clone())));
    assert_eq!(store.insert_answer(answer(&tenant, 1), NOW).await, Ok(Some(kept)));
    // Names that begin alike are different names.
    let mut near = answer(&tenant, 1);
    near.name[31] = 9;
    assert_eq!(store.insert_answer(near.clone(), NOW).await, Ok(None));
    assert_eq!(store.answer(&tenant, &near.name, NOW).await, Ok(Some(near)));
}

pub(in crate::store) async fn an_answer_has_a_limit_of_its_own(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let sized = |bytes: usize| AnswerRow { envelope: envelope(1, bytes), ..answer(&tenant, 1) };
    let largest = sized(limits::STORED_ANSWER_BYTES_MAX);
    assert_eq!(store.insert_answer(sized(limits::STORED_ANSWER_BYTES_MAX + 1), NOW).await, Err(StoreError::TooLarge));
    assert_eq!(store.insert_answer(largest.clone(), NOW).await, Ok(None));
    let swap = |bytes: usize| EnvelopeSwap {
        place: Place::Answer(largest.name),
        old: largest.envelope.clone(),
        new: envelope(2, bytes),
    };
    let long = swap(limits::STORED_ANSWER_BYTES_MAX + 1);
    assert_eq!(store.swap_envelopes(&tenant, vec![long]).await, Err(StoreError::TooLarge));
    assert_eq!(store.swap_envelopes(&tenant, vec![swap(limits::STORED_ANSWER_BYTES_MAX)]).await, Ok(1));
}

pub(in crate::store) async fn an_answer_that_is_over_makes_room(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let old = answer(&tenant, 1);
    store.insert_answer(old.clone(), NOW).await.unwrap();
    assert_eq!(store.answer(&tenant, &old.name, old.expires_ms).await, Ok(None));
    let new = AnswerRow { expires_ms: old.expires_ms + 500, ..answer(&tenant, 1) };
    assert_eq!(store.insert_answer(new.clone(), old.expires_ms).await, Ok(None));
    assert_eq!(store.answer(&tenant, &old.name, old.expires_ms).await, Ok(Some(new)));
}

pub(in crate::store) async fn answers_are_purged_when_their_time_is_over(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    for (name, end) in [(1, 10), (2, 20), (3, 30)] {
        let answer = AnswerRow { expires_ms: NOW + end, ..answer(&tenant, name) };
        store.insert_answer(answer, NOW).await.unwrap();
    }
    assert_eq!(store.purge_answers(NOW + 9, 10).await, Ok(0));
    assert_eq!(store.purge_answers(NOW + 20, 1).await, Ok(1));
    assert_eq!(store.purge_answers(NOW + 20, 10).await, Ok(1));
    assert!(store.answer(&tenant, &[3; 32], NOW + 20).await.unwrap().is_some());
}

pub(in crate::store) async fn a_secret_comes_back_until_it_is_deleted(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let secret = secret(&tenant);
    assert_eq!(store.insert_secret(secret.clone()).await, Ok(()));
    assert_eq!(store.insert_secret(secret.clone()).await, Err(StoreError::Exists));
    assert_eq!(store.secret(&tenant, &secret.id).await, Ok(Some(secret.clone())));
    let long =
        SecretRow { name: "n".repeat(limits::SECRET_NAME_CHARS_MAX + 1), id: SecretId::fresh(), ..secret.clone() };
    assert_eq!(store.insert_secret(long).await, Err(StoreError::TooLarge));
    assert_eq!(store.delete_secret(&tenant, &secret.id).await, Ok(true));
    assert_eq!(store.delete_secret(&tenant, &secret.id).await, Ok(false));
    assert_eq!(store.secret(&tenant, &secret.id).await, Ok(None));
}

pub(in crate::store) async fn the_walk_finds_each_old_envelope_once(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let mut wanted = Vec::new();
    for term in [1, 2, 3, 256, 1, 2] {
        let content = CardContent {
            envelope: envelope(term, 145),
            metadata: Some(envelope(1, 50)),
            expires_ms: None,
            binding: [0; 16],
        };
        let card = CardRow { content, ..card(&tenant, None) };
        store.insert_card(card.clone(), None).await.unwrap();
        if term < 3 {
            wanted.push((Place::Card(card.token), card.content.envelope));
        }
        wanted.push((Place::Metadata(card.token), card.content.metadata.unwrap()));
    }
    let secret = SecretRow { envelope: envelope(2, 90), ..secret(&tenant) };
    store.insert_secret(secret.clone()).await.unwrap();
    wanted.push((Place::Secret(secret.id), secret.envelope));
    let kept = answer(&tenant, 1);
    store.insert_answer(kept.clone(), NOW).await.unwrap();
    wanted.push((Place::Answer(kept.name), kept.envelope));

    for limit in [1, 3, 100] {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = store.stale_records(&tenant, 3, from, limit).await.unwrap();
            found.extend(page.records.into_iter().map(|record| (record.place, record.envelope)));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted);
    }
    assert_eq!(store.count_stale(&tenant, 3).await, Ok(wanted.len() as u64));
    assert_eq!(store.count_stale(&tenant, 1).await, Ok(0));
}

pub(in crate::store) async fn swapping_envelopes_needs_the_old_one(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let with_notes = |term| CardContent {
        envelope: envelope(term, 145),
        metadata: Some(envelope(term, 50)),
        expires_ms: None,
        binding: [0; 16],
    };
    let card = CardRow { content: with_notes(1), ..card(&tenant, None) };
    store.insert_card(card.clone(), None).await.unwrap();
    let kept = answer(&tenant, 1);
    store.insert_answer(kept.clone(), NOW).await.unwrap();
    let new = with_notes(2);
    let swap = |place, old: &[u8], new: &[u8]| EnvelopeSwap { place, old: old.to_vec(), new: new.to_vec() };
    let swaps = vec![
        swap(Place::Card(card.token), &card.content.envelope, &new.envelope),
        swap(Place::Card(card.token), &card.content.envelope, &envelope(2, 145)),
        swap(Place::Metadata(card.token), card.content.metadata.as_ref().unwrap(), new.metadata.as_ref().unwrap()),
        swap(Place::Answer(kept.name), &kept.envelope, &envelope(2, 400)),
        swap(Place::Secret(SecretId::fresh()), &[1; 5], &[1; 5]),
    ];
    assert_eq!(store.swap_envelopes(&tenant, swaps).await, Ok(3));
    assert_eq!(store.card(&tenant, &card.token, NOW).await.unwrap().unwrap().content, new);
    assert_eq!(store.count_stale(&tenant, 2).await, Ok(0));
    let long = swap(Place::Card(card.token), &new.envelope, &envelope(2, limits::STORED_ENVELOPE_BYTES_MAX + 1));
    assert_eq!(store.swap_envelopes(&tenant, vec![long]).await, Err(StoreError::TooLarge));
    let many = vec![swap(Place::Secret(SecretId::fresh()), &[1; 5], &[1; 5]); limits::STORE_PAGE_MAX as usize + 1];
    assert_eq!(store.swap_envelopes(&tenant, many).await, Err(StoreError::TooLarge));
}

pub(in crate::store) async fn rotations_are_written_over(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let running = rotation(&tenant);
    store.put_rotation(running.clone()).await.unwrap();
    assert_eq!(store.rotations().await, Ok(vec![running.clone()]));
    let done = RotationRow {
        state: RotationState::Done,
        done: 10,
        proof: Some("signed".to_owned()),
        records_per_second_max: None,
        ..running.clone()
    };
    // Of another key, and of one that belongs to no tenant, with the same term.
    let other = RotationRow { key: KeyPurpose::Fingerprint, emergency: true, started_ms: NOW + 2, ..running.clone() };
    let own = RotationRow { key: KeyPurpose::Sign, tenant: None, started_ms: NOW + 3, ..running.clone() };
    let next = RotationRow { to_term: 3, state: RotationState::Stopped, started_ms: NOW + 1, ..running };
    for row in [&done, &next, &other, &own] {
        store.put_rotation(row.clone()).await.unwrap();
    }
    assert_eq!(store.rotations().await, Ok(vec![done, next, other, own]));
}

pub(in crate::store) async fn rotation_text_over_the_limit_is_refused(store: Arc<dyn Store>) {
    let tenant = acme(&*store).await;
    let at_limit = "p".repeat(limits::ROTATION_TEXT_BYTES_MAX);
    let fits = RotationRow { proof: Some(at_limit.clone()), ..rotation(&tenant) };
    assert_eq!(store.put_rotation(fits).await, Ok(()));
    let long = RotationRow { fault: Some(at_limit + "p"), ..rotation(&tenant) };
    assert_eq!(store.put_rotation(long).await, Err(StoreError::TooLarge));
}

fn rotation(tenant: &strongroom_wire::TenantId) -> RotationRow {
    RotationRow {
        key: KeyPurpose::Kek,
        tenant: Some(tenant.clone()),
        to_term: 2,
        state: RotationState::Running,
        done: 3,
        total: 10,
        started_ms: NOW,
        records_per_second_max: Some(500),
        emergency: false,
        fault: None,
        proof: None,
    }
}
