//! How often a key may ask at a door that counts: a bucket that refills evenly (GCRA), in the memory of one process.
//!
//! A bucket is one number, the time at which it is full again; where that lies further ahead than `burst` requests last,
//! there are too many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use strongroom_wire::limits;

/// The buckets, by the hash of the key.
pub(super) struct Pace {
    /// What one request costs, in microseconds.
    cost_us: i64,
    burst: u32,
    full_at_us: Mutex<HashMap<Option<[u8; 32]>, i64>>,
}

/// How a key stands after a request was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Most requests at once.
    pub(super) burst: u32,
    /// How many more may come now.
    pub(super) left: u32,
    /// In how many seconds `burst` may come again.
    pub(super) full_in_s: u64,
    /// This one may not: the next may in so many seconds.
    pub(super) wait_s: Option<u64>,
}

impl Pace {
    pub(super) fn new(requests_per_minute: u32, burst: u32) -> Self {
        let cost_us = MINUTE_US / i64::from(requests_per_minute.max(1));
        Self { cost_us: cost_us.max(1), burst: burst.max(1), full_at_us: Mutex::default() }
    }

    /// Counts a request at this time in milliseconds since 1970. One that is refused costs nothing.
    pub(super) fn count(&self, key: [u8; 32], now_ms: i64) -> Standing {
        let now = now_ms.saturating_mul(1000);
        let room = self.cost_us * i64::from(self.burst);
        let mut buckets = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = Some(key);
        if !buckets.contains_key(&place) && buckets.len() >= limits::DOOR_KEYS_MAX {
            buckets.retain(|_, full_at| *full_at > now);
            if buckets.len() >= limits::DOOR_KEYS_MAX {
                // Whoever is new while so many are busy shares one bucket with the others who are.
                place = None;
            }
        }
        let bucket = buckets.entry(place).or_insert(now);
        // A clock that was set back must not lock a key out for long.
        let full_at = (*bucket).clamp(now, now + room);
        let after = full_at + self.cost_us;
        let late = after - (now + room);
        if late <= 0 {
            *bucket = after;
            return self.standing(after - now, None);
        }
        *bucket = full_at;
        self.standing(full_at - now, Some(seconds(late)))
    }

    fn standing(&self, used_us: i64, wait_s: Option<u64>) -> Standing {
        let left = (self.cost_us * i64::from(self.burst) - used_us) / self.cost_us;
        Standing { burst: self.burst, left: u32::try_from(left).unwrap_or(0), full_in_s: seconds(used_us), wait_s }
    }
}

impl Standing {
    /// Says so in the headers of an answer.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        for (name, number) in [
            ("x-ratelimit-limit", u64::from(self.burst)),
            ("x-ratelimit-remaining", u64::from(self.left)),
            ("x-ratelimit-reset", self.full_in_s),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
        if let Some(seconds) = self.wait_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// Whether a door's rates (keys of its table, in requests a minute) and its burst are within their limits.
///
/// # Errors
/// The key, and what it should be.
pub(super) fn check_rates(door: &str, rates: &[(&str, u32)], burst: u32) -> Result<(), (String, &'static str)> {
    for (name, rate) in rates {
        if !(1..=limits::DOOR_REQUESTS_PER_MINUTE_MAX).contains(rate) {
            return Err((format!("dialects.{door}.{name}"), "1 to 60000"));
        }
    }
    if !(1..=limits::DOOR_BURST_MAX).contains(&burst) {
        return Err((format!("dialects.{door}.burst"), "1 to 10000"));
    }
    Ok(())
}

/// Rounded up, so that whoever waits so long is let in.
fn seconds(us: i64) -> u64 {
    u64::try_from(us.max(0)).unwrap_or(0).div_ceil(1_000_000)
}

const MINUTE_US: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn key_may_ask_in_a_burst_and_then_as_often_as_its_bucket_refills() {
        let pace = Pace::new(60, 3);
        let waits: Vec<_> = (0..5).map(|_| pace.count(key(1), 0)).map(|seen| (seen.left, seen.wait_s)).collect();
        assert_eq!(waits, [(2, None), (1, None), (0, None), (0, Some(1)), (0, Some(1))]);
        assert_eq!(pace.count(key(2), 0).left, 2, "another key has a bucket of its own");
        assert_eq!(pace.count(key(1), 999).wait_s, Some(1));
        assert_eq!(pace.count(key(1), 1000), Standing { burst: 3, left: 0, full_in_s: 3, wait_s: None });
        assert_eq!(
            pace.count(key(1), 1000).wait_s,
            Some(1),
            "what was refused earlier cost nothing and gained nothing"
        );
        assert_eq!(pace.count(key(1), 60_000).left, 2, "no bucket holds more than the burst");
    }

    #[test]
    fn clock_that_is_set_back_locks_nobody_out() {
        let pace = Pace::new(60, 1);
        assert_eq!(pace.count(key(1), 9_000_000).wait_s, None);
        assert_eq!(pace.count(key(1), 0).wait_s, Some(1));
        assert_eq!(pace.count(key(1), 1000).wait_s, None, "from the new time on, one second for each");
    }

    #[test]
    fn tracked_keys_are_bounded_and_those_that_rest_make_room() {
        let pace = Pace::new(60, 1);
        for number in 0..limits::DOOR_KEYS_MAX {
            assert_eq!(pace.count(key(number), 0).wait_s, None);
        }
        let beyond = limits::DOOR_KEYS_MAX;
        assert_eq!(pace.count(key(beyond), 0).wait_s, None, "the first that is new");
        assert_eq!(pace.count(key(beyond + 1), 0).wait_s, Some(1), "shares its bucket with every other");
        assert!(pace.full_at_us.lock().unwrap().len() <= limits::DOOR_KEYS_MAX + 1);
        assert_eq!(pace.count(key(beyond + 1), 1000).wait_s, None);
        assert!(pace.full_at_us.lock().unwrap().len() <= 2, "full buckets are forgotten");
    }
}
