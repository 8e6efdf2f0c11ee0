//! Secrets: an orchestrator's connector credentials, sealed like cards, so that its own database need not hold them.

use strongroom_keys::Envelope;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::payment_method::StoredSecret;
use strongroom_wire::{SecretId, TenantId};
use zeroize::Zeroizing;

use super::idempotency::{Slot, tenant_of};
use super::reveal::failed;
use super::{Asker, FlowError, IdempotencyKey, Vault};
use crate::card::SecretBody;
use crate::policy::{Note, RevealSecret, WriteSecret};
use crate::store::SecretRow;

/// A stored secret's answer as JSON, and whether it was kept from an earlier request.
pub struct Written {
    /// A [`StoredSecret`].
    pub json: Zeroizing<Vec<u8>>,
    /// See [`IdempotencyKey`].
    pub is_replay: bool,
}

/// A released secret.
pub struct RevealedSecret {
    /// The bytes that were stored.
    pub value: Zeroizing<Vec<u8>>,
    /// The audit entry that allowed it.
    pub audit_index: u64,
}

/// Stores a secret.
///
/// # Errors
/// Every [`FlowError`]; then nothing was stored, or asking again with the same idempotency key is safe.
pub async fn write(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    raw: &[u8],
    body: SecretBody,
) -> Result<Written, FlowError> {
    let id = SecretId::fresh();
    let permit = vault.permit_unsealed::<WriteSecret>(asker, id, Note::words("store")).await?;
    let tenant = tenant_of(&permit)?;
    let _leave = vault.wraps.reserve(vault, &tenant).await?;
    let _round = vault.rounds.enter();
    let slot = key.map(|key| Slot::of(vault, asker, &tenant, ROUTE, key, &[raw])).transpose()?;
    let warrant = vault.warrant(permit).await?;
    if let Some(slot) = &slot
        && let Some(json) = slot.find(vault).await?
    {
        return Ok(Written { json, is_replay: true });
    }
    let envelope = vault.barrier.seal_secret(warrant, body.value.as_bytes())?.as_bytes().to_vec();
    let created_ms = vault.now_ms();
    let mac_term = vault.barrier.mac_term(&tenant).ok_or(FlowError::NotFound)?;
    let mut row = SecretRow { tenant, id, name: body.name, created_ms, envelope, mac_term, binding: [0; 16] };
    row.binding = binding(vault, &row)?;
    let answer = StoredSecret { secret_id: id, name: row.name.clone(), created_at: rfc3339_ms(created_ms) };
    let json = Zeroizing::new(serde_json::to_vec(&answer).map_err(|_| FlowError::Crypto("answer"))?);
    let tenant = row.tenant.clone();
    vault.store.insert_secret(row).await?;
    let earlier = match &slot {
        Some(slot) => slot.keep(vault, &json).await?,
        None => None,
    };
    if earlier.is_some() {
        // Another request with the same key was faster; its secret counts and this one has no name that anybody knows.
        vault.store.delete_secret(&tenant, &id).await?;
    }
    let is_replay = earlier.is_some();
    Ok(Written { json: earlier.unwrap_or(json), is_replay })
}

/// Releases a secret.
///
/// # Errors
/// [`FlowError::NotFound`] if there is none, and the others; then it did not leave.
pub async fn reveal(
    vault: &Vault,
    asker: &Asker,
    id: SecretId,
    key: Option<&IdempotencyKey>,
) -> Result<RevealedSecret, FlowError> {
    let permit = vault.permit_unsealed::<RevealSecret>(asker, id, Note::none()).await?;
    let tenant = tenant_of(&permit)?;
    if let Some(key) = key {
        Slot::of(vault, asker, &tenant, "secret reveal", key, &[id.uuid().as_bytes()])?.claim(vault).await?;
    }
    let warrant = vault.warrant(permit).await?;
    let (audit_index, trace) = (warrant.index(), warrant.trace());
    let Some(row) = vault.store.secret(&tenant, &id).await? else {
        return Err(failed(vault, trace, FlowError::NotFound).await);
    };
    let opened =
        checked_envelope(vault, &row).and_then(|envelope| Ok(vault.barrier.open_secret(warrant, &envelope)?));
    match opened {
        Ok(value) => Ok(RevealedSecret { value, audit_index }),
        Err(error) => Err(failed(vault, trace, error).await),
    }
}

/// Shreds a secret.
///
/// # Errors
/// [`FlowError::NotFound`] if there is none, and the others.
pub async fn delete(vault: &Vault, asker: &Asker, id: SecretId) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<WriteSecret>(asker, id, Note::words("delete")).await?;
    let tenant: TenantId = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    if vault.store.delete_secret(&tenant, &id).await? {
        Ok(())
    } else {
        Err(failed(vault, warrant.trace(), FlowError::NotFound).await)
    }
}

/// `{"secret_id","value"}` in memory that wipes itself. The value stands there as a JSON string.
///
/// # Errors
/// [`FlowError::Tampered`] if the stored bytes are not the text that was stored.
pub fn answer(id: SecretId, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, FlowError> {
    let text = std::str::from_utf8(value).map_err(|_| FlowError::Tampered)?;
    // Room for every character escaped, so that the buffer never moves.
    let mut out = Zeroizing::new(Vec::with_capacity(96 + 6 * text.len()));
    out.extend_from_slice(b"{\"secret_id\":\"");
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(b"\",\"value\":");
    serde_json::to_writer(&mut *out, text).map_err(|_| FlowError::Crypto("answer"))?;
    out.push(b'}');
    Ok(out)
}

/// The envelope of a row whose columns are those that were stored.
pub(super) fn checked_envelope(vault: &Vault, row: &SecretRow) -> Result<Envelope, FlowError> {
    let expected = binding(vault, row)?;
    let envelope = Envelope::parse(&row.envelope).map_err(|_| FlowError::Tampered)?;
    if expected == row.binding { Ok(envelope) } else { Err(FlowError::Tampered) }
}

/// The MAC over the columns that no envelope binds, under the row's own term.
pub(super) fn binding(vault: &Vault, row: &SecretRow) -> Result<[u8; 16], FlowError> {
    let (id, created) = (row.id.uuid(), row.created_ms.to_be_bytes());
    let parts: [&[u8]; 4] = [b"secret", id.as_bytes(), row.name.as_bytes(), &created];
    Ok(vault.barrier.binding(&row.tenant, row.mac_term, &parts)?)
}

const ROUTE: &str = "secrets";
