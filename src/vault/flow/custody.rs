//! Custody: what custodians do about a Root to come, what everybody may know of the Root, and acknowledgements of duty.

use std::sync::Arc;

use strongroom_keys::duty::DUTY_VERSION;
use strongroom_keys::note::Statement as _;
use strongroom_keys::reroot::Reroot;
use strongroom_keys::root::{Assembly, Descriptor, ShareRefused, Step};
use strongroom_keys::share::read_submission;
use strongroom_wire::admin::{RootKind, rfc3339_ms};
use strongroom_wire::custody::{
    AcknowledgeRequest, Acknowledgement, Acknowledgements, NextRoot, RootChange, RootChangeState, RootHsm, RootInfo,
    RootKms, RootStatus, RootSum,
};
use strongroom_wire::entry::Reason;
use strongroom_wire::hex::{hex, unhex};

use super::rotate::Pace;
use super::{Asker, FlowError, Vault, reroot};
use crate::policy::{ChangeRoot, Note, ReadStatus, Unseal};
use crate::store::{AcknowledgementRow, RootChangeRow};

/// Which Root is in force, which is to come, and how far the newest change is. It answers while sealed.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn status(vault: &Vault, asker: &Asker) -> Result<RootStatus, FlowError> {
    let permit = vault.permit::<ReadStatus>(asker, (), Note::words("root")).await?;
    let _read = vault.warrant(permit).await?;
    let change = match vault.root.working() {
        Some((row, pace)) => Some(under_way(&row, &pace)),
        None => vault.store.root_change().await?.as_ref().map(view),
    };
    let in_force = vault.root.descriptor();
    let (next, next_fault) = match vault.root.read_next() {
        Ok(Some(next)) => (Some(coming(vault, &next).await), None),
        Ok(None) => (None, None),
        Err(why) => (None, Some(why.to_string())),
    };
    Ok(RootStatus {
        vault_id: in_force.vault_id().to_string(),
        in_force_since: since(vault, &in_force).await?,
        in_force: info(&in_force),
        next,
        next_fault,
        change,
    })
}

/// Takes one share of the Root to come. `body` is wiped.
///
/// # Errors
/// [`FlowError::Share`] says why a share was refused; the refusal is in the audit log.
pub async fn give_next(vault: &Arc<Vault>, asker: &Asker, body: &mut [u8]) -> Result<NextRoot, FlowError> {
    let submission = read_submission(body);
    let permit = vault.permit_unsealed::<Unseal>(asker, (), Note::words("share of the root to come")).await?;
    let submission = submission.map_err(|bad| FlowError::Field { field: bad.field.unwrap_or("body"), why: bad.why })?;
    let next = vault.root.read_next()?.ok_or(FlowError::Conflict(
        "there is no root to come: put its root.json where [root.next] file of vaultd's configuration says",
    ))?;
    if next.kind() == RootKind::Custodians {
        known_duty(vault, asker, &next, submission.acknowledges).await?;
    }
    let mut coming = vault.root.coming.lock().await;
    if coming.held.as_ref().is_some_and(|root| *root.descriptor() == next) {
        return Err(FlowError::Conflict("the root to come is here already; nothing was done with the share"));
    }
    coming.held = None;
    let mut ceremony = match coming.ceremony.take() {
        Some(ceremony) if *ceremony.descriptor() == next => ceremony,
        // Another root.json lies there now: shares of the one before are forgotten.
        _ => Assembly::new(next.clone()),
    };
    let step = ceremony.give(submission.share, &asker.who.who(), vault.now_ms());
    coming.ceremony = Some(ceremony);
    match step {
        Ok(step) => {
            if let Err(error) = vault.warrant(permit).await {
                // A share without an entry is not in.
                coming.ceremony.iter_mut().for_each(Assembly::take_back);
                return Err(error);
            }
            let is_complete = match step {
                Step::Waiting { .. } => false,
                Step::Complete(root) => {
                    coming.held = Some(Arc::new(root));
                    true
                }
            };
            drop(coming);
            if is_complete {
                // A change that waited for it.
                reroot::resume(vault).await?;
            }
            Ok(self::coming(vault, &next).await)
        }
        Err(refused) => {
            let reason = if refused == ShareRefused::SamePerson { Reason::SamePerson } else { Reason::Share };
            vault.audit.record_refusal(permit.refuse(reason)).await?;
            Err(FlowError::Share(refused))
        }
    }
}

/// Forgets the shares of the Root to come and the Root that they brought. A change that is worked on goes on with what it has.
///
/// # Errors
/// Those of policy and of the audit log.
pub async fn forget_next(vault: &Vault, asker: &Asker) -> Result<(), FlowError> {
    let permit = vault.permit_unsealed::<Unseal>(asker, (), Note::words("forget the root to come")).await?;
    let _forgotten = vault.warrant(permit).await?;
    vault.root.forget_next().await;
    Ok(())
}

/// Gives an open change up: the Root before stays in force. One person is enough for it.
///
/// # Errors
/// [`FlowError::NotFound`] if none is open; [`FlowError::Conflict`] if it came to its end first.
pub async fn abandon(vault: &Vault, asker: &Asker) -> Result<RootChange, FlowError> {
    let permit = vault.permit_unsealed::<ChangeRoot>(asker, (), Note::words("abandon")).await?;
    let _abandoned = vault.warrant(permit).await?;
    let row = reroot::open_change(vault).await?.ok_or(FlowError::NotFound)?;
    let row = RootChangeRow { state: RootChangeState::Abandoned, fault: None, ..row };
    // Under the lock of the swap, so that it is either before or after it.
    let _held = vault.root.held.lock().await;
    let late = vault.store.root_in_force().await? == Some(row.to);
    if late || !vault.store.note_root_change(row.clone()).await? {
        return Err(FlowError::Conflict("the change is over: the root to come is in force"));
    }
    vault.root.forget_next().await;
    Ok(view(&row))
}

/// A custodian acknowledges their duty for the root.json in force, or for the one to come that the request names. It
/// works while sealed. A second time changes nothing.
///
/// # Errors
/// [`FlowError::Field`] for another text or root.json, and those of policy, the audit log and the store.
pub async fn acknowledge(
    vault: &Vault,
    asker: &Asker,
    asked: AcknowledgeRequest,
) -> Result<Acknowledgement, FlowError> {
    let root = match asked.root {
        None => vault.root.descriptor().sum(),
        Some(text) => {
            let next = vault.root.read_next().unwrap_or(None).map(|next| next.sum());
            unhex(&text).filter(|sum| *sum == vault.root.descriptor().sum() || Some(*sum) == next).ok_or(
                FlowError::Field {
                    field: "root",
                    why: "root is the SHA-256 of the root.json in force, or of the one to come",
                },
            )?
        }
    };
    if asked.duty != DUTY_VERSION {
        return Err(FlowError::Field { field: "duty", why: OTHER_DUTY });
    }
    let row = record(vault, asker, root).await?;
    Ok(acknowledgement(&row))
}

/// Who acknowledged their duty. It answers while sealed.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn acknowledgements(vault: &Vault, asker: &Asker) -> Result<Acknowledgements, FlowError> {
    let permit = vault.permit::<ReadStatus>(asker, (), Note::words("custodians")).await?;
    let _read = vault.warrant(permit).await?;
    let rows = vault.store.acknowledgements().await?;
    Ok(Acknowledgements { acknowledgements: rows.iter().map(acknowledgement).collect() })
}

/// Refuses a share from somebody who has not acknowledged their duty, unless they do so with it (PCI DSS 3.7.8).
pub(super) async fn known_duty(
    vault: &Vault,
    asker: &Asker,
    root: &Descriptor,
    acknowledges: Option<u32>,
) -> Result<(), FlowError> {
    let (who, sum) = (asker.who.who(), root.sum());
    if vault
        .store
        .acknowledgements()
        .await?
        .iter()
        .any(|row| row.who == who && row.root == sum && row.duty == DUTY_VERSION)
    {
        return Ok(());
    }
    match acknowledges {
        Some(DUTY_VERSION) => record(vault, asker, sum).await.map(drop),
        Some(_) => Err(FlowError::Field { field: "acknowledges", why: OTHER_DUTY }),
        None => {
            let permit = vault.permit::<Unseal>(asker, (), Note::words("duty not acknowledged")).await?;
            vault.audit.record_refusal(permit.refuse(Reason::Share)).await?;
            Err(FlowError::Unacknowledged)
        }
    }
}

async fn record(vault: &Vault, asker: &Asker, root: [u8; 32]) -> Result<AcknowledgementRow, FlowError> {
    let note = Note::words("acknowledged duty").and(&DUTY_VERSION).and(&"of root").and(&RootSum(root));
    let permit = vault.permit::<Unseal>(asker, (), note).await?;
    let _acknowledged = vault.warrant(permit).await?;
    let row = AcknowledgementRow { who: asker.who.who(), root, duty: DUTY_VERSION, at_ms: vault.now_ms() };
    if vault.store.acknowledge(row.clone()).await? {
        return Ok(row);
    }
    let known = vault.store.acknowledgements().await?.into_iter();
    Ok(known.into_iter().find(|known| known.who == row.who && known.root == root).unwrap_or(row))
}

async fn coming(vault: &Vault, next: &Descriptor) -> NextRoot {
    let mut coming = vault.root.coming.lock().await;
    let held = coming.held.as_ref().is_some_and(|root| root.descriptor() == next);
    let ceremony = coming.ceremony.as_mut().filter(|ceremony| ceremony.descriptor() == next);
    NextRoot { root: info(next), shares_given: ceremony.map_or(0, |ceremony| ceremony.given(vault.now_ms())), held }
}

fn info(root: &Descriptor) -> RootInfo {
    RootInfo {
        sha256: hex(&root.sum()),
        kind: root.kind(),
        threshold: root.threshold(),
        shares: root.shares(),
        pkcs11: root.hsm_key().map(|key| RootHsm {
            token_label: key.token_label.clone(),
            token_serial: key.token_serial.clone(),
            key_label: key.key_label.clone(),
            key_id: key.key_id.clone(),
        }),
        kms: root.kms_key().map(|key| RootKms { arn: key.arn.clone(), region: key.region.clone() }),
    }
}

/// Since when a root.json is in force: the note of the change to it says so, and where none ever began it is the one of
/// the first unseal, which made the vault's first key. While another change is open or given up it is not known.
async fn since(vault: &Vault, in_force: &Descriptor) -> Result<Option<String>, FlowError> {
    let at_ms = match vault.store.root_change().await? {
        None => vault.store.keys().await?.iter().map(|row| row.created_ms).min(),
        Some(row) => {
            row.proof.as_deref().filter(|_| row.to == in_force.sum()).and_then(Reroot::read).map(|it| it.at_ms)
        }
    };
    Ok(at_ms.map(rfc3339_ms))
}

/// What a row says that this process works on, and how fast it is.
fn under_way(row: &RootChangeRow, pace: &Pace) -> RootChange {
    let runs = row.state == RootChangeState::Running && row.rewraps;
    RootChange {
        keys_per_second: pace.per_second().filter(|_| runs),
        seconds_left: pace.seconds_for(row.total.saturating_sub(row.done)).filter(|_| runs),
        ..view(row)
    }
}

fn view(row: &RootChangeRow) -> RootChange {
    RootChange {
        from: hex(&row.from),
        to: hex(&row.to),
        rewraps: row.rewraps,
        state: row.state,
        done: row.done,
        total: row.total.max(row.done),
        keys_per_second: None,
        seconds_left: None,
        started_at: rfc3339_ms(row.started_ms),
        fault: row.fault.clone(),
        proof: row.proof.clone(),
    }
}

fn acknowledgement(row: &AcknowledgementRow) -> Acknowledgement {
    Acknowledgement { who: row.who.clone(), root: hex(&row.root), duty: row.duty, at: rfc3339_ms(row.at_ms) }
}

const OTHER_DUTY: &str =
    "the vault knows another text of the duty; take the vaultctl of this vault's version and read it again";
