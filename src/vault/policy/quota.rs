//! Counting: sliding windows and a request rate for each identity.
//!
//! A window is cut into buckets and always spans at least its whole period, so no period of that length, wherever it
//! begins, ever holds more than the quota. An act is counted when policy allows it; if its audit entry then cannot be
//! written, it stays counted, because an uncounted retry loop against a broken log would be the worse fault.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::carry::HOURS;
use super::nodes::{Parts, Short, Whole};
use super::rules::{Grant, RevealQuota};
use super::share::Part;
use super::{Quota, Spent};

/// What one identity has used on this node. Its lock is held for a few additions.
#[derive(Debug)]
pub(super) struct Use {
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    minute: Window<MINUTE_BUCKETS>,
    day: Window<DAY_BUCKETS>,
    /// The request rate as a moment (GCRA, ITU-T I.371): in nanoseconds, when the requests so far are paid off.
    paid_off_ns: u64,
    /// Among several nodes: how much of each quota is this node's.
    parts: Option<Parts>,
}

impl Use {
    pub(super) fn new(is_shared: bool) -> Self {
        Self {
            used: Mutex::new(Used {
                parts: is_shared.then(Parts::default),
                minute: Window::new(MINUTE_BUCKET_MS),
                day: Window::new(DAY_BUCKET_MS),
                paid_off_ns: 0,
            }),
        }
    }

    /// Counts one request against the grant's rate.
    pub(super) fn count_request(&self, grant: &Grant, now_ms: u64) -> Result<(), Spent> {
        let Some(rate) = grant.requests_per_second else { return Ok(()) };
        let mut used = lock(&self.used);
        let rate = match &mut used.parts {
            None => rate,
            Some(parts) => {
                parts.requests = parts.requests.saturating_add(1);
                parts.are_known(now_ms)?;
                // One a second is anybody's, so that a node of which nothing was asked answers at once.
                parts.rate.may().clamp(1, rate.max(1))
            }
        };
        if rate == 0 {
            return Err(Spent { quota: Quota::RequestsPerSecond, retry_after_s: 1 });
        }
        let now_ns = now_ms.saturating_mul(1_000_000);
        // A clock that was set back must not lock an identity out for longer than the second it is measured by.
        let paid_off_ns = used.paid_off_ns.clamp(now_ns, now_ns.saturating_add(SECOND_NS));
        let next_ns = paid_off_ns.saturating_add(SECOND_NS / u64::from(rate));
        if next_ns.saturating_sub(now_ns) > SECOND_NS {
            return Err(Spent { quota: Quota::RequestsPerSecond, retry_after_s: 1 });
        }
        used.paid_off_ns = next_ns;
        Ok(())
    }

    /// Counts one release in clear, or says which quota is used up; then nothing is counted.
    pub(super) fn count_reveal(&self, quota: RevealQuota, now_ms: u64) -> Result<(), Spent> {
        let mut used = lock(&self.used);
        let mine = match &mut used.parts {
            None => quota,
            Some(parts) => {
                parts.releases = parts.releases.saturating_add(1);
                parts.are_known(now_ms)?;
                let part = |part: &Part, whole: u32| part.may().min(whole);
                RevealQuota {
                    per_minute: part(&parts.minute, quota.per_minute),
                    per_day: part(&parts.day, quota.per_day),
                }
            }
        };
        if mine.per_minute == 0
            && used.minute.sum == 0
            && used.parts.as_ref().is_some_and(|parts| parts.minute.leaves(quota.per_minute, 0))
        {
            // Nobody has used it up: this node came a moment ago and has no part of it yet.
            return Err(Spent { quota: Quota::Unknown, retry_after_s: 1 });
        }
        if let Some(wait_s) = used.minute.wait_s(mine.per_minute, now_ms) {
            let sum = short(used.minute.sum);
            let waits = used.parts.as_ref().is_none_or(|parts| !parts.minute.leaves(quota.per_minute, sum));
            return Err(Spent { quota: Quota::RevealsPerMinute, retry_after_s: if waits { wait_s } else { 1 } });
        }
        if let Some(wait_s) = used.day.wait_s(mine.per_day, now_ms) {
            let sum = short(used.day.sum);
            let waits = used.parts.as_ref().is_none_or(|parts| !parts.day.leaves(quota.per_day, sum));
            return Err(Spent { quota: Quota::RevealsPerDay, retry_after_s: if waits { wait_s } else { 1 } });
        }
        used.minute.add((now_ms, now_ms), 1);
        used.day.add((now_ms, now_ms), 1);
        Ok(())
    }

    /// From now on this is one of several nodes.
    pub(super) fn share(&self) {
        lock(&self.used).parts.get_or_insert_default();
    }

    /// Whether anything was asked for or used lately.
    pub(super) fn is_busy(&self) -> bool {
        let used = lock(&self.used);
        used.day.sum > 0 || used.parts.as_ref().is_some_and(|parts| parts.releases > 0 || parts.requests > 0)
    }

    /// Adds this node's line to a report.
    pub(super) fn tell(&self, name: Short, whole: Whole, now_ms: u64, to: &mut Vec<u8>) {
        let mut used = lock(&self.used);
        used.minute.advance(now_ms);
        used.day.advance(now_ms);
        let sums = (short(used.minute.sum), short(used.day.sum));
        if let Some(parts) = &mut used.parts {
            parts.tell(name, whole, sums, to);
        }
    }

    /// Does something with the parts, where there are some.
    pub(super) fn parts(&self, with: impl FnOnce(&mut Parts)) {
        if let Some(parts) = &mut lock(&self.used).parts {
            with(parts);
        }
    }

    /// Counts releases that happened before the process started.
    pub(super) fn restore(&self, (at_ms, now_ms): (u64, u64), count: u32) {
        let mut used = lock(&self.used);
        used.minute.add((at_ms, now_ms), count);
        used.day.add((at_ms, now_ms), count);
    }

    /// Releases in the last minute, and in each hour of the last day, the newest first.
    pub(super) fn hours(&self, now_ms: u64) -> (u32, [u32; HOURS as usize]) {
        let mut used = lock(&self.used);
        used.minute.advance(now_ms);
        used.day.advance(now_ms);
        let mut hours = [0u32; HOURS as usize];
        for (age, count) in (0..).zip(used.day.newest_first()) {
            let hour: usize = age / BUCKETS_OF_HOUR;
            hours[hour] = hours[hour].saturating_add(count);
        }
        (short(used.minute.sum), hours)
    }

    /// Releases in the last minute and the last day.
    pub(super) fn reveals(&self, now_ms: u64) -> (u64, u64) {
        let mut used = lock(&self.used);
        used.minute.advance(now_ms);
        used.day.advance(now_ms);
        (used.minute.sum, used.day.sum)
    }
}

/// Events in the last `(N - 1)` to `N` buckets' time.
#[derive(Debug)]
struct Window<const N: usize> {
    bucket_ms: u64,
    /// Number of the newest bucket: time divided by `bucket_ms`. Bucket `b` lives in slot `b % N`.
    newest: u64,
    counts: Box<[u32]>,
    sum: u64,
}

impl<const N: usize> Window<N> {
    fn new(bucket_ms: u64) -> Self {
        Self { bucket_ms, newest: 0, counts: vec![0; N].into_boxed_slice(), sum: 0 }
    }

    /// The count of each bucket.
    fn newest_first(&self) -> impl Iterator<Item = u32> {
        (0..N as u64).map(|age| self.newest.checked_sub(age).map_or(0, |bucket| self.counts[self.slot(bucket)]))
    }

    /// Forgets what has become too old.
    fn advance(&mut self, now_ms: u64) {
        let bucket = now_ms / self.bucket_ms;
        if bucket > self.newest {
            let gone = (bucket - self.newest).min(N as u64);
            for passed in bucket + 1 - gone..=bucket {
                let slot = self.slot(passed);
                self.sum -= u64::from(std::mem::take(&mut self.counts[slot]));
            }
            self.newest = bucket;
        } else if self.newest - bucket >= N as u64 {
            // The clock was set back by more than the window. What was counted is taken to have happened now: it is
            // neither forgotten nor held against the identity until the old time comes round again.
            let sum = u32::try_from(self.sum).unwrap_or(u32::MAX);
            self.counts.fill(0);
            self.newest = bucket;
            let slot = self.slot(bucket);
            self.counts[slot] = sum;
            self.sum = u64::from(sum);
        }
    }

    /// Counts events of the time `at_ms`; what is too old is left out.
    fn add(&mut self, (at_ms, now_ms): (u64, u64), many: u32) {
        self.advance(now_ms);
        let bucket = if at_ms >= now_ms { self.newest } else { (at_ms / self.bucket_ms).min(self.newest) };
        if self.newest - bucket < N as u64 {
            let slot = self.slot(bucket);
            let count = self.counts[slot].saturating_add(many);
            self.sum += u64::from(count - self.counts[slot]);
            self.counts[slot] = count;
        }
    }

    /// Seconds until one more event fits under `max`; none if it fits now.
    fn wait_s(&mut self, max: u32, now_ms: u64) -> Option<u64> {
        self.advance(now_ms);
        let mut left = self.sum;
        if left < u64::from(max) {
            return None;
        }
        let oldest = (self.newest + 1).saturating_sub(N as u64);
        for bucket in oldest..=self.newest {
            left -= u64::from(self.counts[self.slot(bucket)]);
            if left < u64::from(max) {
                let free_ms = (bucket + N as u64) * self.bucket_ms;
                return Some(free_ms.saturating_sub(now_ms).div_ceil(1000).max(1));
            }
        }
        Some(N as u64 * self.bucket_ms / 1000)
    }

    fn slot(&self, bucket: u64) -> usize {
        // The remainder is below N, which is a usize.
        usize::try_from(bucket % N as u64).unwrap_or(0)
    }
}

/// Quotas are below 2^32, and so is what is used of them.
fn short(sum: u64) -> u32 {
    u32::try_from(sum).unwrap_or(u32::MAX)
}

/// A panic elsewhere cannot leave a count half done, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MINUTE_BUCKET_MS: u64 = 1_000;
const MINUTE_BUCKETS: usize = 61;
const DAY_BUCKET_MS: u64 = 5 * 60 * 1_000;
const BUCKETS_OF_HOUR: usize = 12;
const DAY_BUCKETS: usize = 24 * BUCKETS_OF_HOUR + 1;
const _: () = assert!(DAY_BUCKETS <= HOURS as usize * BUCKETS_OF_HOUR);
const SECOND_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_most(per_minute: u32, per_day: u32) -> RevealQuota {
        RevealQuota { per_minute, per_day }
    }

    const T0: u64 = 1_764_000_000_000;

    #[test]
    fn the_minute_slides_and_says_when_to_ask_again() {
        let (used, quota) = (Use::new(false), at_most(3, 1000));
        for at in [0, 500, 20_000] {
            assert!(used.count_reveal(quota, T0 + at).is_ok());
        }
        let spent = used.count_reveal(quota, T0 + 30_000).unwrap_err();
        assert_eq!(spent, Spent { quota: Quota::RevealsPerMinute, retry_after_s: 31 });
        assert!(used.count_reveal(quota, T0 + 60_999).is_err());
        assert!(used.count_reveal(quota, T0 + 61_000).is_ok());
        assert!(used.count_reveal(quota, T0 + 61_000).is_ok());
        assert!(used.count_reveal(quota, T0 + 61_000).is_err());
        assert_eq!(used.reveals(T0 + 61_000), (3, 5));
    }

    #[test]
    fn the_day_outlasts_the_minute() {
        let (used, quota) = (Use::new(false), at_most(2, 4));
        for at in [0, 1, 120_000, 120_001] {
            assert!(used.count_reveal(quota, T0 + at).is_ok());
        }
        let spent = used.count_reveal(quota, T0 + 300_000).unwrap_err();
        assert_eq!(spent.quota, Quota::RevealsPerDay);
        assert!(used.count_reveal(quota, T0 + 24 * 3_600_000).is_err());
        assert!(used.count_reveal(quota, T0 + spent.retry_after_s * 1000 + 300_000).is_ok());
    }

    #[test]
    fn a_refused_release_is_not_counted() {
        let (used, quota) = (Use::new(false), at_most(1, 1));
        assert!(used.count_reveal(quota, T0).is_ok());
        for _ in 0..10 {
            assert!(used.count_reveal(quota, T0).is_err());
        }
        assert_eq!(used.reveals(T0), (1, 1));
    }

    #[test]
    fn a_restart_does_not_refill_the_quota() {
        let (used, quota) = (Use::new(false), at_most(2, 3));
        // Newest first, as the audit log is read, one of them too old, one from a clock that ran ahead.
        for at in [T0 + 5_000_000, T0 - 10, T0 - 3_600_000, T0 - 25 * 3_600_000] {
            used.restore((at, T0), 1);
        }
        assert_eq!(used.reveals(T0), (2, 3));
        assert_eq!(used.count_reveal(quota, T0).unwrap_err().quota, Quota::RevealsPerMinute);
        assert_eq!(used.count_reveal(quota, T0 + 120_000).unwrap_err().quota, Quota::RevealsPerDay);
    }

    #[test]
    fn a_clock_set_back_neither_refills_nor_locks_out() {
        let (used, quota) = (Use::new(false), at_most(1, 2));
        assert!(used.count_reveal(quota, T0).is_ok());
        let years_back = T0 - 100_000_000_000;
        assert!(used.count_reveal(quota, years_back).is_err());
        assert!(used.count_reveal(quota, years_back + 61_000).is_ok());
        assert!(used.count_reveal(quota, years_back + 200_000).is_err());
        assert!(used.count_reveal(quota, years_back + 25 * 3_600_000).is_ok());
    }

    #[test]
    fn the_request_rate_allows_a_second_at_once_and_then_one_by_one() {
        let rules = super::super::Rules::parse(
            "version = 1\n[[identity]]\nuri = \"spiffe://s/r/n\"\nscopes = [\"status\"]\nrequests_per_second = 10",
        )
        .unwrap();
        let grants = rules.into_grants();
        let grant = grants.values().next().unwrap();
        let used = Use::new(false);
        for _ in 0..10 {
            assert!(used.count_request(grant, T0).is_ok());
        }
        let spent = used.count_request(grant, T0 + 99).unwrap_err();
        assert_eq!(spent, Spent { quota: Quota::RequestsPerSecond, retry_after_s: 1 });
        assert!(used.count_request(grant, T0 + 100).is_ok());
        assert!(used.count_request(grant, T0 + 100).is_err());
        assert!(used.count_request(grant, T0 - 5_000_000).is_err());
        assert!(used.count_request(grant, T0 - 5_000_000 + 1_000).is_err());
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_the_quota(steps in prop::collection::vec(0u64..20_000, 1..300)) {
            let (used, quota) = (Use::new(false), at_most(5, 1_000_000));
            let mut now = T0;
            let mut allowed = Vec::new();
            for step in steps {
                now += step;
                match used.count_reveal(quota, now) {
                    Ok(()) => allowed.push(now),
                    Err(spent) => prop_assert!((1..=61).contains(&spent.retry_after_s)),
                }
            }
            for (place, start) in allowed.iter().enumerate() {
                let within = allowed[place..].iter().take_while(|at| **at < start + 60_000).count();
                prop_assert!(within <= 5);
            }
        }
    }
}
