//! What the security team sees: status, keys, metrics; and leave to reload.

use std::path::Path;

use strongroom_gate::Counts;
use strongroom_keys::root::RootError;
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyList, KeyPurpose, KeyState, Phase, Status};
use strongroom_wire::limits;

use super::{Asker, FlowError, Vault, lifetime};
use crate::barrier::KeyFacts;
use crate::policy::{FrameClaims, Note, ReadKeys, ReadMetrics, ReadStatus, Reload, Rules, SessionClaims};
use crate::store::KeyRow;
use crate::telemetry::load::Load;
use crate::telemetry::metrics::{ListenerLabel, Snapshot};

/// Seal phase, sizes and warnings. It answers while sealed.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn status(vault: &Vault, asker: &Asker) -> Result<Status, FlowError> {
    let permit = vault.permit::<ReadStatus>(asker, (), Note::none()).await?;
    let _read = vault.warrant(permit).await?;
    let root = vault.root.descriptor();
    let shares_given = vault.root.ceremony.lock().await.given(vault.now_ms());
    let phase = match (vault.barrier.is_unsealed(), shares_given) {
        (true, _) => Phase::Unsealed,
        (false, 0) => Phase::Sealed,
        (false, _) => Phase::Unsealing,
    };
    Ok(Status {
        vault_id: root.vault_id().to_string(),
        phase,
        root: root.kind(),
        threshold: root.threshold(),
        shares: root.shares(),
        shares_given,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: vault.store.schema(),
        audit_size: vault.audit.size(),
        checkpoint_size: vault.audit.covered(),
        uptime_seconds: vault.now_ms().saturating_sub(vault.started_ms) / 1000,
        warnings: warnings(vault),
        nodes: vault.nodes.status(),
    })
}

/// Leave to see which certificates are in use, recorded. It is given while sealed too.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn permit_certificates(vault: &Vault, asker: &Asker) -> Result<(), FlowError> {
    let permit = vault.permit::<ReadStatus>(asker, (), Note::words("certificates")).await?;
    let _read = vault.warrant(permit).await?;
    Ok(())
}

/// What was found at the start, and what has changed since.
fn warnings(vault: &Vault) -> Vec<String> {
    let policy = "the policy file is not the one in force: run `vaultctl reload` to ask for it, and have a second person \
                  approve it";
    let differs = vault.policy_source.differs().then(|| policy.to_owned());
    let lost = vault.root.reach.fault().map(|why| format!("the root cannot be used: {why}"));
    let stays = "an operator sealed the vault; it stays so until `vaultctl unseal --auto`";
    let stays = vault.root.reach.stays_sealed().then(|| stays.to_owned());
    let here = vault.warnings.iter().cloned().chain(differs).chain(lost).chain(stays);
    here.chain(vault.nodes_warnings()).chain(lifetime::warnings(vault)).chain(held_back(vault)).collect()
}

/// Which disks do not keep up, in words.
fn held_back(vault: &Vault) -> impl Iterator<Item = String> {
    [("store", vault.store.load()), ("audit log", vault.audit.load())].into_iter().filter_map(|(whose, disk)| {
        if disk.stalls() {
            return Some(format!("a write of the {whose} has been running for {} seconds: look at its disk", disk.busy_ms / 1000));
        }
        disk.is_held_back().then(|| {
            format!(
                "the write-ahead log (-wal) of the {whose} is {} MiB long and nothing is written from {} MiB on: something \
                 that reads the file holds it back, such as a backup or an open sqlite3",
                disk.log_bytes >> 20,
                disk.log_bytes_max >> 20
            )
        })
    })
}

/// Every term of every key that is not destroyed.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn keys(vault: &Vault, asker: &Asker) -> Result<KeyList, FlowError> {
    let permit = vault.permit_unsealed::<ReadKeys>(asker, (), Note::none()).await?;
    let _read = vault.warrant(permit).await?;
    Ok(KeyList { keys: vault.barrier.key_infos() })
}

/// The text of a metrics scrape. It answers while sealed, so that sealing is seen.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn metrics(
    vault: &Vault,
    asker: &Asker,
    listeners: Vec<(ListenerLabel, Counts)>,
    certificates: Vec<(&'static str, String, i64)>,
) -> Result<String, FlowError> {
    let permit = vault.permit::<ReadMetrics>(asker, (), Note::none()).await?;
    let _read = vault.warrant(permit).await?;
    let now = vault.now_ms();
    let keys = vault.store.keys().await?.into_iter().filter(|row| row.state != KeyState::Destroyed);
    let lag = vault.audit.lag();
    Ok(vault.metrics.render(&Snapshot {
        unsealed: vault.barrier.is_unsealed(),
        root_available: vault.barrier.is_unsealed() && vault.root.reach.fault().is_none(),
        keys: keys.map(|row| key_line(&row, now)).collect(),
        key_ends: vault.barrier.key_facts().into_iter().filter_map(|known| end_line(vault, known, now)).collect(),
        nodes: (vault.nodes.living() as u64, vault.nodes.leads(), vault.barrier.fence().is_up()),
        audit_size: vault.audit.size(),
        audit_lag: lag.uncovered,
        audit_failing: lag.failing,
        quotas: vault
            .policy
            .use_of(now)
            .into_iter()
            .flat_map(|used| {
                let who = used.identity.as_str().to_owned();
                [
                    (who.clone(), "minute", used.minute_used, u64::from(used.minute_max)),
                    (who, "day", used.day_used, u64::from(used.day_max)),
                ]
            })
            .collect(),
        certificates,
        load: Load { listeners, audit: vault.audit.load(), store: vault.store.load() },
    }))
}

/// Tenant, purpose, term, and seconds until an active key's end, less than 0 after it.
fn end_line(
    vault: &Vault,
    (purpose, tenant, facts): (KeyPurpose, Option<TenantId>, KeyFacts),
    now_ms: u64,
) -> Option<(String, &'static str, u32, i64)> {
    let left_ms = i128::from(vault.barrier.periods().end_ms(purpose, &facts)?) - i128::from(now_ms);
    let tenant = tenant.map_or(String::new(), |tenant| tenant.as_str().to_owned());
    Some((tenant, purpose.as_str(), facts.term, i64::try_from(left_ms / 1000).unwrap_or(i64::MAX)))
}

fn key_line(row: &KeyRow, now_ms: u64) -> (String, &'static str, u32, &'static str, u64, u64) {
    let purpose = row.name.purpose.as_str();
    let state = match row.state {
        KeyState::Pending => "pending",
        KeyState::Active => "active",
        KeyState::Retiring => "retiring",
        KeyState::Destroyed => "destroyed",
    };
    let tenant = row.name.tenant.as_ref().map_or(String::new(), |tenant| tenant.as_str().to_owned());
    (tenant, purpose, row.name.term, state, now_ms.saturating_sub(row.created_ms) / 1000, row.wraps)
}

/// Leave to read certificates and policy again, recorded.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn permit_reload(vault: &Vault, asker: &Asker) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<Reload>(asker, (), Note::none()).await?;
    let _reload = vault.warrant(permit).await?;
    Ok(())
}

impl Vault {
    /// Whether keys are in memory.
    #[must_use]
    pub fn barrier_is_unsealed(&self) -> bool {
        self.barrier.is_unsealed()
    }

    /// Whether the store was moved, so that this process knows nothing of it any more.
    #[must_use]
    pub fn store_is_elsewhere(&self) -> bool {
        self.moves.is_over()
    }

    /// How the HSM or KMS that holds the Root is, in one word; none where the Root is in memory.
    #[must_use]
    pub fn root_word(&self) -> Option<&'static str> {
        let is_elsewhere = self.root.descriptor().kind().opens_by_itself();
        is_elsewhere.then(|| self.root.reach.fault().map_or("available", RootError::word))
    }

    /// Whether the last write of the audit log failed.
    #[must_use]
    pub fn audit_is_failing(&self) -> bool {
        self.audit.lag().failing
    }

    /// Whether the audit log's write does not come to its end.
    #[must_use]
    pub fn audit_stalls(&self) -> bool {
        self.audit.load().stalls()
    }

    /// The claims of a client session, if its MAC is right and it has not ended.
    #[must_use]
    pub fn verify_session(&self, text: &str) -> Option<SessionClaims> {
        self.barrier.verify_session(text, self.now_ms())
    }

    /// The claims of a frame ticket, if its MAC is right and it has not ended.
    #[must_use]
    pub fn verify_ticket(&self, text: &str) -> Option<FrameClaims> {
        self.barrier.verify_ticket(text, self.now_ms())
    }
}

/// Reads a policy file: its text and its rules.
///
/// # Errors
/// What is wrong with it and where, for the person who wrote it.
pub fn read_policy_text(path: &Path) -> Result<(String, Rules), String> {
    let size = std::fs::metadata(path).map_err(|why| format!("{}: {why}", path.display()))?.len();
    if size > limits::POLICY_BYTES_MAX as u64 {
        return Err(format!("{}: a policy file has at most 1 MiB", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let rules = Rules::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok((text, rules))
}
