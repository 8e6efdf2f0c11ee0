//! How far a move is, as it is told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::migration::{Migration, MigrationState};

use crate::flow::rotate::Pace;
use crate::store::moving::Started;

/// What the worker says of itself.
pub(super) struct Shown {
    now: Mutex<Now>,
    pub(super) pace: Pace,
}

#[derive(Clone)]
struct Now {
    state: MigrationState,
    done: u64,
    changed: u64,
    fault: Option<String>,
    digest: Option<String>,
    held_ms: Option<u64>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { now: Mutex::new(NOTHING), pace: Pace::new(None) }
    }
}

impl Shown {
    /// The answer of a vault that has nothing to move.
    pub(super) fn nothing() -> Migration {
        Migration {
            state: MigrationState::None,
            target: None,
            done: 0,
            total: 0,
            changed: 0,
            waiting: 0,
            records_per_second: None,
            seconds_left: None,
            records_per_second_max: None,
            started_at: None,
            fault: None,
            digest: None,
            held_ms: None,
        }
    }

    pub(super) fn limit(&self, rate: Option<u32>) {
        self.pace.limit(rate);
    }

    /// A worker begins.
    pub(super) fn anew(&self) {
        *self.lock() = Now { state: MigrationState::Copying, ..NOTHING };
    }

    pub(super) fn state(&self, state: MigrationState) {
        let mut now = self.lock();
        now.state = state;
        now.fault = None;
    }

    pub(super) fn copied(&self, done: u64) {
        self.lock().done = done;
    }

    pub(super) fn changed(&self, changes: u64) {
        self.lock().changed += changes;
    }

    /// It waits or stopped, for this reason.
    pub(super) fn ended(&self, state: MigrationState, why: String) {
        let mut now = self.lock();
        (now.state, now.fault) = (state, Some(why));
    }

    /// The file is marked; `fault` is what is still in the way of its end.
    pub(super) fn moved(&self, digest: &str, held_ms: u64, fault: Option<String>) {
        let mut now = self.lock();
        now.state = if fault.is_some() { MigrationState::Switching } else { MigrationState::Moved };
        (now.digest, now.held_ms, now.fault) = (Some(digest.to_owned()), Some(held_ms), fault);
    }

    pub(super) fn abandoned(&self, fault: Option<String>) {
        *self.lock() = Now { fault, ..NOTHING };
    }

    /// The whole answer.
    pub(super) fn view(&self, started: Option<&Started>, target: Option<String>, waiting: u64) -> Migration {
        let now = self.lock().clone();
        let Some(started) = started else {
            return Migration { target, fault: now.fault, ..Self::nothing() };
        };
        let copies = now.state == MigrationState::Copying;
        let total = started.total.max(now.done);
        Migration {
            state: now.state,
            target: started.moved.as_ref().map(|moved| moved.target.clone()).or(target),
            done: now.done,
            total,
            changed: now.changed,
            waiting,
            records_per_second: self.pace.per_second().filter(|_| copies),
            seconds_left: self.pace.seconds_for(total - now.done).filter(|_| copies),
            records_per_second_max: started.rate,
            started_at: Some(rfc3339_ms(started.started_ms)),
            fault: now.fault,
            digest: now.digest.or_else(|| started.moved.as_ref().map(|moved| moved.digest.clone())),
            held_ms: now.held_ms,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NOTHING: Now = Now { state: MigrationState::None, done: 0, changed: 0, fault: None, digest: None, held_ms: None };
