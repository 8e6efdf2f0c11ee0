//! Reveal: the card goes out, once its audit entry is durable.

use strongroom_wire::payment_method::{Metadata, RevealRequest};
use strongroom_wire::{CustomerId, Token};
use zeroize::Zeroizing;

use super::idempotency::{Slot, tenant_of};
use super::{Asker, FlowError, IdempotencyKey, Vault, epochs, row};
use crate::card::{Card, Cvc, reveal_json};
use crate::policy::{Note, Reveal, Trace};

/// A released card.
pub struct Revealed {
    /// The card as JSON, in memory that wipes itself.
    pub json: Zeroizing<Vec<u8>>,
    /// The audit entry that allowed it.
    pub audit_index: u64,
}

/// How a card is released.
pub struct Release<'a> {
    /// What for.
    pub note: Note,
    /// An idempotency key and the raw body that comes with it.
    pub keyed: Option<(&'a IdempotencyKey, &'a [u8])>,
    /// The CVC that goes with it.
    pub cvc_token: Option<&'a str>,
    /// Whose card it must be; a card of another customer is as good as none.
    pub customer: Option<&'a CustomerId>,
    /// Whether the caller's notes go with it.
    pub with_notes: bool,
}

/// Releases a card for a purpose.
///
/// # Errors
/// As [`release`].
pub async fn reveal(
    vault: &Vault,
    asker: &Asker,
    token: Token,
    keyed: Option<(&IdempotencyKey, &[u8])>,
    request: &RevealRequest,
) -> Result<Revealed, FlowError> {
    let how = Release {
        note: Note::release(request.purpose, &request.reference),
        keyed,
        cvc_token: request.cvc_token.as_deref(),
        customer: None,
        with_notes: false,
    };
    release(vault, asker, token, how, |card, cvc, _| reveal_json(&token, card, cvc)).await
}

/// Releases a card in the form that `write` gives it: the card, its CVC, the caller's notes.
///
/// The entry comes first and the row is read after it, so that a card whose deletion was answered is never released by a
/// request that was on its way. A release that then fails gets a second entry that says so. An idempotency key with the
/// raw body ties the two together; each release is an entry of its own all the same.
///
/// # Errors
/// Every [`FlowError`]; then no card left.
pub async fn release(
    vault: &Vault,
    asker: &Asker,
    token: Token,
    how: Release<'_>,
    write: impl FnOnce(&Card, Option<&Cvc>, &Metadata) -> Zeroizing<Vec<u8>>,
) -> Result<Revealed, FlowError> {
    let permit = vault.permit_unsealed::<Reveal>(asker, token, how.note).await?;
    let tenant = tenant_of(&permit)?;
    if let Some((key, raw)) = how.keyed {
        Slot::of(vault, asker, &tenant, "reveal", key, &[token.uuid().as_bytes(), raw])?.claim(vault).await?;
    }
    let warrant = vault.warrant(permit).await?;
    let (audit_index, trace) = (warrant.index(), warrant.trace());
    let Some(row) = vault.store.card(&tenant, &token, vault.now_ms()).await? else {
        return Err(failed(vault, trace, FlowError::NotFound).await);
    };
    let opened = async {
        row::check_binding(&vault.barrier, &row)?;
        if how.customer.is_some() && row.customer.as_ref() != how.customer {
            return Err(FlowError::NotFound);
        }
        let notes = if how.with_notes { row::metadata(&vault.barrier, &row)? } else { Metadata::new() };
        let envelope = row::envelope(&row)?;
        let cvc = match how.cvc_token {
            Some(text) => Some(epochs::open_cvc(vault, &warrant, text).await?),
            None => None,
        };
        Ok(vault.barrier.open(warrant, &envelope, |card| write(card, cvc.as_ref(), &notes))?)
    };
    match opened.await {
        Ok(json) => Ok(Revealed { json, audit_index }),
        Err(error) => Err(failed(vault, trace, error).await),
    }
}

/// Writes down that a recorded act did not happen, and passes the error on.
pub(super) async fn failed(vault: &Vault, trace: Trace, error: FlowError) -> FlowError {
    let words = match &error {
        FlowError::NotFound => "not found",
        FlowError::CvcGone => "cvc gone",
        FlowError::Body(_) => "refused",
        FlowError::Tampered => {
            vault.metrics.tampered.inc();
            "integrity check failed"
        }
        _ => "failed",
    };
    match vault.audit.record_failure(trace, Note::words(words)).await {
        Ok(_) => error,
        Err(not_recorded) => not_recorded.into(),
    }
}
