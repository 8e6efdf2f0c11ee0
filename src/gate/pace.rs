//! The pace of one connection: whether a request of it is at work, when something last moved, and how much may be read ahead.
//!
//! The HTTP library limits the time of a connection's first head and of a connection on which nothing moves. It limits
//! neither the heads after the first one, nor the time that a client takes for an answer, nor what is read while a request
//! is at work. Those are limited here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::{Cut, Gate};

/// How long a listener waits for its clients.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a handshake.
    pub handshake: Duration,
    /// For the next whole head, since the handshake or since something of the last answer was taken.
    pub head: Duration,
    /// For the client to take all that was written, since the first byte that found no room.
    pub answer: Duration,
    /// The largest head, in bytes; also most of what is read ahead of the answer that a client waits for.
    pub head_bytes_max: usize,
}

/// What is known of one connection. Its stream and its requests share it; all of them live on one thread.
pub struct Pace {
    gate: Arc<Gate>,
    patience: Patience,
    /// When the connection began, a request ended, or a part of an answer was taken.
    moved: Cell<Instant>,
    /// Since when bytes of an answer find no room.
    blocked: Cell<Option<Instant>>,
    is_at_work: Cell<bool>,
    /// As much was read as a head may have, and it was looked at without finding one.
    is_looked_at: Cell<bool>,
    /// How many bytes may still be read.
    ahead: Cell<usize>,
    /// Who waits for a request to end, or for an answer to be taken, so that it may read on.
    parked: RefCell<Option<Waker>>,
}

/// A request at work on its connection, from its head to the last piece of its answer.
#[must_use = "the request ends when this is dropped"]
pub struct Working(Rc<Pace>);

/// What a stream may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum May {
    Read,
    /// Not before the request that is at work has ended and the answers before it are taken.
    Wait,
    /// Never again.
    End,
}

impl Pace {
    pub(crate) fn new(gate: Arc<Gate>, patience: Patience) -> Rc<Self> {
        gate.opened();
        Rc::new(Self {
            gate,
            patience,
            moved: Cell::new(Instant::now()),
            blocked: Cell::new(None),
            is_at_work: Cell::new(false),
            is_looked_at: Cell::new(false),
            ahead: Cell::new(patience.head_bytes_max),
            parked: RefCell::new(None),
        })
    }

    /// A head has come whole; `body` is what it says follows, in bytes, where it says so.
    pub fn begin(self: &Rc<Self>, body: Option<usize>) -> Working {
        self.is_at_work.set(true);
        self.is_looked_at.set(false);
        // Of what else a client sends nothing is read before the answer: what it may send ahead is bounded by what is
        // used up meanwhile.
        self.ahead.set(body.unwrap_or(UNREAD_MAX).min(UNREAD_MAX));
        Working(Rc::clone(self))
    }

    pub(crate) fn may_read(&self, cx: &Context<'_>) -> May {
        // The library answers whatever it has read and keeps the answers, however many: nothing is read while there are some
        // that the client does not take.
        let is_blocked = self.blocked.get().is_some();
        if self.ahead.get() > 0 && !is_blocked {
            return May::Read;
        }
        if self.is_at_work.get() || is_blocked {
            *self.parked.borrow_mut() = Some(cx.waker().clone());
            return May::Wait;
        }
        // The library reads all that there is before it looks for a head in it. It is given the time to look.
        if !self.is_looked_at.replace(true) {
            cx.waker().wake_by_ref();
            return May::Wait;
        }
        self.gate.cut(Cut::Head);
        May::End
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.ahead.set(self.ahead.get().saturating_sub(bytes));
    }

    pub(crate) fn wrote(&self) {
        self.moved.set(Instant::now());
    }

    pub(crate) fn flushed(&self) {
        if self.blocked.take().is_some() {
            self.wrote();
            self.read_on();
        }
    }

    fn read_on(&self) {
        if let Some(waker) = self.parked.take() {
            waker.wake();
        }
    }

    pub(crate) fn is_blocked(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// When the connection has to be cut unless something moves, and why.
    pub(crate) fn due(&self) -> Option<(Instant, Cut)> {
        if let Some(since) = self.blocked.get() {
            return Some((since + self.patience.answer, Cut::Answer));
        }
        (!self.is_at_work.get()).then(|| (self.moved.get() + self.patience.head, Cut::Head))
    }

    pub(crate) fn cut(&self, why: Cut) {
        self.gate.cut(why);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.gate.closed();
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let pace = &self.0;
        pace.is_at_work.set(false);
        pace.is_looked_at.set(false);
        pace.moved.set(Instant::now());
        // What was announced and not read yet may still come: the library reads it away for a moment before it closes.
        pace.ahead.set(pace.ahead.get() + pace.patience.head_bytes_max);
        pace.read_on();
    }
}

impl Pace {
    /// How long the body is that a head announces, in bytes; none where it says nothing that can be relied on.
    #[must_use]
    pub fn body_of(head: &actix_web::http::header::HeaderMap) -> Option<usize> {
        use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
        if head.contains_key(TRANSFER_ENCODING) {
            return None;
        }
        head.get(CONTENT_LENGTH).map_or(Some(0), |length| length.to_str().ok()?.parse().ok())
    }
}

/// Most bytes of a body that nobody wants which are read away so that the client reads the answer.
const UNREAD_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        handshake: Duration::from_secs(1),
        head: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        head_bytes_max: 8 * 1024,
    };

    #[test]
    fn a_head_over_its_size_ends_the_connection() {
        let pace = Pace::new(Gate::new(1), PATIENCE);
        let cx = Context::from_waker(Waker::noop());
        pace.read(PATIENCE.head_bytes_max - 1);
        assert_eq!(pace.may_read(&cx), May::Read);
        pace.read(1);
        assert_eq!(pace.may_read(&cx), May::Wait);
        // A head was found in it; what follows is its body.
        drop(pace.begin(Some(1)));
        pace.read(PATIENCE.head_bytes_max + 1);
        assert_eq!(pace.may_read(&cx), May::Wait);
        assert_eq!(pace.may_read(&cx), May::End);
        assert_eq!(pace.gate.counts().slow_heads, 1);
    }

    #[test]
    fn while_a_request_is_at_work_its_body_is_read_and_nothing_more() {
        let pace = Pace::new(Gate::new(1), PATIENCE);
        let cx = Context::from_waker(Waker::noop());
        let working = pace.begin(Some(100));
        pace.read(99);
        assert_eq!(pace.may_read(&cx), May::Read);
        pace.read(1);
        assert_eq!(pace.may_read(&cx), May::Wait);
        assert!(pace.parked.borrow().is_some());
        drop(working);
        assert!(pace.parked.borrow().is_none(), "nobody was woken");
        assert_eq!(pace.may_read(&cx), May::Read);
    }

    #[test]
    fn while_an_answer_is_not_taken_nothing_is_read() {
        let pace = Pace::new(Gate::new(1), PATIENCE);
        let cx = Context::from_waker(Waker::noop());
        pace.is_blocked();
        assert_eq!(pace.may_read(&cx), May::Wait);
        pace.flushed();
        assert!(pace.parked.borrow().is_none(), "nobody was woken");
        assert_eq!(pace.may_read(&cx), May::Read);
    }

    #[test]
    fn a_head_is_due_since_the_last_answer_and_never_while_one_is_made() {
        let pace = Pace::new(Gate::new(1), PATIENCE);
        let first = pace.due().unwrap();
        assert_eq!(first, (pace.moved.get() + PATIENCE.head, Cut::Head));
        let working = pace.begin(Some(0));
        assert_eq!(pace.due(), None);
        std::thread::sleep(Duration::from_millis(2));
        drop(working);
        let second = pace.due().unwrap();
        assert!(second.0 > first.0 && second.1 == Cut::Head);
        std::thread::sleep(Duration::from_millis(2));
        pace.wrote();
        assert!(pace.due().unwrap().0 > second.0);
    }

    #[test]
    fn an_answer_is_due_since_the_first_byte_that_found_no_room() {
        let pace = Pace::new(Gate::new(1), PATIENCE);
        let working = pace.begin(Some(0));
        pace.is_blocked();
        let first = pace.due().unwrap();
        assert_eq!(first.1, Cut::Answer);
        std::thread::sleep(Duration::from_millis(2));
        // A byte was taken, and the rest is blocked again.
        pace.wrote();
        pace.is_blocked();
        assert_eq!(pace.due(), Some(first));
        pace.flushed();
        assert_eq!(pace.due(), None);
        drop(working);
        assert_eq!(pace.due().unwrap().1, Cut::Head);
    }
}
