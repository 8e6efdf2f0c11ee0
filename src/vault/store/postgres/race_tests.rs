//! Several nodes at the same rows at once, each with a store of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_wire::{TenantId, Token};

use super::open;
use super::server::{Pooler, Postgres};
use crate::store::conformance::{acme, answer, card, customer};
use crate::store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use crate::store::{AnswerRow, CardFilter, CardRow, Inserted, MarkSwap, Marks, Store};

const NOW: u64 = 1_764_000_000_000;

async fn nodes(server: &Postgres) -> ([Arc<PostgresStore>; 2], TenantId, String) {
    let database = server.fresh_database();
    let nodes = [open(server, &database).await.unwrap(), open(server, &database).await.unwrap()].map(Arc::new);
    let tenant = acme(&*nodes[0]).await;
    (nodes, tenant, database)
}

/// One number's fingerprint under each of two terms.
fn print(number: u8, term: u32) -> [u8; 16] {
    let mut print = [number; 16];
    print[0] = term as u8;
    print
}

fn of(tenant: &TenantId, number: u8, term: u32) -> CardRow {
    CardRow {
        fingerprint: print(number, term),
        mac_term: term,
        other_fingerprints: vec![print(number, 3 - term)],
        ..card(tenant, customer("cus_1"))
    }
}

fn named(tenant: &TenantId, number: u8, term: u32) -> AnswerRow {
    let name = |term: u32| [number.wrapping_mul(2).wrapping_add(term as u8); 32];
    AnswerRow { name: name(term), mac_term: term, other_names: vec![name(3 - term)], ..answer(tenant, 1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_card_that_two_nodes_insert_under_two_terms_at_once_is_stored_once() {
    let (nodes, tenant, database) = nodes(Postgres::shared()).await;
    for number in 0..60 {
        let tries = (0..8).map(|nth| {
            let (node, row) = (Arc::clone(&nodes[nth % 2]), of(&tenant, number, 1 + (nth as u32 / 2) % 2));
            tokio::spawn(async move { (row.token, node.insert_card(row, None).await.unwrap()) })
        });
        let mut stored = Vec::new();
        let mut met = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                (token, Inserted::Stored) => stored.push(token),
                (_, Inserted::Duplicate(token)) => met.push(token),
                (_, other) => panic!("{other:?}"),
            }
        }
        assert_eq!(stored.len(), 1, "number {number}");
        assert!(met.iter().all(|token| *token == stored[0]), "everybody else met the one that is stored");
    }
    assert_eq!(leftovers(&database), "60|60|60", "cards, claims, and claims that are a card's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_that_two_nodes_answer_under_two_terms_at_once_is_answered_once() {
    let (nodes, tenant, database) = nodes(Postgres::shared()).await;
    for number in 0..60 {
        let tries = (0..8).map(|nth| {
            let (node, tenant) = (Arc::clone(&nodes[nth % 2]), tenant.clone());
            let kept = named(&tenant, number, 1 + (nth as u32 / 2) % 2);
            tokio::spawn(async move {
                if nth < 4 {
                    let row = card(&tenant, None);
                    match node.insert_card(row, Some(kept.clone())).await.unwrap() {
                        Inserted::Stored => Ok(kept),
                        Inserted::Replayed(earlier) => Err(earlier),
                        other => panic!("{other:?}"),
                    }
                } else {
                    node.insert_answer(kept.clone(), NOW).await.unwrap().map_or(Ok(kept), Err)
                }
            })
        });
        let mut first = Vec::new();
        let mut replays = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(kept) => first.push(AnswerRow { other_names: Vec::new(), ..kept }),
                Err(earlier) => replays.push(earlier),
            }
        }
        assert_eq!(first.len(), 1, "number {number}");
        for earlier in replays {
            assert_eq!(earlier, first[0]);
        }
    }
    let kept = Postgres::shared().sql(&database, "SELECT count(*), count(*) FILTER (WHERE card IS NULL) FROM answers");
    assert_eq!(kept, "60|60");
}

/// A life of many tasks over a few numbers: whoever is first, a customer never has two live cards of one number, every card has
/// its claim and every claim its card.
#[tokio::test(flavor = "multi_thread")]
async fn cards_and_claims_agree_whatever_happens_at_the_same_time() {
    let (nodes, tenant, database) = nodes(Postgres::shared()).await;
    let mut tasks = Vec::new();
    for nth in 0..12u64 {
        let (node, tenant) = (Arc::clone(&nodes[nth as usize % 2]), tenant.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = numbers(nth + 1);
            for _ in 0..60 {
                act(&node, &tenant, &mut random).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let all = nodes[0].cards(&tenant, &CardFilter::default(), None, 1000, NOW).await.unwrap();
    let mut by_number: BTreeMap<u8, Vec<Token>> = BTreeMap::new();
    for row in &all {
        by_number.entry(row.fingerprint[15]).or_default().push(row.token);
    }
    assert!(by_number.values().all(|tokens| tokens.len() == 1), "{by_number:?}");
    let filter = CardFilter { customer: customer("cus_1"), fingerprint: None };
    assert_eq!(
        nodes[1].cards(&tenant, &filter, None, 1000, NOW).await.unwrap(),
        all,
        "a list by customer shows them all"
    );
    let count = all.len();
    assert_eq!(leftovers(&database), format!("{count}|{count}|{count}"));
}

async fn act(node: &PostgresStore, tenant: &TenantId, random: &mut impl FnMut(u64) -> u64) {
    let number = random(6) as u8;
    match random(4) {
        0 | 1 => {
            let row = of(tenant, number, 1 + random(2) as u32);
            node.insert_card(row, None).await.unwrap();
        }
        2 => {
            let rows = (0..3).map(|_| (of(tenant, random(6) as u8, 1 + random(2) as u32), None)).collect();
            node.insert_cards(rows).await.unwrap();
        }
        _ => {
            let all = node.cards(tenant, &CardFilter::default(), None, 100, NOW).await.unwrap();
            let Some(row) = all.get(random(all.len().max(1) as u64) as usize) else { return };
            if random(2) == 0 {
                node.delete_card(tenant, &row.token).await.unwrap();
                return;
            }
            let old = Marks { fingerprint: row.fingerprint, mac_term: row.mac_term, binding: row.content.binding };
            let term = 3 - row.mac_term;
            let new = Marks { fingerprint: print(row.fingerprint[15], term), mac_term: term, ..old };
            node.swap_marks(tenant, vec![MarkSwap::Card(row.token, old, new)]).await.unwrap();
        }
    }
}

/// Numbers below a bound, each life from its seed.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

fn leftovers(database: &str) -> String {
    let own = "SELECT count(*) FROM claims JOIN cards USING (token, fingerprint)";
    Postgres::shared()
        .sql(database, &format!("SELECT (SELECT count(*) FROM cards), (SELECT count(*) FROM claims), ({own})"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_may_give_each_transaction_another_connection() {
    let server = Postgres::shared();
    let pooler = Pooler::start(server);
    let fresh = async || -> Arc<dyn Store> {
        let url = pooler.url(&server.fresh_database());
        let at = PostgresUrl { url: &url, ca: None, password_file: None, connections: 8, needs_standby: false };
        let store = PostgresStore::open(PostgresOptions::new(&at, "vault-a").unwrap()).await.unwrap();
        Arc::new(store) as Arc<dyn Store>
    };
    use crate::store::conformance::{cards, cluster, keys, marks, records, spent};
    cards::racing_inserts_of_one_card_make_one_row(fresh().await).await;
    cards::many_cards_go_in_together_or_not_at_all(fresh().await).await;
    cards::a_taken_token_is_refused_and_nothing_changes(fresh().await).await;
    records::the_same_idempotency_key_replays(fresh().await).await;
    marks::a_card_under_another_term_is_a_duplicate_all_the_same(fresh().await).await;
    spent::of_many_at_once_one_spends(fresh().await).await;
    keys::a_key_change_that_does_not_fit_changes_nothing(fresh().await).await;
    cluster::a_name_is_taken_until_its_run_is_gone(fresh().await).await;
    // Many at once over its three connections, in which a refusal stands beside work that goes on.
    let store = fresh().await;
    let tenant = acme(&*store).await;
    let rows: Vec<CardRow> = (0..200).map(|_| card(&tenant, None)).collect();
    let tries = rows.iter().flat_map(|row| [row, row]).map(|row| store.insert_card(row.clone(), None));
    let done = futures_util::future::join_all(tries).await;
    assert_eq!(done.iter().filter(|one| **one == Ok(Inserted::Stored)).count(), rows.len());
    let reads = futures_util::future::join_all(rows.iter().map(|row| store.card(&tenant, &row.token, NOW))).await;
    assert!(reads.into_iter().zip(rows).all(|(read, row)| read == Ok(Some(row))));
}
