//! A circuit breaker for each account: after many faults in a short time it rests, then one payment tries it again.
//!
//! ```text
//! closed ── FAULTS_MIN faults, half of all, within WINDOW_MS ──▶ open ── its time is over ──▶ half-open: one probe
//!    ▲                                                            ▲                             │        │
//!    └───────────────────────── it went well ─────────────────────│─────────────────────────────┘        │
//!                                                                 └── a fault: rests twice as long ──────┘
//! ```
//!
//! A fault is a request that was not sent or whose result is in doubt, and a fault of the provider's server. A decline is no
//! fault: the provider works. The state is in the memory of one process, because a breaker is about what this process can
//! reach; a restart begins closed.
//!
//! An open account is passed over while another one can take the payment. If none can, the payment is refused at once (503)
//! and nothing of it is changed: a call to a provider that answers nobody would end in doubt, and a payment in doubt cannot
//! be paid in another way for up to a day. A refusal can be repeated a moment later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The breakers of all accounts.
#[derive(Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

/// Whether an account may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It works.
    Go,
    /// It rested; the one who asked tries it for all others.
    Probe,
    /// It rests, or somebody tries it now.
    Rest,
}

/// How an account does, as far as this process can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether it works.
    pub pulse: Pulse,
    /// Requests of the last 30 seconds that went well.
    pub good: u32,
    /// Requests of the last 30 seconds that met a fault.
    pub faults: u32,
}

/// See [`Health::pulse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// It works.
    Works,
    /// It rests until then, milliseconds since 1970, and after that the next payment tries it.
    RestsUntil(i64),
    /// Its rest is over, and a payment tries it or the next one will.
    Tried,
}

/// What a result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// From now on it rests.
    Opened,
    /// It works again.
    Closed,
}

impl Breakers {
    /// Whether the account may be tried now. [`Leave::Probe`] is given to one at a time.
    pub fn ask(&self, account_id: &str, now_ms: i64) -> Leave {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(account_id).map_or(Leave::Go, |breaker| breaker.ask(now_ms))
    }

    /// Whether asking would answer [`Leave::Rest`]; takes no probe.
    pub fn rests(&self, account_id: &str, now_ms: i64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(account_id).is_some_and(|breaker| breaker.rests(now_ms))
    }

    /// How the account does; takes no probe.
    pub fn health(&self, account_id: &str, now_ms: i64) -> Health {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(account_id).map_or(Health { pulse: Pulse::Works, good: 0, faults: 0 }, |breaker| breaker.health(now_ms))
    }

    /// A request to the account's provider went well, or met a fault.
    pub fn record(&self, account_id: &str, went_well: bool, now_ms: i64) -> Option<Turn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(account_id.to_owned()).or_default().record(went_well, now_ms)
    }

    /// Forgets accounts about which nothing is known any more.
    pub fn forget_old(&self, now_ms: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, breaker| match breaker.phase {
            Phase::Closed => breaker.counted(now_ms) != (0, 0),
            Phase::Open { until_ms, .. } | Phase::Probing { until_ms, .. } => {
                now_ms < until_ms.saturating_add(QUIET_MS)
            }
        });
    }
}

/// One account's breaker: a pure state machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Breaker {
    phase: Phase,
    slices: [Slice; SLICES],
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    /// Rests until then, for the how-manieth time in a row, from 0.
    Open { until_ms: i64, times: u32 },
    /// Somebody tries it; should they never tell, another one may from then on.
    Probing { until_ms: i64, times: u32 },
}

/// Results of one slice of the window.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Slice {
    number: i64,
    good: u32,
    faults: u32,
}

impl Breaker {
    fn health(&self, now_ms: i64) -> Health {
        let (good, faults) = self.counted(now_ms);
        let pulse = match self.phase {
            Phase::Closed => Pulse::Works,
            Phase::Open { until_ms, .. } if now_ms < until_ms => Pulse::RestsUntil(until_ms),
            Phase::Open { .. } | Phase::Probing { .. } => Pulse::Tried,
        };
        Health { pulse, good, faults }
    }

    fn rests(&self, now_ms: i64) -> bool {
        match self.phase {
            Phase::Closed => false,
            Phase::Open { until_ms, .. } | Phase::Probing { until_ms, .. } => now_ms < until_ms,
        }
    }

    fn ask(&mut self, now_ms: i64) -> Leave {
        match self.phase {
            Phase::Closed => Leave::Go,
            _ if self.rests(now_ms) => Leave::Rest,
            Phase::Open { times, .. } | Phase::Probing { times, .. } => {
                self.phase = Phase::Probing { until_ms: now_ms.saturating_add(PROBE_MS), times };
                Leave::Probe
            }
        }
    }

    fn record(&mut self, went_well: bool, now_ms: i64) -> Option<Turn> {
        match self.phase {
            Phase::Closed => {
                self.count(went_well, now_ms);
                let (good, faults) = self.counted(now_ms);
                let is_bad = faults >= FAULTS_MIN && faults >= good;
                is_bad.then(|| self.open(0, now_ms))
            }
            // The result of a call that began before: what matters now is how the probe ends.
            Phase::Open { .. } => None,
            Phase::Probing { .. } if went_well => {
                *self = Self::default();
                Some(Turn::Closed)
            }
            Phase::Probing { times, .. } => Some(self.open(times.saturating_add(1), now_ms)),
        }
    }

    fn open(&mut self, times: u32, now_ms: i64) -> Turn {
        let rest_ms = (REST_MS << times.min(10)).min(REST_MS_MAX);
        *self = Self { phase: Phase::Open { until_ms: now_ms.saturating_add(rest_ms), times }, ..Self::default() };
        Turn::Opened
    }

    fn count(&mut self, went_well: bool, now_ms: i64) {
        let number = now_ms.div_euclid(SLICE_MS);
        let place = usize::try_from(number.rem_euclid(SLICES as i64)).unwrap_or(0);
        let Some(slice) = self.slices.get_mut(place) else { return };
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        let counter = if went_well { &mut slice.good } else { &mut slice.faults };
        *counter = counter.saturating_add(1);
    }

    /// Good results and faults of the window that ends now.
    fn counted(&self, now_ms: i64) -> (u32, u32) {
        let last = now_ms.div_euclid(SLICE_MS);
        let window = self.slices.iter().filter(|slice| (last - SLICES as i64 + 1..=last).contains(&slice.number));
        window.fold((0, 0), |(good, faults), slice| {
            (good.saturating_add(slice.good), faults.saturating_add(slice.faults))
        })
    }
}

/// Fewest faults within the window that open a breaker: a single lost answer is no outage.
const FAULTS_MIN: u32 = 5;
/// Slices of the window.
const SLICES: usize = 10;
/// Length of a slice, in milliseconds; the window is 30 seconds.
const SLICE_MS: i64 = 3_000;
/// First rest, in milliseconds; doubles with each probe that fails.
const REST_MS: i64 = 10_000;
/// Longest rest, in milliseconds.
const REST_MS_MAX: i64 = 300_000;
/// An account that nobody wanted for so long after its rest begins anew, in milliseconds.
const QUIET_MS: i64 = 3_600_000;
/// How long a probe may take before another one is let through, in milliseconds: longer than a request to a provider.
const PROBE_MS: i64 = 40_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: i64 = 1_800_000_000_000;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..FAULTS_MIN {
            assert_eq!(breaker.record(false, T), None);
        }
        assert_eq!(breaker.record(false, T), Some(Turn::Opened));
        breaker
    }

    #[test]
    fn health_is_what_the_next_payment_would_meet_and_looking_takes_no_probe() {
        let breakers = Breakers::default();
        let health = |now_ms| breakers.health("a", now_ms);
        assert_eq!(health(T), Health { pulse: Pulse::Works, good: 0, faults: 0 });
        breakers.record("a", true, T);
        for _ in 1..FAULTS_MIN {
            breakers.record("a", false, T);
        }
        assert_eq!(health(T), Health { pulse: Pulse::Works, good: 1, faults: FAULTS_MIN - 1 });
        breakers.record("a", false, T);
        assert_eq!(health(T).pulse, Pulse::RestsUntil(T + REST_MS));
        for _ in 0..2 {
            assert_eq!(health(T + REST_MS).pulse, Pulse::Tried);
        }
        assert_eq!(breakers.ask("a", T + REST_MS), Leave::Probe);
        assert_eq!(health(T + REST_MS).pulse, Pulse::Tried);
        breakers.record("a", true, T + REST_MS);
        assert_eq!(health(T + REST_MS).pulse, Pulse::Works);
    }

    #[test]
    fn faults_open_it_and_one_probe_at_a_time_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(T + REST_MS - 1), Leave::Rest);
        assert_eq!(breaker.ask(T + REST_MS), Leave::Probe);
        assert_eq!(breaker.ask(T + REST_MS), Leave::Rest, "a second probe beside the first");
        assert_eq!(breaker.record(true, T + REST_MS + 5), Some(Turn::Closed));
        assert_eq!(breaker, Breaker::default());
        assert_eq!(breaker.ask(T + REST_MS + 5), Leave::Go);
    }

    #[test]
    fn probe_that_fails_makes_the_rest_longer_up_to_its_limit() {
        let mut breaker = opened();
        let (mut now, mut rest) = (T, REST_MS);
        for _ in 0..10 {
            assert_eq!(breaker.ask(now + rest - 1), Leave::Rest);
            now += rest;
            assert_eq!(breaker.ask(now), Leave::Probe);
            assert_eq!(breaker.record(false, now), Some(Turn::Opened));
            rest = (rest * 2).min(REST_MS_MAX);
        }
        assert_eq!(rest, REST_MS_MAX);
    }

    #[test]
    fn probe_that_never_tells_gives_way_to_another() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(T + REST_MS), Leave::Probe);
        assert_eq!(breaker.ask(T + REST_MS + PROBE_MS - 1), Leave::Rest);
        assert_eq!(breaker.ask(T + REST_MS + PROBE_MS), Leave::Probe);
    }

    #[test]
    fn faults_among_more_that_goes_well_and_old_faults_do_not_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(
                (breaker.record(true, T), breaker.record(true, T), breaker.record(false, T)),
                (None, None, None)
            );
        }
        let mut breaker = Breaker::default();
        for turn in 0..100 {
            assert_eq!(breaker.record(false, T + turn * SLICE_MS * 3), None, "faults that lie minutes apart");
        }
    }

    #[test]
    fn late_result_of_a_call_from_before_changes_nothing_while_it_rests() {
        let mut breaker = opened();
        assert_eq!((breaker.record(true, T + 1), breaker.record(false, T + 1)), (None, None));
        assert_eq!(breaker.ask(T + REST_MS - 1), Leave::Rest);
    }

    #[test]
    fn accounts_have_breakers_of_their_own_and_quiet_ones_are_forgotten() {
        let breakers = Breakers::default();
        for _ in 0..FAULTS_MIN {
            breakers.record("mca_1", false, T);
        }
        breakers.record("mca_2", true, T);
        assert_eq!((breakers.ask("mca_1", T), breakers.ask("mca_2", T)), (Leave::Rest, Leave::Go));
        breakers.forget_old(T + 60_000);
        assert_eq!(breakers.0.lock().unwrap().len(), 1, "what rests is not forgotten");
        breakers.forget_old(T + REST_MS + QUIET_MS);
        assert!(breakers.0.lock().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn never_two_probes_within_a_probe_s_time_and_never_more_rest_than_its_limit(
            steps in prop::collection::vec((0i64..60_000, 0u8..4), 1..200)
        ) {
            let mut breaker = Breaker::default();
            let (mut now, mut probing_since) = (T, None::<i64>);
            for (wait, what) in steps {
                now += wait;
                match what {
                    0 | 1 => match breaker.ask(now) {
                        Leave::Probe => {
                            prop_assert!(probing_since.is_none_or(|since| now - since >= PROBE_MS));
                            probing_since = Some(now);
                        }
                        Leave::Go => prop_assert_eq!(breaker.phase, Phase::Closed),
                        Leave::Rest => prop_assert_ne!(breaker.phase, Phase::Closed),
                    },
                    _ => {
                        if breaker.record(what == 2, now).is_some() {
                            probing_since = None;
                        }
                    }
                }
                // However it went: after the longest rest somebody may try.
                let mut later = Breaker { phase: breaker.phase, slices: breaker.slices };
                prop_assert_ne!(later.ask(now + REST_MS_MAX), Leave::Rest);
            }
        }
    }
}
