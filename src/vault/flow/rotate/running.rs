//! Rotations that this process runs: how far each is, how fast it may go, and who goes first.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyPurpose, RotateRequest, Rotation, RotationState, rfc3339_ms};

use tokio::task::JoinHandle;

use super::pace::Pace;
use crate::flow::nodes::Lease;
use crate::flow::{FlowError, Vault};
use crate::store::RotationRow;

/// Rotations that run, and what was said about keys that are due.
#[derive(Default)]
pub struct Rotations {
    runs: Mutex<HashMap<Which, Arc<Run>>>,
    /// Held by whoever begins one, so that no key gets two new terms at once.
    pub(in crate::flow) beginning: tokio::sync::Mutex<()>,
    /// Their tasks, for the end of the process.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Those that a fault stopped and of which the store does not know it yet.
    stalled: Mutex<HashMap<Which, RotationRow>>,
    /// Terms of which it was recorded that they are due.
    told: Mutex<HashSet<(Which, u32)>>,
}

/// Which key: of one kind and tenant at most one rotation runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::flow) struct Which {
    pub(in crate::flow) key: KeyPurpose,
    pub(in crate::flow) tenant: Option<TenantId>,
}

/// One that runs.
pub(super) struct Run {
    row: Mutex<RotationRow>,
    pub(super) pace: Pace,
    emergency: AtomicBool,
    /// That no other node works on it.
    lease: Lease,
    /// When it will be over, where that is known: milliseconds since 1970, or 0.
    ends_ms: AtomicU64,
}

impl Rotations {
    pub(super) fn get(&self, which: &Which) -> Option<Arc<Run>> {
        lock(&self.runs).get(which).cloned()
    }

    pub(super) fn enter(&self, row: RotationRow, lease: Lease) -> Arc<Run> {
        let which = Which::of(&row);
        let run = Arc::new(Run {
            pace: Pace::new(row.records_per_second_max),
            emergency: row.emergency.into(),
            ends_ms: 0.into(),
            lease,
            row: Mutex::new(row),
        });
        lock(&self.stalled).remove(&which);
        lock(&self.runs).insert(which, Arc::clone(&run));
        run
    }

    /// Remembers that a fault stopped one, until it is written down or goes on.
    pub(super) fn stall(&self, row: RotationRow) {
        lock(&self.stalled).insert(Which::of(&row), row);
    }

    /// What is remembered so.
    pub(super) fn stalled(&self, which: &Which) -> Option<RotationRow> {
        lock(&self.stalled).get(which).cloned()
    }

    /// It is written down.
    pub(super) fn told_stalled(&self, which: &Which) {
        lock(&self.stalled).remove(which);
    }

    /// How one is that runs, or that stopped and is not written down.
    pub(super) fn shown(&self, which: &Which, now_ms: u64) -> Option<Rotation> {
        match self.get(which) {
            Some(run) => Some(run.view(now_ms)),
            None => self.stalled(which).as_ref().map(view),
        }
    }

    pub(super) fn leave(&self, which: &Which) {
        lock(&self.runs).remove(which);
    }

    pub(super) fn has_task(&self, task: JoinHandle<()>) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Ends every one where it stands, as a kill would: the next unseal takes them up. Whoever awaits this knows that none
    /// holds the vault any more.
    pub async fn end(&self) {
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            task.abort();
            // An error says that it was ended.
            let _ = task.await;
        }
    }

    /// As a new process knows them.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        lock(&self.runs).clear();
        lock(&self.stalled).clear();
        lock(&self.told).clear();
    }

    /// Whether one runs that moves records. Old sessions that run out do not count.
    pub(in crate::flow) fn are_busy(&self) -> bool {
        lock(&self.runs).keys().any(|which| which.key != KeyPurpose::Session)
    }

    /// Whether somebody else's emergency goes first.
    fn must_wait(&self, run: &Run) -> bool {
        let runs = lock(&self.runs);
        !run.is_emergency()
            && runs.iter().any(|(which, other)| which.key != KeyPurpose::Session && other.is_emergency())
    }

    /// Waits while an emergency runs that this one is not part of, and then as long as the limit says.
    ///
    /// Beside others (`entries`, the length of the audit log, grows) it leaves them most of the time; an emergency does not.
    pub(super) async fn keep_pace(&self, run: &Run, moved: u64, entries: u64) {
        run.pace.moved(moved).await;
        if run.is_emergency() {
            run.pace.hurry();
        } else {
            run.pace.give_way(entries).await;
        }
        while self.must_wait(run) {
            actix_web::rt::time::sleep(super::pace::STEP).await;
        }
    }

    /// Remembers that a term was said to be due; `false` if it was remembered already.
    pub(in crate::flow) fn tell_once(&self, which: Which, term: u32) -> bool {
        lock(&self.told).insert((which, term))
    }
}

impl Which {
    pub(in crate::flow) fn of(row: &RotationRow) -> Self {
        Self { key: row.key, tenant: row.tenant.clone() }
    }

    /// The name of the lease that whoever works on it has.
    pub(in crate::flow) fn lease(&self) -> String {
        format!("rotate/{}/{}", self.key, self.tenant.as_ref().map_or("", TenantId::as_str))
    }
}

impl Run {
    pub(super) fn row(&self) -> RotationRow {
        lock(&self.row).clone()
    }

    pub(super) fn which(&self) -> Which {
        Which::of(&lock(&self.row))
    }

    pub(super) fn change(&self, with: impl FnOnce(&mut RotationRow)) {
        with(&mut lock(&self.row));
    }

    pub(super) fn is_emergency(&self) -> bool {
        self.emergency.load(Ordering::Relaxed)
    }

    pub(super) fn ends_at(&self, at_ms: u64) {
        self.ends_ms.store(at_ms, Ordering::Relaxed);
    }

    /// Whether this process is still the one that works on it.
    ///
    /// # Errors
    /// [`FlowError::Behind`].
    pub(super) fn is_ours(&self, vault: &Vault) -> Result<(), FlowError> {
        if self.lease.counts(vault) { Ok(()) } else { Err(FlowError::Behind) }
    }

    /// Somebody asks for it while it runs: another limit, or that it hurries.
    pub(super) fn join(&self, request: &RotateRequest) {
        let emergency = request.emergency || self.is_emergency();
        self.emergency.store(emergency, Ordering::Relaxed);
        self.change(|row| {
            row.emergency = emergency;
            row.records_per_second_max =
                request.records_per_second_max.or(row.records_per_second_max).filter(|_| !emergency);
            self.pace.limit(row.records_per_second_max);
        });
    }

    pub(super) fn view(&self, now_ms: u64) -> Rotation {
        let row = self.row();
        let seconds_left = match self.ends_ms.load(Ordering::Relaxed) {
            0 => self.pace.seconds_for(row.total.saturating_sub(row.done)),
            ends_ms => Some(ends_ms.saturating_sub(now_ms).div_ceil(1000)),
        };
        let runs = row.state == RotationState::Running;
        Rotation {
            records_per_second: self.pace.per_second().filter(|_| runs),
            seconds_left: seconds_left.filter(|_| runs),
            ..view(&row)
        }
    }
}

/// What a row says.
pub(super) fn view(row: &RotationRow) -> Rotation {
    Rotation {
        key: row.key,
        tenant: row.tenant.clone(),
        to_term: row.to_term,
        state: row.state,
        done: row.done,
        total: row.total.max(row.done),
        records_per_second: None,
        seconds_left: None,
        records_per_second_max: row.records_per_second_max,
        emergency: row.emergency,
        started_at: rfc3339_ms(row.started_ms),
        fault: row.fault.clone(),
        proof: row.proof.clone(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: KeyPurpose) -> RotationRow {
        RotationRow {
            key,
            tenant: Some("acme".parse().unwrap()),
            to_term: 2,
            state: RotationState::Running,
            done: 10,
            total: 110,
            started_ms: 0,
            records_per_second_max: Some(50),
            emergency: false,
            fault: None,
            proof: None,
        }
    }

    fn ask(limit: Option<u32>, emergency: bool) -> RotateRequest {
        let tenant = Some("acme".parse().unwrap());
        RotateRequest { key: KeyPurpose::Kek, tenant, records_per_second_max: limit, emergency }
    }

    #[test]
    fn asking_again_changes_the_limit_and_an_emergency_lifts_it() {
        let rotations = Rotations::default();
        let run = rotations.enter(row(KeyPurpose::Kek), Lease::default());
        let limit = || run.view(0).records_per_second_max;
        run.join(&ask(None, false));
        assert_eq!(limit(), Some(50));
        run.join(&ask(Some(7), false));
        assert_eq!(limit(), Some(7));
        run.join(&ask(None, true));
        assert_eq!((limit(), run.is_emergency()), (None, true));
        run.join(&ask(Some(7), false));
        assert_eq!((limit(), run.is_emergency()), (None, true));
    }

    #[test]
    fn an_emergency_goes_first_and_waits_for_nobody() {
        let rotations = Rotations::default();
        let (slow, urgent) = (
            rotations.enter(row(KeyPurpose::Kek), Lease::default()),
            rotations.enter(row(KeyPurpose::Fingerprint), Lease::default()),
        );
        assert!(!rotations.must_wait(&slow) && !rotations.must_wait(&urgent));
        urgent.join(&ask(None, true));
        assert!(rotations.must_wait(&slow) && !rotations.must_wait(&urgent));
        rotations.leave(&urgent.which());
        assert!(!rotations.must_wait(&slow));
    }

    #[test]
    fn sessions_that_run_out_keep_nobody_busy() {
        let rotations = Rotations::default();
        let run = rotations.enter(row(KeyPurpose::Session), Lease::default());
        assert!(!rotations.are_busy());
        run.ends_at(5_000);
        assert_eq!(run.view(1_001).seconds_left, Some(4));
        rotations.enter(row(KeyPurpose::Kek), Lease::default());
        assert!(rotations.are_busy());
    }

    #[test]
    fn a_term_is_said_to_be_due_once() {
        let rotations = Rotations::default();
        let which = || Which { key: KeyPurpose::Sign, tenant: None };
        assert!(rotations.tell_once(which(), 1) && !rotations.tell_once(which(), 1) && rotations.tell_once(which(), 2));
    }
}
