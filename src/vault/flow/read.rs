//! Read: the masked view of one card or a page of them. The number stays sealed.

use strongroom_wire::payment_method::{Page, PaymentMethod};
use strongroom_wire::{CustomerId, Token, limits};

use super::idempotency::tenant_of;
use super::reveal::failed;
use super::{Asker, FlowError, Vault, row};
use crate::audit::Warrant;
use crate::policy::{Note, ReadMasked};
use crate::store::{CardFilter, CardRow};

/// Which cards a list shows.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With this fingerprint.
    pub fingerprint: Option<[u8; 16]>,
    /// After this one.
    pub cursor: Option<Token>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// One card, masked.
///
/// # Errors
/// [`FlowError::NotFound`] and the others.
pub async fn get(vault: &Vault, asker: &Asker, token: Token) -> Result<PaymentMethod, FlowError> {
    let permit = vault.permit_unsealed::<ReadMasked>(asker, Some(token), Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    let Some(row) = vault.store.card(&tenant, &token, vault.now_ms()).await? else {
        return Err(FlowError::NotFound);
    };
    match masked(vault, &warrant, &row) {
        Ok(method) => Ok(method),
        Err(error) => Err(failed(vault, warrant.trace(), error).await),
    }
}

/// A page of cards, masked, oldest first. One entry covers the page.
///
/// # Errors
/// As [`get`]; [`FlowError::Field`] for a limit out of range.
pub async fn list(vault: &Vault, asker: &Asker, query: Query) -> Result<Page<PaymentMethod>, FlowError> {
    let limit = query.limit.unwrap_or(limits::PAGE_ITEMS_DEFAULT);
    if !(1..=limits::PAGE_ITEMS_MAX).contains(&limit) {
        return Err(FlowError::Field { field: "limit", why: "limit is a whole number from 1 to 100" });
    }
    let permit = vault.permit_unsealed::<ReadMasked>(asker, None, Note::words("list")).await?;
    let tenant = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    let filter = CardFilter { customer: query.customer, fingerprint: query.fingerprint };
    // One more than asked for tells whether there is a next page.
    let mut rows = vault.store.cards(&tenant, &filter, query.cursor, limit + 1, vault.now_ms()).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.token.to_string());
    let items: Result<Vec<_>, _> = rows.iter().map(|row| masked(vault, &warrant, row)).collect();
    match items {
        Ok(items) => Ok(Page { items, next_cursor }),
        Err(error) => Err(failed(vault, warrant.trace(), error).await),
    }
}

fn masked(vault: &Vault, warrant: &Warrant<ReadMasked>, row: &CardRow) -> Result<PaymentMethod, FlowError> {
    row::check_binding(&vault.barrier, row)?;
    let glance = vault.barrier.glance(warrant, &row.token, &row::envelope(row)?)?;
    row::masked(&vault.barrier, row, &glance)
}
