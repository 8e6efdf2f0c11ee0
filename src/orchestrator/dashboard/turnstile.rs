//! How often one may try to log in from an address, and how many passwords are checked at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_wire::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In the memory of one process. (Wrong passwords of a name are counted in the store, for all nodes.)
pub(super) struct Turnstile {
    addresses: Mutex<HashMap<Option<IpAddr>, Window>>,
    checks: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Tries from an address since a time.
struct Window {
    since_ms: i64,
    tries: u32,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self {
            addresses: Mutex::default(),
            checks: Arc::new(Semaphore::new(limits::PASSWORD_CHECKS_MAX)),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Turnstile {
    /// Counts a try from this address; `false`: there were too many.
    pub(super) fn may_try(&self, address: Option<IpAddr>, now_ms: i64) -> bool {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = address.map(network);
        let is_over = |window: &Window| now_ms - window.since_ms >= WINDOW_MS || now_ms < window.since_ms;
        if !addresses.contains_key(&key) && addresses.len() >= limits::LOGIN_ADDRESSES_MAX {
            addresses.retain(|_, window| !is_over(window));
            if addresses.len() >= limits::LOGIN_ADDRESSES_MAX {
                // Whoever has that many addresses shares one count with everybody who is new.
                key = None;
            }
        }
        let window = addresses.entry(key).or_insert(Window { since_ms: now_ms, tries: 0 });
        if is_over(window) {
            *window = Window { since_ms: now_ms, tries: 0 };
        }
        window.tries = window.tries.saturating_add(1);
        window.tries <= limits::LOGINS_PER_ADDRESS_MAX
    }

    /// Waits for leave to check a password; `None`: too many wait already.
    /// It is held until the check is over, whether or not anybody waits for it.
    pub(super) async fn check(&self) -> Option<OwnedSemaphorePermit> {
        let _place = Place::take(&self.waiting)?;
        Arc::clone(&self.checks).acquire_owned().await.ok()
    }
}

/// A place in the queue, given back also when the client goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < limits::PASSWORD_CHECKS_WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An IPv6 customer has a whole network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        four => four,
    }
}

const WINDOW_MS: i64 = limits::LOGIN_ADDRESS_WINDOW_S.cast_signed() * 1000;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn tries_from_an_address_are_limited_within_their_time() {
        let turnstile = Turnstile::default();
        let may = |text: &str, now_ms| turnstile.may_try(Some(text.parse().unwrap()), now_ms);
        for _ in 0..limits::LOGINS_PER_ADDRESS_MAX {
            assert!(may("10.0.0.1", 0) && may("2001:db8::1", 0));
        }
        assert!(!may("10.0.0.1", WINDOW_MS - 1) && !may("2001:db8::ffff:1", 1));
        assert!(!may("::ffff:10.0.0.1", 1), "the same address in another form");
        assert!(may("10.0.0.2", 1) && may("2001:db8:0:1::1", 1));
        assert!(may("10.0.0.1", WINDOW_MS), "the time is over");
    }

    #[test]
    fn addresses_beyond_the_table_share_one_count() {
        let turnstile = Turnstile::default();
        let may = |n: usize, now_ms| {
            let n = u32::try_from(n).unwrap();
            turnstile.may_try(Some(IpAddr::V4(n.into())), now_ms)
        };
        assert!((0..limits::LOGIN_ADDRESSES_MAX).all(|n| may(n, 0)));
        let beyond = limits::LOGIN_ADDRESSES_MAX;
        let let_in = (0..2 * usize::try_from(limits::LOGINS_PER_ADDRESS_MAX).unwrap()).filter(|n| may(beyond + n, 1));
        assert_eq!(let_in.count(), usize::try_from(limits::LOGINS_PER_ADDRESS_MAX).unwrap());
        assert!(may(0, 1), "who is known has a count of their own");
        assert!(may(beyond + 1_000_000, WINDOW_MS + 1), "and what is over makes room");
        assert!(turnstile.addresses.lock().unwrap().len() <= limits::LOGIN_ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn passwords_are_checked_few_at_a_time_and_a_long_queue_turns_away() {
        let turnstile = Turnstile::default();
        let mut held = Vec::new();
        for _ in 0..limits::PASSWORD_CHECKS_MAX {
            held.push(turnstile.check().await.unwrap());
        }
        let mut queue: Vec<_> = (0..limits::PASSWORD_CHECKS_WAITING_MAX).map(|_| Box::pin(turnstile.check())).collect();
        for waiting in &mut queue {
            assert!(waiting.now_or_never().is_none());
        }
        assert!(turnstile.check().await.is_none(), "one more than may wait");
        drop(queue.pop());
        let mut last = Box::pin(turnstile.check());
        assert!((&mut last).now_or_never().is_none(), "who went away gave a place back");
        drop(held);
        assert!(queue.remove(0).await.is_some());
    }

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_any_more_keeps_its_place_until_it_is_over() {
        let turnstile = Turnstile::default();
        let permit = turnstile.check().await.unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        drop(tokio::task::spawn_blocking(move || {
            let _permit = permit;
            ended.recv()
        }));
        tokio::task::yield_now().await;
        assert_eq!(turnstile.checks.available_permits(), limits::PASSWORD_CHECKS_MAX - 1);
        drop(end);
        let free = turnstile.checks.acquire_many(u32::try_from(limits::PASSWORD_CHECKS_MAX).unwrap());
        assert!(free.await.is_ok());
    }
}
