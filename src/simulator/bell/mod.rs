//! Webhooks: events wait in a queue and are posted to the merchant's address, signed as the dialect signs, with a few
//! retries, and lost, doubled or delayed where a fault says so.
//!
//! Events leave in the order in which they happened unless one is delayed or has to be sent again.

mod post;
mod target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use strongroom_wire::limits;
use tokio::sync::mpsc;

use crate::fault::{Asked, Fault, Faults, Met, Operation, Place};
use post::post;

pub(crate) use target::{BadTarget, Target, check_authority};

/// A signed webhook, ready to be posted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Headers beside `Content-Type: application/json`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
}

/// How a dialect signs an event with a target's secret. It is called for each sending (`now_s`: seconds since 1970), for
/// providers whose signature holds a time.
pub(crate) type Seal = fn(event: &Value, secret: &str, now_s: i64) -> Letter;

/// Rings for every target of a dialect. A clone is another handle on the same bell.
#[derive(Clone)]
pub(crate) struct Bell {
    queue: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

struct Shared {
    targets: Mutex<Vec<Target>>,
    faults: Arc<Mutex<Faults>>,
    counts: Mutex<Counts>,
    by_hand: AtomicBool,
}

/// What became of the events so far; each target counts for itself.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Not decided yet: in the queue, delayed, or to be tried again.
    pub(crate) waiting: u64,
    /// Taken by the target with a 2xx.
    pub(crate) taken: u64,
    /// Given up after the last retry.
    pub(crate) given_up: u64,
    /// Lost on purpose, or because the queue was full.
    pub(crate) lost: u64,
}

/// Something that happened.
pub(crate) struct Event {
    pub(crate) provider: &'static str,
    pub(crate) account: String,
    pub(crate) event: Value,
    pub(crate) seal: Seal,
}

/// The far end of the bell; [`Ringer::run`] is the task that sends.
pub(crate) struct Ringer {
    queue: mpsc::Receiver<Event>,
    shared: Arc<Shared>,
}

impl Bell {
    /// A bell without targets, and the task that sends for it.
    pub(crate) fn new(faults: Arc<Mutex<Faults>>) -> (Self, Ringer) {
        let (sender, receiver) = mpsc::channel(limits::SIMULATOR_WEBHOOKS_WAITING_MAX);
        let shared = Arc::new(Shared {
            targets: Mutex::default(),
            faults,
            counts: Mutex::default(),
            by_hand: AtomicBool::new(false),
        });
        (Self { queue: sender, shared: shared.clone() }, Ringer { queue: receiver, shared })
    }

    /// Tells an event of an account (its API key) to the dialect's targets. Nobody waits for it.
    pub(crate) fn ring(&self, provider: &'static str, account: &str, event: Value, seal: Seal) {
        self.shared.count(|counts| counts.waiting += 1);
        if self.queue.try_send(Event { provider, account: account.to_owned(), event, seal }).is_err() {
            self.shared.count(|counts| {
                counts.waiting -= 1;
                counts.lost += 1;
            });
        }
    }

    /// From now on somebody carries what is rung by hand ([`Ringer::take`]), so that all of it is wanted.
    pub(crate) fn carry_by_hand(&self) {
        self.shared.by_hand.store(true, Ordering::Relaxed);
    }

    /// Whether anybody would be told an event of this dialect.
    pub(crate) fn is_heard(&self, provider: &str) -> bool {
        self.shared.by_hand.load(Ordering::Relaxed) || self.targets().iter().any(|target| target.is_of(provider))
    }

    /// Adds a target, or replaces the one with the same dialect, account and address.
    ///
    /// # Errors
    /// One more than the simulator keeps.
    pub(crate) fn aim(&self, target: Target) -> Result<(), BadTarget> {
        let mut targets = self.targets();
        targets.retain(|known| !known.is_same(&target));
        if targets.len() >= limits::SIMULATOR_WEBHOOK_TARGETS_MAX {
            return Err(BadTarget::TooMany);
        }
        targets.push(target);
        Ok(())
    }

    /// Forgets every target; events that wait are told to nobody.
    pub(crate) fn forget(&self) {
        self.targets().clear();
    }

    /// The targets, as the desk shows them.
    pub(crate) fn shown(&self) -> Vec<Value> {
        self.targets().iter().map(Target::shown).collect()
    }

    /// What became of the events so far.
    pub(crate) fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn targets(&self) -> MutexGuard<'_, Vec<Target>> {
        self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Ringer {
    /// The events that wait, for who wants to carry them by hand.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(event) = self.queue.try_recv() {
            self.shared.count(|counts| counts.waiting -= 1);
            events.push(event);
        }
        events
    }

    /// Sends until every bell is gone.
    pub(crate) async fn run(mut self) {
        while let Some(event) = self.queue.recv().await {
            self.tell(event).await;
        }
    }

    async fn tell(&self, event: Event) {
        let place = Place { provider: event.provider, account: &event.account, operation: Operation::Webhook };
        let met = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).meet(place, Asked::default());
        let targets: Vec<Target> = {
            let targets = self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner);
            targets.iter().filter(|target| target.wants(event.provider, &event.account)).cloned().collect()
        };
        let lost = matches!(met, Some(Met { fault: Fault::WebhookLost, .. }));
        let times = if matches!(met, Some(Met { fault: Fault::WebhookTwice, .. })) { 2 } else { 1 };
        let sendings = if lost { 0 } else { targets.len() * times };
        self.shared.count(|counts| {
            counts.waiting = counts.waiting - 1 + sendings as u64;
            counts.lost += u64::from(lost);
        });
        for target in targets.into_iter().take(if lost { 0 } else { usize::MAX }) {
            for _ in 0..times {
                let sending = Sending { target: target.clone(), event: event.event.clone(), seal: event.seal, done: 0 };
                match met {
                    Some(Met { fault: Fault::WebhookDelayed, delay_ms }) => {
                        sending.later(self.shared.clone(), Duration::from_millis(delay_ms));
                    }
                    _ => sending.now(self.shared.clone()).await,
                }
            }
        }
    }
}

/// One event on its way to one target.
struct Sending {
    target: Target,
    event: Value,
    seal: Seal,
    /// How often it was tried.
    done: u32,
}

impl Sending {
    async fn now(mut self, shared: Arc<Shared>) {
        let letter = (self.seal)(&self.event, &self.target.secret, Timestamp::now().as_second());
        if post(&self.target, letter).await {
            return shared.count(|counts| {
                counts.waiting -= 1;
                counts.taken += 1;
            });
        }
        self.done += 1;
        if self.done > RETRIES_MAX {
            return shared.count(|counts| {
                counts.waiting -= 1;
                counts.given_up += 1;
            });
        }
        let wait = FIRST_RETRY * 2_u32.pow(self.done - 1);
        self.later(shared, wait);
    }

    fn later(self, shared: Arc<Shared>, wait: Duration) {
        actix_web::rt::spawn(async move {
            tokio::time::sleep(wait).await;
            // Boxed, because a sending that fails again waits again.
            Box::pin(self.now(shared)).await;
        });
    }
}

/// After the first try.
const RETRIES_MAX: u32 = 5;

/// Doubled for each further retry.
const FIRST_RETRY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
