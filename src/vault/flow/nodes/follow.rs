//! Following: what another node changed in the store is done to the keyring, the policy and the Root of this one.
//!
//! What takes something away is done at once: a key that is destroyed, a tenant that is shredded, a policy, a seal. A key that
//! came has to be unwrapped by the Root first, which may be slow or away; it is asked beside the beat, and until it answered the
//! node does not say that it has taken the change over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_keys::root::Root;
use strongroom_keys::{Key, SignRole};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::entry::OwnAct;
use tokio::sync::MutexGuard as AsyncGuard;

use super::{Own, beat};
use crate::audit::Own as About;
use crate::barrier::{Described, Newcomers, Term};
use crate::flow::keyring::{self, Opened};
use crate::flow::{FlowError, Vault, auto, policy_nodes, reroot, retention, rotate};
use crate::policy::Note;
use crate::store::{KeyName, KeyRow, RotationRow};
use crate::telemetry::log;

/// What every node has to know, as the store had it at one generation.
pub(in crate::flow) struct View {
    pub(in crate::flow) generation: u64,
    pub(in crate::flow) seals: u64,
    pub(in crate::flow) keys: Vec<KeyRow>,
    pub(in crate::flow) rotations: Vec<RotationRow>,
    pub(in crate::flow) root: Option<[u8; 32]>,
    pub(in crate::flow) stays_sealed: bool,
}

/// Keys that the Root has unwrapped, or is being asked for.
#[derive(Default)]
pub(super) struct Coming(Mutex<Arrivals>);

#[derive(Default)]
struct Arrivals {
    newcomers: Newcomers,
    names: Vec<KeyName>,
    sign: Option<(KeyRow, Key<SignRole>)>,
    is_asking: bool,
    asked_at: Option<Instant>,
}

/// Reads everything at one generation.
///
/// # Errors
/// Those of the store; [`FlowError::Behind`] if it changes faster than it can be read.
pub(in crate::flow) async fn view(vault: &Vault) -> Result<View, FlowError> {
    let store = &vault.store;
    for _ in 0..TRIES {
        let generation = store.generation().await?;
        let view = View {
            generation,
            seals: store.seals().await?,
            keys: store.keys().await?,
            rotations: store.rotations().await?,
            root: store.root_in_force().await?,
            stays_sealed: store.stays_sealed().await?,
        };
        if store.generation().await? == generation {
            return Ok(view);
        }
    }
    Err(FlowError::Behind)
}

/// Follows the store as far as it can be without waiting for the Root.
pub(super) async fn follow(vault: &Arc<Vault>, own: &Arc<Own>) -> Result<(), FlowError> {
    for _ in 0..TRIES {
        let view = view(vault).await?;
        auto::hear(vault, view.stays_sealed);
        let has_root = match view.root {
            Some(sum) if sum != vault.root.descriptor().sum() => reroot::follow(vault, sum).await?,
            _ => true,
        };
        if !vault.barrier.is_unsealed() {
            retire(own, view.generation);
            return Ok(());
        }
        let mut held = vault.root.held.lock().await;
        // Changes of this process are made under the lock: nothing of them is newer than what was read.
        if !vault.barrier.is_unsealed() || vault.store.generation().await? != view.generation {
            continue;
        }
        if view.seals != own.state().seals {
            seal(vault, &mut held, "sealed by an operator at another node").await;
            return Ok(());
        }
        return take(vault, own, (view, has_root), held).await;
    }
    Err(FlowError::Behind)
}

/// Forgets every key, because of what the store says.
pub(in crate::flow) async fn seal(vault: &Arc<Vault>, held: &mut Option<Arc<Root>>, why: &'static str) {
    vault.audit.detach();
    vault.barrier.seal_now();
    *held = None;
    beat::let_go(vault);
    log::warn("SEALED", &[("why", &why)]);
    if vault.audit.record_own(OwnAct::Followed, About::noting(Note::words(why))).await.is_err() {
        log::error("that the vault was sealed could not be recorded", &[]);
    }
}

async fn take(
    vault: &Arc<Vault>,
    own: &Arc<Own>,
    (view, has_root): (View, bool),
    held: AsyncGuard<'_, Option<Arc<Root>>>,
) -> Result<(), FlowError> {
    // The Sign key first: what is signed under a new term is not read before it is here.
    let arrived = own.coming.lock().sign.take();
    if let Some((row, key)) = arrived {
        // Unwrapped anew if this fails: the key is used up.
        own.coming.lock().names.retain(|name| *name != row.name);
        rotate::take_over(vault, &row, key).await?;
    }
    let waits_for_sign = view.keys.iter().any(|row| {
        row.name.purpose == KeyPurpose::Sign
            && row.state == KeyState::Active
            && vault.barrier.sign_term().is_some_and(|term| term < row.name.term)
    });
    let described: Vec<Described> = view
        .keys
        .iter()
        .filter(|row| row.state != KeyState::Destroyed)
        .map(|row| (row.name.purpose, row.name.tenant.clone(), keyring::facts(row)))
        .collect();
    let new = own.coming.lock().newcomers.clone();
    let mut missing = Vec::new();
    vault.barrier.update(|ring| {
        let (next, left_out) = ring.follow(&described, &new)?;
        missing = left_out;
        rotate::closed(next, &view.rotations)
    })?;
    if !waits_for_sign {
        // After the keys, because it is read with them.
        policy_nodes::follow(vault).await?;
    }
    retention::look_again(vault);
    drop(held);
    own.coming.lock().forget(&missing);
    for (purpose, tenant, facts) in &described {
        if let (KeyPurpose::Kek, Some(tenant), KeyState::Pending) = (purpose, tenant, facts.state) {
            vault.wraps.begin_term(vault, tenant, facts.term).await?;
        }
    }
    let is_missing = |row: &KeyRow| {
        let is_it = |(purpose, tenant, term): &Term| {
            (purpose, tenant, *term) == (&row.name.purpose, &row.name.tenant, row.name.term)
        };
        let is_new_sign = waits_for_sign && row.name.purpose == KeyPurpose::Sign && row.state == KeyState::Active;
        is_new_sign || missing.iter().any(is_it)
    };
    let awaited: Vec<KeyRow> = view.keys.into_iter().filter(is_missing).collect();
    {
        let mut state = own.lock();
        // A policy that could not be judged yet was not followed.
        if !waits_for_sign {
            state.followed = view.generation;
        }
        if awaited.is_empty() && has_root {
            state.taken = view.generation;
        }
    }
    if !awaited.is_empty() {
        // Under a Root that is not here yet nothing opens.
        if has_root {
            ask_root(vault, own, awaited);
        }
        return if waits_for_sign { Err(FlowError::Behind) } else { Ok(()) };
    }
    settle(vault, own);
    Ok(())
}

/// A sealed node has nothing to take over.
fn retire(own: &Own, generation: u64) {
    let mut state = own.lock();
    if !state.holds {
        (state.followed, state.taken, state.settled) = (generation, generation, generation);
    }
    drop(state);
    own.coming.lock().clear();
}

/// Once every request of before is over, the next beat says so.
fn settle(vault: &Arc<Vault>, own: &Arc<Own>) {
    if own.settling.swap(true, Ordering::SeqCst) {
        return;
    }
    let (vault, own) = (Arc::clone(vault), Arc::clone(own));
    actix_web::rt::spawn(async move {
        loop {
            let before = own.state();
            vault.rounds.settled().await;
            vault.wraps.settled().await;
            let mut state = own.lock();
            if state.run == before.run {
                state.settled = state.settled.max(before.taken);
            }
            own.soon.notify_one();
            if state.settled >= state.taken {
                // Under the lock, so that whoever takes something over now begins anew.
                own.settling.store(false, Ordering::SeqCst);
                return;
            }
        }
    });
}

/// Has the Root unwrap keys, beside the beat. The next beat takes what came.
fn ask_root(vault: &Arc<Vault>, own: &Arc<Own>, rows: Vec<KeyRow>) {
    {
        let mut coming = own.coming.lock();
        if coming.is_asking || coming.asked_at.is_some_and(|at| at.elapsed() < ASK_AGAIN) && !coming.lacks(&rows) {
            return;
        }
        coming.is_asking = true;
        coming.asked_at = Some(Instant::now());
    }
    let (vault, own) = (Arc::clone(vault), Arc::clone(own));
    actix_web::rt::spawn(async move {
        let mut came = false;
        for row in rows {
            if own.coming.lock().names.contains(&row.name) {
                continue;
            }
            let Ok(root) = vault.root.get().await else { break };
            match keyring::unwrap(root, row).await {
                Ok((row, key)) => {
                    own.coming.lock().arrive(row, key);
                    came = true;
                }
                Err(FlowError::Tampered) => {
                    log::error("a wrapped key in the store does not belong to the root that is in memory", &[]);
                }
                Err(_) => {
                    log::warn("a key that another node made cannot be unwrapped now: the root does not answer", &[]);
                    break;
                }
            }
        }
        own.coming.lock().is_asking = false;
        if came {
            own.soon.notify_one();
        }
    });
}

impl Coming {
    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrivals {
    fn arrive(&mut self, row: KeyRow, key: Opened) {
        self.names.push(row.name.clone());
        match keyring::newcomer(&mut self.newcomers, &row, key) {
            None => {}
            Some(sign) => self.sign = Some((row, sign)),
        }
    }

    /// Whether one of them has neither come nor been asked for.
    fn lacks(&self, rows: &[KeyRow]) -> bool {
        rows.iter().any(|row| !self.names.contains(&row.name))
    }

    /// What is in the keyring is not kept here, too. A key that came and was not taken has another state by now.
    fn forget(&mut self, missing: &[Term]) {
        if missing.is_empty() && self.sign.is_none() && !self.is_asking {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.newcomers = Newcomers::default();
        self.names.clear();
        self.sign = None;
    }
}

/// Reads before it is said that the store changes too fast.
const TRIES: usize = 8;
/// When a Root that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
