//! Export: every card of a tenant, or of all, encrypted to another party's public key while it leaves.
//!
//! Two people agree on whose cards and to whom (`acts.rs`); then either of them may download it for as long as the act is
//! good. Each card has an entry of its own that is durable before the card is opened. Lines are encrypted as they are
//! written, so that no more than a page of cards is in memory and none of them in clear anywhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use strongroom_keys::export::{BadRecipient, ExportFault, ExportNote, Exporter, check as check_recipient};
use strongroom_keys::note::Statement as _;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::entry::Reason;
use strongroom_wire::export::ExportOrder;
use strongroom_wire::payment_method::{Metadata, Storage};
use strongroom_wire::{ActId, TenantId, Token};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use zeroize::Zeroizing;

use super::{Asker, FlowError, Vault, acts, reveal, row};
use crate::audit::Warrant;
use crate::card::export_line;
use crate::policy::{Export, Note, OrderExport, ReadStatus, Trace};
use crate::store::{CardFilter, CardRow};
use crate::telemetry::log;

/// Whether an export runs: one at a time, so that what it takes of the vault has a bound.
#[derive(Default)]
pub(super) struct Exports {
    runs: AtomicBool,
}

/// Ciphertext, piece by piece. One that ends with an error is not whole, and does not decrypt to its end.
pub type Download = Receiver<Result<Vec<u8>, FlowError>>;

/// What the log says about one that is asked for.
pub(super) fn about(order: &ExportOrder) -> Note {
    Note::words("export to").and(&order.recipient)
}

/// Refuses what nobody could read, or a tenant that there is not.
pub(super) async fn check(vault: &Vault, order: &ExportOrder) -> Result<(), FlowError> {
    check_recipient(&order.recipient)?;
    match &order.tenant {
        Some(tenant) if !vault.barrier.has_tenant(tenant) => Err(FlowError::NotFound),
        _ => Ok(()),
    }
}

/// Begins to send an export that two people agreed on to one of the two.
///
/// # Errors
/// Those of policy and of the audit log; [`FlowError::NotFound`] if there is no such export, [`FlowError::Conflict`] if it
/// is not approved or over, [`FlowError::Crowded`] while another one runs. Then nothing was opened.
pub async fn download(vault: &Arc<Vault>, asker: &Asker, id: ActId) -> Result<Download, FlowError> {
    let permit = vault.permit_unsealed::<ReadStatus>(asker, (), Note::words("export").and(&id)).await?;
    let _seen = vault.warrant(permit).await?;
    let agreed = acts::export(vault, id).await?;
    let asker = Asker { tenant: agreed.order.tenant.clone(), ..asker.clone() };
    let permit = vault.permit_unsealed::<OrderExport>(&asker, (), Note::words("download").and(&id)).await?;
    if !agreed.people.contains(&asker.who.who()) {
        vault.audit.record_refusal(permit.refuse(Reason::Scope)).await?;
        return Err(FlowError::Denied(Reason::Scope));
    }
    agreed.check(vault.now_ms())?;
    let running = Running::begin(vault)?;
    let trace = vault.warrant(permit).await?.trace();
    let exporter = Exporter::begin(&agreed.order.recipient)?;
    let (sender, receiver) = channel(PIECES);
    let run = Run { vault: Arc::clone(vault), asker, id, order: agreed.order, exporter, sender, cards: 0, failed: 0 };
    drop(actix_web::rt::spawn(async move {
        let _running = running;
        run.run(trace).await;
    }));
    Ok(receiver)
}

/// Ends with the export, however that ends.
struct Running(Arc<Vault>);

impl Running {
    fn begin(vault: &Arc<Vault>) -> Result<Self, FlowError> {
        if vault.exports.runs.swap(true, Ordering::AcqRel) {
            return Err(FlowError::Conflict("another export runs; ask again when it is done"));
        }
        Ok(Self(Arc::clone(vault)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.exports.runs.store(false, Ordering::Release);
    }
}

struct Run {
    vault: Arc<Vault>,
    asker: Asker,
    id: ActId,
    order: ExportOrder,
    exporter: Exporter,
    sender: Sender<Result<Vec<u8>, FlowError>>,
    cards: u64,
    failed: u64,
}

/// Why it stopped before its end.
enum Stop {
    /// Whoever downloads it went away, or does not read.
    Gone,
    Fault(FlowError),
}

impl Run {
    async fn run(mut self, trace: Trace) {
        let (vault, id) = (Arc::clone(&self.vault), self.id);
        let sender = self.sender.clone();
        let done = self.all().await;
        let (cards, failed) = (self.cards, self.failed);
        let counts = Note::none().and(&id).and(&"cards").and(&cards).and(&"failed").and(&failed);
        let recorded = match done {
            Ok(()) => match self.finish(counts.clone(), trace.clone()).await {
                Ok(()) => Ok(0),
                Err(stop) => stopped(&vault, &sender, stop, counts, trace).await,
            },
            Err(stop) => stopped(&vault, &sender, stop, counts, trace).await,
        };
        if recorded.is_err() {
            log::error("the end of an export could not be recorded", &[("act", &id), ("cards", &cards)]);
        }
    }

    async fn all(&mut self) -> Result<(), Stop> {
        let tenants = match &self.order.tenant {
            Some(tenant) => vec![tenant.clone()],
            None => {
                // A tenant that was shredded has rows and no keys for a while.
                let rows = self.vault.store.tenants().await.map_err(fault)?.into_iter();
                rows.map(|row| row.tenant).filter(|tenant| self.vault.barrier.has_tenant(tenant)).collect()
            }
        };
        // What is stored from now on is not of this export, so that it comes to an end.
        let until_ms = self.vault.now_ms();
        for tenant in tenants {
            let mut after = None;
            loop {
                let now_ms = self.vault.now_ms();
                let filter = CardFilter::default();
                let page = self.vault.store.cards(&tenant, &filter, after, PAGE, now_ms).await.map_err(fault)?;
                let is_last = page.len() < PAGE as usize;
                after = page.last().map(|row| row.token).or(after);
                let tokens: Vec<Token> =
                    page.into_iter().filter(|row| row.created_ms <= until_ms).map(|row| row.token).collect();
                self.page(&tenant, tokens).await?;
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One entry for each card, in one commit; then each row is read and opened.
    async fn page(&mut self, tenant: &TenantId, tokens: Vec<Token>) -> Result<(), Stop> {
        let vault = Arc::clone(&self.vault);
        let asker = Asker { tenant: Some(tenant.clone()), ..self.asker.clone() };
        let note = Note::words("export").and(&self.id);
        let permits = vault.permits_unsealed::<Export>(&asker, tokens.clone(), note).await.map_err(Stop::Fault)?;
        let warrants = join_all(permits.into_iter().map(|permit| vault.warrant(permit))).await;
        for (token, warrant) in tokens.into_iter().zip(warrants) {
            let warrant = warrant.map_err(Stop::Fault)?;
            let trace = warrant.trace();
            // Read after the entry, so that a card whose deletion was answered is in no export that comes later.
            let line = match vault.store.card(tenant, &token, vault.now_ms()).await.map_err(fault)? {
                None => Err(FlowError::NotFound),
                Some(row) => open(&vault, warrant, &row),
            };
            match line {
                Ok(line) => {
                    self.exporter.line(&line).map_err(fault)?;
                    self.cards += 1;
                    vault.metrics.exported.inc();
                }
                Err(error) => match reveal::failed(&vault, trace, error).await {
                    // Deleted, or at its end, between the list and the entry: it is no card any more.
                    FlowError::NotFound => {}
                    FlowError::Tampered => {
                        let line = format!("{{\"payment_method_id\":\"{token}\",\"tenant\":\"{tenant}\",{DAMAGED}}}\n");
                        self.exporter.line(line.as_bytes()).map_err(fault)?;
                        self.failed += 1;
                    }
                    error => return Err(Stop::Fault(error)),
                },
            }
        }
        self.send(self.exporter.take()).await
    }

    /// The note, the rest of the ciphertext, and the entry that says so.
    async fn finish(self, counts: Note, trace: Trace) -> Result<(), Stop> {
        let note = ExportNote {
            vault_id: self.vault.root.descriptor().vault_id(),
            tenant: self.order.tenant.clone(),
            recipient: self.order.recipient.clone(),
            cards: self.cards,
            failed: self.failed,
            sha256: self.exporter.sha256(),
            at_ms: self.vault.now_ms(),
        };
        let Self { vault, sender, mut exporter, .. } = self;
        let note = vault.barrier.sign(|signer| note.sign(signer)).map_err(|error| Stop::Fault(error.into()))?;
        let line = serde_json::json!({ "note": note }).to_string() + "\n";
        exporter.line(line.as_bytes()).map_err(fault)?;
        let rest = exporter.finish().map_err(fault)?;
        // Recorded before the last piece goes out: whoever has the whole of it has it with a second entry.
        vault.audit.record_end(trace, counts).await.map_err(fault)?;
        hand_over(&sender, rest).await
    }

    async fn send(&self, piece: Vec<u8>) -> Result<(), Stop> {
        if piece.is_empty() { Ok(()) } else { hand_over(&self.sender, piece).await }
    }
}

/// Whoever does not read for so long has gone.
async fn hand_over(sender: &Sender<Result<Vec<u8>, FlowError>>, piece: Vec<u8>) -> Result<(), Stop> {
    match tokio::time::timeout(PATIENCE, sender.send(Ok(piece))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Stop::Gone),
    }
}

async fn stopped(
    vault: &Vault,
    sender: &Sender<Result<Vec<u8>, FlowError>>,
    stop: Stop,
    counts: Note,
    trace: Trace,
) -> Result<u64, FlowError> {
    let words = match &stop {
        Stop::Gone => "broke off",
        Stop::Fault(_) => "failed",
    };
    let recorded = vault.audit.record_failure(trace, counts.and(&words)).await;
    if let Stop::Fault(error) = stop {
        log::error("an export failed", &[]);
        // Nobody may be there to be told.
        let _ = tokio::time::timeout(PATIENCE, sender.send(Err(error))).await;
    }
    Ok(recorded?)
}

fn open(vault: &Vault, warrant: Warrant<Export>, row: &CardRow) -> Result<Zeroizing<Vec<u8>>, FlowError> {
    row::check_binding(&vault.barrier, row)?;
    let facts = facts(vault, row)?;
    Ok(vault.barrier.open(warrant, &row::envelope(row)?, |card| export_line(card, &facts))?)
}

/// The members of a line that are no secret, without the brace in front.
fn facts(vault: &Vault, row: &CardRow) -> Result<String, FlowError> {
    #[derive(Serialize)]
    struct Facts<'a> {
        payment_method_id: Token,
        tenant: &'a TenantId,
        #[serde(skip_serializing_if = "Option::is_none")]
        customer_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Metadata::is_empty")]
        metadata: Metadata,
        storage: Storage,
        created_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<String>,
    }
    let facts = Facts {
        payment_method_id: row.token,
        tenant: &row.tenant,
        customer_id: row.customer.as_ref().map(|customer| customer.as_str()),
        metadata: row::metadata(&vault.barrier, row)?,
        storage: if row.content.expires_ms.is_some() { Storage::ShortTerm } else { Storage::LongTerm },
        created_at: rfc3339_ms(row.created_ms),
        expires_at: row.content.expires_ms.map(rfc3339_ms),
    };
    let json = serde_json::to_string(&facts).map_err(|_| FlowError::Crypto("the export cannot be written"))?;
    Ok(json.trim_start_matches('{').to_owned())
}

fn fault(error: impl Into<FlowError>) -> Stop {
    Stop::Fault(error.into())
}

impl From<ExportFault> for FlowError {
    fn from(_: ExportFault) -> Self {
        FlowError::Crypto("the export cannot be encrypted")
    }
}

impl From<BadRecipient> for FlowError {
    fn from(_: BadRecipient) -> Self {
        FlowError::Field { field: "recipient", why: "the recipient is not an age public key; copy it again" }
    }
}

const DAMAGED: &str = "\"fault\":\"the stored record failed its integrity check\"";
/// Cards that are recorded together, and the most that are in memory at a time.
const PAGE: u32 = 500;
/// Pieces of ciphertext that wait for whoever downloads.
const PIECES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);
