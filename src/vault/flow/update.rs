//! Update: expiry, holder name or notes of a card change; its number never does.

use strongroom_wire::Token;
use strongroom_wire::payment_method::PaymentMethod;

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::{Asker, FlowError, Vault, row};
use crate::audit::Warrant;
use crate::card::UpdateBody;
use crate::policy::{Note, Update};
use crate::store::CardRow;

/// Changes what the body names and leaves the rest.
///
/// # Errors
/// [`FlowError::NotFound`] for a card that is not there; [`FlowError::Conflict`] if somebody changed it meanwhile.
pub async fn update(vault: &Vault, asker: &Asker, token: Token, body: UpdateBody) -> Result<PaymentMethod, FlowError> {
    let permit = vault.permit_unsealed::<Update>(asker, token, Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    let _leave = vault.wraps.reserve(vault, &tenant).await?;
    let warrant = vault.warrant(permit).await?;
    let trace = warrant.trace();
    let Some(before) = vault.store.card(&tenant, &token, vault.now_ms()).await? else {
        return Err(failed(vault, trace, FlowError::NotFound).await);
    };
    let (after, shown) = match change(vault, warrant, &before, body) {
        Ok(changed) => changed,
        Err(error) => return Err(failed(vault, trace, error).await),
    };
    if vault.store.swap_card(&tenant, &token, before.content, after.content).await? {
        Ok(shown)
    } else {
        Err(failed(vault, trace, FlowError::Conflict("the card was changed by another request; ask again")).await)
    }
}

fn change(
    vault: &Vault,
    warrant: Warrant<Update>,
    before: &CardRow,
    body: UpdateBody,
) -> Result<(CardRow, PaymentMethod), FlowError> {
    let barrier = &vault.barrier;
    row::check_binding(barrier, before)?;
    let mut after = before.clone();
    if let Some(metadata) = &body.metadata {
        after.content.metadata = if metadata.is_empty() {
            None
        } else {
            let json = serde_json::to_vec(metadata).map_err(|_| FlowError::Crypto("metadata"))?;
            Some(barrier.seal_metadata(&before.tenant, &before.token, &json)?.as_bytes().to_vec())
        };
    }
    let (envelope, glance) = barrier.reseal(warrant, &row::envelope(before)?, |mut card| {
        if let Some(expiry) = body.expiry {
            card.expiry = expiry;
        }
        if let Some(name) = body.holder_name {
            card.holder_name = name;
        }
        card
    })?;
    after.content.envelope = envelope.as_bytes().to_vec();
    after.content.binding = row::binding(barrier, &after)?;
    let shown = row::masked(barrier, &after, &glance)?;
    Ok((after, shown))
}
