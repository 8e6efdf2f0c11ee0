//! Delete of a customer: every card that the merchant filed under it is shredded, each with an entry of its own.

use strongroom_wire::entry::Subject;
use strongroom_wire::payment_method::CustomerDeleted;
use strongroom_wire::{CustomerId, limits};

use super::idempotency::tenant_of;
use super::{Asker, FlowError, Vault};
use crate::policy::{DeleteCustomer, Note, Trace};
use crate::store::CardFilter;

/// Shreds the customer's cards, up to a limit for one request. Asking again goes on; asking once more changes nothing.
///
/// # Errors
/// Those of policy, the audit log and the store; cards that were shredded before stay so.
pub async fn delete(vault: &Vault, asker: &Asker, customer: CustomerId) -> Result<CustomerDeleted, FlowError> {
    let note = Note::words("every card of a customer");
    let permit = vault.permit_unsealed::<DeleteCustomer>(asker, (), note).await?;
    let tenant = tenant_of(&permit)?;
    let trace = vault.warrant(permit).await?.trace();
    let filter = CardFilter { customer: Some(customer), fingerprint: None };
    let mut deleted = 0;
    loop {
        // At the time 0 no card has come to its end: one that the sweep has not met yet goes, too.
        let page = vault.store.cards(&tenant, &filter, None, PAGE, 0).await?;
        let is_last = page.len() < PAGE as usize;
        for row in page {
            if deleted == limits::CUSTOMER_CARDS_MAX {
                return Ok(CustomerDeleted { deleted, is_complete: false });
            }
            let one = Trace { subject: Subject::Card(row.token), ..trace.clone() };
            vault.audit.record_end(one, Note::words("with its customer")).await?;
            deleted += u32::from(vault.store.delete_card(&tenant, &row.token).await?);
        }
        if is_last {
            return Ok(CustomerDeleted { deleted, is_complete: true });
        }
    }
}

const PAGE: u32 = 100;
