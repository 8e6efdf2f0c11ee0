//! Delete: a card is shredded. Its row, the wrapped Dek included, is overwritten in place and leaves the write-ahead log.
//! A copy of the row that was made before (a backup) opens for as long as the Kek of its term exists.

use strongroom_wire::Token;

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::{Asker, FlowError, Vault};
use crate::policy::{Delete, Note};

/// Shreds a card.
///
/// # Errors
/// [`FlowError::NotFound`] if there is none, and the others.
pub async fn delete(vault: &Vault, asker: &Asker, token: Token) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<Delete>(asker, token, Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    if vault.store.delete_card(&tenant, &token).await? {
        Ok(())
    } else {
        Err(failed(vault, warrant.trace(), FlowError::NotFound).await)
    }
}
