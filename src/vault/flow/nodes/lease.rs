//! Leases: what one node does at a time. A lease lives as long as its run and is given back when it is dropped.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Own;
use crate::flow::{FlowError, Vault};
use crate::store::{LeaseRow, Store};
use crate::telemetry::log;

/// Something that this process does and no other. A vault alone has all leases.
#[derive(Default)]
#[must_use = "it is given back when it is dropped"]
pub(in crate::flow) struct Lease(Option<Held>);

struct Held {
    own: Arc<Own>,
    store: Arc<dyn Store>,
    name: String,
    run: Uuid,
}

/// Takes a lease; none if another node has it, or this one already.
///
/// # Errors
/// Those of the store; [`FlowError::Behind`] for a node that is not one now.
pub(in crate::flow) async fn take(vault: &Vault, name: String) -> Result<Option<Lease>, FlowError> {
    let Some(own) = &vault.nodes.own else { return Ok(Some(Lease(None))) };
    let state = own.state();
    if !state.is_member || vault.barrier.fence().is_up() {
        return Err(FlowError::Behind);
    }
    if !own.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        return Ok(None);
    }
    let taken = vault.store.lease(&name, state.run).await;
    if taken == Ok(true) {
        let held = Held { own: Arc::clone(own), store: Arc::clone(&vault.store), name, run: state.run };
        return Ok(Some(Lease(Some(held))));
    }
    // Where the store could not say that it did it, a later beat sees a lease that nobody here has, and gives it back.
    own.forget_lease(&name);
    taken.map(|_| None).map_err(FlowError::from)
}

/// The same; one that this process is just giving back is waited for.
///
/// # Errors
/// As [`take`].
pub(in crate::flow) async fn take_soon(vault: &Vault, name: String) -> Result<Option<Lease>, FlowError> {
    let began = Instant::now();
    loop {
        let taken = take(vault, name.clone()).await?;
        let is_ours = || {
            let own = vault.nodes.own.as_ref();
            own.is_some_and(|own| own.leases.lock().unwrap_or_else(PoisonError::into_inner).contains(&name))
        };
        if taken.is_some() || !is_ours() || began.elapsed() >= SOON {
            return Ok(taken);
        }
        actix_web::rt::time::sleep(SOON / 100).await;
    }
}

impl Lease {
    /// Whether it still counts: its run lives and is not behind.
    pub(in crate::flow) fn counts(&self, vault: &Vault) -> bool {
        self.0.as_ref().is_none_or(|held| {
            let state = held.own.state();
            state.is_member && state.run == held.run && !vault.barrier.fence().is_up()
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(Held { own, store, name, run }) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            own.forget_lease(&name);
            return;
        };
        // Until the store has it back nobody here takes it anew, so that this never gives back another one's.
        drop(runtime.spawn(async move { give_back(&own, &*store, name, run).await }));
    }
}

async fn give_back(own: &Own, store: &dyn Store, name: String, run: Uuid) {
    if store.release(&name, run).await.is_err() {
        log::warn("a lease could not be given back; the next beats try again", &[]);
    }
    own.forget_lease(&name);
}

/// Gives back what the store has as this run's and nobody here has.
pub(super) async fn tidy(own: &Own, store: &dyn Store, leases: &[LeaseRow]) {
    let run = own.state().run;
    for lease in leases.iter().filter(|lease| lease.run == run && lease.name != super::lead::LEADER) {
        let is_stray = own.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.name.clone());
        if is_stray {
            give_back(own, store, lease.name.clone(), run).await;
        }
    }
}

/// How long giving a lease back may take.
const SOON: Duration = Duration::from_secs(2);

impl Own {
    fn forget_lease(&self, name: &str) {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
