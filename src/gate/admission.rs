//! Admission: a listener has so many requests at work at a time, and one more is turned away before its body is looked at.
//!
//! What is turned away costs a head and an answer, which is far less than the request would. So under any load the
//! requests that are let in share the machine with a bounded number of others, and their time stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a listener lets in, and what it counts of it.
pub struct Gate {
    at_work_max: usize,
    at_work: AtomicUsize,
    open: AtomicUsize,
    shed: AtomicU64,
    slow_heads: AtomicU64,
    slow_answers: AtomicU64,
}

/// A request that was let in, as long as it is at work.
#[must_use = "the place is given back when this is dropped"]
pub struct Inside(Arc<Gate>);

/// What a gate counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests at work.
    pub at_work: usize,
    /// Most requests at work.
    pub at_work_max: usize,
    /// Connections whose handshake is done.
    pub open: usize,
    /// Requests that were turned away because as many as may be were at work.
    pub shed: u64,
    /// Connections that were cut because the next request's head did not come, or was too large.
    pub slow_heads: u64,
    /// Connections that were cut because their client did not take an answer.
    pub slow_answers: u64,
}

impl Gate {
    /// A gate for at most so many requests at a time.
    #[must_use]
    pub fn new(at_work_max: usize) -> Arc<Self> {
        Arc::new(Self {
            at_work_max,
            at_work: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            shed: AtomicU64::new(0),
            slow_heads: AtomicU64::new(0),
            slow_answers: AtomicU64::new(0),
        })
    }

    /// Lets a request in, or counts that it was turned away.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Inside> {
        if self.at_work.fetch_add(1, Ordering::Relaxed) < self.at_work_max {
            return Some(Inside(Arc::clone(self)));
        }
        self.at_work.fetch_sub(1, Ordering::Relaxed);
        self.shed.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            at_work: self.at_work.load(Ordering::Relaxed).min(self.at_work_max),
            at_work_max: self.at_work_max,
            open: self.open.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
            slow_heads: self.slow_heads.load(Ordering::Relaxed),
            slow_answers: self.slow_answers.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self, why: Cut) {
        let counter = match why {
            Cut::Head => &self.slow_heads,
            Cut::Answer => &self.slow_answers,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The next head did not come in time, or is too large.
    Head,
    /// An answer was not taken in time.
    Answer,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_turned_away_until_a_place_is_given_back() {
        let gate = Gate::new(2);
        let (one, two) = (gate.enter(), gate.enter());
        assert!(one.is_some() && two.is_some());
        assert!(gate.enter().is_none());
        assert_eq!((gate.counts().at_work, gate.counts().shed), (2, 1));
        drop(one);
        assert!(gate.enter().is_some());
        assert_eq!((gate.counts().at_work, gate.counts().shed), (1, 1));
    }
}
