//! Fields: a card, or a PIN, comes as fields that a merchant's page encrypted under a secret of the merchant's.
//!
//! The use of the secret is an act of its own with an entry of its own, durable before the secret or a field is opened.
//! From the card on it is the story of [`super::tokenize`], with its entry, its idempotency and its one token for one card.

use strongroom_wire::SecretId;

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::tokenize::{Opened, Tokenized};
use super::{Asker, FlowError, IdempotencyKey, Vault, secret, tokenize};
use crate::audit::Warrant;
use crate::barrier::FieldsError;
use crate::card::{FieldsBody, PinBody};
use crate::policy::{Action, CheckPin, Note};
use crate::store::SecretRow;

/// Opens the fields and stores their card, short-term.
///
/// # Errors
/// [`FlowError::NotFound`] if there is no such secret of the asker's tenant, [`FlowError::Field`] if it is no key,
/// [`FlowError::Body`] for a field that does not open to what it should, and those of [`tokenize::tokenize`].
pub async fn tokenize(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    fields: FieldsBody,
) -> Result<Tokenized, FlowError> {
    let note = Note::words("encrypted fields");
    let (opening, storing) = vault.permits_fields(asker, fields.key, note).await?;
    tenant_of(&opening)?;
    let warrant = vault.warrant(opening).await?;
    let trace = warrant.trace();
    let opened = match used(vault, &warrant).await {
        Ok(row) => secret::checked_envelope(vault, &row)
            .and_then(|envelope| Ok(vault.barrier.open_fields(warrant, &envelope, fields, vault.now_ms())?)),
        Err(error) => Err(error),
    };
    match opened {
        Ok(body) => tokenize::opened(vault, asker, key, storing, Opened { body, sealing: None, wanted: None }).await,
        Err(error) => Err(failed(vault, trace, error).await),
    }
}

/// Tries whether a field opens to a PIN. Nothing of it is kept, and the log says that one was checked and no more.
///
/// # Errors
/// [`FlowError::Body`] if it does not, and the others as in [`tokenize()`].
pub async fn check_pin(vault: &Vault, asker: &Asker, pin: &PinBody) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<CheckPin>(asker, pin.key, Note::words("PIN checked")).await?;
    tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    let trace = warrant.trace();
    let checked = match used(vault, &warrant).await {
        Ok(row) => {
            secret::checked_envelope(vault, &row).map(|envelope| vault.barrier.check_pin(warrant, &envelope, pin))
        }
        Err(error) => Err(error),
    };
    match checked {
        // What it was found to be is nobody's to read in a log.
        Ok(Ok(())) => Ok(()),
        Ok(Err(FieldsError::Body(why))) => Err(why.into()),
        Ok(Err(error)) => Err(failed(vault, trace, error.into()).await),
        Err(error) => Err(failed(vault, trace, error).await),
    }
}

/// The row of the secret that a Warrant names. It is read after the entry, so that a secret whose deletion was answered is
/// not used by a request that was on its way.
async fn used<A: Action<Subject = SecretId>>(vault: &Vault, warrant: &Warrant<A>) -> Result<SecretRow, FlowError> {
    let (Some(tenant), Some(id)) = (warrant.tenant(), warrant.secret()) else { return Err(FlowError::NotFound) };
    vault.store.secret(tenant, &id).await?.ok_or(FlowError::NotFound)
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
