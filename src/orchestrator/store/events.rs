//! Rows of events: those that go out to a merchant, and those of providers that were answered.

use serde::{Deserialize, Serialize};
use strongroom_wire::TenantId;

/// An event for the merchant that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// `evt_...`.
    pub event_id: String,
    /// For whom.
    pub merchant_id: TenantId,
    /// Its type, such as `payment_succeeded`.
    pub event_type: String,
    /// About which payment; events about one payment go out in their order.
    pub payment_id: String,
    /// The JSON that is sent.
    pub body: String,
    /// Milliseconds since 1970; due from then on.
    pub created_ms: i64,
}

/// An event for the merchant and how its delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// The row; a later event has a greater one.
    pub seq: i64,
    /// `evt_...`.
    pub event_id: String,
    /// For whom.
    pub merchant_id: TenantId,
    /// Its type, such as `payment_succeeded`.
    pub event_type: String,
    /// About which payment.
    pub payment_id: String,
    /// The JSON that is sent.
    pub body: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// How the delivery stands.
    pub state: OutboxState,
    /// How often it was postponed.
    pub tries: u32,
    /// Not sent before, milliseconds since 1970.
    pub due_ms: i64,
    /// What the merchant's endpoint answered last (an HTTP status).
    pub last_status: Option<u16>,
    /// When the endpoint took it, milliseconds since 1970.
    pub delivered_ms: Option<i64>,
}

/// See [`OutboxEvent::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// Not taken yet; sent when due.
    Waiting,
    /// Taken.
    Delivered,
    /// Not taken, and not sent any more unless somebody asks for it.
    GivenUp,
}

impl OutboxState {
    /// The word in the store.
    pub(super) fn word(self) -> &'static str {
        match self {
            OutboxState::Waiting => "waiting",
            OutboxState::Delivered => "delivered",
            OutboxState::GivenUp => "given_up",
        }
    }

    /// The state of this word.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        [OutboxState::Waiting, OutboxState::Delivered, OutboxState::GivenUp].into_iter().find(|s| s.word() == word)
    }
}

/// An event of a provider that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvent {
    /// To whose endpoint it came.
    pub merchant_id: TenantId,
    /// To the endpoint of which connector account.
    pub account_id: String,
    /// The provider's id of the event.
    pub event_id: String,
    /// When, milliseconds since 1970.
    pub seen_ms: i64,
    /// About which payment, where it was about one.
    pub payment_id: Option<String>,
}
