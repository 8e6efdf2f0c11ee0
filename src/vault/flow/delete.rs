//! Delete: a card is shredded. Its row, the wrapped Dek included, is overwritten in place and leaves the write-ahead log.
//! A copy of the row that was made before (a backup) opens for as long as the Kek of its term exists.

use strongroom_wire::{CustomerId, Token};

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::{Asker, FlowError, Vault};
use crate::policy::{Delete, Note};

/// Shreds a card.
///
/// # Errors
/// [`FlowError::NotFound`] if there is none, and the others.
pub async fn delete(vault: &Vault, asker: &Asker, token: Token) -> Result<(), FlowError> {
    delete_of(vault, asker, token, None).await
}

/// The same for a caller that says whose card it is: one of another customer is as good as none.
///
/// # Errors
/// As [`delete`].
pub async fn delete_of(
    vault: &Vault,
    asker: &Asker,
    token: Token,
    customer: Option<&CustomerId>,
) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<Delete>(asker, token, Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    if customer.is_some() {
        // A card never changes its customer, so what is read here holds until it is gone.
        let row = vault.store.card(&tenant, &token, vault.now_ms()).await?;
        if row.is_none_or(|row| row.customer.as_ref() != customer) {
            return Err(failed(vault, warrant.trace(), FlowError::NotFound).await);
        }
    }
    if vault.store.delete_card(&tenant, &token).await? {
        Ok(())
    } else {
        Err(failed(vault, warrant.trace(), FlowError::NotFound).await)
    }
}
