//! Retention: how long a tenant's cards are kept. Older ones are shredded by a sweep and, until then, reported.
//!
//! A rule that takes cards away sooner than the one before needs two people; one that keeps them longer does not.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use strongroom_wire::acts::SetRetention;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::entry::{OwnAct, Subject};
use strongroom_wire::retention::{OverAgeLine, OverAgeReport, RetentionList, RetentionRule};
use strongroom_wire::{Scope, TenantId, limits};

use super::{Asker, FlowError, Vault, kept, shred};
use crate::audit::Own;
use crate::policy::{Note, Principal, RuleRetention};
use crate::store::KeptRow;
use crate::telemetry::log;

/// When cards are looked for next; 0 is at once.
#[derive(Default)]
pub(super) struct Due(AtomicU64);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    tenant: TenantId,
    days: Option<u32>,
    set_ms: u64,
}

/// Whether the rule is one that a single person may set: it keeps cards at least as long as the one that is there.
///
/// # Errors
/// [`FlowError::Field`] for days out of range, and the others.
pub async fn keeps_longer(vault: &Vault, asked: &SetRetention) -> Result<bool, FlowError> {
    in_range(asked)?;
    if !vault.barrier.is_unsealed() {
        return Err(FlowError::Sealed);
    }
    let now = rules(vault).await?.into_iter().find(|rule| rule.tenant == asked.tenant).and_then(|rule| rule.days);
    Ok(match (now, asked.days) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(now), Some(asked)) => asked >= now,
    })
}

/// Sets a rule that keeps cards longer, or the same one again.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn set(vault: &Vault, asker: &Asker, asked: &SetRetention) -> Result<RetentionRule, FlowError> {
    let asker = Asker { tenant: Some(asked.tenant.clone()), ..asker.clone() };
    let permit = vault.permit_unsealed::<RuleRetention>(&asker, (), about(asked)).await?;
    let warrant = vault.warrant(permit).await?;
    match put_longer(vault, asked).await {
        Ok(rule) => Ok(rule),
        Err(error) => Err(super::reveal::failed(vault, warrant.trace(), error).await),
    }
}

async fn put_longer(vault: &Vault, asked: &SetRetention) -> Result<RetentionRule, FlowError> {
    shred::check(vault, &asked.tenant).await?;
    // Looked at again after the entry, because another request may have set a longer one meanwhile; from here on none does.
    let _still = vault.acts.still().await;
    let known = kept::find(vault, &name_of(&asked.tenant)).await?;
    if !keeps_longer(vault, asked).await? {
        return Err(FlowError::Conflict("the rule was changed by another request; ask again"));
    }
    // In the place of the rule that was looked at: another node may set one as well.
    put_instead(vault, known, asked).await
}

/// The rules of all tenants.
///
/// # Errors
/// Those of policy, the audit log and the store; [`FlowError::Tampered`] for a rule that the vault did not sign.
pub async fn list(vault: &Vault, asker: &Asker) -> Result<RetentionList, FlowError> {
    let permit = vault.permit_unsealed::<RuleRetention>(asker, (), Note::words("list")).await?;
    let _read = vault.warrant(permit).await?;
    let seen = |rule: &&Rule| may_see(vault, asker, &rule.tenant);
    Ok(RetentionList { rules: rules(vault).await?.iter().filter(seen).map(view).collect() })
}

/// Which tenants have cards that are older than their rule allows, counted now.
///
/// # Errors
/// As [`list`].
pub async fn report(vault: &Vault, asker: &Asker) -> Result<OverAgeReport, FlowError> {
    let permit = vault.permit_unsealed::<RuleRetention>(asker, (), Note::words("report")).await?;
    let _read = vault.warrant(permit).await?;
    let now = vault.now_ms();
    let mut tenants = Vec::new();
    for rule in rules(vault).await?.into_iter().filter(|rule| may_see(vault, asker, &rule.tenant)) {
        let Some(days) = rule.days else { continue };
        let over = vault.store.over_age(&rule.tenant, before_ms(now, days), 0).await?;
        let oldest_created_at = over.oldest_ms.map(rfc3339_ms);
        tenants.push(OverAgeLine { tenant: rule.tenant, days, over_age: over.count, oldest_created_at });
    }
    Ok(OverAgeReport { at: rfc3339_ms(now), tenants })
}

/// Whoever holds the scope for some tenants sees no others'.
fn may_see(vault: &Vault, asker: &Asker, tenant: &TenantId) -> bool {
    match &asker.who {
        Principal::Identity(identity) => vault.policy.holds(identity, Scope::Retention, Some(tenant)),
        Principal::Session(_) | Principal::Vault => false,
    }
}

/// Shreds what is over age, once an hour and after a rule changed. A sealed vault cannot tell its rules from others', and
/// does it after the next unseal.
///
/// # Errors
/// Those of the audit log and the store; what is left is shredded the next time.
pub(super) async fn sweep(vault: &Vault) -> Result<(), FlowError> {
    let now = vault.now_ms();
    if !vault.barrier.is_unsealed() || now < vault.retention.0.load(Ordering::SeqCst) {
        return Ok(());
    }
    // Set before the rules are read, so that one that is set meanwhile is not missed.
    vault.retention.0.store(now.saturating_add(EVERY_MS), Ordering::SeqCst);
    let swept = sweep_all(vault, now).await;
    if swept.is_err() {
        look_again(vault);
    }
    swept
}

async fn sweep_all(vault: &Vault, now: u64) -> Result<(), FlowError> {
    for Rule { tenant, days, .. } in rules(vault).await? {
        let Some(days) = days else { continue };
        let mut shredded = 0u64;
        loop {
            let over = vault.store.over_age(&tenant, before_ms(now, days), BATCH).await?;
            let is_last = over.first.len() < BATCH as usize;
            for token in over.first {
                let note = Note::words("kept for days:").and(&days);
                let about = Own { tenant: Some(tenant.clone()), subject: Subject::Card(token), note };
                vault.audit.record_own(OwnAct::OverAge, about).await?;
                if vault.store.delete_card(&tenant, &token).await? {
                    shredded += 1;
                    vault.metrics.over_age.inc();
                }
            }
            if is_last {
                break;
            }
        }
        if shredded > 0 {
            log::info("cards over age shredded", &[("tenant", &tenant), ("records", &shredded)]);
        }
    }
    Ok(())
}

/// What the log says about a rule.
pub(super) fn about(asked: &SetRetention) -> Note {
    match asked.days {
        Some(days) => Note::words("keep cards for days:").and(&days),
        None => Note::words("keep cards without a rule"),
    }
}

/// Refuses a rule for nobody or out of range.
pub(super) async fn check(vault: &Vault, asked: &SetRetention) -> Result<(), FlowError> {
    in_range(asked)?;
    shred::check(vault, &asked.tenant).await
}

/// Keeps the rule and has it looked at.
pub(super) async fn put(vault: &Vault, asked: &SetRetention) -> Result<RetentionRule, FlowError> {
    put_instead(vault, kept::find(vault, &name_of(&asked.tenant)).await?, asked).await
}

async fn put_instead(vault: &Vault, old: Option<KeptRow>, asked: &SetRetention) -> Result<RetentionRule, FlowError> {
    let rule = Rule { tenant: asked.tenant.clone(), days: asked.days, set_ms: vault.now_ms() };
    let json = serde_json::to_vec(&rule).map_err(|_| FlowError::Crypto("a rule could not be written"))?;
    kept::keep_instead(vault, old, &name_of(&rule.tenant), json).await?;
    look_again(vault);
    Ok(view(&rule))
}

fn name_of(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}")
}

/// Has cards that are over age looked for at the next sweep: a rule may have changed.
pub(super) fn look_again(vault: &Vault) {
    vault.retention.0.store(0, Ordering::SeqCst);
}

async fn rules(vault: &Vault) -> Result<Vec<Rule>, FlowError> {
    vault.caught_up().await?;
    let mut rules = Vec::new();
    for row in vault.store.kept(PREFIX).await? {
        let rule: Rule = serde_json::from_slice(&row.value).map_err(|_| FlowError::Tampered)?;
        // The name of the row is signed with its value, and so is the tenant in it: no rule passes for another tenant's.
        if !kept::is_ours(vault, &row)? || row.name != name_of(&rule.tenant) {
            vault.metrics.tampered.inc();
            return Err(FlowError::Tampered);
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn in_range(asked: &SetRetention) -> Result<(), FlowError> {
    if asked.days.is_none_or(|days| (1..=limits::RETENTION_DAYS_MAX).contains(&days)) {
        return Ok(());
    }
    Err(FlowError::Field { field: "days", why: "days is 1 to 36500, or null for no rule" })
}

fn before_ms(now_ms: u64, days: u32) -> u64 {
    now_ms.saturating_sub(u64::from(days) * DAY_MS)
}

fn view(rule: &Rule) -> RetentionRule {
    RetentionRule { tenant: rule.tenant.clone(), days: rule.days, set_at: rfc3339_ms(rule.set_ms) }
}

const PREFIX: &str = "retention/";
const DAY_MS: u64 = 24 * 3_600 * 1_000;
const EVERY_MS: u64 = 3_600 * 1_000;
const BATCH: u32 = 200;
