//! Jobs on their way to the thread that writes.
//!
//! The first task of a thread that hands a job in lets the others of its thread do so too before it wakes the writer, so that
//! what is ready at the same time is done in one transaction and costs one wake-up.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use strongroom_wire::limits;

use crate::store::StoreError;

/// What waits for the writer.
pub(super) struct Queue<O> {
    waiting: Mutex<Waiting<O>>,
    bell: Condvar,
}

struct Waiting<O> {
    orders: VecDeque<O>,
    /// Threads of which a task will wake the writer.
    led: Vec<ThreadId>,
    /// The writer sleeps and must be notified.
    parked: bool,
    closed: bool,
}

/// What the writer finds.
pub(super) enum Taken<O> {
    /// Something to do.
    Orders(Vec<O>),
    /// Nothing, for as long as it was ready to wait.
    Nothing,
    /// Nothing, and nothing will come any more.
    Over,
}

impl<O> Queue<O> {
    pub(super) fn new() -> Self {
        let waiting = Waiting { orders: VecDeque::new(), led: Vec::new(), parked: false, closed: false };
        Self { waiting: Mutex::new(waiting), bell: Condvar::new() }
    }

    /// Hands an order in and sees to it that the writer is awake.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if too many wait; [`StoreError::Unavailable`] if the writer has ended.
    pub(super) async fn put(&self, order: O) -> Result<(), StoreError> {
        if self.join(order)? {
            // Dropped at its end, or where whoever waits here goes away.
            let _rouse = Rouse(self);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// `true` is for the first of a thread, who wakes the writer.
    fn join(&self, order: O) -> Result<bool, StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Unavailable);
        }
        if waiting.orders.len() >= limits::STORE_QUEUE_MAX {
            return Err(StoreError::Busy);
        }
        waiting.orders.push_back(order);
        let here = thread::current().id();
        let leads = !waiting.led.contains(&here);
        if leads {
            waiting.led.push(here);
        }
        Ok(leads)
    }

    /// Takes up to [`limits::STORE_GROUP_MAX`] orders, and none after one that `ends` the group.
    pub(super) fn take(&self, patience: Duration, ends: impl Fn(&O) -> bool) -> Taken<O> {
        let mut waiting = self.lock();
        if waiting.orders.is_empty() && !waiting.closed {
            waiting.parked = true;
            waiting = self.bell.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner).0;
            waiting.parked = false;
        }
        waiting.led.clear();
        let mut orders = Vec::with_capacity(waiting.orders.len().min(limits::STORE_GROUP_MAX));
        while orders.len() < limits::STORE_GROUP_MAX
            && let Some(order) = waiting.orders.pop_front()
        {
            let is_last = ends(&order);
            orders.push(order);
            if is_last {
                break;
            }
        }
        match (orders.is_empty(), waiting.closed) {
            (false, _) => Taken::Orders(orders),
            (true, false) => Taken::Nothing,
            (true, true) => Taken::Over,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> u64 {
        self.lock().orders.len() as u64
    }

    /// Refuses whatever comes from now on; the writer gets what waits already.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.notify(waiting);
    }

    /// Closes, and drops what waits: its askers are told that nothing was done.
    pub(super) fn abandon(&self) {
        self.close();
        let orders = std::mem::take(&mut self.lock().orders);
        drop(orders);
    }

    fn notify(&self, mut waiting: MutexGuard<'_, Waiting<O>>) {
        // With nothing to do the writer sleeps on: waking is for it a sign that a quiet time is over.
        let wakes = waiting.parked && (waiting.closed || !waiting.orders.is_empty());
        waiting.parked &= !wakes;
        drop(waiting);
        if wakes {
            self.bell.notify_one();
        }
    }

    /// Nothing is left half done under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Waiting<O>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Rouse<'a, O>(&'a Queue<O>);

impl<O> Drop for Rouse<'_, O> {
    fn drop(&mut self) {
        self.0.notify(self.0.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn taken(queue: &Queue<u32>) -> Vec<u32> {
        match queue.take(Duration::ZERO, |order| *order == 9) {
            Taken::Orders(orders) => orders,
            Taken::Nothing | Taken::Over => Vec::new(),
        }
    }

    #[test]
    fn a_group_ends_where_an_order_ends_it_and_at_its_limit() {
        let queue = Queue::new();
        for order in [1, 9, 2] {
            queue.join(order).unwrap();
        }
        assert_eq!([taken(&queue), taken(&queue), taken(&queue)], [vec![1, 9], vec![2], vec![]]);
        for _ in 0..limits::STORE_QUEUE_MAX {
            queue.join(1).unwrap();
        }
        assert_eq!(queue.join(1), Err(StoreError::Busy));
        assert_eq!(taken(&queue).len(), limits::STORE_GROUP_MAX);
    }

    #[test]
    fn a_leader_that_goes_away_wakes_the_writer_all_the_same() {
        let queue = Arc::new(Queue::new());
        let writer = thread::spawn({
            let queue = Arc::clone(&queue);
            // As long as a test may last: only a notification ends it in time.
            move || matches!(queue.take(Duration::from_secs(600), |_| false), Taken::Orders(_))
        });
        while !queue.lock().parked {
            thread::yield_now();
        }
        {
            let put = pin!(queue.put(1));
            assert_eq!(put.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        }
        assert!(writer.join().unwrap());
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_takes_no_more() {
        let queue = Queue::new();
        queue.join(1).unwrap();
        queue.close();
        assert_eq!(queue.join(2), Err(StoreError::Unavailable));
        assert_eq!(taken(&queue), [1]);
        assert!(matches!(queue.take(Duration::ZERO, |_| false), Taken::Over));
    }
}
