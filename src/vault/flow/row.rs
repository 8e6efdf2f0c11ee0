//! A card's row: what its columns are bound to, and what of it may be shown.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_keys::Envelope;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::payment_method::{Metadata, MethodKind, PaymentMethod, Storage};
use strongroom_wire::{TenantId, Token};

use super::FlowError;
use crate::barrier::Barrier;
use crate::card::Glance;
use crate::store::CardRow;

/// The MAC over the columns that no envelope binds, under the row's own term.
pub(super) fn binding(barrier: &Barrier, row: &CardRow) -> Result<[u8; 16], FlowError> {
    let expires = row.content.expires_ms.unwrap_or(u64::MAX).to_be_bytes();
    let customer = row.customer.as_ref().map_or("", |customer| customer.as_str());
    barrier
        .binding(
            &row.tenant,
            row.mac_term,
            &[
                b"card",
                row.token.uuid().as_bytes(),
                customer.as_bytes(),
                &row.fingerprint,
                &row.created_ms.to_be_bytes(),
                &expires,
                &[u8::from(row.content.metadata.is_some())],
            ],
        )
        .map_err(FlowError::from)
}

/// Whether the row's columns are the ones that were written.
pub(super) fn check_binding(barrier: &Barrier, row: &CardRow) -> Result<(), FlowError> {
    let expected = binding(barrier, row)?;
    // The value is no secret to who can read the row; what counts is that it cannot be made without the key.
    if expected == row.content.binding { Ok(()) } else { Err(FlowError::Tampered) }
}

/// The row's envelope, read strictly.
pub(super) fn envelope(row: &CardRow) -> Result<Envelope, FlowError> {
    Envelope::parse(&row.content.envelope).map_err(|_| FlowError::Tampered)
}

/// What every caller may see of a card.
pub(super) fn masked(barrier: &Barrier, row: &CardRow, glance: &Glance) -> Result<PaymentMethod, FlowError> {
    let metadata = metadata(barrier, row)?;
    Ok(PaymentMethod {
        payment_method_id: row.token,
        kind: MethodKind::Card,
        card: glance.summary(BASE64_URL_SAFE_NO_PAD.encode(row.fingerprint)),
        storage: if row.content.expires_ms.is_some() { Storage::ShortTerm } else { Storage::LongTerm },
        customer_id: row.customer.clone(),
        metadata,
        created_at: rfc3339_ms(row.created_ms),
        expires_at: row.content.expires_ms.map(rfc3339_ms),
        cvc_token: None,
    })
}

/// The caller's notes about a card; empty where there are none.
pub(super) fn metadata(barrier: &Barrier, row: &CardRow) -> Result<Metadata, FlowError> {
    match &row.content.metadata {
        None => Ok(Metadata::default()),
        Some(sealed) => open_metadata(barrier, &row.tenant, &row.token, sealed),
    }
}

fn open_metadata(barrier: &Barrier, tenant: &TenantId, token: &Token, sealed: &[u8]) -> Result<Metadata, FlowError> {
    let envelope = Envelope::parse(sealed).map_err(|_| FlowError::Tampered)?;
    let json = barrier.open_metadata(tenant, token, &envelope)?;
    serde_json::from_slice(&json).map_err(|_| FlowError::Tampered)
}
