//! Forward: the vault fills a card into a request and sends it itself, so that its caller never holds one.
//!
//! The order is what makes it safe: Permit, entry (durable), connection to the destination, row, card, one request, masked
//! answer, second entry. Until the request goes out a fault is a fault and nothing was sent; from then on the answer is what
//! became of it, whatever else goes wrong, because a caller who took it for a fault would pay again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_wire::entry::Reason;
use strongroom_wire::forward::{ForwardBody, ForwardRequest, Forwarded, InDoubt, NotSent};
use zeroize::Zeroizing;

use super::idempotency::{Kept, Slot, tenant_of};
use super::reveal::failed;
use super::{Asker, FlowError, IdempotencyKey, Vault, epochs, row};
use crate::audit::Warrant;
use crate::egress::{Connection, Masked, OfCard, Prepared, Received, Scrub, fill, sameness};
use crate::policy::{Forward, Note, Permit, Trace};
use crate::telemetry::log;

/// What became of a request.
pub struct Done {
    /// A [`Forwarded`] as JSON.
    pub json: Zeroizing<Vec<u8>>,
    /// The audit entry that allowed it.
    pub audit_index: u64,
    /// Whether the answer was kept from an earlier request with the same idempotency key.
    pub is_replay: bool,
}

/// Fills a checked template and sends it.
///
/// # Errors
/// Every [`FlowError`]; then not one byte of this request was sent.
pub async fn forward(
    vault: &Vault,
    asker: &Asker,
    key: Option<&IdempotencyKey>,
    request: ForwardRequest,
) -> Result<Done, FlowError> {
    let about = Note::none().and(&request.destination).and(&request.reference);
    let note = if request.dry_run { Note::words("dry run").joined(&about) } else { about.clone() };
    let permit = vault.permit_forward(asker, request.payment_method_id, &request.destination, note).await?;
    let prepared = match vault.egress.prepare(&request) {
        Ok(prepared) => prepared,
        Err(misfit) => {
            vault.audit.record_refusal(permit.refuse(Reason::Destination)).await?;
            return Err(FlowError::Field { field: misfit.field, why: misfit.why });
        }
    };
    let body =
        request.body.as_ref().ok_or(FlowError::Field { field: "body", why: "a request to forward has a body" })?;
    if request.dry_run {
        return dry_run(vault, permit, &request, body, &prepared).await;
    }
    let _leave = vault.egress.leave().ok_or(FlowError::Crowded)?;
    let Some(key) = key else {
        return Story { vault, request: &request, body, about }.send(permit, prepared, None).await;
    };
    let tenant = tenant_of(&permit)?;
    let same = sameness(&request).ok_or(FlowError::Crypto("request"))?;
    let slot = |route| Slot::of(vault, asker, &tenant, route, key, &[&same]);
    let (claim, answer) = (slot("forward")?, slot("forward answer")?);
    // Held to the end: two requests with one key never go out at once.
    let _turn = claim.turn(vault).await?;
    claim.claim(vault).await?;
    if let Some(kept) = answer.find(vault).await? {
        let again = vault.warrant(permit.noting(Note::words("answered again"))).await?;
        return Ok(Done { json: written(&unpack(&kept)?)?, audit_index: again.index(), is_replay: true });
    }
    Story { vault, request: &request, body, about }.send(permit, prepared, Some(&answer)).await
}

/// What would be sent, with masks in the place of the card's parts. The card stays sealed and no connection is made.
async fn dry_run(
    vault: &Vault,
    permit: Permit<Forward>,
    request: &ForwardRequest,
    body: &ForwardBody,
    prepared: &Prepared<'_>,
) -> Result<Done, FlowError> {
    let tenant = tenant_of(&permit)?;
    let warrant = vault.warrant(permit).await?;
    let token = request.payment_method_id;
    let Some(row) = vault.store.card(&tenant, &token, vault.now_ms()).await? else {
        return Err(failed(vault, warrant.trace(), FlowError::NotFound).await);
    };
    let shown = row::check_binding(&vault.barrier, &row).and_then(|()| {
        let glance = vault.barrier.glance(&warrant, &token, &row::envelope(&row)?)?;
        let filled = fill(body, &Masked { glance: &glance, has_cvc: request.cvc_token.is_some() });
        Ok(String::from_utf8_lossy(&filled).into_owned())
    });
    match shown {
        Ok(body) => {
            let (url, headers) = (prepared.url(), prepared.shown_headers());
            let json = written(&Forwarded::DryRun { method: request.method, url, headers, body })?;
            Ok(Done { json, audit_index: warrant.index(), is_replay: false })
        }
        Err(error) => Err(failed(vault, warrant.trace(), error).await),
    }
}

/// A request on its way.
struct Story<'a> {
    vault: &'a Vault,
    request: &'a ForwardRequest,
    body: &'a ForwardBody,
    /// Destination and reference, for the second entry.
    about: Note,
}

impl Story<'_> {
    async fn send(self, permit: Permit<Forward>, to: Prepared<'_>, slot: Option<&Slot>) -> Result<Done, FlowError> {
        let warrant = self.vault.warrant(permit).await?;
        let (audit_index, trace) = (warrant.index(), warrant.trace());
        let outcome = match to.connect().await {
            Err(reason) => Forwarded::NotSent { reason },
            Ok(connection) => {
                let (filled, scrub) = match self.open(warrant).await {
                    Ok(opened) => opened,
                    Err(error) => return Err(failed(self.vault, trace, error).await),
                };
                exchange(connection, filled, &scrub).await
            }
        };
        self.record(trace, &outcome).await;
        if let (Some(slot), Forwarded::Sent { status, .. }) = (slot, &outcome)
            && *status < SERVER_FAULT
        {
            self.keep(slot, &outcome).await;
        }
        Ok(Done { json: written(&outcome)?, audit_index, is_replay: false })
    }

    /// Opens card and CVC, once the connection stands: the row is read after the entry is durable, so that a card whose
    /// deletion was answered is never sent, and a CVC is used up only when there is somebody to send it to.
    async fn open(&self, warrant: Warrant<Forward>) -> Result<(Zeroizing<Vec<u8>>, Scrub), FlowError> {
        let vault = self.vault;
        let tenant = warrant.tenant().cloned().ok_or(FlowError::NotFound)?;
        let row = vault.store.card(&tenant, &self.request.payment_method_id, vault.now_ms()).await?;
        let row = row.ok_or(FlowError::NotFound)?;
        row::check_binding(&vault.barrier, &row)?;
        let envelope = row::envelope(&row)?;
        let cvc = match &self.request.cvc_token {
            Some(text) => Some(epochs::open_cvc(vault, &warrant, text).await?),
            None => None,
        };
        Ok(vault.barrier.open(warrant, &envelope, |card| {
            let cvc = cvc.as_ref();
            (fill(self.body, &OfCard { card, cvc }), Scrub::of(card, cvc))
        })?)
    }

    /// The second entry. If it cannot be written the first one still says that the card went to the destination, and the
    /// caller still hears the truth.
    async fn record(&self, trace: Trace, outcome: &Forwarded) {
        let note = words(outcome).joined(&self.about);
        let recorded = match outcome {
            Forwarded::NotSent { .. } => self.vault.audit.record_failure(trace, note).await,
            _ => self.vault.audit.record_end(trace, note).await,
        };
        if recorded.is_err() {
            log::error("the outcome of a forwarded request was not recorded", &[]);
        }
    }

    /// Keeps the answer for the day. If it cannot be kept, the same request is sent again when it is asked again, and the
    /// destination knows its idempotency key.
    async fn keep(&self, slot: &Slot, outcome: &Forwarded) {
        let kept = async {
            let _leave = self.vault.wraps.reserve(self.vault, slot.tenant()).await?;
            slot.keep(self.vault, &pack(outcome)?).await
        };
        if kept.await.is_err() {
            log::warn("the answer to a forwarded request could not be kept for its idempotency key", &[]);
        }
    }
}

async fn exchange(connection: Connection<'_>, filled: Zeroizing<Vec<u8>>, scrub: &Scrub) -> Forwarded {
    match connection.send(filled).await {
        Err(reason) => Forwarded::InDoubt { reason },
        Ok(Received { status, headers, body }) => {
            let kind = headers.iter().find(|(name, _)| *name == "content-type").map_or("", |(_, value)| value.as_str());
            let body = scrub.body(&body, kind).to_string();
            let headers = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), scrub.text(value, false).to_string()))
                .collect();
            Forwarded::Sent { status, headers, body }
        }
    }
}

fn words(outcome: &Forwarded) -> Note {
    Note::words(match outcome {
        Forwarded::Sent { status: 200..=299, .. } => "sent 2xx",
        Forwarded::Sent { status: 300..=399, .. } => "sent 3xx",
        Forwarded::Sent { status: 400..=499, .. } => "sent 4xx",
        Forwarded::Sent { status: 500..=599, .. } => "sent 5xx",
        Forwarded::Sent { .. } => "sent",
        Forwarded::NotSent { reason: NotSent::Unreachable } => "not sent unreachable",
        Forwarded::NotSent { reason: NotSent::Unresolved } => "not sent unresolved",
        Forwarded::NotSent { reason: NotSent::AddressRefused } => "not sent address-refused",
        Forwarded::NotSent { reason: NotSent::TlsFailed } => "not sent tls-failed",
        Forwarded::InDoubt { reason: InDoubt::TimedOut } => "in doubt timed-out",
        Forwarded::InDoubt { reason: InDoubt::ConnectionLost } => "in doubt connection-lost",
        Forwarded::InDoubt { reason: InDoubt::Unreadable } => "in doubt unreadable",
        Forwarded::DryRun { .. } => "dry run",
    })
}

fn written(outcome: &Forwarded) -> Result<Zeroizing<Vec<u8>>, FlowError> {
    Ok(Zeroizing::new(serde_json::to_vec(outcome).map_err(|_| FlowError::Crypto("answer"))?))
}

/// What is kept of an answer, without the body.
#[derive(Serialize, Deserialize)]
struct KeptHead {
    status: u16,
    headers: BTreeMap<String, String>,
}

/// The head as JSON, a line's end, and the body as it is: JSON in JSON could grow to six times its size.
fn pack(outcome: &Forwarded) -> Result<Zeroizing<Vec<u8>>, FlowError> {
    let Forwarded::Sent { status, headers, body } = outcome else { return Err(FlowError::Crypto("answer")) };
    let head = KeptHead { status: *status, headers: headers.clone() };
    let mut packed = Zeroizing::new(serde_json::to_vec(&head).map_err(|_| FlowError::Crypto("answer"))?);
    packed.push(b'\n');
    packed.extend_from_slice(body.as_bytes());
    Ok(packed)
}

fn unpack(kept: &Kept) -> Result<Forwarded, FlowError> {
    let end = kept.iter().position(|byte| *byte == b'\n').ok_or(FlowError::Tampered)?;
    let KeptHead { status, headers } = serde_json::from_slice(&kept[..end]).map_err(|_| FlowError::Tampered)?;
    let body = std::str::from_utf8(&kept[end + 1..]).map_err(|_| FlowError::Tampered)?.to_owned();
    Ok(Forwarded::Sent { status, headers, body })
}

/// From here on an answer says that something broke at the destination: asked again, it is sent again.
const SERVER_FAULT: u16 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_comes_back_as_it_was_whatever_is_in_it() {
        for body in ["", "{}", "a\nb\n", "\u{1}\u{2}\"\\", "ä"] {
            let headers = BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]);
            let outcome = Forwarded::Sent { status: 402, headers, body: body.to_owned() };
            assert_eq!(unpack(&pack(&outcome).unwrap()).unwrap(), outcome);
        }
        for broken in ["", "{}", "{}\n", "{\"status\":1}\nx"] {
            assert!(unpack(&Zeroizing::new(broken.as_bytes().to_vec())).is_err());
        }
        assert!(pack(&Forwarded::InDoubt { reason: InDoubt::TimedOut }).is_err());
    }
}
