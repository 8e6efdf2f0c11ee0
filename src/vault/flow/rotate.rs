//! Rotate: a tenant's records move to a new term of its Kek, online. Only wrapped Deks change; no card is opened.
//!
//! Invariants: the new term is in the store before it seals anything; each record moves by compare-and-swap, so a
//! rotation can be interrupted anywhere and begun again; it is done only when a count finds no record on an older term.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_keys::completion::Completion;
use strongroom_keys::context::Purpose;
use strongroom_keys::{Envelope, Kek};
use strongroom_wire::RequestId;
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyPurpose, KeyState, RotateRequest, Rotation, RotationState, rfc3339_ms};
use strongroom_wire::entry::{OwnAct, Subject};

use super::{Asker, FlowError, Vault, keyring};
use crate::audit::{Own, Warrant};
use crate::barrier::KekTerm;
use crate::policy::{Note, Principal, Rotate};
use crate::store::{EnvelopeSwap, KeyChange, KeyRow, Place, RotationRow};
use crate::telemetry::log;

/// Rotations that this process runs: how far each is.
#[derive(Default)]
pub struct Rotations(Mutex<HashMap<TenantId, RotationRow>>);

impl Rotations {
    fn get(&self, tenant: &TenantId) -> Option<RotationRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// Takes the tenant's place; `false` if a rotation of it runs already.
    fn enter(&self, row: &RotationRow) -> bool {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(&row.tenant) {
            return false;
        }
        running.insert(row.tenant.clone(), row.clone());
        true
    }

    fn note(&self, row: &RotationRow) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(row.tenant.clone(), row.clone());
    }

    fn leave(&self, tenant: &TenantId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// Starts a rotation, or joins the one that runs or was interrupted.
///
/// # Errors
/// Those of policy, the audit log and the store; then no key was made.
pub async fn start(vault: &Arc<Vault>, asker: &Asker, request: RotateRequest) -> Result<Rotation, FlowError> {
    if request.records_per_second_max == Some(0) {
        let why = "records_per_second_max is at least 1; leave it out for no limit";
        return Err(FlowError::Field { field: "records_per_second_max", why });
    }
    let asker = Asker { tenant: Some(request.tenant.clone()), ..asker.clone() };
    let permit = vault.permit_unsealed::<Rotate>(&asker, (), Note::words("start")).await?;
    let warrant = vault.warrant(permit).await?;
    if let Some(running) = vault.rotations.get(&request.tenant) {
        return Ok(view(&running));
    }
    let row = match interrupted(vault, &request.tenant).await? {
        Some(row) => RotationRow { records_per_second_max: request.records_per_second_max, ..row },
        None => begin(vault, &request).await?,
    };
    let shown = view(&row);
    go_on(vault, warrant, row);
    Ok(shown)
}

/// The newest rotation of a tenant.
///
/// # Errors
/// [`FlowError::NotFound`] if there never was one, and the others.
pub async fn show(vault: &Vault, asker: &Asker, tenant: TenantId) -> Result<Rotation, FlowError> {
    let asker = Asker { tenant: Some(tenant.clone()), ..asker.clone() };
    let permit = vault.permit_unsealed::<Rotate>(&asker, (), Note::words("show")).await?;
    let _read = vault.warrant(permit).await?;
    if let Some(running) = vault.rotations.get(&tenant) {
        return Ok(view(&running));
    }
    newest(vault, &tenant).await?.as_ref().map(view).ok_or(FlowError::NotFound)
}

/// After an unseal: every rotation that was not done goes on by itself.
///
/// # Errors
/// Those of the audit log and the store.
pub async fn resume(vault: &Arc<Vault>) -> Result<(), FlowError> {
    for row in vault.store.rotations().await?.into_iter().filter(|row| row.state != RotationState::Done) {
        // A rotation that a shredded tenant left behind has nothing to rewrap.
        if !vault.barrier.has_tenant(&row.tenant) {
            continue;
        }
        let asker = Asker {
            who: Principal::Vault,
            tenant: Some(row.tenant.clone()),
            request: RequestId::fresh(),
            origin: None,
            key: None,
        };
        let permit = vault.permit_unsealed::<Rotate>(&asker, (), Note::words("resume")).await?;
        let warrant = vault.warrant(permit).await?;
        go_on(vault, warrant, row);
    }
    Ok(())
}

/// Makes the new term: first in the store, then in the keyring, where it begins to seal.
async fn begin(vault: &Vault, request: &RotateRequest) -> Result<RotationRow, FlowError> {
    let tenant = &request.tenant;
    let root = vault.root.get().await?;
    let rows = vault.store.keys().await?;
    let is_kek = |row: &&KeyRow| row.name.purpose == KeyPurpose::Kek && row.name.tenant.as_ref() == Some(tenant);
    let active = rows.iter().filter(is_kek).find(|row| row.state == KeyState::Active).ok_or(FlowError::NotFound)?;
    let term = rows.iter().filter(is_kek).map(|row| row.name.term).max().unwrap_or(0) + 1;
    let now = vault.now_ms();
    let made = keyring::make::<Kek>(&root, KeyPurpose::Kek, Some(tenant), term, now).await?;
    let changing = vault.root.still(&root).await?;
    let about = Own { tenant: Some(tenant.clone()), subject: Subject::None, note: Note::words("kek: term").and(&term) };
    vault.audit.record_own(OwnAct::KeyMade, about).await?;
    let change = KeyChange {
        insert: vec![made.row.clone()],
        states: vec![(active.name.clone(), KeyState::Active, KeyState::Retiring)],
        ..KeyChange::default()
    };
    if !vault.store.change_keys(change).await? {
        return Err(FlowError::Conflict("the tenant's keys are being changed by another request; ask again"));
    }
    vault.barrier.update(|ring| ring.add_term(tenant, KekTerm::new(made.facts(), &made.key)))?;
    drop(changing);
    let row = RotationRow {
        tenant: tenant.clone(),
        to_term: term,
        state: RotationState::Running,
        done: 0,
        total: vault.store.count_stale(tenant, term).await?,
        started_ms: now,
        records_per_second_max: request.records_per_second_max,
        fault: None,
        proof: None,
    };
    vault.store.put_rotation(row.clone()).await?;
    Ok(row)
}

/// A rotation that was begun and is not done: by its row, or, if the process died before that was written, by a Kek that
/// is still retiring.
async fn interrupted(vault: &Vault, tenant: &TenantId) -> Result<Option<RotationRow>, FlowError> {
    if let Some(row) = newest(vault, tenant).await?
        && row.state != RotationState::Done
    {
        return Ok(Some(row));
    }
    let Some(term) = vault.barrier.active_term(tenant) else { return Err(FlowError::NotFound) };
    let total = vault.store.count_stale(tenant, term).await?;
    Ok((total > 0).then(|| RotationRow {
        tenant: tenant.clone(),
        to_term: term,
        state: RotationState::Running,
        done: 0,
        total,
        started_ms: vault.now_ms(),
        records_per_second_max: None,
        fault: None,
        proof: None,
    }))
}

async fn newest(vault: &Vault, tenant: &TenantId) -> Result<Option<RotationRow>, FlowError> {
    Ok(vault.store.rotations().await?.into_iter().filter(|row| row.tenant == *tenant).max_by_key(|row| row.to_term))
}

fn go_on(vault: &Arc<Vault>, warrant: Warrant<Rotate>, mut row: RotationRow) {
    row.state = RotationState::Running;
    row.fault = None;
    if !vault.rotations.enter(&row) {
        return;
    }
    let vault = Arc::clone(vault);
    // On the thread's own runtime: the walk is many short awaits, and the store does the waiting.
    actix_web::rt::spawn(async move {
        let tenant = row.tenant.clone();
        if let Err(error) = run(&vault, &warrant, &mut row).await {
            row.state = RotationState::Stopped;
            row.fault = Some(error.to_string());
            log::error("rotation stopped", &[("tenant", &tenant), ("term", &row.to_term), ("done", &row.done)]);
            // If this cannot be written either, the row still says that it runs, and the next unseal takes it up.
            let _ = vault.store.put_rotation(row).await;
        }
        vault.rotations.leave(&tenant);
    });
}

async fn run(vault: &Vault, warrant: &Warrant<Rotate>, row: &mut RotationRow) -> Result<(), FlowError> {
    // From here on nothing under an older term is on its way to the store, so that a count of none stays true.
    vault.wraps.settled().await;
    let began = Instant::now();
    let mut moved_now = 0u64;
    loop {
        let mut cursor = None;
        loop {
            let page = vault.store.stale_records(&row.tenant, row.to_term, cursor, BATCH).await?;
            if !page.records.is_empty() {
                let leave = vault.wraps.reserve_at_least(vault, &row.tenant, 2 * u64::from(BATCH)).await?;
                let mut swaps = Vec::with_capacity(page.records.len());
                for record in page.records {
                    let old = Envelope::parse(&record.envelope).map_err(|_| FlowError::Tampered)?;
                    let new = rewrapped(vault, warrant, &record.place, &old)?;
                    swaps.push(EnvelopeSwap {
                        place: record.place,
                        old: record.envelope,
                        new: new.as_bytes().to_vec(),
                    });
                }
                let swapped = vault.store.swap_envelopes(&row.tenant, swaps).await?;
                drop(leave);
                row.done += swapped;
                moved_now += swapped;
                vault.rotations.note(row);
                vault.store.put_rotation(row.clone()).await?;
                throttle(row.records_per_second_max, moved_now, began).await;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        // What a walk missed because it was changed under its hands is found by the next one.
        if vault.store.count_stale(&row.tenant, row.to_term).await? == 0 {
            return finish(vault, row).await;
        }
    }
}

fn rewrapped(vault: &Vault, warrant: &Warrant<Rotate>, place: &Place, old: &Envelope) -> Result<Envelope, FlowError> {
    let rewrap = |record: &[u8], purpose| vault.barrier.rewrap(warrant, record, purpose, old);
    Ok(match place {
        Place::Card(token) => rewrap(token.uuid().as_bytes(), Purpose::Card),
        Place::Metadata(token) => rewrap(token.uuid().as_bytes(), Purpose::Metadata),
        Place::Secret(id) => rewrap(id.uuid().as_bytes(), Purpose::Secret),
        Place::Answer(name) => rewrap(name, Purpose::Answer),
    }?)
}

async fn throttle(per_second_max: Option<u32>, moved: u64, began: Instant) {
    let Some(per_second_max) = per_second_max else { return };
    let due = Duration::from_secs_f64(moved as f64 / f64::from(per_second_max));
    if let Some(ahead) = due.checked_sub(began.elapsed()) {
        actix_web::rt::time::sleep(ahead).await;
    }
}

async fn finish(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    let completion =
        Completion { tenant: row.tenant.clone(), term: row.to_term, rewrapped: row.done, at_ms: vault.now_ms() };
    let proof = vault.barrier.sign(|signer| completion.sign(signer))?;
    let about = Own {
        tenant: Some(row.tenant.clone()),
        subject: Subject::None,
        note: Note::words("kek: term").and(&row.to_term).and(&"records").and(&row.done),
    };
    vault.audit.record_own(OwnAct::RotationDone, about).await?;
    row.state = RotationState::Done;
    row.proof = Some(proof);
    vault.rotations.note(row);
    vault.store.put_rotation(row.clone()).await?;
    Ok(())
}

fn view(row: &RotationRow) -> Rotation {
    Rotation {
        tenant: row.tenant.clone(),
        to_term: row.to_term,
        state: row.state,
        done: row.done,
        total: row.total.max(row.done),
        started_at: rfc3339_ms(row.started_ms),
        fault: row.fault.clone(),
        proof: row.proof.clone(),
    }
}

/// Records in one transaction: short enough that a reveal beside it does not wait long for the writer.
const BATCH: u32 = 256;
