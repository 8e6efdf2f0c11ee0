//! Sweep: short-term records are shredded at their end, and kept answers after a day.

use strongroom_wire::entry::{OwnAct, Subject};

use super::{FlowError, Vault, acts, retention, shred};
use crate::audit::Own;
use crate::policy::Note;
use crate::telemetry::log;

/// Shreds everything whose end has come; says how many records. It needs no key: what is past its end goes even while
/// the vault is sealed. Each record has its entry before it is gone.
///
/// # Errors
/// [`FlowError::NotRecorded`] or the store's; what is left is swept the next time.
pub async fn sweep(vault: &Vault) -> Result<u64, FlowError> {
    if vault.moves.is_over() {
        return Ok(0);
    }
    let mut swept = 0;
    loop {
        let now = vault.now_ms();
        let expired = vault.store.expired(now, BATCH).await?;
        let is_last = expired.len() < BATCH as usize;
        for record in expired {
            let subject = Subject::Card(record.token);
            let about = Own { tenant: Some(record.tenant.clone()), subject, note: Note::none() };
            vault.audit.record_own(OwnAct::Expired, about).await?;
            // Somebody who read the card just before its end may have made it long-term while the entry was written, and
            // has that answered: then it stays.
            if vault.store.shred_expired(&record, now).await? {
                swept += 1;
                vault.metrics.swept.inc();
            }
        }
        if is_last {
            break;
        }
    }
    while vault.store.purge_answers(vault.now_ms(), BATCH).await? == u64::from(BATCH) {}
    acts::expire(vault).await?;
    shred::sweep(vault).await?;
    retention::sweep(vault).await?;
    Ok(swept)
}

/// Sweeps now and then until the process ends, and lets go of the CVC keys whose time is over. A sweep that fails is
/// tried again the next time and said in the log.
pub async fn keep_sweeping(vault: &Vault, every: std::time::Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        vault.barrier.destroy_old_epochs();
        // Of several nodes one does what is to be done once.
        if !vault.nodes.leads() {
            continue;
        }
        match sweep(vault).await {
            Ok(0) => {}
            Ok(count) => log::info("swept", &[("records", &count)]),
            Err(_) => log::error("sweep failed", &[]),
        }
    }
}

const BATCH: u32 = 200;
