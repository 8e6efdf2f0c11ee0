//! The door for what providers tell: whose signature is believed, how often one may knock, and what is answered.
//!
//! A webhook is acknowledged only after what it changed is durable. Whatever cannot be judged now is answered so that the
//! provider tells it again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_wire::{TenantId, limits};
use tokio::sync::Semaphore;

use crate::account::ConnectorAccount;
use crate::connector::{PspEvent, WebhookCall, WebhookRefusal};
use crate::intent::{Engine, Heard};
use crate::store::SeenEvent;
use crate::vault::VaultError;

/// What is remembered between webhooks, in this process alone.
pub struct Door {
    rates: Mutex<HashMap<String, Rate>>,
    strangers: Mutex<Strangers>,
    room: Semaphore,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Taken: the body that tells the provider so.
    Taken(&'static str),
    /// No such account, or nothing signed by its provider.
    Refused,
    /// Signed well, but of no form that is known.
    Unreadable,
    /// It cannot be judged yet; the provider should tell it again.
    Later,
    /// More than one account's provider may tell in a second.
    TooMany,
}

impl Default for Door {
    fn default() -> Self {
        Self { rates: Mutex::default(), strangers: Mutex::default(), room: Semaphore::new(ROOM) }
    }
}

impl Door {
    /// Judges a webhook that came for this account of this merchant and applies its events.
    pub(crate) async fn receive(
        &self,
        engine: &Arc<Engine>,
        merchant: &str,
        account_id: &str,
        call: &WebhookCall<'_>,
    ) -> Receipt {
        let receipt = self.judge(engine, merchant, account_id, call).await;
        let word = match receipt {
            // Counted event by event.
            Receipt::Taken(_) | Receipt::Later => return receipt,
            Receipt::Refused => "refused",
            Receipt::Unreadable => "unreadable",
            Receipt::TooMany => "too_many",
        };
        engine.metrics.webhook_in(word);
        tracing::warn!(result = word, "a webhook was not taken");
        receipt
    }

    async fn judge(&self, engine: &Arc<Engine>, merchant: &str, account_id: &str, call: &WebhookCall<'_>) -> Receipt {
        let Ok(_room) = self.room.try_acquire() else { return Receipt::TooMany };
        let Ok(merchant) = merchant.parse::<TenantId>() else { return Receipt::Refused };
        let account = match engine.store.connector_accounts(&merchant).await {
            Ok(accounts) => accounts.into_iter().find(|account| account.account_id == account_id),
            Err(_) => return Receipt::Later,
        };
        let Some(account) = account else { return Receipt::Refused };
        if !self.may_knock(&account, call.now_ms) {
            return Receipt::TooMany;
        }
        let Some(connector) = engine.connector(&account.connector) else { return Receipt::Refused };
        let mut events = Err(WebhookRefusal::NoSecret);
        // Replaced secrets are believed for a while: the provider may have signed before it heard of the new one.
        for secret_id in account.webhook_secrets(call.now_ms) {
            match engine.credentials.of(engine, &account.merchant_id, secret_id).await {
                Ok(credentials) => events = connector.webhook(call, &credentials),
                Err(VaultError::NotFound) => {}
                Err(_) => return Receipt::Later,
            }
            if matches!(events, Ok(_) | Err(WebhookRefusal::Unreadable)) {
                break;
            }
        }
        let events = match events {
            Ok(events) => events,
            Err(WebhookRefusal::Unreadable) => return Receipt::Unreadable,
            Err(WebhookRefusal::Signature | WebhookRefusal::NoSecret) => return Receipt::Refused,
        };
        let mut all_taken = true;
        for event in &events {
            all_taken &= self.hear(engine, &account, event, call.now_ms).await;
        }
        if all_taken { Receipt::Taken(connector.webhook_receipt()) } else { Receipt::Later }
    }

    /// Whether the event was taken.
    async fn hear(&self, engine: &Arc<Engine>, account: &ConnectorAccount, event: &PspEvent, now_ms: i64) -> bool {
        let (word, taken) = match engine.hear(account, event).await {
            Ok(Heard::Applied) => ("applied", true),
            Ok(Heard::Asked) => ("asked", true),
            Ok(Heard::Late) => ("late", true),
            Ok(Heard::Duplicate) => ("duplicate", true),
            Ok(Heard::Nothing) => ("nothing", true),
            Ok(Heard::Unknown) if self.is_stranger(account, event, now_ms) => {
                // Somebody else uses the provider's account, too. Refusing it for ever would make the provider give up.
                match engine.store.mark_seen(&seen(account, event, now_ms)).await {
                    Ok(()) => ("stranger", true),
                    Err(_) => ("failed", false),
                }
            }
            Ok(Heard::Unknown) => ("unknown", false),
            Ok(Heard::NotYet) => ("not_yet", false),
            Err(fault) => {
                tracing::warn!(%fault, "an event of a provider could not be applied yet");
                ("failed", false)
            }
        };
        engine.metrics.webhook_in(word);
        tracing::info!(
            connector = account.connector.as_str(),
            event_id = event.event_id.as_str(),
            result = word,
            "a provider told something"
        );
        taken
    }

    fn may_knock(&self, account: &ConnectorAccount, now_ms: i64) -> bool {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.entry(account.account_id.clone()).or_default().take(now_ms)
    }

    /// Whether the event was unknown so long ago that it is none of ours: what we make is stored soon after the provider
    /// has heard of it.
    fn is_stranger(&self, account: &ConnectorAccount, event: &PspEvent, now_ms: i64) -> bool {
        let name = (account.account_id.clone(), event.event_id.clone());
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        now_ms - strangers.first_seen(name, now_ms) >= STRANGER_MS
    }
}

/// The name under which an event is remembered.
pub(crate) fn seen(account: &ConnectorAccount, event: &PspEvent, now_ms: i64) -> SeenEvent {
    SeenEvent {
        merchant_id: account.merchant_id.clone(),
        account_id: account.account_id.clone(),
        event_id: event.event_id.clone(),
        seen_ms: now_ms,
        payment_id: None,
    }
}

/// A bucket that fills by one every interval and holds two seconds' worth.
#[derive(Default)]
struct Rate {
    /// When it will be full again, milliseconds since 1970.
    full_ms: i64,
}

impl Rate {
    fn take(&mut self, now_ms: i64) -> bool {
        let full_ms = self.full_ms.max(now_ms);
        if full_ms - now_ms > BURST_MS {
            return false;
        }
        self.full_ms = full_ms + 1000 / i64::from(limits::WEBHOOKS_IN_PER_SECOND_MAX);
        true
    }
}

/// Events about nothing that is stored, and when each was heard of first; the newest of them.
#[derive(Default)]
struct Strangers {
    since_ms: HashMap<(String, String), i64>,
    order: VecDeque<(String, String)>,
}

impl Strangers {
    fn first_seen(&mut self, name: (String, String), now_ms: i64) -> i64 {
        if let Some(since) = self.since_ms.get(&name) {
            return *since;
        }
        if self.order.len() >= STRANGERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.since_ms.remove(&oldest);
        }
        self.order.push_back(name.clone());
        self.since_ms.insert(name, now_ms);
        now_ms
    }
}

/// Most webhooks that are judged at a time.
const ROOM: usize = 64;
/// What a bucket holds, in milliseconds of its rate.
const BURST_MS: i64 = 2_000;
/// From when on an unknown event is taken for somebody else's, in milliseconds: five minutes.
const STRANGER_MS: i64 = 300_000;
/// Most unknown events that are remembered.
const STRANGERS_MAX: usize = 10_000;
