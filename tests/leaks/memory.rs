//! The memory of vaultd, read as root: what it holds while connections live, and that it holds nothing after them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{VaultPlan, World, WorldPlan, eventually};

use crate::cards::{Card, cards};
use crate::crowd::{Crowd, store_by_browsers};
use crate::search::{Found, Search};
use crate::wrong::everything_wrong;

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_in_memory_once_its_connections_are_closed() {
    let mut world = World::start(with_keep_alive(60)).await.unwrap();
    let cards = cards(CARDS);
    let mut crowd = Crowd::connect(&world, CONNECTIONS);
    crowd.store_and_reveal(&cards);
    let while_open = search_process(world.vault.process().id(), &cards);
    drop(crowd);
    println!("while {CONNECTIONS} connections that brought {CARDS} cards are open: {}", while_open.summary());
    assert_gone(&mut world, &cards, "after the connections were closed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_in_memory_once_its_connections_were_idle_past_the_keep_alive() {
    let mut world = World::start(with_keep_alive(1)).await.unwrap();
    let cards = cards(CARDS);
    let mut crowd = Crowd::connect(&world, CONNECTIONS);
    crowd.store_and_reveal(&cards);
    crowd.wait_until_closed();
    assert_gone(&mut world, &cards, "after the connections were idle past the keep-alive").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_that_was_refused_or_came_from_a_browser_is_in_memory() {
    let mut world = World::start(with_keep_alive(1)).await.unwrap();
    let cards = cards(CARDS);
    let refused = everything_wrong(&world, &cards).await;
    assert!(refused.len() >= 40);
    store_by_browsers(&world, &cards[..100]).await;
    assert_gone(&mut world, &cards, "after wrong requests and browsers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_in_memory_whatever_was_asked_last() {
    let mut world = World::start(with_keep_alive(1)).await.unwrap();
    let cards = cards(8);
    let card = &cards[0];
    let body = json!({
        "type": "card",
        "card": { "number": card.number, "exp_month": 12, "exp_year": 2031, "cvc": card.cvc },
        "customer_id": "cus_ada",
    });
    let stored = world.release().await.unwrap().post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
    let path = format!("/v1/payment_methods/{}", stored["payment_method_id"].as_str().unwrap());
    assert_gone(&mut world, &cards, "after a card was stored").await;
    let reveal = json!({ "purpose": "authorize", "reference": "pay_leaks", "cvc_token": stored["cvc_token"] });
    let again = json!({ "purpose": "authorize", "reference": "pay_leaks" });
    let last: [(&str, Method, String, Value); 8] = [
        ("it was revealed with its CVC", Method::POST, format!("{path}/reveal"), reveal),
        ("it was revealed", Method::POST, format!("{path}/reveal"), again),
        ("it was met again", Method::POST, "/v1/payment_methods".to_owned(), body.clone()),
        ("it was changed", Method::PATCH, path.clone(), json!({ "card": { "exp_month": 1, "exp_year": 2032 } })),
        ("it was shown", Method::GET, path.clone(), Value::Null),
        ("it was listed", Method::GET, "/v1/payment_methods".to_owned(), Value::Null),
        ("it was retained", Method::POST, format!("{path}/retain"), json!({})),
        ("it was deleted", Method::DELETE, path.clone(), Value::Null),
    ];
    for (what, method, path, body) in last {
        let body = if body.is_null() { None } else { Some(&body) };
        // Under a key as well, because then the body is hashed too.
        let key = what.replace(' ', "-");
        let headers: &[(&str, &str)] = if method == Method::POST { &[("Idempotency-Key", &key)] } else { &[] };
        let answer = world.release().await.unwrap().send(method, &path, body, headers).await.unwrap();
        assert!(answer.status < 300, "{what}: {} {}", answer.status, answer.problem());
        drop(answer);
        assert_gone(&mut world, &cards, &format!("after {what}")).await;
    }
}

/// Closing takes the server a moment, which is all that is waited for: what stays, stays.
pub(crate) async fn assert_gone(world: &mut World, cards: &[Card], when: &str) {
    let id = world.vault.process().id();
    let searched = eventually("an empty memory", SETTLE, || async {
        let found = search_process(id, cards);
        Ok(found.is_nothing().then_some(found))
    });
    if searched.await.is_err() {
        let found = search_process(id, cards);
        panic!("{when} there are {} in vaultd's memory:\n{}", found.summary(), found.places.join("\n"));
    }
    println!("{when}: none of {} card numbers, no CVC", cards.len());
    // The process that was searched is the one that served: it still does.
    world.security().await.unwrap().get("/health/ready").await.unwrap().must_be(200).unwrap();
}

/// Every readable mapping of a process that something may have been written to.
pub(crate) fn search_process(id: u32, cards: &[Card]) -> Found {
    let search = Search::new(cards);
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("this test reads /proc/PID/maps: run it as root");
    let memory = File::open(format!("/proc/{id}/mem")).expect("this test reads /proc/PID/mem: run it as root");
    let (mut found, mut read) = (Found::default(), 0);
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        // The kernel's own pages cannot be read this way; program text that nobody may write holds what its file holds.
        let text = rest.starts_with("r-") && rest.contains(" /");
        if !rest.starts_with('r') || rest.contains("[vvar") || rest.ends_with("[vsyscall]") || text {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping may be gone by now; what else cannot be read would be a hole in the search.
        match memory.read_exact_at(&mut bytes, from) {
            Ok(()) => read += bytes.len(),
            Err(error) if is_gone(id, line) => drop(error),
            Err(error) => panic!("{line} cannot be read: {error}"),
        }
        // Most pages hold nothing at all. What is beside such a page does not reach into it.
        for written in bytes.chunks(PAGE).collect::<Vec<_>>().split(|page| **page == [0; PAGE][..page.len()]) {
            let written = written.concat();
            search.look(line, &written, &mut found);
            search.look_turned(line, &written, &mut found);
        }
    }
    assert!(read > 1024 * 1024, "only {read} bytes of memory were searched");
    found
}

fn is_gone(id: u32, line: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/maps")).is_ok_and(|maps| !maps.lines().any(|now| now == line))
}

pub(crate) fn with_keep_alive(keep_alive_seconds: u64) -> WorldPlan {
    WorldPlan { vault: VaultPlan { keep_alive_seconds, ..VaultPlan::default() }, ..WorldPlan::default() }
}

const PAGE: usize = 4096;
const CARDS: u64 = 1_000;
const CONNECTIONS: usize = 64;
const SETTLE: Duration = Duration::from_secs(4);

#[test]
fn a_number_in_memory_is_found() {
    let cards = cards(CARDS);
    // On the heap and nowhere else in these mappings: a copy of the last card that this process keeps for a moment.
    let kept = cards.last().unwrap().number.clone();
    let found = search_process(std::process::id(), &cards);
    assert!(found.cards.contains(&(cards.len() - 1)), "{} in this process", found.summary());
    drop(kept);
}
