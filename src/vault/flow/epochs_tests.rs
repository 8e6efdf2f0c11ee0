//! Nodes that share CVCs: once in all of them, over joins and deaths, and against whoever writes to the store.

use strongroom_keys::Key;
use strongroom_keys::epoch::Mailbox;
use strongroom_keys::sign::Signer;

use super::super::rig::Rig;
use super::*;
use crate::flow::nodes::Bounds;
use crate::flow::unseal;

/// What a beat does: each hears the others. Twice, so that what is given reaches whoever came.
async fn beat(nodes: &[&Rig]) {
    for _ in 0..2 {
        for (place, node) in nodes.iter().enumerate() {
            let others = nodes.iter().enumerate().filter(|(other, _)| *other != place);
            let said: Vec<Vec<u8>> = others.map(|(_, other)| say(&other.vault)).collect();
            hear(&node.vault, &said.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        for node in nodes {
            tend(&node.vault).await.unwrap();
        }
    }
}

async fn rows(node: &Rig, to: [u8; 32]) -> usize {
    node.vault.store.epochs_to(vec![to], node.vault.now_ms()).await.unwrap().len()
}

fn mailbox(node: &Rig) -> [u8; 32] {
    node.vault.barrier.mailbox().unwrap().0
}

#[actix_web::test]
async fn taken_in_at_one_node_and_released_at_another_once_in_all() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    let c = a.beside("c").await;
    beat(&[&a, &b, &c]).await;
    let (token, cvc) = a.card_with_cvc().await;
    // The node that sealed it may be gone the next moment.
    assert!(b.revealed(token, &cvc).await.unwrap().contains("\"cvc\":\"123\""));
    for node in [&a, &b, &c] {
        assert_eq!(node.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
    }
    let (token, cvc) = b.card_with_cvc().await;
    let all = tokio::join!(a.revealed(token, &cvc), b.revealed(token, &cvc), c.revealed(token, &cvc));
    let opened = [all.0, all.1, all.2].into_iter().filter(Result::is_ok).count();
    assert_eq!(opened, 1);
}

#[actix_web::test]
async fn a_node_that_comes_later_opens_what_a_node_sealed_that_is_gone() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    beat(&[&a, &b]).await;
    let (token, cvc) = a.card_with_cvc().await;
    // The others have heard of the epoch, and its maker is gone.
    beat(&[&a, &b]).await;
    let c = b.beside("c").await;
    a.stop().await;
    beat(&[&b, &c]).await;
    assert!(c.revealed(token, &cvc).await.is_ok());
    assert_eq!(b.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
}

#[actix_web::test]
async fn a_node_that_has_not_got_the_key_yet_waits_for_it() {
    let a = Rig::node("a").await;
    let (token, cvc) = a.card_with_cvc().await;
    let b = a.beside("b").await;
    let _ = say(&b.vault);
    let (opened, ()) = tokio::join!(b.revealed(token, &cvc), async {
        tokio::task::yield_now().await;
        hear(&a.vault, &[&say(&b.vault)]);
        tend(&a.vault).await.unwrap();
    });
    assert!(opened.is_ok());
}

#[actix_web::test]
async fn epochs_follow_each_other_and_nothing_outlives_its_half_hour() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    beat(&[&a, &b]).await;
    let mut sealed = Vec::new();
    for minute in 0..50_usize {
        sealed.push((a.card_with_cvc().await, a.card_with_cvc().await));
        if let Some((_, (token, cvc))) = minute.checked_sub(14).map(|earlier| &sealed[earlier]) {
            assert!(b.revealed(*token, cvc).await.is_ok(), "minute {minute}");
        }
        if let Some(((token, cvc), _)) = minute.checked_sub(15).map(|earlier| &sealed[earlier]) {
            assert_eq!(b.revealed(*token, cvc).await.err(), Some(FlowError::CvcGone), "minute {minute}");
        }
        a.clock.advance_ms(60_000);
        beat(&[&a, &b]).await;
        assert!(a.vault.barrier.epoch_ids().len() <= 3);
    }
    a.clock.advance_ms(2 * limits::CVC_TTL_S * 1000);
    beat(&[&a, &b]).await;
    assert!(a.vault.barrier.epoch_ids().is_empty() && b.vault.barrier.epoch_ids().is_empty());
    assert_eq!(b.vault.store.purge_epochs(b.vault.now_ms(), 1_000).await, Ok(0), "all of it is gone");
}

#[actix_web::test]
async fn a_sealed_node_has_no_keys_and_gets_those_of_the_others_when_it_is_back() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    beat(&[&a, &b]).await;
    let (token, cvc) = a.card_with_cvc().await;
    beat(&[&a, &b]).await;
    unseal::seal(&b.vault, &super::super::rig::officer("alice")).await.unwrap();
    assert!(
        say(&b.vault).is_empty() && b.vault.barrier.epoch_ids().is_empty() && b.vault.barrier.mailboxes().is_empty()
    );
    unseal::by_itself(&b.vault).await.unwrap();
    beat(&[&a, &b]).await;
    assert!(b.revealed(token, &cvc).await.is_ok());
}

#[actix_web::test]
async fn nobody_has_a_key_sealed_to_a_mailbox_of_his_own() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    let own = Mailbox::generate().unwrap();
    let vault_id = a.vault.root.descriptor().vault_id();
    let statement = MailboxKey { vault_id, key: *own.public_key(), at_ms: a.vault.now_ms() };
    let packed =
        |note: &str| [&u16::try_from(note.len()).unwrap().to_be_bytes(), note.as_bytes(), &[0, 0, 0, 9]].concat();
    let stranger = Signer::new(&format!("strongroom/{vault_id}/b"), &Key::generate().unwrap()).unwrap();
    let of_b = String::from_utf8(say(&b.vault)[2..].to_vec()).unwrap();
    let key_line = |text: &str| text.lines().find(|line| line.starts_with("key ")).unwrap().to_owned();
    let swapped = of_b.replace(&key_line(&of_b), &key_line(&statement.text()));
    let elsewhere = MailboxKey { vault_id: uuid::Uuid::nil(), ..statement.clone() };
    let old = MailboxKey { at_ms: a.vault.now_ms() - MAILBOX_MS, ..statement.clone() };
    let by_b = |statement: &MailboxKey| b.vault.barrier.sign(|signer| statement.sign(signer)).unwrap();
    let forged = [statement.sign(&stranger), statement.text(), swapped, by_b(&elsewhere), by_b(&old), String::new()];
    let mut said: Vec<Vec<u8>> = forged.iter().map(|note| packed(note)).collect();
    said.extend([Vec::new(), vec![0], vec![255; 40], of_b.clone().into_bytes()]);
    hear(&a.vault, &said.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert!(a.vault.post.lock().mailboxes.is_empty() && a.vault.post.lock().epochs.is_empty());
    a.card_with_cvc().await;
    tend(&a.vault).await.unwrap();
    assert_eq!((rows(&a, *own.public_key()).await, rows(&a, mailbox(&b)).await), (0, 0));
    hear(&a.vault, &[&packed(&of_b)]);
    tend(&a.vault).await.unwrap();
    assert_eq!(rows(&a, mailbox(&b)).await, 1);
}

#[actix_web::test]
async fn a_key_that_nobody_of_the_vault_made_or_that_was_moved_is_not_taken() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    let c = a.beside("c").await;
    beat(&[&a, &b, &c]).await;
    a.card_with_cvc().await;
    let store = &a.vault.store;
    let of = |node: &Rig| {
        let (to, now_ms) = (mailbox(node), node.vault.now_ms());
        async move { store.epochs_to(vec![to], now_ms).await.unwrap().remove(0) }
    };
    let (to_b, to_c) = (of(&b).await, of(&c).await);
    let vault_id = a.vault.root.descriptor().vault_id();
    let known = Key::generate().unwrap();
    let made_up = EpochGrant::seal(vault_id, (77, a.vault.now_ms()), &known, &to_b.to).unwrap();
    let stranger = Signer::new(&format!("strongroom/{vault_id}/a"), &Key::generate().unwrap()).unwrap();
    let row = |epoch, note: String| EpochRow { epoch, note, ..to_b.clone() };
    let wrong = [
        row(77, made_up.sign(&stranger)),
        row(78, made_up.text()),
        // To another mailbox, and under another name.
        row(79, to_c.note.clone()),
        row(80, to_b.note.clone()),
    ];
    store.put_epochs(wrong.to_vec()).await.unwrap();
    fetch(&b.vault).await.unwrap();
    assert_eq!(b.vault.barrier.epoch_ids(), [to_b.epoch]);
}

#[actix_web::test]
async fn whoever_removes_the_mark_of_a_cvc_gets_it_from_no_node_that_opened_it() {
    let a = Rig::node("a").await;
    let b = a.beside("b").await;
    beat(&[&a, &b]).await;
    let (token, cvc) = a.card_with_cvc().await;
    assert!(b.revealed(token, &cvc).await.is_ok());
    // What somebody who writes to the store would do: every mark is gone.
    assert!(a.vault.store.purge_epochs(u64::MAX, 1_000).await.unwrap() > 0);
    assert_eq!(b.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
}

#[actix_web::test]
async fn a_vault_alone_gives_and_takes_nothing() {
    let alone = Rig::new().await;
    let (token, cvc) = alone.card_with_cvc().await;
    tend(&alone.vault).await.unwrap();
    assert!(alone.revealed(token, &cvc).await.is_ok());
    assert_eq!(alone.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
    assert!(alone.vault.barrier.epoch_ids().is_empty() && alone.vault.barrier.mailboxes().is_empty());
    assert_eq!(alone.vault.store.purge_epochs(u64::MAX, 10).await, Ok(0));
}

#[actix_web::test]
async fn nodes_that_beat_share_by_themselves() {
    let a = Rig::member("a", Bounds::default()).await;
    let b = a.member_beside("b", Bounds::default()).await;
    let (token, cvc) = a.card_with_cvc().await;
    assert!(b.revealed(token, &cvc).await.unwrap().contains("\"cvc\":\"123\""));
    assert_eq!(a.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
    let (token, cvc) = b.card_with_cvc().await;
    assert!(a.revealed(token, &cvc).await.is_ok());
    assert_eq!(b.revealed(token, &cvc).await.err(), Some(FlowError::CvcGone));
}
