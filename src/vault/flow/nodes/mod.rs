//! Nodes: several vaultd processes on one store. Each keeps its keys in its own memory and follows what the others change.
//!
//! Invariants:
//! - A node says that it holds keys before it reads them, and with each beat how far it has followed. Whoever changes keys in
//!   a way that others must know first waits for every node that holds keys; one that is not seen for long is buried and not
//!   waited for, and nothing that it writes afterwards is taken by a store that processes share.
//! - The fence is down only for a moment after a beat whose generation was followed, counted from before the beat was sent:
//!   a node uses no key of which it cannot know that it is still one.
//! - A lease belongs to a run. A run that was buried has none, and its successor waits until every request of before is over.
//!
//! A vault alone has none of this: every question here is answered at once and the store is not asked.

mod beat;
mod follow;
mod lead;
mod lease;
mod view;
mod wait;

#[cfg(test)]
mod away_tests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_wire::NodeName;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{Vault, epochs};
use crate::store::{NodeReport, Pulse};

pub(super) use beat::{beat, holds_now, let_go, will_hold};
pub use beat::{depart, join, keep_beating};
pub(super) use follow::{seal, view};
pub use lead::keep_leading;
pub(super) use lease::{Lease, take, take_soon};

/// How long things may take among nodes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Between two beats.
    pub beat: Duration,
    /// After the last beat that was followed no key is used any more.
    pub fence: Duration,
    /// A node that was not seen for so long is buried. Longer than the fence, so that it has stopped by itself before.
    pub gone: Duration,
    /// The longest wait for another node to take something over.
    pub wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(250),
            fence: Duration::from_secs(2),
            gone: Duration::from_secs(5),
            wait: Duration::from_secs(20),
        }
    }
}

/// This process among the nodes of its vault; a vault alone has a value, too, and it is empty.
#[derive(Default)]
pub struct Nodes {
    own: Option<Arc<Own>>,
    /// The process is on its way out: it does what it was asked and asks its clients to go elsewhere.
    leaving: AtomicBool,
}

/// One of several.
struct Own {
    name: NodeName,
    bounds: Bounds,
    state: Mutex<State>,
    /// What the last beat brought back.
    pulse: watch::Sender<Option<Arc<Pulse>>>,
    /// Another beat is wanted now.
    soon: Notify,
    /// One beat at a time.
    beating: tokio::sync::Mutex<()>,
    /// How often it was said that keys are about to be read.
    holdings: AtomicU64,
    coming: follow::Coming,
    /// A task waits until the requests of before have ended.
    settling: AtomicBool,
    /// Leases that this process has, or gives back.
    leases: Mutex<HashSet<String>>,
    leads: AtomicBool,
}

/// What a beat says, and what the keys in memory rest on.
#[derive(Debug, Clone, Copy)]
struct State {
    run: Uuid,
    /// The run has joined and was not buried, as far as it is known.
    is_member: bool,
    /// See [`NodeReport::holds`].
    holds: bool,
    taken: u64,
    settled: u64,
    /// The generation that was followed as far as it can be without keys that are on their way.
    followed: u64,
    /// How often the vault had been sealed when the keys were read.
    seals: u64,
}

impl Nodes {
    /// One of several nodes, under this name. It has to [`join`] before it does anything.
    #[must_use]
    pub fn of(name: NodeName, bounds: Bounds) -> Self {
        let own = Own {
            name,
            bounds,
            state: Mutex::new(State::fresh()),
            pulse: watch::Sender::new(None),
            soon: Notify::new(),
            beating: tokio::sync::Mutex::default(),
            holdings: AtomicU64::new(0),
            coming: follow::Coming::default(),
            settling: AtomicBool::new(false),
            leases: Mutex::default(),
            leads: AtomicBool::new(false),
        };
        Self { own: Some(Arc::new(own)), leaving: AtomicBool::new(false) }
    }

    /// This node's name; none for a vault alone.
    #[must_use]
    pub fn name(&self) -> Option<&NodeName> {
        self.own.as_ref().map(|own| &own.name)
    }

    /// Whether other nodes may be there.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.own.is_some()
    }

    /// What the last beat brought back; none before the first, and for a vault alone.
    #[must_use]
    pub fn pulse(&self) -> Option<Arc<Pulse>> {
        self.own.as_ref()?.pulse.borrow().clone()
    }

    /// This run; none for a vault alone.
    #[must_use]
    pub fn run(&self) -> Option<Uuid> {
        self.own.as_ref().map(|own| own.state().run)
    }

    /// How many nodes hold keys now, this one included; at least 1.
    #[must_use]
    pub fn living(&self) -> usize {
        let pulse = self.pulse();
        pulse.map_or(1, |pulse| pulse.nodes.iter().filter(|row| row.report.holds).count().max(1))
    }

    /// Has the next beat done now.
    pub fn hurry(&self) {
        if let Some(own) = &self.own {
            own.soon.notify_one();
        }
    }

    /// From now on this node leads no more, and does not join again.
    pub fn begin_to_leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

impl Own {
    fn state(&self) -> State {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, vault: &Vault) -> NodeReport {
        let State { run, holds, taken, settled, .. } = self.state();
        NodeReport { node: self.name.clone(), run, holds, taken, settled, news: epochs::say(vault) }
    }

    /// The name of another node's run, as the last beat knew it.
    fn name_of(&self, run: Uuid) -> Option<NodeName> {
        let pulse = self.pulse.borrow().clone()?;
        pulse.nodes.iter().find(|row| row.report.run == run).map(|row| row.report.node.clone())
    }
}

impl State {
    fn fresh() -> Self {
        Self { run: Uuid::new_v4(), is_member: false, holds: false, taken: 0, settled: 0, followed: 0, seals: 0 }
    }
}

impl Vault {
    /// Makes it one of several nodes, before it does anything else. No key is used before the first beat.
    pub fn among(&mut self, name: NodeName, bounds: Bounds) {
        self.node = Some(name.clone());
        self.nodes = Nodes::of(name, bounds);
        self.barrier.fence().put_up();
    }
}
