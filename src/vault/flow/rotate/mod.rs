//! Rotate: a key gets a new term, online, and whatever is under an older one moves to it. A file for each key.
//!
//! A rotation is a row in the store first, and every step after that can be taken again: whoever is interrupted anywhere
//! begins at the row and goes on. It is done only when nothing is left on an older term, and says so in a signed note.

mod among;
mod fingerprint;
mod kek;
mod pace;
mod running;
mod session;
mod sign;

use std::sync::{Arc, Weak};
use std::time::Duration;

use strongroom_keys::completion::Completion;
use strongroom_keys::note::Statement as _;
use strongroom_keys::{Key, Role, Root};
use strongroom_wire::admin::{KeyPurpose, KeyState, RotateRequest, Rotation, RotationList, RotationState};
use strongroom_wire::entry::{OwnAct, Reason, Subject};
use strongroom_wire::{RequestId, TenantId};

use super::nodes::{self, Lease};
use super::{Asker, FlowError, Vault, intake, keyring};
use crate::audit::{Own, Warrant};
use crate::policy::{Note, Principal, Rotate};
use crate::store::{KeyName, KeyRow, RotationRow};
use crate::telemetry::log;

use among::{at_another, first_state, next_state, passes, put_in_use, taken, use_when_known};
pub(super) use pace::Pace;
pub use running::Rotations;
pub(super) use running::Which;
use running::{Run, view};
pub(super) use session::closed;
pub(super) use sign::catch_up;
pub use sign::take_over;

/// Starts a rotation, or joins the one that runs or was interrupted and gives it the limit that is asked for. The intake
/// key, under which no record is, is exchanged before this answers.
///
/// # Errors
/// [`FlowError::Field`], and those of policy, the audit log and the store; then no key was made, or asking again goes on.
pub async fn start(vault: &Arc<Vault>, asker: &Asker, request: RotateRequest) -> Result<Rotation, FlowError> {
    check(&request)?;
    let asker = Asker { tenant: request.tenant.clone(), ..asker.clone() };
    let words = if request.emergency { "start emergency" } else { "start" };
    let permit = vault.permit_unsealed::<Rotate>(&asker, (), Note::words(words).and(&request.key)).await?;
    if permit.tenant() != request.tenant.as_ref() {
        // An identity of one tenant: its Permit is for that, and the vault's own key is not its to rotate.
        vault.audit.record_refusal(permit.refuse(Reason::Tenant)).await?;
        return Err(FlowError::Denied(Reason::Tenant));
    }
    let warrant = vault.warrant(permit).await?;
    match request.key {
        KeyPurpose::Intake => intake::exchange_now(vault, warrant, request.emergency).await,
        _ => begin(vault, warrant, request).await,
    }
}

/// The newest rotation of a tenant's key, the Kek if none is named.
///
/// # Errors
/// [`FlowError::NotFound`] if there never was one, and the others.
pub async fn show(
    vault: &Vault,
    asker: &Asker,
    tenant: TenantId,
    key: Option<KeyPurpose>,
) -> Result<Rotation, FlowError> {
    let asker = Asker { tenant: Some(tenant.clone()), ..asker.clone() };
    let permit = vault.permit_unsealed::<Rotate>(&asker, (), Note::words("show")).await?;
    let _read = vault.warrant(permit).await?;
    let which = Which { key: key.unwrap_or(KeyPurpose::Kek), tenant: Some(tenant) };
    if let Some(shown) = vault.rotations.shown(&which, vault.now_ms()) {
        return Ok(shown);
    }
    newest(vault, &which).await?.as_ref().map(view).ok_or(FlowError::NotFound)
}

/// The newest rotation of every key that the asker may rotate.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn list(vault: &Vault, asker: &Asker) -> Result<RotationList, FlowError> {
    let permit = vault.permit_unsealed::<Rotate>(asker, (), Note::words("list")).await?;
    let of = permit.tenant().cloned();
    let _read = vault.warrant(permit).await?;
    let now_ms = vault.now_ms();
    let mut newest: Vec<RotationRow> = Vec::new();
    for row in vault.store.rotations().await?.into_iter().filter(|row| of.is_none() || row.tenant == of) {
        newest.retain(|known| (known.key, &known.tenant) != (row.key, &row.tenant) || known.to_term > row.to_term);
        newest.push(row);
    }
    let shown = |row: &RotationRow| vault.rotations.shown(&Which::of(row), now_ms).unwrap_or_else(|| view(row));
    Ok(RotationList { rotations: newest.iter().map(shown).collect() })
}

/// After an unseal: every rotation that was not done goes on by itself.
///
/// # Errors
/// Those of the audit log and the store.
pub async fn resume(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let _one_at_a_time = vault.rotations.beginning.lock().await;
    for row in vault.store.rotations().await?.into_iter().filter(|row| row.state != RotationState::Done) {
        take_up(vault, &row).await?;
    }
    Ok(())
}

/// Of several nodes, the one that leads: rotations that are under way and that no node works on any more.
///
/// # Errors
/// As [`resume`].
pub(super) async fn resume_left(vault: &Arc<Vault>) -> Result<(), FlowError> {
    let _one_at_a_time = vault.rotations.beginning.lock().await;
    for row in vault.store.rotations().await?.into_iter().filter(|row| row.state == RotationState::Running) {
        take_up(vault, &row).await?;
    }
    Ok(())
}

async fn take_up(vault: &Arc<Vault>, row: &RotationRow) -> Result<(), FlowError> {
    let which = Which::of(row);
    // A rotation that a shredded tenant left behind has nothing to move.
    let is_left_behind = row.tenant.as_ref().is_some_and(|tenant| !vault.barrier.has_tenant(tenant));
    if is_left_behind || vault.rotations.get(&which).is_some() {
        return Ok(());
    }
    let Some(lease) = nodes::take(vault, which.lease()).await? else { return Ok(()) };
    // Whoever had the lease until now may have come to the end.
    let Some(row) = newest(vault, &which).await?.filter(|row| row.state != RotationState::Done) else { return Ok(()) };
    let warrant = own_warrant(vault, &row.tenant, Note::words("resume").and(&row.key)).await?;
    go_on(vault, (warrant, lease), row, Prepared::No);
    Ok(())
}

/// Begins a rotation that nobody asked for: the key's time has come.
///
/// # Errors
/// As [`start`].
pub(super) async fn start_by_itself(
    vault: &Arc<Vault>,
    key: KeyPurpose,
    tenant: Option<TenantId>,
) -> Result<Rotation, FlowError> {
    let warrant = own_warrant(vault, &tenant, Note::words("scheduled").and(&key)).await?;
    begin(vault, warrant, RotateRequest { key, tenant, records_per_second_max: None, emergency: false }).await
}

/// Whether a rotation of the key runs in this process.
pub(super) fn runs(vault: &Vault, which: &Which) -> bool {
    vault.rotations.get(which).is_some()
}

fn check(request: &RotateRequest) -> Result<(), FlowError> {
    let refuse = |field, why| Err(FlowError::Field { field, why });
    match (request.key, &request.tenant) {
        (KeyPurpose::Sign, Some(_)) => {
            return refuse("tenant", "the Sign key belongs to the vault itself; leave tenant out");
        }
        (KeyPurpose::Intake, Some(_)) => {
            return refuse("tenant", "the intake key belongs to the vault itself; leave tenant out");
        }
        (KeyPurpose::Intake, None) if request.records_per_second_max.is_some() => {
            return refuse("records_per_second_max", "no record is under the intake key; leave the limit out");
        }
        (KeyPurpose::Kek | KeyPurpose::Fingerprint | KeyPurpose::Session, None) => {
            return refuse("tenant", "say whose key: name a tenant");
        }
        _ => {}
    }
    match (request.records_per_second_max, request.emergency) {
        (Some(0), _) => {
            refuse("records_per_second_max", "records_per_second_max is at least 1; leave it out for no limit")
        }
        (Some(_), true) => refuse("records_per_second_max", "an emergency has no limit; leave one of the two out"),
        _ => Ok(()),
    }
}

async fn own_warrant(vault: &Vault, tenant: &Option<TenantId>, note: Note) -> Result<Warrant<Rotate>, FlowError> {
    let asker =
        Asker { who: Principal::Vault, tenant: tenant.clone(), request: RequestId::fresh(), origin: None, key: None };
    let permit = vault.permit_unsealed::<Rotate>(&asker, (), note).await?;
    vault.warrant(permit).await
}

async fn begin(vault: &Arc<Vault>, warrant: Warrant<Rotate>, request: RotateRequest) -> Result<Rotation, FlowError> {
    let which = Which { key: request.key, tenant: request.tenant.clone() };
    // Two requests that come at once make one new term and not two.
    let _one_at_a_time = vault.rotations.beginning.lock().await;
    if let Some(run) = vault.rotations.get(&which) {
        run.join(&request);
        return Ok(run.view(vault.now_ms()));
    }
    let known = newest(vault, &which).await?.filter(|row| row.state != RotationState::Done);
    let Some(lease) = nodes::take_soon(vault, which.lease()).await? else {
        return at_another(vault, &which, known, &request);
    };
    let mut row = match newest(vault, &which).await?.filter(|row| row.state != RotationState::Done) {
        Some(row) => row,
        None => fresh(vault, &which).await?,
    };
    row.emergency |= request.emergency;
    row.records_per_second_max = request.records_per_second_max.or(row.records_per_second_max);
    row.records_per_second_max = row.records_per_second_max.filter(|_| !row.emergency);
    row.state = RotationState::Running;
    row.fault = None;
    vault.store.put_rotation(row.clone()).await?;
    if let Err(error) = prepare(vault, &mut row).await {
        stopped(vault, row, &error).await;
        return Err(error);
    }
    vault.store.put_rotation(row.clone()).await?;
    Ok(go_on(vault, (warrant, lease), row, Prepared::Yes))
}

/// A rotation that has done nothing yet.
async fn fresh(vault: &Vault, which: &Which) -> Result<RotationRow, FlowError> {
    let terms = terms(vault, which).await?;
    let newest = terms.iter().map(|row| row.name.term).max().ok_or(FlowError::NotFound)?;
    Ok(RotationRow {
        key: which.key,
        tenant: which.tenant.clone(),
        to_term: newest + 1,
        state: RotationState::Running,
        done: 0,
        total: 0,
        started_ms: vault.now_ms(),
        records_per_second_max: None,
        emergency: false,
        fault: None,
        proof: None,
    })
}

/// Makes the new term where it is not there yet. It may have been made before: then nothing happens.
async fn prepare(vault: &Vault, row: &mut RotationRow) -> Result<(), FlowError> {
    match row.key {
        KeyPurpose::Kek => kek::prepare(vault, row).await,
        KeyPurpose::Fingerprint => fingerprint::prepare(vault, row).await,
        KeyPurpose::Session => session::prepare(vault, row).await,
        KeyPurpose::Sign => sign::prepare(vault, row).await,
        KeyPurpose::Intake => Err(FlowError::NotFound),
    }
}

/// Whether the new term is known to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prepared {
    Yes,
    No,
}

fn go_on(
    vault: &Arc<Vault>,
    (warrant, lease): (Warrant<Rotate>, Lease),
    mut row: RotationRow,
    prepared: Prepared,
) -> Rotation {
    row.state = RotationState::Running;
    row.fault = None;
    let run = vault.rotations.enter(row, lease);
    let shown = run.view(vault.now_ms());
    let own = Arc::clone(vault);
    // On the thread's own runtime: the walk is many short awaits, and what costs time is handed to other threads.
    let task = actix_web::rt::spawn(async move {
        if let Err(error) = to_its_end(&own, warrant, &run, prepared).await {
            stopped(&own, run.row(), &error).await;
        }
        own.rotations.leave(&run.which());
    });
    vault.rotations.has_task(task);
    shown
}

async fn to_its_end(
    vault: &Arc<Vault>,
    warrant: Warrant<Rotate>,
    run: &Arc<Run>,
    prepared: Prepared,
) -> Result<(), FlowError> {
    if prepared == Prepared::No {
        let mut row = run.row();
        prepare(vault, &mut row).await?;
        run.change(|known| known.total = row.total);
    }
    let warrant = Arc::new(warrant);
    let proof = match run.which().key {
        KeyPurpose::Kek => kek::walk(vault, &warrant, run).await?,
        KeyPurpose::Fingerprint => fingerprint::walk(vault, &warrant, run).await?,
        KeyPurpose::Session => session::wait(vault, run).await?,
        KeyPurpose::Sign => sign::proof(vault, run).await?,
        KeyPurpose::Intake => return Err(FlowError::NotFound),
    };
    let row = run.row();
    let note = Note::none().and(&row.key).and(&"term").and(&row.to_term).and(&"records").and(&row.done);
    let about = Own { tenant: row.tenant.clone(), subject: Subject::None, note };
    vault.audit.record_own(OwnAct::RotationDone, about).await?;
    // It is shown as done once it has left the place of those that run: whoever sees it done may begin another.
    vault.store.put_rotation(RotationRow { state: RotationState::Done, proof: Some(proof), ..row }).await?;
    Ok(())
}

async fn stopped(vault: &Arc<Vault>, mut row: RotationRow, error: &FlowError) {
    if passes(vault, error) {
        log::warn("a rotation waits for a node that can go on with it", &[("key", &row.key), ("term", &row.to_term)]);
        return;
    }
    row.state = RotationState::Stopped;
    row.fault = Some(error.to_string());
    let tenant: &dyn log::LogSafe = match &row.tenant {
        Some(tenant) => tenant,
        None => &"(vault)",
    };
    let about =
        [("key", &row.key as &dyn log::LogSafe), ("tenant", tenant), ("term", &row.to_term), ("done", &row.done)];
    log::error("rotation stopped", &about);
    if vault.store.put_rotation(row.clone()).await.is_err() && !vault.nodes.are_several() {
        // The row still says that it runs. Until it says otherwise that is known here alone.
        vault.rotations.stall(row.clone());
        vault.rotations.has_task(actix_web::rt::spawn(write_down(Arc::downgrade(vault), Which::of(&row))));
    }
}

/// Writes down that a rotation stopped as soon as the store takes it, so that it is seen and taken up again.
async fn write_down(holder: Weak<Vault>, which: Which) {
    loop {
        actix_web::rt::time::sleep(AGAIN).await;
        let Some(vault) = holder.upgrade() else { return };
        // Whoever begins it meanwhile knows better.
        let _one_at_a_time = vault.rotations.beginning.lock().await;
        let Some(row) = vault.rotations.stalled(&which) else { return };
        if vault.store.put_rotation(row).await.is_ok() {
            vault.rotations.told_stalled(&which);
            return;
        }
    }
}

/// The signed statement of a walk that left nothing behind.
fn completion(vault: &Vault, run: &Run) -> Result<String, FlowError> {
    let row = run.row();
    let tenant = row.tenant.ok_or(FlowError::NotFound)?;
    let at_ms = vault.now_ms();
    let completion = Completion { key: row.key, tenant, term: row.to_term, moved: row.done, at_ms };
    Ok(vault.barrier.sign(|signer| completion.sign(signer))?)
}

async fn newest(vault: &Vault, which: &Which) -> Result<Option<RotationRow>, FlowError> {
    let rows = vault.store.rotations().await?.into_iter();
    Ok(rows.filter(|row| Which::of(row) == *which).max_by_key(|row| row.to_term))
}

/// Every term of a key, destroyed ones too.
async fn terms(vault: &Vault, which: &Which) -> Result<Vec<KeyRow>, FlowError> {
    let is_it = |row: &KeyRow| row.name.purpose == which.key && row.name.tenant == which.tenant;
    Ok(vault.store.keys().await?.into_iter().filter(is_it).collect())
}

/// The term that a rotation leads to, if it was made, and the one that is active.
async fn ends(vault: &Vault, row: &RotationRow) -> Result<(Option<KeyRow>, KeyName), FlowError> {
    let terms = terms(vault, &Which::of(row)).await?;
    let active = terms.iter().find(|term| term.state == KeyState::Active).ok_or(FlowError::NotFound)?.name.clone();
    Ok((terms.into_iter().find(|term| term.name.term == row.to_term), active))
}

/// A term that the keyring does not have yet.
struct New<R: Role> {
    root: Arc<Root>,
    row: KeyRow,
    key: Key<R>,
    /// The store does not have it either.
    is_fresh: bool,
}

impl<R: Role> New<R> {
    /// Makes the term that a rotation leads to; none if the keyring has it. It may lack one that the store has: whoever made
    /// it was interrupted in between, or the store did what it could not say that it did. The Root may be slow, so it is
    /// asked before any lock is taken.
    async fn of(vault: &Vault, rotation: &RotationRow, known: Option<KeyRow>) -> Result<Option<Self>, FlowError> {
        let RotationRow { key: purpose, tenant, to_term, .. } = rotation;
        let facts = vault.barrier.key_facts();
        if facts.iter().any(|(key, whose, facts)| (key, whose, facts.term) == (purpose, tenant, *to_term)) {
            return Ok(None);
        }
        let root = vault.root.get().await?;
        let (row, key, is_fresh) = match known {
            Some(row) => {
                let key = keyring::unwrap_as(&root, &row).await?;
                (row, key, false)
            }
            None => {
                let made = keyring::make(&root, *purpose, tenant.as_ref(), *to_term, vault.now_ms()).await?;
                (made.row, made.key, true)
            }
        };
        Ok(Some(Self { root, row, key, is_fresh }))
    }

    /// The root.json that wrapped it.
    fn under(&self) -> Option<[u8; 32]> {
        Some(self.root.descriptor().sum())
    }
}

/// The entry that a term is made.
async fn made(vault: &Vault, row: &RotationRow) -> Result<u64, FlowError> {
    let note = Note::none().and(&row.key).and(&"term").and(&row.to_term);
    let about = Own { tenant: row.tenant.clone(), subject: Subject::None, note };
    Ok(vault.audit.record_own(OwnAct::KeyMade, about).await?)
}

/// When the store is asked again to take what it did not.
const AGAIN: Duration = Duration::from_secs(1);
const CHANGED: FlowError = FlowError::Conflict("the key is being changed by another request; ask again");

#[cfg(test)]
mod tests;
