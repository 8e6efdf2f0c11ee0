//! Delete: a card is shredded. Its wrapped Dek is overwritten, so nothing that was copied of the row elsewhere can be
//! brought together with it again.

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
