//! Lifetimes of keys: who is near the end of its cryptoperiod or use limit is said, once, and gets a new term by itself
//! before that end, one key at a time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use strongroom_wire::admin::{KeyInfo, RotationState};
use strongroom_wire::entry::{OwnAct, Subject};

use super::rotate::{self, Which};
use super::{FlowError, Vault};
use crate::audit::Own;
use crate::barrier::{KEK_WRAPS_DUE, KeyFacts};
use crate::policy::Note;
use crate::store::RotationRow;
use crate::telemetry::log;

/// Looks after keys now and then until the process ends. With `automatic` new terms are begun as well, and rotations that a
/// fault stopped are tried again.
pub async fn keep_keys(vault: &Arc<Vault>, every: Duration, automatic: bool) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if vault.nodes.leads() && vault.barrier.is_unsealed() && look_after_keys(vault, automatic).await.is_err() {
            log::warn("keys that are due could not be looked after; tried again", &[]);
        }
    }
}

/// One look.
///
/// # Errors
/// Those of the audit log and the store; what was not done is done the next time.
pub async fn look_after_keys(vault: &Arc<Vault>, automatic: bool) -> Result<(), FlowError> {
    let (periods, now_ms) = (*vault.barrier.periods(), vault.now_ms());
    let is_stopped = |row: &&RotationRow| {
        row.state == RotationState::Stopped && row.tenant.as_ref().is_none_or(|tenant| vault.barrier.has_tenant(tenant))
    };
    let stopped: Vec<Which> = vault.store.rotations().await?.iter().filter(is_stopped).map(Which::of).collect();
    let mut ripe = None;
    for (key, tenant, facts) in vault.barrier.key_facts() {
        let which = Which { key, tenant };
        if !periods.is_due(key, &facts, now_ms) {
            continue;
        }
        if vault.rotations.tell_once(which.clone(), facts.term) {
            let words = if facts.wraps >= KEK_WRAPS_DUE { "near its use limit" } else { "near or over its end" };
            let note = Note::none().and(&key).and(&"term").and(&facts.term).and(&words);
            let about = Own { tenant: which.tenant.clone(), subject: Subject::None, note };
            vault.audit.record_own(OwnAct::KeyDue, about).await?;
            log::warn("a key is due", &[("key", &key), ("term", &facts.term)]);
        }
        // Whoever is latest goes first.
        let at_ms = periods.next_term_ms(key, &facts, lot(&which, &facts)).filter(|at_ms| *at_ms <= now_ms);
        if let Some(at_ms) = at_ms
            && !rotate::runs(vault, &which)
            && !stopped.contains(&which)
            && ripe.as_ref().is_none_or(|(earliest, _)| at_ms < *earliest)
        {
            ripe = Some((at_ms, which));
        }
    }
    if !automatic || vault.rotations.are_busy() {
        return Ok(());
    }
    // A rotation that cannot come to its end must not keep other keys from theirs.
    match ripe {
        Some((_, Which { key, tenant })) => rotate::start_by_itself(vault, key, tenant).await.map(drop),
        None if stopped.is_empty() => Ok(()),
        None => rotate::resume(vault).await,
    }
}

/// What an operator should know of keys that are due.
pub(super) fn warnings(vault: &Vault) -> Vec<String> {
    let infos = vault.barrier.key_infos();
    let due: Vec<&KeyInfo> = infos.iter().filter(|info| info.due).collect();
    let word = |info: &KeyInfo| {
        let whose = info.tenant.as_ref().map_or_else(|| "the vault".to_owned(), |tenant| format!("tenant {tenant}"));
        let key = info.purpose;
        if info.wraps >= KEK_WRAPS_DUE {
            format!("the {key} key of {whose} is near its use limit: run `vaultctl keys rotate`")
        } else {
            let end = info.expires_at.as_deref().unwrap_or_default();
            format!("the {key} key of {whose} ends at {end}: run `vaultctl keys rotate`")
        }
    };
    let mut said: Vec<String> = due.iter().take(SAID_MAX).map(|info| word(info)).collect();
    if due.len() > SAID_MAX {
        said.push(format!("{} more keys are near their end: see `vaultctl keys list`", due.len() - SAID_MAX));
    }
    said
}

/// A number that stays the same for a key and differs between keys.
fn lot(which: &Which, facts: &KeyFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    (which, facts.term, facts.created_ms).hash(&mut hasher);
    hasher.finish()
}

/// Keys that are named one by one among the warnings.
const SAID_MAX: usize = 5;
