//! Acts that need two people: one identity asks, another one approves, and only then it is done.
//!
//! Invariants:
//! - An act is kept as a note that the vault signed, so that whoever can write to the database can neither change what
//!   was asked for nor who asked, and cannot approve.
//! - The two are told apart by their URIs and by the public keys of their certificates.
//! - [`Agreed`] exists only after both entries are durable. A crash between that and the end of the act leaves it
//!   `approved`: it goes on at the next unseal, or when it is approved again. So what it does must be safe to do twice.
//! - An act is good for 24 hours from the asking, whatever its state.
//!
//! To add a kind: a variant with its parameters in `strongroom_wire::acts::ActKind`, with scope and tenant; an arm in
//! [`about`] (its words in the log), [`check`] (what makes no sense is refused at the asking) and [`perform`], each arm of
//! the two a call into the kind's own file; an endpoint of its own that calls [`ask`] and answers 202; and its `detail` in
//! `openapi.json` (schema `Act`). A scope that no kind used before gets an arm in [`permitted`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_keys::note;
use strongroom_wire::acts::{ActKind, ActList, ActState, PendingAct};
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::entry::{OwnAct, Reason, Subject};
use strongroom_wire::export::ExportOrder;
use strongroom_wire::{ActId, Scope, limits};
use tokio::sync::{Mutex, MutexGuard};

use super::{Asker, FlowError, Vault, destroy, export, kept, nodes, policy_change, reroot, retention, shred};
use crate::audit::Own;
use crate::policy::{
    Action, ChangeRoot, Destroy, Identity, Note, OrderExport, Principal, ReadStatus, Reload, RuleRetention, Trace,
};
use crate::store::ActRow;
use crate::telemetry::log;

/// One change of an act at a time.
#[derive(Default)]
pub(super) struct Acts {
    changing: Mutex<()>,
}

impl Acts {
    /// For as long as it is held no act is done or changed.
    pub(super) async fn still(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }
}

/// Proof that two people agreed on an act and that both of their entries are durable. Only this file makes one.
pub(super) struct Agreed {
    record: Record,
}

impl Agreed {
    /// The act's name.
    pub(super) fn id(&self) -> ActId {
        self.record.act_id
    }
}

/// The whole of an act, as the vault signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    act_id: ActId,
    what: ActKind,
    requested_by: String,
    /// SHA-256 of the public key of the certificate with which it was asked for.
    requested_key: Option<[u8; 32]>,
    requested_ms: u64,
    state: ActState,
    approved_by: Option<String>,
    fault: Option<String>,
    result: Option<String>,
}

/// Asks for an act. The same act that waits already is answered in its place, whoever asked for it.
///
/// # Errors
/// Those of policy and of the audit log, and those of the kind's own check; then nothing waits.
pub async fn ask(vault: &Arc<Vault>, asker: &Asker, what: ActKind) -> Result<PendingAct, FlowError> {
    let asker = asker_for(asker, &what);
    let act_id = ActId::fresh();
    let trace =
        permitted(vault, &asker, what.scope(), Note::words("ask for").and(&act_id).joined(&about(&what)), None).await?;
    vault.caught_up().await?;
    let _changing = vault.acts.changing.lock().await;
    match begin(vault, &asker, act_id, what).await {
        Ok(act) => Ok(act),
        Err(error) => Err(super::reveal::failed(vault, trace, error).await),
    }
}

async fn begin(vault: &Arc<Vault>, asker: &Asker, act_id: ActId, what: ActKind) -> Result<PendingAct, FlowError> {
    let now = vault.now_ms();
    for row in vault.store.acts().await?.iter().filter(|row| row.is_open && row.until_ms > now) {
        let known = read(vault, row)?;
        if known.what == what && known.state == ActState::Pending {
            return Ok(view(&known));
        }
    }
    check(vault, &what).await?;
    if vault.policy.holders(what.scope(), what.tenant()) < 2 {
        return Err(FlowError::Conflict(
            "the policy in force gives nobody else the scope that this needs, so nobody could approve it; give it to a second \
             identity. If that cannot be approved either, start once with policy.begin_anew = true, which is recorded",
        ));
    }
    let record = Record {
        act_id,
        what,
        requested_by: asker.who.who(),
        requested_key: asker.key,
        requested_ms: now,
        state: ActState::Pending,
        approved_by: None,
        fault: None,
        result: None,
    };
    tell(vault, &record, "asked for by", &asker.who).await?;
    vault.store.insert_act(row(vault, &record)?).await?;
    Ok(view(&record))
}

/// Approves an act as the second person, and does it.
///
/// # Errors
/// [`Reason::SamePerson`] if it is the first one again; those of policy, the audit log and of the act itself. An act that
/// failed stays approved, with its fault, until it is approved again or runs out.
pub async fn approve(vault: &Arc<Vault>, asker: &Asker, id: ActId) -> Result<PendingAct, FlowError> {
    seen(vault, asker, Note::words("approve").and(&id)).await?;
    let _changing = vault.acts.changing.lock().await;
    let Some(_lease) = nodes::take(vault, lease(id)).await? else { return Err(at_another(vault, id)) };
    let (row, mut record) = find_open(vault, id).await?;
    let asker = asker_for(asker, &record.what);
    let refuse = is_same_person(&record, &asker).then_some(Reason::SamePerson);
    let note = Note::words("approve").and(&id).joined(&about(&record.what));
    let trace = permitted(vault, &asker, record.what.scope(), note, refuse).await?;
    if let Err(error) = asker_still_may(vault, &record) {
        return Err(super::reveal::failed(vault, trace, error).await);
    }
    tell(vault, &record, "approved by", &asker.who).await?;
    record.state = ActState::Approved;
    record.approved_by = Some(asker.who.who());
    record.fault = None;
    let row = change(vault, row, &record).await?;
    match finish(vault, row, record).await {
        Ok(done) => Ok(done),
        Err(error) => Err(super::reveal::failed(vault, trace, error).await),
    }
}

/// Takes an act back, or refuses it as another person.
///
/// # Errors
/// [`FlowError::NotFound`], [`FlowError::Conflict`] if it is over, and those of policy, the audit log and the store.
pub async fn withdraw(vault: &Vault, asker: &Asker, id: ActId) -> Result<PendingAct, FlowError> {
    seen(vault, asker, Note::words("withdraw").and(&id)).await?;
    let _changing = vault.acts.changing.lock().await;
    let Some(_lease) = nodes::take(vault, lease(id)).await? else { return Err(at_another(vault, id)) };
    let (row, mut record) = find_open(vault, id).await?;
    let asker = asker_for(asker, &record.what);
    let note = Note::words("withdraw").and(&id).joined(&about(&record.what));
    permitted(vault, &asker, record.what.scope(), note, None).await?;
    tell(vault, &record, "withdrawn by", &asker.who).await?;
    record.state = ActState::Withdrawn;
    change(vault, row, &record).await?;
    Ok(view(&record))
}

/// Every act that waits, and those of the last 30 days that are over.
///
/// # Errors
/// Those of policy, the audit log and the store; [`FlowError::Tampered`] if one is not as the vault wrote it.
pub async fn list(vault: &Vault, asker: &Asker) -> Result<ActList, FlowError> {
    seen(vault, asker, Note::words("acts")).await?;
    let rows = vault.store.acts().await?;
    let acts = rows.iter().map(|row| read(vault, row).map(|record| view(&record))).collect::<Result<_, _>>()?;
    Ok(ActList { acts })
}

/// An export, whether or not anybody agreed to it yet.
pub(super) struct AgreedExport {
    pub(super) order: ExportOrder,
    /// Who asked and who approved.
    pub(super) people: Vec<String>,
    state: ActState,
    ends_ms: u64,
}

impl AgreedExport {
    /// Whether two people agreed and the act is still good.
    pub(super) fn check(&self, now_ms: u64) -> Result<(), FlowError> {
        match self.state {
            ActState::Done if now_ms < self.ends_ms => Ok(()),
            ActState::Pending | ActState::Approved => {
                Err(FlowError::Conflict("a second person has to approve it first"))
            }
            _ => Err(FlowError::Conflict("the export is over; ask for it again")),
        }
    }
}

/// The export that an act is about.
pub(super) async fn export(vault: &Vault, id: ActId) -> Result<AgreedExport, FlowError> {
    let rows = vault.store.acts().await?;
    let record = read(vault, rows.iter().find(|row| row.id == id).ok_or(FlowError::NotFound)?)?;
    let ends_ms = ends_ms(&record);
    let ActKind::Export(order) = record.what else { return Err(FlowError::NotFound) };
    let people = std::iter::once(record.requested_by).chain(record.approved_by).collect();
    Ok(AgreedExport { order, people, state: record.state, ends_ms })
}

/// After an unseal: acts that were approved and not done go on by themselves. One that fails is said and stays as it is.
pub(super) async fn resume(vault: &Arc<Vault>) {
    let _changing = vault.acts.changing.lock().await;
    let Ok(rows) = vault.store.acts().await else { return };
    let now = vault.now_ms();
    for row in rows.into_iter().filter(|row| row.is_open && row.until_ms > now) {
        match read(vault, &row) {
            Ok(record) if record.state == ActState::Approved => {
                let id = record.act_id;
                // Another node may be doing it, or have done it since it was read.
                let Ok(Some(_lease)) = nodes::take(vault, lease(id)).await else { continue };
                let Ok((row, record)) = find_open(vault, id).await else { continue };
                if record.state == ActState::Approved && finish(vault, row, record).await.is_err() {
                    log::error("an approved act could not go on: see `vaultctl acts list`", &[("act", &id)]);
                }
            }
            Ok(_) => {}
            Err(_) => log::error("an act in the store is not as the vault wrote it", &[("act", &row.id)]),
        }
    }
}

/// Whether two people agreed on an act like this, as far as it is known: acts that are over are kept for a while.
///
/// # Errors
/// Those of the store.
pub(super) async fn was_agreed(vault: &Vault, is_it: impl Fn(&ActKind) -> bool) -> Result<bool, FlowError> {
    let agreed = |record: Record| matches!(record.state, ActState::Approved | ActState::Done) && is_it(&record.what);
    Ok(vault.store.acts().await?.iter().any(|row| read(vault, row).is_ok_and(agreed)))
}

/// Ends acts whose time is over, and removes those that were kept long enough. It needs the key that signs, so a sealed
/// vault does it after its next unseal; nobody can approve anything meanwhile.
///
/// # Errors
/// Those of the audit log and the store.
pub(super) async fn expire(vault: &Vault) -> Result<(), FlowError> {
    if !vault.barrier.is_unsealed() {
        return Ok(());
    }
    // An act that runs may take long, and the sweep has other things to do: it comes again.
    let Ok(_changing) = vault.acts.changing.try_lock() else { return Ok(()) };
    let now = vault.now_ms();
    for row in vault.store.acts().await?.into_iter().filter(|row| row.is_open && row.until_ms <= now) {
        // One that does not authenticate cannot be approved either; who lists acts is told.
        let Ok(mut record) = read(vault, &row) else { continue };
        tell(vault, &record, "ran out, asked for by", &record_principal(&record)?).await?;
        record.state = ActState::Expired;
        change(vault, row, &record).await?;
    }
    vault.store.purge_acts(now).await?;
    Ok(())
}

/// Does what was agreed on and writes down how that ended.
async fn finish(vault: &Arc<Vault>, row: ActRow, mut record: Record) -> Result<PendingAct, FlowError> {
    let agreed = Agreed { record: record.clone() };
    match perform(vault, &agreed).await {
        Ok(result) => {
            record.state = ActState::Done;
            record.result = result;
            change(vault, row, &record).await?;
            Ok(view(&record))
        }
        Err(error) => {
            record.fault = Some(error.to_string());
            // If this cannot be written either, the act says that it is approved and not what stopped it.
            let _ = change(vault, row, &record).await;
            Err(error)
        }
    }
}

/// What the log says about an act besides its name.
fn about(what: &ActKind) -> Note {
    match what {
        ActKind::DestroyKey(key) => destroy::about(key),
        ActKind::ShredTenant(_) => shred::about(),
        ActKind::SetRetention(rule) => retention::about(rule),
        ActKind::ChangePolicy(policy) => policy_change::about(policy),
        ActKind::Export(order) => export::about(order),
        ActKind::ChangeRoot(asked) => reroot::about(asked),
    }
}

/// Whether the act makes sense now; it is looked at again when it is done.
async fn check(vault: &Vault, what: &ActKind) -> Result<(), FlowError> {
    match what {
        ActKind::DestroyKey(key) => destroy::check(vault, key).await,
        ActKind::ShredTenant(shred) => shred::check(vault, &shred.tenant).await,
        ActKind::SetRetention(rule) => retention::check(vault, rule).await,
        // It was made from the file a moment ago, and is held against it again when it is done.
        ActKind::ChangePolicy(_) => Ok(()),
        ActKind::Export(order) => export::check(vault, order).await,
        ActKind::ChangeRoot(asked) => reroot::check(vault, asked).await,
    }
}

/// Does it. What comes back is kept with the act.
async fn perform(vault: &Arc<Vault>, agreed: &Agreed) -> Result<Option<String>, FlowError> {
    match &agreed.record.what {
        ActKind::DestroyKey(key) => destroy::destroy(vault, agreed, key).await.map(Some),
        ActKind::ShredTenant(tenant) => shred::shred(vault, agreed, &tenant.tenant).await.map(Some),
        ActKind::SetRetention(rule) => retention::put(vault, rule).await.map(|_| None),
        ActKind::ChangePolicy(policy) => {
            policy_change::change(vault, agreed, policy).await?;
            // Whoever hears that it is in force may ask any node.
            vault.known().await.map(|()| None)
        }
        // It is done once the two agreed: from then on each of them may download it.
        ActKind::Export(order) => export::check(vault, order).await.map(|()| None),
        ActKind::ChangeRoot(asked) => reroot::begin(vault, agreed, asked).await.map(Some),
    }
}

/// Asks policy for the scope and has it recorded; `refuse` is a reason of the vault's own to refuse what policy allows.
async fn permitted(
    vault: &Vault,
    asker: &Asker,
    scope: Scope,
    note: Note,
    refuse: Option<Reason>,
) -> Result<Trace, FlowError> {
    match scope {
        Scope::Destroy => recorded::<Destroy>(vault, asker, note, refuse).await,
        Scope::RootChange => recorded::<ChangeRoot>(vault, asker, note, refuse).await,
        Scope::Export => recorded::<OrderExport>(vault, asker, note, refuse).await,
        Scope::Retention => recorded::<RuleRetention>(vault, asker, note, refuse).await,
        Scope::Reload => recorded::<Reload>(vault, asker, note, refuse).await,
        _ => Err(FlowError::Denied(Reason::Scope)),
    }
}

async fn recorded<A: Action<Subject = ()>>(
    vault: &Vault,
    asker: &Asker,
    note: Note,
    refuse: Option<Reason>,
) -> Result<Trace, FlowError> {
    let permit = vault.permit_unsealed::<A>(asker, (), note).await?;
    if let Some(reason) = refuse {
        vault.audit.record_refusal(permit.refuse(reason)).await?;
        return Err(FlowError::Denied(reason));
    }
    Ok(vault.warrant(permit).await?.trace())
}

/// Whoever sees acts may see the vault's status; the act's own scope is asked for once it is known which.
async fn seen(vault: &Vault, asker: &Asker, note: Note) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<ReadStatus>(asker, (), note).await?;
    let _seen = vault.warrant(permit).await?;
    vault.caught_up().await
}

/// The own entry of each turn of an act, with the names of the people in it.
async fn tell(vault: &Vault, record: &Record, turn: &'static str, who: &Principal) -> Result<(), FlowError> {
    let asked_by = record_principal(record)?;
    let note = Note::none().and(&record.act_id).and(&turn);
    let (Principal::Identity(who), Principal::Identity(first)) = (who, &asked_by) else {
        return Err(FlowError::Denied(Reason::UnknownIdentity));
    };
    let both = note.clone().and(who).and(&"asked for by").and(first);
    let mut notes = vec![if who == first { note.clone().and(who) } else { both }];
    if notes[0].as_str().len() > NOTE_BYTES {
        // Two long names do not fit one entry, and none may be cut.
        notes = vec![note.and(who), Note::none().and(&record.act_id).and(&"asked for by").and(first)];
    }
    for note in notes {
        let own = Own { tenant: record.what.tenant().cloned(), subject: Subject::None, note };
        vault.audit.record_own(OwnAct::TwoPersonAct, own).await?;
    }
    Ok(())
}

/// The name of the lease that whoever changes an act has.
fn lease(id: ActId) -> String {
    format!("act/{id}")
}

fn at_another(vault: &Vault, id: ActId) -> FlowError {
    let busy = FlowError::Conflict("the act is being changed by another request; look at it again");
    vault.nodes.holder(&lease(id)).map_or(busy, FlowError::Elsewhere)
}

fn record_principal(record: &Record) -> Result<Principal, FlowError> {
    Ok(Identity::parse(&record.requested_by).map_err(|_| FlowError::Tampered)?.into())
}

fn is_same_person(record: &Record, asker: &Asker) -> bool {
    let same_key = asker.key.is_some() && asker.key == record.requested_key;
    asker.who.who() == record.requested_by || same_key
}

/// Whoever left, or lost the scope, since the asking does not count as one of the two any more.
fn asker_still_may(vault: &Vault, record: &Record) -> Result<(), FlowError> {
    let first = Identity::parse(&record.requested_by).map_err(|_| FlowError::Tampered)?;
    if vault.policy.holds(&first, record.what.scope(), record.what.tenant()) {
        return Ok(());
    }
    Err(FlowError::Conflict(
        "the one who asked holds the scope no more; ask for it yourself and have another approve it",
    ))
}

fn asker_for(asker: &Asker, what: &ActKind) -> Asker {
    Asker { tenant: what.tenant().cloned(), ..asker.clone() }
}

async fn find_open(vault: &Vault, id: ActId) -> Result<(ActRow, Record), FlowError> {
    let rows = vault.store.acts().await?;
    let row = rows.into_iter().find(|row| row.id == id).ok_or(FlowError::NotFound)?;
    let record = read(vault, &row)?;
    if row.is_open && row.until_ms > vault.now_ms() {
        return Ok((row, record));
    }
    Err(FlowError::Conflict(match record.state {
        ActState::Done => "the act is done",
        ActState::Withdrawn => "the act was withdrawn; ask for it again",
        ActState::Pending | ActState::Approved | ActState::Expired => "the act ran out of time; ask for it again",
    }))
}

async fn change(vault: &Vault, old: ActRow, record: &Record) -> Result<ActRow, FlowError> {
    let new = row(vault, record)?;
    if vault.store.swap_act(old, new.clone()).await? {
        Ok(new)
    } else {
        Err(FlowError::Conflict("the act was changed by another request; look at it again"))
    }
}

fn row(vault: &Vault, record: &Record) -> Result<ActRow, FlowError> {
    let is_open = matches!(record.state, ActState::Pending | ActState::Approved);
    let until_ms = if is_open { ends_ms(record) } else { vault.now_ms().saturating_add(limits::ACT_KEPT_MS) };
    // Texts, numbers and lists of them always have a JSON form.
    let json = serde_json::to_string(record).unwrap_or_default();
    let note = vault.barrier.sign(|signer| note::sign(&format!("{HEAD}\n{json}\n"), signer))?;
    Ok(ActRow { id: record.act_id, is_open, until_ms, note })
}

/// What a row says, if the vault signed it and its columns say the same.
fn read(vault: &Vault, row: &ActRow) -> Result<Record, FlowError> {
    let text = kept::signed(vault, &row.note)?.ok_or(FlowError::Tampered)?;
    let json = text.strip_prefix(HEAD).ok_or(FlowError::Tampered)?;
    let record: Record = serde_json::from_str(json).map_err(|_| FlowError::Tampered)?;
    let is_open = matches!(record.state, ActState::Pending | ActState::Approved);
    let fits = record.act_id == row.id && is_open == row.is_open && (!is_open || row.until_ms == ends_ms(&record));
    if fits { Ok(record) } else { Err(FlowError::Tampered) }
}

fn ends_ms(record: &Record) -> u64 {
    record.requested_ms.saturating_add(limits::ACT_OPEN_MS)
}

fn view(record: &Record) -> PendingAct {
    PendingAct {
        act_id: record.act_id,
        what: record.what.clone(),
        scope: record.what.scope(),
        requested_by: record.requested_by.clone(),
        requested_at: rfc3339_ms(record.requested_ms),
        expires_at: rfc3339_ms(ends_ms(record)),
        state: record.state,
        approved_by: record.approved_by.clone(),
        fault: record.fault.clone(),
        result: record.result.clone(),
    }
}

/// The first line of what is signed, so that no other note of the vault passes for an act.
const HEAD: &str = "strongroom-act/1";
/// What fits the note of an entry.
const NOTE_BYTES: usize = 255;

#[cfg(test)]
#[path = "acts_tests.rs"]
mod tests;
