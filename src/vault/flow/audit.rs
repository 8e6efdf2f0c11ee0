//! The audit log, for those who may read it, and proofs for those whose act an entry is.

use strongroom_keys::lineage::Lineage;
use strongroom_wire::admin::{EntryPage, HandoverList, InclusionProof};
use strongroom_wire::limits;

use super::{Asker, FlowError, StoreFault, Vault};
use crate::audit::AuditError;
use crate::policy::{Note, ReadAudit};
use crate::store::SignTerm;

/// A page of entries.
///
/// # Errors
/// [`FlowError::Field`] for a limit out of range, and the others.
pub async fn entries(vault: &Vault, asker: &Asker, from: u64, limit: Option<u32>) -> Result<EntryPage, FlowError> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=limits::ENTRIES_PAGE_MAX).contains(&limit) {
        return Err(FlowError::Field { field: "limit", why: "limit is a whole number from 1 to 1000" });
    }
    let permit = vault.permit_unsealed::<ReadAudit>(asker, (), Note::words("entries from").and(&from)).await?;
    let _read = vault.warrant(permit).await?;
    Ok(vault.audit.entries(from, limit).await?)
}

/// The proof of any entry.
///
/// # Errors
/// [`FlowError::NotFound`] if there is no such entry, and the others.
pub async fn proof(vault: &Vault, asker: &Asker, index: u64) -> Result<InclusionProof, FlowError> {
    let permit = vault.permit_unsealed::<ReadAudit>(asker, (), Note::words("proof of").and(&index)).await?;
    let _read = vault.warrant(permit).await?;
    Ok(vault.audit.proof(index).await?)
}

/// The proof of an entry of the caller's own, which needs no scope: who did it may have it proved. Another's entry is
/// not told from one that is not there.
///
/// # Errors
/// As [`proof`].
pub async fn own_proof(vault: &Vault, asker: &Asker, index: u64) -> Result<InclusionProof, FlowError> {
    if !vault.barrier.is_unsealed() {
        return Err(FlowError::Sealed);
    }
    let page = vault.audit.entries(index, 1).await?;
    let who = asker.who.who();
    if page.entries.first().is_some_and(|entry| entry.index == index && entry.who == who) {
        Ok(vault.audit.proof(index).await?)
    } else {
        Err(FlowError::NotFound)
    }
}

/// The newest signed checkpoint: a fresh one while the vault can sign, the last one while it is sealed. It is public and
/// needs no scope.
///
/// # Errors
/// [`FlowError::NotFound`] if none was ever signed.
pub async fn checkpoint(vault: &Vault) -> Result<String, FlowError> {
    if vault.barrier.is_unsealed() && vault.audit.covered() < vault.audit.size() {
        match vault.audit.checkpoint().await {
            // One Sign key hands over to the next in this moment, or the vault was sealed.
            Err(AuditError::NoNotary) => {}
            signed => return Ok(signed?),
        }
    }
    vault.audit.newest_checkpoint().ok_or(FlowError::NotFound)
}

/// What stands under a path of the log as tiles (C2SP tlog-tiles).
pub enum Tiled {
    /// The newest checkpoint, a signed note.
    Checkpoint(String),
    /// A tile's bytes.
    Tile(Vec<u8>),
}

/// The checkpoint or a tile, by its path below the log's prefix.
///
/// # Errors
/// [`FlowError::NotFound`] for a path of another form, and for a tile that the log does not reach to the end of yet.
pub async fn tiled(vault: &Vault, asker: &Asker, path: &str) -> Result<Tiled, FlowError> {
    let permit = vault.permit_unsealed::<ReadAudit>(asker, (), Note::words("tile")).await?;
    let _read = vault.warrant(permit).await?;
    if path == "checkpoint" {
        return checkpoint(vault).await.map(Tiled::Checkpoint);
    }
    let tile = path.parse().map_err(|_| FlowError::NotFound)?;
    Ok(Tiled::Tile(vault.audit.tile(tile).await?))
}

/// The keys that checkpoints are verified with, as C2SP verifier keys, a line each, with the entry from which each but the
/// first counts.
///
/// # Errors
/// [`FlowError::Sealed`], those of policy and of the store.
pub async fn public_keys(vault: &Vault, asker: &Asker) -> Result<String, FlowError> {
    let permit = vault.permit_unsealed::<ReadAudit>(asker, (), Note::words("public key")).await?;
    let _read = vault.warrant(permit).await?;
    Ok(lineage(vault).await?.text())
}

/// The notes in which each Sign key names the next.
///
/// # Errors
/// As [`public_keys`].
pub async fn handovers(vault: &Vault, asker: &Asker) -> Result<HandoverList, FlowError> {
    let permit = vault.permit_unsealed::<ReadAudit>(asker, (), Note::words("handovers")).await?;
    let _read = vault.warrant(permit).await?;
    let terms = own_terms(vault).await?;
    Ok(HandoverList { handovers: terms.into_iter().filter_map(|term| term.handover).collect() })
}

/// The Sign keys of this log, as the store has them: each but the first with the handover by the one before it.
pub(super) async fn lineage(vault: &Vault) -> Result<Lineage, FlowError> {
    let mut terms = own_terms(vault).await?.into_iter();
    let first = terms.next().ok_or(FlowError::Tampered)?;
    let first = first.public_key.parse().map_err(|_| FlowError::Tampered)?;
    let follow = |lineage: Lineage, term: SignTerm| {
        lineage.follow(term.handover.as_deref().unwrap_or_default()).map_err(|_| FlowError::Tampered)
    };
    terms.try_fold(Lineage::of(first), follow)
}

/// What is public of the terms that signed this log.
pub(super) async fn own_terms(vault: &Vault) -> Result<Vec<SignTerm>, FlowError> {
    Ok(vault.store.sign_terms().await?.into_iter().filter(|term| term.node == vault.node).collect())
}

impl From<AuditError> for FlowError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::NoEntry => FlowError::NotFound,
            AuditError::NoNotary => FlowError::Sealed,
            AuditError::Broken { .. } | AuditError::ForeignCheckpoint => FlowError::Tampered,
            AuditError::File(_) | AuditError::Io(_) | AuditError::HeldBack | AuditError::Stopped => {
                FlowError::Store(StoreFault::Gone)
            }
            AuditError::InUse
            | AuditError::NoWal
            | AuditError::NotALog
            | AuditError::NewerSchema
            | AuditError::ForeignLog => FlowError::Store(StoreFault::Internal),
        }
    }
}

const PAGE_DEFAULT: u32 = 100;
