//! The fence: one of several nodes that has not reached their common store for too long makes and opens nothing, because it
//! cannot know whether a key was destroyed or another one came. It is looked at with every use of a key, against a clock that
//! only goes forward, so that a process that was stopped for a while finds it up when it wakes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Down until a moment. A vault alone has one that never goes up and costs no look at a clock.
#[derive(Debug)]
pub struct Fence {
    since: Instant,
    /// Milliseconds after `since`; [`NEVER`] where it stays down.
    up_at_ms: AtomicU64,
}

impl Default for Fence {
    /// One that never goes up.
    fn default() -> Self {
        Self { since: Instant::now(), up_at_ms: AtomicU64::new(NEVER) }
    }
}

impl Fence {
    /// Whether keys may not be used now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let up_at_ms = self.up_at_ms.load(Ordering::Acquire);
        up_at_ms != NEVER && ms(self.since.elapsed()) >= up_at_ms
    }

    /// Puts it up now.
    pub fn put_up(&self) {
        self.up_at_ms.store(0, Ordering::Release);
    }

    /// Keeps it down for so long after a moment, and not shorter than it was to be.
    pub fn down_until(&self, moment: Instant, after: Duration) {
        let until = ms(moment.saturating_duration_since(self.since).saturating_add(after));
        self.up_at_ms.fetch_max(until.min(NEVER - 1), Ordering::AcqRel);
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_goes_up_by_itself_and_a_moment_that_is_long_over_does_not_lower_it() {
        let fence = Fence::default();
        assert!(!fence.is_up());
        fence.put_up();
        assert!(fence.is_up());
        let began = Instant::now();
        fence.down_until(began, Duration::from_secs(3600));
        assert!(!fence.is_up());
        // A beat that was answered late says less than one that was answered since.
        fence.down_until(began, Duration::from_millis(1));
        assert!(!fence.is_up());
        fence.put_up();
        fence.down_until(began, Duration::from_millis(20));
        while began.elapsed() < Duration::from_millis(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(fence.is_up(), "it stayed down");
        fence.down_until(began, Duration::from_millis(20));
        assert!(fence.is_up(), "an old beat lowered it");
    }
}
