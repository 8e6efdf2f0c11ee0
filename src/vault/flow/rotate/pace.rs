//! Pace: how many records a second a rotation moves, or keys a change of the Root, and how many it may.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A limit that may change while it is kept, and a rate as of late.
pub(in crate::flow) struct Pace(Mutex<State>);

struct State {
    /// At most so many a second.
    limit: Option<u32>,
    /// Since when the limit is counted, and what was moved since.
    since: Instant,
    moved: u64,
    /// The stretch over which the rate is taken, and the rate of the one before.
    stretch: (Instant, u64),
    last: Option<u64>,
    /// Since when it works without a rest, and how many audit entries there were then.
    worked: (Instant, u64),
    /// Whether others asked for something during the last batch.
    is_beside_others: bool,
}

impl Pace {
    pub(in crate::flow) fn new(limit: Option<u32>) -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            limit,
            since: now,
            moved: 0,
            stretch: (now, 0),
            last: None,
            worked: (now, 0),
            is_beside_others: false,
        }))
    }

    /// Another limit from now on.
    pub(in crate::flow) fn limit(&self, limit: Option<u32>) {
        let mut state = self.lock();
        if state.limit != limit {
            state.limit = limit;
            state.since = Instant::now();
            state.moved = 0;
        }
    }

    /// How many records to move at once: fewer under a low limit, so that it is kept evenly, and fewer beside others.
    pub(in crate::flow) fn batch(&self, most: u32) -> u32 {
        let state = self.lock();
        let most = if state.is_beside_others { most.min(BESIDE_OTHERS) } else { most };
        state.limit.map_or(most, |limit| (limit / BATCHES_PER_SECOND).clamp(1, most))
    }

    /// Has it move as many at once as it can, whoever asks for something meanwhile.
    pub(super) fn hurry(&self) {
        self.lock().is_beside_others = false;
    }

    /// Leaves the processor and the disk to others most of the time: where audit entries were written since the last rest,
    /// it rests longer than it worked. `entries` is how many there are in all.
    pub(super) async fn give_way(&self, entries: u64) {
        let rest = {
            let mut state = self.lock();
            let (since, before) = std::mem::replace(&mut state.worked, (Instant::now(), entries));
            state.is_beside_others = entries > before;
            if state.is_beside_others { (since.elapsed() * REST).min(STEP) } else { Duration::ZERO }
        };
        if !rest.is_zero() {
            actix_web::rt::time::sleep(rest).await;
            self.lock().worked.0 = Instant::now();
        }
    }

    /// Counts what was moved, and waits as long as the limit says; a limit that changes meanwhile counts at once.
    pub(in crate::flow) async fn moved(&self, count: u64) {
        self.count(count);
        while let Some(ahead) = self.ahead() {
            actix_web::rt::time::sleep(ahead.min(STEP)).await;
        }
    }

    /// Counts what was moved.
    pub(in crate::flow) fn count(&self, count: u64) {
        let mut state = self.lock();
        state.moved += count;
        state.stretch.1 += count;
        let took = state.stretch.0.elapsed();
        if took >= STRETCH {
            state.last = Some(per_second(state.stretch.1, took));
            state.stretch = (Instant::now(), 0);
        }
    }

    /// Records a second as of late; none before there is anything to go by.
    pub(in crate::flow) fn per_second(&self) -> Option<u64> {
        let state = self.lock();
        let took = state.stretch.0.elapsed();
        state.last.or_else(|| (took >= STEP).then(|| per_second(state.stretch.1, took)))
    }

    /// How many seconds so many records take at the rate of late; none where nothing moves.
    pub(in crate::flow) fn seconds_for(&self, records: u64) -> Option<u64> {
        self.per_second().filter(|rate| *rate > 0).map(|rate| records.div_ceil(rate))
    }

    /// How far ahead of the limit it is.
    pub(in crate::flow) fn ahead(&self) -> Option<Duration> {
        let state = self.lock();
        let due = Duration::from_secs_f64(state.moved as f64 / f64::from(state.limit?));
        due.checked_sub(state.since.elapsed()).filter(|ahead| !ahead.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn per_second(moved: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    moved.saturating_mul(1000) / millis
}

/// Longest sleep before the limit is looked at again.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// The rate is that of the last stretch of this length.
const STRETCH: Duration = Duration::from_secs(3);
const BATCHES_PER_SECOND: u32 = 4;
/// Records at once beside others: their requests wait for a processor no longer than that takes.
const BESIDE_OTHERS: u32 = 64;
/// How many times as long as it worked it rests beside others.
const REST: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_is_kept_and_another_counts_at_once() {
        let pace = Pace::new(Some(1000));
        let began = Instant::now();
        pace.moved(100).await;
        assert!(began.elapsed() >= Duration::from_millis(95), "{:?}", began.elapsed());
        // 10,000 seconds' worth, unless somebody lifts the limit.
        pace.limit(Some(1));
        let waits = pace.moved(10_000);
        tokio::pin!(waits);
        assert!(tokio::time::timeout(Duration::from_millis(20), waits.as_mut()).await.is_err());
        pace.limit(None);
        tokio::time::timeout(Duration::from_secs(5), waits).await.unwrap();
        assert!(pace.per_second().is_some());
    }

    #[tokio::test]
    async fn it_rests_and_moves_fewer_only_while_others_ask() {
        let pace = Pace::new(None);
        pace.give_way(10).await;
        assert_eq!(pace.batch(256), 64);
        pace.hurry();
        assert_eq!(pace.batch(256), 256);
        pace.give_way(10).await;
        std::thread::sleep(Duration::from_millis(5));
        let began = Instant::now();
        pace.give_way(11).await;
        assert!(began.elapsed() >= Duration::from_millis(10), "{:?}", began.elapsed());
        pace.give_way(11).await;
        assert_eq!((pace.batch(256), pace.batch(16)), (256, 16));
    }

    #[test]
    fn a_low_limit_moves_few_at_once() {
        assert_eq!(Pace::new(None).batch(256), 256);
        assert_eq!(Pace::new(Some(100)).batch(256), 25);
        assert_eq!(Pace::new(Some(1)).batch(256), 1);
        assert_eq!(Pace::new(Some(1_000_000)).batch(256), 256);
    }
}
