//! A limit for each client address, counted over a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// Counts requests of each address in windows of a minute. Bounded: when more addresses come in one window than it
/// remembers, further new ones share one count.
pub struct Rate {
    per_minute_max: u32,
    window: Mutex<Window>,
}

struct Window {
    minute: u64,
    counts: HashMap<IpAddr, u32>,
    others: u32,
}

impl Rate {
    /// A limit of so many requests a minute for each address.
    #[must_use]
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, window: Mutex::new(Window { minute: 0, counts: HashMap::new(), others: 0 }) }
    }

    /// Counts a request; the seconds to wait if it is one too many.
    ///
    /// # Errors
    /// Seconds until the next window.
    pub fn count(&self, from: IpAddr, now_ms: u64) -> Result<(), u64> {
        let minute = now_ms / 60_000;
        // A poisoned lock means that a thread panicked between two additions; the counts are still counts.
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if window.minute != minute {
            *window = Window { minute, counts: HashMap::new(), others: 0 };
        }
        let full = window.counts.len() >= ADDRESSES_MAX;
        let Window { counts, others, .. } = &mut *window;
        let count = match counts.get_mut(&from) {
            Some(count) => count,
            None if full => others,
            None => counts.entry(from).or_insert(0),
        };
        if *count >= self.per_minute_max {
            return Err(60 - (now_ms / 1000) % 60);
        }
        *count += 1;
        Ok(())
    }
}

const ADDRESSES_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_waits_for_the_next_minute_and_others_do_not() {
        let rate = Rate::new(2);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(rate.count(one, 10_000), Ok(()));
        assert_eq!(rate.count(one, 11_000), Ok(()));
        assert_eq!(rate.count(one, 12_000), Err(48));
        assert_eq!(rate.count(other, 12_000), Ok(()));
        assert_eq!(rate.count(one, 60_000), Ok(()));
    }
}
