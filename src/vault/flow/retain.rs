//! Retain: a short-term card becomes long-term (pay, then vault).

use strongroom_wire::Token;
use strongroom_wire::payment_method::PaymentMethod;

use super::idempotency::{Slot, tenant_of};
use super::reveal::failed;
use super::{Asker, FlowError, IdempotencyKey, Vault, row};
use crate::policy::{Note, Retain};

/// Takes the end off a card's life. Doing it twice is the same as once.
///
/// # Errors
/// [`FlowError::NotFound`] for a card that is gone already, and the others.
pub async fn retain(
    vault: &Vault,
    asker: &Asker,
    token: Token,
    key: Option<&IdempotencyKey>,
) -> Result<PaymentMethod, FlowError> {
    let permit = vault.permit_unsealed::<Retain>(asker, token, Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    if let Some(key) = key {
        Slot::of(vault, asker, &tenant, "retain", key, &[token.uuid().as_bytes()])?.claim(vault).await?;
    }
    let warrant = vault.warrant(permit).await?;
    for _ in 0..ATTEMPTS {
        let Some(before) = vault.store.card(&tenant, &token, vault.now_ms()).await? else {
            return Err(failed(vault, warrant.trace(), FlowError::NotFound).await);
        };
        let shown = row::check_binding(&vault.barrier, &before).and_then(|()| {
            let mut after = before.clone();
            after.content.expires_ms = None;
            after.content.binding = row::binding(&vault.barrier, &after)?;
            let glance = vault.barrier.glance(&warrant, &token, &row::envelope(&after)?)?;
            let masked = row::masked(&vault.barrier, &after, &glance)?;
            Ok((after, masked))
        });
        let (after, masked) = match shown {
            Ok(shown) => shown,
            Err(error) => return Err(failed(vault, warrant.trace(), error).await),
        };
        if after.content == before.content
            || vault.store.swap_card(&tenant, &token, before.content, after.content).await?
        {
            return Ok(masked);
        }
    }
    Err(failed(vault, warrant.trace(), FlowError::Conflict("the card is being changed by others; ask again")).await)
}

const ATTEMPTS: usize = 8;
