//! Handing entries to the writer thread and waking whoever waits for their commit.
//!
//! All entries that arrive while one commit runs form the next batch. When it is durable, the writer wakes one waiting
//! task for each thread, and that task wakes the others of its thread when it runs: waking across threads costs a system
//! call, waking within one costs a push to its run queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use strongroom_wire::limits;

use super::NotRecorded;

/// What waits for the writer thread.
pub(super) struct Queue<E> {
    open: Mutex<Open<E>>,
    writer: Condvar,
}

struct Open<E> {
    batch: Arc<Batch>,
    bodies: Vec<Vec<u8>>,
    errands: Vec<E>,
    /// When the first of `bodies` came, in milliseconds since 1970.
    since_ms: Option<u64>,
    /// The writer sleeps and must be notified.
    parked: bool,
    closed: bool,
}

/// What the writer takes at a time. Dropped without [`Work::finish`], it tells everybody that nothing was recorded.
pub(super) struct Work<E> {
    batch: Arc<Batch>,
    /// Entries in their order.
    pub(super) bodies: Vec<Vec<u8>>,
    /// Other work.
    pub(super) errands: Vec<E>,
    /// Nothing will come after this.
    pub(super) closed: bool,
}

/// An entry on its way to the disk; answers its index in the log once it is durable.
#[must_use = "the entry is durable only when this answers"]
pub(super) struct Recording {
    batch: Arc<Batch>,
    position: u64,
    /// The group of the batch in which its waker waits.
    group: Option<usize>,
}

struct Batch {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Index of the batch's first entry, once it is known.
    outcome: Option<Result<u64, NotRecorded>>,
    groups: Vec<Group>,
}

/// Tasks that were polled on one thread.
struct Group {
    thread: ThreadId,
    wakers: Vec<(u64, Waker)>,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        Self {
            open: Mutex::new(Open {
                batch: Batch::new(),
                bodies: Vec::new(),
                errands: Vec::new(),
                since_ms: None,
                parked: false,
                closed: false,
            }),
            writer: Condvar::new(),
        }
    }

    /// Puts an entry into the open batch.
    pub(super) fn push(&self, body: Vec<u8>, now_ms: u64) -> Result<Recording, NotRecorded> {
        let mut open = lock(&self.open);
        if open.closed || open.bodies.len() >= limits::AUDIT_WAITING_ENTRIES_MAX {
            return Err(NotRecorded);
        }
        let recording = Recording { batch: Arc::clone(&open.batch), position: open.bodies.len() as u64, group: None };
        open.bodies.push(body);
        open.since_ms.get_or_insert(now_ms);
        self.rouse(open);
        Ok(recording)
    }

    /// Gives the writer something else to do after the entries that wait.
    pub(super) fn send(&self, errand: E) -> Result<(), NotRecorded> {
        let mut open = lock(&self.open);
        if open.closed || open.errands.len() >= limits::AUDIT_WAITING_ENTRIES_MAX {
            return Err(NotRecorded);
        }
        open.errands.push(errand);
        self.rouse(open);
        Ok(())
    }

    /// Takes all that waits; sleeps for at most `patience` if nothing does.
    pub(super) fn take(&self, patience: Duration) -> Work<E> {
        let mut open = lock(&self.open);
        if open.bodies.is_empty() && open.errands.is_empty() && !open.closed {
            open.parked = true;
            open = self.writer.wait_timeout(open, patience).unwrap_or_else(PoisonError::into_inner).0;
            open.parked = false;
        }
        open.since_ms = None;
        let capacity = open.bodies.len();
        Work {
            batch: std::mem::replace(&mut open.batch, Batch::new()),
            bodies: std::mem::replace(&mut open.bodies, Vec::with_capacity(capacity)),
            errands: std::mem::take(&mut open.errands),
            closed: open.closed,
        }
    }

    /// Refuses whatever comes from now on; the writer gets what waits already.
    pub(super) fn close(&self) {
        let mut open = lock(&self.open);
        open.closed = true;
        self.rouse(open);
    }

    /// How many entries wait to be taken, and since when.
    pub(super) fn waiting(&self) -> (u64, Option<u64>) {
        let open = lock(&self.open);
        (open.bodies.len() as u64, open.since_ms)
    }

    fn rouse(&self, mut open: MutexGuard<'_, Open<E>>) {
        let parked = std::mem::take(&mut open.parked);
        drop(open);
        if parked {
            self.writer.notify_one();
        }
    }
}

impl<E> Work<E> {
    /// Tells everybody who waits: the index of the first entry, or that none is recorded.
    pub(super) fn finish(&self, outcome: Result<u64, NotRecorded>) {
        self.batch.finish(outcome);
    }
}

impl<E> Drop for Work<E> {
    fn drop(&mut self) {
        self.batch.finish(Err(NotRecorded));
    }
}

impl Batch {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default() })
    }

    /// The first outcome stands.
    fn finish(&self, outcome: Result<u64, NotRecorded>) {
        let leaders: Vec<Waker> = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            state.groups.iter_mut().filter_map(|group| group.wakers.pop()).map(|(_, waker)| waker).collect()
        };
        leaders.into_iter().for_each(Waker::wake);
    }
}

impl Recording {
    /// The outcome if it is known already.
    pub(super) fn outcome(&self) -> Option<Result<u64, NotRecorded>> {
        let outcome = lock(&self.batch.state).outcome?;
        Some(outcome.map(|first| first + self.position))
    }

    fn wait(&mut self, state: &mut State, waker: &Waker) {
        if let Some(group) = self.group {
            let place = &mut state.groups[group].wakers;
            match place.iter_mut().find(|(position, _)| *position == self.position) {
                Some((_, known)) => known.clone_from(waker),
                None => place.push((self.position, waker.clone())),
            }
            return;
        }
        let thread = thread::current().id();
        let group = state.groups.iter().position(|group| group.thread == thread).unwrap_or_else(|| {
            state.groups.push(Group { thread, wakers: Vec::new() });
            state.groups.len() - 1
        });
        state.groups[group].wakers.push((self.position, waker.clone()));
        self.group = Some(group);
    }
}

impl Future for Recording {
    type Output = Result<u64, NotRecorded>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let batch = Arc::clone(&self.batch);
        let mut state = lock(&batch.state);
        let Some(outcome) = state.outcome else {
            self.wait(&mut state, context.waker());
            return Poll::Pending;
        };
        let others = self.group.take().map(|group| std::mem::take(&mut state.groups[group].wakers));
        drop(state);
        for (position, waker) in others.into_iter().flatten() {
            if position != self.position {
                waker.wake();
            }
        }
        Poll::Ready(outcome.map(|first| first + self.position))
    }
}

impl Drop for Recording {
    /// Whoever stops waiting must not take the others' wake-up along: it may be the one that was chosen to wake them.
    fn drop(&mut self) {
        let Some(group) = self.group else { return };
        let mut state = lock(&self.batch.state);
        let known = state.outcome.is_some();
        let wakers = &mut state.groups[group].wakers;
        if known {
            let others = std::mem::take(wakers);
            drop(state);
            others.into_iter().for_each(|(_, waker)| waker.wake());
        } else {
            wakers.retain(|(position, _)| *position != self.position);
        }
    }
}

/// Nothing is left half done under these locks, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(recording: &mut Recording, bell: &Arc<Bell>) -> Poll<Result<u64, NotRecorded>> {
        Pin::new(recording).poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
    }

    fn rung(bells: &[Arc<Bell>]) -> Vec<usize> {
        bells.iter().map(|bell| bell.0.load(Ordering::SeqCst)).collect()
    }

    fn three(queue: &Queue<()>) -> (Vec<Recording>, Vec<Arc<Bell>>) {
        let bells: Vec<Arc<Bell>> = (0..3).map(|_| Arc::default()).collect();
        let mut recordings: Vec<Recording> = (0..3).map(|n| queue.push(vec![n], 1).unwrap()).collect();
        for (recording, bell) in recordings.iter_mut().zip(&bells) {
            assert!(poll(recording, bell).is_pending());
        }
        (recordings, bells)
    }

    #[test]
    fn one_task_of_a_thread_is_woken_and_wakes_the_others() {
        let queue = Queue::<()>::new();
        let (mut recordings, bells) = three(&queue);
        let work = queue.take(Duration::ZERO);
        assert_eq!(work.bodies, [[0], [1], [2]]);
        work.finish(Ok(40));
        assert_eq!(rung(&bells), [0, 0, 1]);
        assert_eq!(poll(&mut recordings[2], &bells[2]), Poll::Ready(Ok(42)));
        assert_eq!(rung(&bells), [1, 1, 1]);
        assert_eq!(poll(&mut recordings[0], &bells[0]), Poll::Ready(Ok(40)));
        assert_eq!(poll(&mut recordings[1], &bells[1]), Poll::Ready(Ok(41)));
    }

    #[test]
    fn a_task_that_goes_away_before_the_commit_leaves_nobody_asleep() {
        let queue = Queue::<()>::new();
        let (mut recordings, bells) = three(&queue);
        drop(recordings.pop());
        queue.take(Duration::ZERO).finish(Ok(0));
        assert_eq!(rung(&bells), [0, 1, 0]);
    }

    #[test]
    fn a_chosen_task_that_goes_away_wakes_the_others() {
        let queue = Queue::<()>::new();
        let (mut recordings, bells) = three(&queue);
        queue.take(Duration::ZERO).finish(Ok(0));
        drop(recordings.pop());
        assert_eq!(rung(&bells), [1, 1, 1]);
    }

    #[test]
    fn a_task_polled_again_waits_with_its_newest_waker_only() {
        let queue = Queue::<()>::new();
        let (mut recordings, bells) = three(&queue);
        recordings.truncate(1);
        let moved = Arc::new(Bell::default());
        assert!(poll(&mut recordings[0], &moved).is_pending());
        queue.take(Duration::ZERO).finish(Ok(0));
        assert_eq!((rung(&bells), rung(&[moved])), (vec![0, 0, 0], vec![1]));
    }

    #[test]
    fn a_writer_that_gives_up_leaves_nobody_waiting() {
        let queue = Queue::<()>::new();
        let (mut recordings, bells) = three(&queue);
        drop(queue.take(Duration::ZERO));
        for (recording, bell) in recordings.iter_mut().zip(&bells) {
            assert_eq!(poll(recording, bell), Poll::Ready(Err(NotRecorded)));
        }
        queue.close();
        assert!(queue.push(vec![], 1).is_err());
        assert!(queue.send(()).is_err());
    }

    #[test]
    fn an_entry_over_the_limit_of_waiting_ones_is_refused() {
        let queue = Queue::<()>::new();
        for _ in 0..limits::AUDIT_WAITING_ENTRIES_MAX {
            drop(queue.push(Vec::new(), 7).unwrap());
        }
        assert!(queue.push(Vec::new(), 8).is_err());
        assert_eq!(queue.waiting(), (limits::AUDIT_WAITING_ENTRIES_MAX as u64, Some(7)));
        drop(queue.take(Duration::ZERO));
        assert_eq!(queue.waiting(), (0, None));
        assert!(queue.push(Vec::new(), 9).is_ok());
    }
}
