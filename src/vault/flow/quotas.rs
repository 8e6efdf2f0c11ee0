//! Quotas among several nodes: what this node uses is told to the others several times a second, and what they use is heard. The
//! arithmetic is policy's.
//!
//! A vault alone has none of this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::{FlowError, StoreFault, Vault};
use crate::policy::Heard;
use crate::store::UseReport;
use crate::telemetry::log;

/// Reports that were made.
pub struct Uses {
    run: Uuid,
    turn: AtomicU64,
    telling: tokio::sync::Mutex<()>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { run: Uuid::new_v4(), turn: AtomicU64::new(0), telling: tokio::sync::Mutex::default() }
    }
}

/// Tells and hears once; how many others told something lately.
///
/// # Errors
/// Those of the store; what was claimed meanwhile is not used.
pub(super) async fn exchange(vault: &Vault) -> Result<usize, FlowError> {
    let Some(node) = &vault.node else { return Ok(0) };
    // What is told is known only when the answer to it is here, so nobody else tells meanwhile.
    let _one_at_a_time = vault.uses.telling.lock().await;
    let turn = vault.uses.turn.fetch_add(1, Ordering::SeqCst) + 1;
    // What is known from the answer is as old as the question.
    let began_ms = vault.now_ms();
    let said = vault.policy.tell(began_ms);
    let own = UseReport { node: node.clone(), run: vault.uses.run, turn, said };
    let asked = tokio::time::timeout(PATIENCE, vault.store.exchange_uses(own)).await;
    match asked {
        Ok(Ok(rows)) => {
            let heard =
                rows.iter().map(|row| Heard { is_before: row.node < *node, age_ms: row.age_ms, said: &row.said });
            vault.policy.heard(&heard.collect::<Vec<_>>(), began_ms);
            Ok(rows.iter().filter(|row| row.age_ms < LATELY_MS).count())
        }
        Ok(Err(error)) => {
            vault.policy.unheard();
            Err(error.into())
        }
        Err(_) => {
            vault.policy.unheard();
            Err(FlowError::Store(StoreFault::Gone))
        }
    }
}

/// Before the first request: tells and hears until this node has its part of every quota, or gives up after some seconds.
pub async fn begin(vault: &Vault) {
    if vault.node.is_none() {
        return;
    }
    let mut told = 0;
    for _ in 0..FIRST_MAX {
        let others = exchange(vault).await;
        told += u32::from(others.is_ok());
        match (others, told) {
            // Nobody has to give anything up: the second time what was claimed the first time counts.
            (Ok(0), 1) => continue,
            (Ok(0), _) => return,
            (Ok(_), FIRST) => return,
            _ => tokio::time::sleep(EVERY).await,
        }
    }
    log::warn("quotas were not divided among the nodes yet; until then this one refuses what counts", &[]);
}

/// Tells and hears until the process ends.
pub async fn keep_sharing(vault: &Vault) {
    if vault.node.is_none() {
        return;
    }
    let mut was_well = true;
    loop {
        let is_well = exchange(vault).await.is_ok();
        if was_well && !is_well {
            log::warn("uses of quotas were not exchanged with the other nodes; it is tried again", &[]);
        }
        was_well = is_well;
        tokio::time::sleep(EVERY).await;
    }
}

/// Before the node goes: leaves to the others what it has not used. Call it when nothing is answered and told any more.
pub async fn end(vault: &Vault) {
    if vault.node.is_some() {
        vault.policy.give_up();
        let _ = exchange(vault).await;
    }
}

const EVERY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(3);
/// The others give up of their parts in the second exchange after they heard of this node; its claim counts in the one after its own.
const FIRST: u32 = 5;
const FIRST_MAX: u32 = 20;
const LATELY_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use super::super::rig::Rig;
    use super::*;

    #[actix_web::test]
    async fn nodes_over_one_store_give_the_allowance_of_one() {
        let a = Rig::node("a").await;
        let b = a.beside("b").await;
        let token = a.card("cus_1").await;
        for node in [&a, &b] {
            node.vault.policy.share();
        }
        assert!(!a.releases(token).await, "nothing before the others were heard");
        for _ in 0..FIRST {
            for node in [&a, &b] {
                exchange(&node.vault).await.unwrap();
            }
        }
        let mut allowed = 0;
        for _ in 0..12 {
            for node in [&a, &b] {
                for _ in 0..6 {
                    allowed += u32::from(node.releases(token).await);
                }
                exchange(&node.vault).await.unwrap();
            }
        }
        assert!(a.releases(token).await && allowed == 144, "{allowed}");
        end(&a.vault).await;
        assert!(!a.releases(token).await);
        for _ in 0..FIRST {
            exchange(&b.vault).await.unwrap();
        }
        assert!(b.releases(token).await);
    }

    #[actix_web::test]
    async fn a_vault_alone_tells_nobody() {
        let alone = Rig::new().await;
        exchange(&alone.vault).await.unwrap();
        begin(&alone.vault).await;
        end(&alone.vault).await;
        let stranger = UseReport { node: "x".parse().unwrap(), run: Uuid::nil(), turn: 1, said: Vec::new() };
        assert!(alone.vault.store.exchange_uses(stranger).await.unwrap().is_empty());
        let token = alone.card("cus_1").await;
        assert!(alone.releases(token).await);
    }
}
