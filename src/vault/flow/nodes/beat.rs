//! The beat: what a node says of itself four times a second, what it learns from that, and how it comes and goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::time::timeout;

use super::{Own, State, follow, lead, lease};
use crate::flow::{FlowError, StoreFault, Vault, epochs};
use crate::store::{Pulse, StoreError};
use crate::telemetry::log;

/// Joins the nodes of the vault at the start of the process. A process of the same name is waited for until it is gone.
///
/// # Errors
/// [`FlowError::Conflict`] if another process of this name goes on; those of the store.
pub async fn join(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let Some(own) = &vault.nodes.own else { return Ok(()) };
    let began = Instant::now();
    // Twice the time after which the one before it is gone: it may have been seen just now.
    let patience = own.bounds.gone * 2;
    loop {
        if enter(vault, own).await? {
            log::info("joined", &[("node", &own.name)]);
            return Ok(());
        }
        if began.elapsed() >= patience {
            return Err(FlowError::Conflict(
                "another vaultd uses this store under the same [node] name; give each its own name",
            ));
        }
        actix_web::rt::time::sleep(own.bounds.beat).await;
    }
}

/// Beats until the process ends.
pub async fn keep_beating(vault: &Arc<Vault>) {
    let Some(own) = &vault.nodes.own else { return };
    let mut was_well = true;
    loop {
        let beaten = beat(vault).await;
        if beaten.is_err() && was_well {
            log::warn("the store was not reached, or not followed; no key is used if that lasts", &[]);
            vault.metrics.beats_failed.inc();
        } else if beaten.is_err() {
            vault.metrics.beats_failed.inc();
        } else if !was_well {
            log::info("the store is reached and followed again", &[]);
        }
        was_well = beaten.is_ok();
        // Even where another beat is wanted at once, a store that fails is not asked without a pause.
        let pause = if was_well { own.bounds.beat } else { own.bounds.beat.min(FAILED_PAUSE) };
        if was_well {
            let _ = timeout(pause, own.soon.notified()).await;
        } else {
            actix_web::rt::time::sleep(pause).await;
        }
    }
}

/// One beat, and following what it shows. Once it is back, this node knows every change of before.
///
/// # Errors
/// Those of the store, the audit log and of following; [`FlowError::Behind`] for a node that was buried: the next beat joins
/// again.
pub(in crate::flow) async fn beat(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let Some(own) = &vault.nodes.own else { return Ok(()) };
    let _one_at_a_time = own.beating.lock().await;
    if !own.state().is_member {
        come_back(vault, own).await?;
    }
    let began = Instant::now();
    let pulse = pulse(vault, own).await?;
    let state = own.state();
    if pulse.generation > state.followed || pulse.generation > state.taken {
        follow::follow(vault, own).await?;
    }
    {
        // Keys that came into memory since may be older than what this beat showed.
        let state = own.lock();
        if state.followed >= pulse.generation {
            vault.barrier.fence().down_until(began, own.bounds.fence);
        }
    }
    let others = pulse.nodes.iter().filter(|row| row.report.run != state.run);
    epochs::hear(vault, &others.map(|row| &row.report.news[..]).collect::<Vec<_>>());
    let pulse = Arc::new(pulse);
    own.pulse.send_replace(Some(Arc::clone(&pulse)));
    if pulse.nodes.iter().any(|row| row.report.run != state.run && row.age_ms >= millis(own.bounds.gone)) {
        let buried = vault.store.bury(state.run, own.bounds.gone).await?;
        if buried > 0 {
            log::warn("nodes that were not seen for long are not waited for any more", &[("nodes", &buried)]);
        }
    }
    lease::tidy(own, &*vault.store, &pulse.leases).await;
    lead::look(vault, own, &pulse).await
}

/// Before keys are read: says that this node holds some, so that whoever changes keys waits for it from now on.
pub(in crate::flow) async fn will_hold(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let Some(own) = &vault.nodes.own else { return Ok(()) };
    let _one_at_a_time = own.beating.lock().await;
    if !own.state().is_member {
        come_back(vault, own).await?;
    }
    *own.lock() = State { holds: true, taken: 0, settled: 0, followed: 0, ..own.state() };
    own.holdings.fetch_add(1, Ordering::SeqCst);
    pulse(vault, own).await.map(drop)
}

/// Keys of this generation, read when the vault had been sealed so often, come into memory now. They are used after the next
/// beat that began with that known, and not because of one that was sent while there were none.
pub(in crate::flow) fn holds_now(vault: &Vault, generation: u64, seals: u64) {
    let Some(own) = &vault.nodes.own else { return };
    let mut state = own.lock();
    // Nothing began under older keys: there were none.
    let fresh = State { holds: true, taken: generation, settled: generation, followed: generation, seals, ..*state };
    *state = fresh;
    vault.barrier.fence().put_up();
    drop(state);
    own.soon.notify_one();
}

/// There are no keys in memory any more, or none came. Requests that run may have some still.
pub(in crate::flow) fn let_go(vault: &Arc<Vault>) {
    let Some(own) = &vault.nodes.own else { return };
    let (vault, own) = (Arc::clone(vault), Arc::clone(own));
    let holdings = own.holdings.load(Ordering::SeqCst);
    actix_web::rt::spawn(async move {
        vault.rounds.settled().await;
        vault.wraps.settled().await;
        let _one_at_a_time = own.beating.lock().await;
        // Whoever unseals it meanwhile reads keys already, and has said so.
        if !vault.barrier.is_unsealed() && own.holdings.load(Ordering::SeqCst) == holdings {
            own.lock().holds = false;
            own.soon.notify_one();
        }
    });
}

/// Leaves in order: the others wait for this node no more, and its leases are free.
pub async fn depart(vault: &Vault) {
    let Some(own) = &vault.nodes.own else { return };
    own.leads.store(false, Ordering::SeqCst);
    let run = own.state().run;
    own.lock().is_member = false;
    if !matches!(timeout(own.bounds.fence, vault.store.depart(run)).await, Ok(Ok(()))) {
        log::warn("this node could not say that it leaves; the others notice in some seconds", &[]);
    }
}

/// One round trip. A run that was buried puts the fence up at once.
async fn pulse(vault: &Vault, own: &Own) -> Result<Pulse, FlowError> {
    let asked = timeout(own.bounds.fence, vault.store.beat(own.report(vault))).await;
    let pulse = asked.unwrap_or(Err(StoreError::Unavailable))?;
    if !pulse.is_member {
        vault.barrier.fence().put_up();
        own.leads.store(false, Ordering::SeqCst);
        own.lock().is_member = false;
        log::error("this node was away for so long that the others went on without it", &[]);
        return Err(FlowError::Behind);
    }
    Ok(pulse)
}

/// Joins again after this run was buried. What it began has to be over first: the others do not wait for it any more.
async fn come_back(vault: &Arc<Vault>, own: &Arc<Own>) -> Result<(), FlowError> {
    vault.barrier.fence().put_up();
    if vault.nodes.is_leaving() {
        return Err(FlowError::Behind);
    }
    vault.rounds.settled().await;
    vault.wraps.settled().await;
    if !enter(vault, own).await? {
        return Err(FlowError::Conflict("another vaultd uses this store under the same [node] name"));
    }
    log::info("joined again", &[("node", &own.name)]);
    Ok(())
}

/// A fresh run. What it holds counts from before it reads anything.
async fn enter(vault: &Vault, own: &Own) -> Result<bool, FlowError> {
    let before = own.state();
    // Whoever unseals it in this moment reads keys already.
    let holds = before.holds || vault.barrier.is_unsealed();
    let fresh = State { holds, seals: before.seals, ..State::fresh() };
    *own.lock() = fresh;
    vault.store.bury(fresh.run, own.bounds.gone).await?;
    let has_joined = match vault.store.join(own.report(vault)).await {
        Err(StoreError::Full) => return Err(FlowError::Store(StoreFault::Full)),
        joined => joined?,
    };
    own.lock().is_member = has_joined;
    Ok(has_joined)
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const FAILED_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
