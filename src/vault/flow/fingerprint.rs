//! Fingerprint: what stands for a card number, or another text, under a key of the caller's own. Nothing is stored.

use super::idempotency::tenant_of;
use super::{Asker, FlowError, Vault};
use crate::policy::{Fingerprint, Note};

/// The same text under the same caller's key has the same fingerprint, for as long as the tenant's fingerprint key has the
/// same term; see [`crate::barrier::Barrier::caller_fingerprint`].
///
/// # Errors
/// [`FlowError::NotFound`] if there is no such tenant, and the others.
pub async fn of_caller(vault: &Vault, asker: &Asker, caller_key: &[u8], what: &[u8]) -> Result<[u8; 32], FlowError> {
    let permit = vault.permit_unsealed::<Fingerprint>(asker, (), Note::words("fingerprint")).await?;
    tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    let trace = warrant.trace();
    match vault.barrier.caller_fingerprint(warrant, caller_key, what) {
        Ok(made) => Ok(made),
        Err(error) => Err(super::reveal::failed(vault, trace, error.into()).await),
    }
}
