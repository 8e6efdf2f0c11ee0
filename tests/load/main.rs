//! Load that is more than the vault can take, and clients that take more than their share: what becomes of them is bounded,
//! and whoever asks as one should is served meanwhile.
//!
//! Bounds are ratios to what the same machine did a moment before, or times that are many times what is needed. One test
//! runs at a time, so that no test is another's load.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod crowd;
mod database;
mod floods;
mod gauge;
mod idle;
mod line;
mod overload;
mod payments;
mod slow;
mod stalled;

use serde_json::{Value, json};
use strongroom_tests::harness::{Client, VaultPlan, World, WorldPlan, word};
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// A vault whose `[listen]` has these lines as well.
async fn vault(listen: &str) -> World {
    let vault = VaultPlan { keep_alive_seconds: 2, intake_requests_per_minute: 1_000_000, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { vault, ..WorldPlan::default() }).await.unwrap();
    world.vault.process().stop().await.unwrap();
    world
        .vault
        .edit_configuration(|text| text.replacen("[listen]\n", &format!("[listen]\nworkers = 2\n{listen}\n"), 1))
        .unwrap();
    world.vault.restart().await.unwrap();
    world
}

/// Stores a card and answers its token.
async fn stored(release: &Client, customer: &str) -> String {
    let answer = release.post("/v1/payment_methods", &card(customer)).await.unwrap().expect(201).unwrap();
    word(&answer, "payment_method_id").unwrap()
}

fn card(customer: &str) -> Value {
    json!({
        "type": "card",
        "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    })
}

/// A request to reveal a card, as bytes.
fn reveal(tenant: &str, token: &str) -> Vec<u8> {
    let body = json!({ "purpose": "authorize", "reference": "pay_load" }).to_string();
    post(&format!("/v1/payment_methods/{token}/reveal"), &format!("Strongroom-Tenant: {tenant}\r\n"), &body)
}

fn post(path: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The question that a browser asks before it posts; the one that leaves an intake connection open.
fn preflight() -> Vec<u8> {
    b"OPTIONS /v1/payment_methods HTTP/1.1\r\nHost: localhost\r\nOrigin: https://shop.example\r\n\r\n".to_vec()
}
