//! Messages that were taken already. Nothing in one says when it was made, so each is taken once for as long as it is
//! remembered; a switch seals every message anew, also one that it repeats.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// The marks of the last messages whose signature was right.
pub(super) struct Seen {
    most: usize,
    marks: Mutex<Marks>,
}

#[derive(Default)]
struct Marks {
    known: HashSet<[u8; 32]>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Seen {
    pub(super) fn new(most: usize) -> Self {
        Self { most, marks: Mutex::default() }
    }

    /// Whether the message comes for the first time, as far as is remembered.
    pub(super) fn is_first(&self, mark: [u8; 32]) -> bool {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if !marks.known.insert(mark) {
            return false;
        }
        marks.order.push_back(mark);
        if marks.order.len() > self.most
            && let Some(oldest) = marks.order.pop_front()
        {
            marks.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use strongroom_wire::limits;

    use super::*;

    fn mark(number: usize) -> [u8; 32] {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&number.to_be_bytes());
        mark
    }

    #[test]
    fn a_message_is_taken_once_for_as_long_as_it_is_remembered() {
        let seen = Seen::new(limits::LOCKER_MESSAGES_MAX);
        for number in 0..limits::LOCKER_MESSAGES_MAX {
            assert!(seen.is_first(mark(number)));
        }
        assert!(!seen.is_first(mark(0)) && !seen.is_first(mark(limits::LOCKER_MESSAGES_MAX - 1)));
        // One more, and the oldest is forgotten: what is remembered has a bound.
        assert!(seen.is_first(mark(limits::LOCKER_MESSAGES_MAX)));
        let held = seen.marks.lock().unwrap();
        assert_eq!((held.known.len(), held.order.len()), (limits::LOCKER_MESSAGES_MAX, limits::LOCKER_MESSAGES_MAX));
        assert!(!held.known.contains(&mark(0)));
    }
}
