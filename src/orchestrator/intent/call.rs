//! A call to a provider: what it does, who makes it, how far it came, when to look at it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::connector::{Doubt, Progress};

/// A call to the provider that was stored before it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// What it does.
    pub call: Call,
    /// How it goes.
    pub flight: Flight,
    /// The state to return to when it proves not to have happened.
    pub back_to: State,
}

/// What a pending call does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Call {
    /// Authorizes the last attempt.
    Authorize {
        /// Which credential-on-file case.
        credential: Stored,
    },
    /// Proves the card good without money.
    Verify {
        /// Which credential-on-file case.
        credential: Stored,
    },
    /// Hands over what the browser brought back from authentication.
    Complete {
        /// The query that it came with.
        returned: BTreeMap<String, String>,
    },
    /// Takes this much.
    Capture {
        /// In minor units.
        amount_minor: u64,
        /// Which capture; empty in what the first version stored, when a payment had only one.
        #[serde(default)]
        capture_id: String,
        /// Whether the rest is released with it.
        #[serde(default = "yes")]
        is_final: bool,
    },
    /// Raises what is reserved.
    Increment {
        /// To this, in minor units.
        total_minor: u64,
        /// Which increment.
        increment_id: String,
    },
    /// Releases the authorization, or what is left of it.
    Cancel,
    /// Releases an authorization that is over its time.
    Expire,
}

fn yes() -> bool {
    true
}

/// [`Credential`](crate::connector::Credential) in a form that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// See [`Credential::OneTime`](crate::connector::Credential::OneTime).
    OneTime,
    /// See [`Credential::FirstToStore`](crate::connector::Credential::FirstToStore), with the payer later.
    FirstOnSession,
    /// See [`Credential::FirstToStore`](crate::connector::Credential::FirstToStore), without the payer later.
    FirstOffSession,
    /// See [`Credential::StoredByPayer`](crate::connector::Credential::StoredByPayer).
    ByPayer,
    /// See [`Credential::StoredByMerchant`](crate::connector::Credential::StoredByMerchant).
    ByMerchant,
}

/// The life of a call: who makes it, what is known, when to look at it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The idempotency key.
    pub key: String,
    /// How far it came.
    pub progress: Progress,
    /// When it was stored, milliseconds since 1970.
    pub began_ms: i64,
    /// Which run of the process makes it.
    pub run: String,
    /// Whether that run works on it right now; then nobody else touches it until `lease_ms`.
    pub busy: bool,
    /// While busy: until when. Otherwise: when to look at it again. Milliseconds since 1970.
    pub lease_ms: i64,
    /// Why the result is not known, once that is so.
    pub doubt: Option<Doubt>,
    /// The provider said that it works on it; it is only asked, never told again.
    pub accepted: bool,
    /// How often it was looked at again.
    pub tries: u32,
}

/// A payer who was sent away to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// How often the provider was asked.
    pub tries: u32,
    /// When to ask next, milliseconds since 1970.
    pub next_ms: i64,
}

impl Flight {
    /// A call that begins now.
    #[must_use]
    pub fn begin(key: String, run: &str, now_ms: i64, lease_ms: i64) -> Self {
        Self {
            key,
            progress: Progress::default(),
            began_ms: now_ms,
            run: run.to_owned(),
            busy: true,
            lease_ms: now_ms + lease_ms,
            doubt: None,
            accepted: false,
            tries: 0,
        }
    }

    /// Whether the run that it names may still work on it.
    #[must_use]
    pub fn is_leased(&self, now_ms: i64) -> bool {
        self.busy && self.lease_ms > now_ms
    }

    /// Nobody works on it any more, and only the provider's own word can end it: look again after a day.
    pub fn rest(&mut self, now_ms: i64) {
        self.busy = false;
        self.lease_ms = now_ms + REST_MS;
        self.tries = self.tries.saturating_add(1);
    }

    /// Nobody works on it any more; look again after a delay that grows with each try. Every start of the process is a try,
    /// too, so that the delay is never much longer than the call is old: a process that kept falling would else leave a
    /// call of seconds alone for minutes.
    pub fn wait(&mut self, now_ms: i64) {
        self.busy = false;
        let age_ms = now_ms.saturating_sub(self.began_ms).max(0);
        self.lease_ms = now_ms + backoff_ms(self.tries).min(age_ms.saturating_mul(2).max(WAIT_MS_LEAST));
        self.tries = self.tries.saturating_add(1);
    }
}

/// 1, 2, 4 ... seconds, at most five minutes.
#[must_use]
pub(super) fn backoff_ms(tries: u32) -> i64 {
    (1000i64 << tries.min(9)).min(300_000)
}

/// A delay up to this is not held against the call's age, in milliseconds.
const WAIT_MS_LEAST: i64 = 3_000;
/// How long a call rests about which nobody can be asked, in milliseconds.
const REST_MS: i64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_starts_in_a_row_make_none_that_is_longer_than_the_call_is_old() {
        let mut flight = Flight::begin("key_1".to_owned(), "run_1", 0, 60_000);
        let mut now_ms = 0;
        let mut delays = Vec::new();
        for _ in 0..7 {
            flight.wait(now_ms);
            delays.push(flight.lease_ms - now_ms);
            now_ms = flight.lease_ms;
        }
        assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]);
        let mut flight = Flight::begin("key_1".to_owned(), "run_1", 0, 60_000);
        for start in 1..=20 {
            flight.wait(start * 100);
        }
        assert_eq!(flight.lease_ms, 2_000 + 4_000, "twice its age");
        // A clock that was put back does not make it wait for ever.
        flight.wait(-5_000);
        assert_eq!(flight.lease_ms, -5_000 + 3_000);
    }
}
