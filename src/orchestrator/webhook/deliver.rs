//! The way of events from the outbox to merchants: in the order of each payment, again and again for three days.
//!
//! Several nodes share the outbox: claiming an event leases it. What a node does not finish before its lease ends, because
//! it crashed or is too busy, another claims. A merchant may therefore get an event twice, with the same `event_id`.
//!
//! Each merchant has a lane of its own. A lane works on few events at a time, and on one alone while its receiver fails, so
//! that a merchant whose receiver hangs holds up nobody else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_wire::{TenantId, limits};
use tokio::sync::{Notify, Semaphore};

use super::secrets::{SecretCache, SharedSecret};
use super::sender::{Letter, Sender};
use super::voice::{Headers, Native, Spoken, Voice};
use crate::account::WebhookSettings;
use crate::intent::Engine;
use crate::store::{OutboxEvent, StoreError};
use crate::vault::VaultError;

/// Delivers events.
pub struct Courier {
    engine: Arc<Engine>,
    sender: Arc<dyn Sender>,
    /// Whose words events go out in, where some payments come through other front doors than the native one.
    voice: Option<Arc<dyn Voice>>,
    chance: Chance,
    lease_ms: i64,
    secrets: SecretCache,
    lanes: Mutex<HashMap<TenantId, Lane>>,
    room: Semaphore,
    at_rest: Notify,
}

/// A number below the given one, each as likely as the others.
pub type Chance = Box<dyn Fn(u64) -> u64 + Send + Sync>;

/// What waits for one merchant in this process.
struct Lane {
    waiting: VecDeque<Claimed>,
    running: usize,
    width: usize,
}

struct Claimed {
    event: OutboxEvent,
    until_ms: i64,
}

/// What became of an event that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Delivered,
    Failed,
    /// Not tried: nobody wants it, or the vault or the store did not answer. It says nothing about the receiver.
    Left,
}

impl Courier {
    /// A courier. `request_ms_max` is the longest time that the sender takes for a letter.
    #[must_use]
    pub fn new(engine: Arc<Engine>, sender: Arc<dyn Sender>, chance: Chance, request_ms_max: i64) -> Arc<Self> {
        Self::speaking(engine, sender, None, chance, request_ms_max)
    }

    /// The same, with a voice for payments that came through other front doors.
    #[must_use]
    pub fn speaking(
        engine: Arc<Engine>,
        sender: Arc<dyn Sender>,
        voice: Option<Arc<dyn Voice>>,
        chance: Chance,
        request_ms_max: i64,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            sender,
            voice,
            chance,
            lease_ms: 2 * request_ms_max + LEASE_MARGIN_MS,
            secrets: SecretCache::default(),
            lanes: Mutex::default(),
            room: Semaphore::new(LETTERS_MAX),
            at_rest: Notify::new(),
        })
    }

    /// Delivers whatever is due, for as long as the process lives.
    pub async fn run(self: Arc<Self>) {
        let (mut swept_ms, mut counted_ms) = (i64::MIN, i64::MIN);
        loop {
            self.round().await;
            let now = self.engine.now_ms();
            self.secrets.forget_old(now);
            if now.saturating_sub(counted_ms) >= COUNT_EVERY_MS
                && let Ok(waiting) = self.engine.store.waiting_events().await
            {
                counted_ms = now;
                self.engine.metrics.outbox_waiting(waiting);
            }
            if now.saturating_sub(swept_ms) >= SWEEP_EVERY_MS {
                swept_ms = now;
                if let Err(error) = self.engine.store.sweep(now - KEEP_MS).await {
                    tracing::error!(%error, "old events cannot be forgotten");
                }
            }
            let pause = tokio::time::timeout(PAUSE, self.engine.news.notified());
            // Either something new is there or the pause is over.
            let _elapsed = pause.await;
        }
    }

    /// Claims what is due and begins to deliver it; does not wait for the deliveries.
    pub async fn round(self: &Arc<Self>) {
        loop {
            let now = self.engine.now_ms();
            let claimed = match self.engine.store.claim_due_events(now, self.lease_ms, CLAIM_MAX).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::error!(%error, "due events cannot be read");
                    return;
                }
            };
            let is_last = claimed.len() < usize::try_from(CLAIM_MAX).unwrap_or(usize::MAX);
            for event in claimed {
                self.queue(Claimed { event, until_ms: now + self.lease_ms });
            }
            if is_last {
                return;
            }
        }
    }

    /// Waits until no delivery runs.
    pub async fn rest(&self) {
        loop {
            let ended = self.at_rest.notified();
            if self.lanes().values().all(|lane| lane.running == 0) {
                return;
            }
            ended.await;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<TenantId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event into its merchant's lane; what has no room there is claimed again when its lease ends.
    fn queue(self: &Arc<Self>, claimed: Claimed) {
        let merchant = claimed.event.merchant_id.clone();
        let mut lanes = self.lanes();
        let lane = lanes.entry(merchant.clone()).or_insert_with(Lane::new);
        if lane.waiting.len() >= LANE_EVENTS_MAX {
            return;
        }
        lane.waiting.push_back(claimed);
        if lane.running < lane.width {
            lane.running += 1;
            tokio::spawn(self.clone().work(merchant));
        }
    }

    async fn work(self: Arc<Self>, merchant: TenantId) {
        while let Some(Claimed { event, until_ms }) = self.next(&merchant) {
            let Ok(_room) = self.room.acquire().await else { break };
            // Half of the lease is for the request itself.
            if self.engine.now_ms() > until_ms - self.lease_ms / 2 {
                continue;
            }
            let tried = self.deliver(&event).await;
            if let Some(lane) = self.lanes().get_mut(&merchant) {
                match tried {
                    Tried::Delivered => lane.width = (lane.width + 1).min(LANE_WIDTH_MAX),
                    Tried::Failed => lane.width = 1,
                    Tried::Left => {}
                }
            }
            if tried != Tried::Failed {
                // The payment's next event may be due.
                self.engine.news.notify_one();
            }
        }
        self.at_rest.notify_waiters();
    }

    /// The lane's next event; `None` ends the worker.
    fn next(&self, merchant: &TenantId) -> Option<Claimed> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(merchant)?;
        let next = if lane.running > lane.width { None } else { lane.waiting.pop_front() };
        if next.is_none() {
            lane.running -= 1;
            if lane.running == 0 && lane.width == LANE_WIDTH_MAX {
                lanes.remove(merchant);
            }
        }
        next
    }

    async fn deliver(&self, event: &OutboxEvent) -> Tried {
        let settings = match self.engine.store.merchant(&event.merchant_id).await {
            Ok(merchant) => merchant.map(|merchant| merchant.webhooks).unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "a merchant cannot be read");
                return Tried::Left;
            }
        };
        let spoken = match self.spoken(event).await {
            Ok(spoken) => spoken.filter(|_| settings.wants(&event.event_type)),
            Err(error) => {
                tracing::error!(%error, "the payment of an event cannot be read");
                return Tried::Left;
            }
        };
        let letter = spoken.and_then(|spoken| Some((spoken.url.clone().or(settings.url.clone())?, spoken)));
        let Some((url, spoken)) = letter else {
            self.engine.metrics.webhook_out("unwanted");
            self.note(self.engine.store.give_up_event(event.seq, None).await);
            return Tried::Left;
        };
        let Some(headers) = self.sign(event, &settings, &spoken).await else {
            tracing::warn!(
                event_id = event.event_id.as_str(),
                "an event waits: the vault gave no secret to sign it with"
            );
            return Tried::Left;
        };
        let letter = Letter { url, headers, body: spoken.body };
        let sent = self.sender.send(&letter).await;
        let now = self.engine.now_ms();
        let status = sent.ok();
        if let Some(status) = status.filter(|status| (200..300).contains(status)) {
            self.engine.metrics.webhook_out("delivered");
            self.note(self.engine.store.finish_event(event.seq, status, now).await);
            return Tried::Delivered;
        }
        let reason = sent.map_or_else(|error| error.to_string(), |status| format!("status {status}"));
        if is_over(event, now) {
            tracing::warn!(event_id = event.event_id.as_str(), reason, "an event was given up");
            self.engine.metrics.webhook_out("given_up");
            self.note(self.engine.store.give_up_event(event.seq, status).await);
        } else {
            tracing::info!(event_id = event.event_id.as_str(), tries = event.tries, reason, "an event was not taken");
            self.engine.metrics.webhook_out("failed");
            let due_ms = now + self.delay_ms(event.tries);
            self.note(self.engine.store.postpone_event(event.seq, status, due_ms).await);
        }
        Tried::Failed
    }

    /// The event in the words of the front door by which its payment came; `None` where that has none.
    async fn spoken(&self, event: &OutboxEvent) -> Result<Option<Spoken>, StoreError> {
        let payment = self.engine.store.payment(&event.merchant_id, &event.payment_id).await?;
        let Some((payment, _)) = payment else { return Ok(None) };
        match &self.voice {
            Some(voice) if payment.terms.door.is_some() => Ok(voice.speak(&payment, event)),
            _ => Ok(Native.speak(&payment, event)),
        }
    }

    /// The headers under every secret that is valid; `None` without any that the voice needs.
    async fn sign(&self, event: &OutboxEvent, settings: &WebhookSettings, spoken: &Spoken) -> Option<Headers> {
        let now = self.engine.now_ms();
        let mut secrets: Vec<SharedSecret> = Vec::new();
        for secret in settings.valid(now) {
            match self.secrets.of(&*self.engine.vault, &event.merchant_id, secret.secret_id, now).await {
                Ok(found) => secrets.push(found),
                // A receiver that knows only this one would refuse the letter, but the others need not wait for that.
                Err(VaultError::NotFound) => tracing::error!("the vault has lost a webhook secret: rotate it"),
                Err(_) => return None,
            }
        }
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.as_str()).collect();
        (spoken.sign)(&secrets, &spoken.body, now)
    }

    /// Exponential with full jitter: anything up to 5, 10, 20 ... seconds, at most four hours.
    fn delay_ms(&self, tries: u32) -> i64 {
        let most = (DELAY_MS << tries.min(20)).min(DELAY_MS_MAX);
        i64::try_from((self.chance)(most)).unwrap_or(0)
    }

    /// What cannot be noted happens once more when the lease has ended.
    fn note(&self, noted: Result<(), StoreError>) {
        if let Err(error) = noted {
            tracing::error!(%error, "what became of an event cannot be stored; it will be repeated");
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), running: 0, width: LANE_WIDTH_MAX }
    }
}

/// Whether this was the last try: three days have passed. An old event that somebody has sent again gets some tries, too.
fn is_over(event: &OutboxEvent, now_ms: i64) -> bool {
    let days = i64::try_from(limits::WEBHOOK_DELIVERY_S).unwrap_or(0) * 1000;
    now_ms - event.created_ms >= days && event.tries + 1 >= TRIES_MIN
}

/// Randomness of the operating system; without any, the longest delay.
#[must_use]
pub fn system_chance() -> Chance {
    Box::new(|below| {
        let mut bytes = [0u8; 8];
        match getrandom::fill(&mut bytes) {
            // The bias of the remainder is nothing beside 64 bits.
            Ok(()) => u64::from_le_bytes(bytes) % below.max(1),
            Err(_) => below.saturating_sub(1),
        }
    })
}

/// How long the loop waits when nobody tells it of news.
const PAUSE: Duration = Duration::from_millis(500);
/// Room for the vault and the store within a lease, in milliseconds.
const LEASE_MARGIN_MS: i64 = 30_000;
/// Most events of one claim.
const CLAIM_MAX: u32 = 256;
/// Most letters on their way at a time, of all merchants.
const LETTERS_MAX: usize = 256;
/// Most letters on their way at a time to one merchant that takes them.
const LANE_WIDTH_MAX: usize = 8;
/// Most events that wait in one lane.
const LANE_EVENTS_MAX: usize = 512;
/// The bound of the first delay, in milliseconds.
const DELAY_MS: u64 = 5_000;
/// The bound of every delay, in milliseconds: four hours.
const DELAY_MS_MAX: u64 = 4 * 3_600_000;
/// Fewest tries before an event is given up.
const TRIES_MIN: u32 = 8;
/// How long delivered events and the names of providers' events are kept, in milliseconds: 30 days.
const KEEP_MS: i64 = 30 * 24 * 3_600_000;
/// Time between two counts of what waits, in milliseconds.
const COUNT_EVERY_MS: i64 = 5_000;
/// Time between two sweeps, in milliseconds: an hour.
const SWEEP_EVERY_MS: i64 = 3_600_000;
