//! Who saw what, from everybody's own mouth: what the shop's server received, the orchestrator's payments, the vault's audit
//! log, the provider's ledger.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::ears::{Ears, now_ms};
use super::{AUDITOR, Addresses};
use crate::harness::{Client, Result, World};

/// Asks everybody.
pub(super) struct Panel {
    ears: Arc<Ears>,
    vault: Client,
    orchestrator: Client,
    psp: Client,
    seen: Mutex<Seen>,
}

/// What was found when everybody was last asked.
#[derive(Default)]
struct Seen {
    /// The place of the next audit entry.
    next: u64,
    entries: Vec<Value>,
    answer: Value,
    asked_ms: u64,
}

impl Panel {
    /// A panel over a world. Its connections are its own.
    pub(super) fn of(world: &World, ears: Arc<Ears>) -> Result<Self> {
        let orchestrator = world.payments()?;
        let auditor = world.credentials(AUDITOR.0, AUDITOR.1)?;
        Ok(Self {
            ears,
            vault: world.vault.admin(&world.pki, &auditor)?,
            orchestrator: Client::new(&world.pki, orchestrator.at(), None)?
                .with("api-key", &orchestrator.merchant.api_key),
            psp: Client::new(&world.pki, world.psp()?.at, None)?,
            seen: Mutex::default(),
        })
    }

    /// What the server of the shop hears with.
    pub(super) fn ears(&self) -> &Ears {
        &self.ears
    }

    /// What each process saw lately, newest last: `shop`, `orchestrator`, `vault`, `psp`, each a list. Asked for more often than
    /// makes sense, it answers what it answered.
    pub(super) async fn look(&self) -> Result<Value> {
        let mut seen = self.seen.lock().await;
        if now_ms().saturating_sub(seen.asked_ms) < FRESH_MS {
            return Ok(seen.answer.clone());
        }
        self.read_log(&mut seen).await?;
        let payments = self.orchestrator.get("/payments/list?limit=5").await?.expect(200)?;
        let payments: Vec<Value> = payments["data"].as_array().into_iter().flatten().rev().map(payment_line).collect();
        let ledger = self.psp.get("/ledger").await?.expect(200)?;
        let charged = ledger["entries"].as_array().map(|lines| newest(lines)).unwrap_or_default();
        seen.answer = json!({
            "shop": self.ears.lately(),
            "orchestrator": payments,
            "vault": seen.entries,
            "psp": charged,
        });
        seen.asked_ms = now_ms();
        Ok(seen.answer.clone())
    }

    /// Reads on in the audit log. What the vault did for itself and for the panel is left out; it is no card's story.
    async fn read_log(&self, seen: &mut Seen) -> Result<()> {
        loop {
            let path = format!("/v1/audit/entries?from={}&limit={PAGE}", seen.next);
            let page = self.vault.get(&path).await?.expect(200)?;
            let entries = page["entries"].as_array().cloned().unwrap_or_default();
            // A reading is an entry itself, so there is always one more: a page that is not full was the last one.
            let is_last = entries.len() < PAGE;
            if let Some(index) = entries.last().and_then(|entry| entry["index"].as_u64()) {
                seen.next = index + 1;
            }
            let told = entries.into_iter().filter(|entry| ABOUT_CARDS.iter().any(|act| entry["act"] == *act));
            seen.entries.extend(told);
            let surplus = seen.entries.len().saturating_sub(SHOWN);
            seen.entries.drain(..surplus);
            if is_last {
                return Ok(());
            }
        }
    }
}

/// What of a payment the panel shows; the client secret stays out.
fn payment_line(payment: &Value) -> Value {
    let mut line = json!({});
    for field in ["payment_id", "status", "amount", "currency", "payment_method_id", "error_message", "attempts"] {
        line[field] = payment[field].clone();
    }
    line["last4"] = payment["payment_method_data"]["card"]["last4"].clone();
    line
}

fn newest(lines: &[Value]) -> Vec<Value> {
    lines[lines.len().saturating_sub(SHOWN)..].to_vec()
}

impl Addresses {
    /// The policy of the shop's pages: scripts of the shop and the vault, frames of the vault and the bank, nothing else.
    pub(super) fn policy(&self) -> String {
        let Self { vault, pay, psp, .. } = self;
        format!(
            "default-src 'none'; script-src 'self' {vault}; style-src 'self'; img-src 'self'; font-src 'self'; \
             connect-src 'self' {vault} {pay}; frame-src 'self' {vault} {pay} {psp}; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    }
}

/// The acts that are about somebody's card.
const ABOUT_CARDS: [&str; 8] =
    ["sessions", "tokenize", "read-masked", "reveal", "retain", "delete", "forward", "unidentified"];
const PAGE: usize = 500;
const SHOWN: usize = 14;
const FRESH_MS: u64 = 400;
