//! Requests that wait at the same time share a round trip: a few lanes take all that waits and do it together. While every
//! lane is busy the next group gathers, so that groups grow with the load and one request alone waits for nobody.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use strongroom_wire::limits;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::store::StoreError;

/// The queue before the lanes.
pub(super) struct Lanes<Q, A> {
    queue: Sender<Job<Q, A>>,
}

/// One request.
pub(super) struct Job<Q, A> {
    pub(super) asked: Q,
    reply: oneshot::Sender<Result<A, StoreError>>,
    deadline: Instant,
}

impl<Q, A> Job<Q, A> {
    /// Answers it. Whoever asked may be gone by now.
    pub(super) fn answer(self, answer: Result<A, StoreError>) {
        let _ = self.reply.send(answer);
    }

    /// Whether nobody waits for it any more: then it is not begun.
    fn is_over(&self) -> bool {
        self.reply.is_closed() || Instant::now() >= self.deadline
    }
}

impl<Q: Send + 'static, A: Send + 'static> Lanes<Q, A> {
    /// Starts so many lanes, each of which takes groups of at most `most`. What `work` leaves unanswered is unavailable.
    pub(super) fn start<W, F>(handle: &Handle, (lanes, most): (usize, usize), work: W) -> Self
    where
        W: Fn(Vec<Job<Q, A>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let (queue, jobs) = channel(limits::STORE_QUEUE_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..lanes {
            let (jobs, work) = (Arc::clone(&jobs), work.clone());
            handle.spawn(async move {
                while let Some(group) = next_group(&jobs, most).await {
                    work(group).await;
                }
            });
        }
        Self { queue }
    }

    /// Hands a request in and waits for its answer.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the queue is full; [`StoreError::Unavailable`] if there is no answer in time.
    pub(super) async fn ask(&self, asked: Q, within: Duration) -> Result<A, StoreError> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + within;
        match self.queue.try_send(Job { asked, reply, deadline }) {
            Ok(()) => match timeout_at(deadline, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable),
            },
            Err(TrySendError::Full(_)) => Err(StoreError::Busy),
            Err(TrySendError::Closed(_)) => Err(StoreError::Unavailable),
        }
    }
}

async fn next_group<Q, A>(jobs: &Mutex<Receiver<Job<Q, A>>>, most: usize) -> Option<Vec<Job<Q, A>>> {
    let mut jobs = jobs.lock().await;
    let mut group = Vec::new();
    while group.is_empty() {
        group.push(jobs.recv().await?);
        while group.len() < most {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        group.retain(|job| !job.is_over());
    }
    Some(group)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_waits_together_is_done_together_and_answered_alone() {
        let groups = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (counted, waits) = (Arc::clone(&groups), Arc::clone(&gate));
        let lanes = Lanes::start(&Handle::current(), (1, 64), move |group: Vec<Job<u32, u32>>| {
            let (counted, waits) = (Arc::clone(&counted), Arc::clone(&waits));
            async move {
                waits.acquire().await.unwrap().forget();
                counted.fetch_add(1, Ordering::Relaxed);
                for job in group {
                    let asked = job.asked;
                    job.answer(if asked == 7 { Err(StoreError::Exists) } else { Ok(asked * 2) });
                }
            }
        });
        let asking = futures_util::future::join_all((0..50).map(|n| lanes.ask(n, Duration::from_secs(60))));
        let opened = async {
            tokio::task::yield_now().await;
            gate.add_permits(50);
        };
        let (answers, ()) = tokio::join!(asking, opened);
        for (n, answer) in (0..).zip(answers) {
            assert_eq!(answer, if n == 7 { Err(StoreError::Exists) } else { Ok(n * 2) });
        }
        assert!(groups.load(Ordering::Relaxed) <= 2);
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_what_nobody_waits_for_is_not_begun() {
        let begun = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (counted, waits) = (Arc::clone(&begun), Arc::clone(&gate));
        let lanes = Lanes::start(&Handle::current(), (1, 1), move |group: Vec<Job<(), ()>>| {
            let (counted, waits) = (Arc::clone(&counted), Arc::clone(&waits));
            async move {
                waits.acquire().await.unwrap().forget();
                counted.fetch_add(group.len(), Ordering::Relaxed);
                group.into_iter().for_each(|job| job.answer(Ok(())));
            }
        });
        let many = (0..limits::STORE_QUEUE_MAX + 10).map(|_| lanes.ask((), Duration::from_millis(1)));
        let answers = futures_util::future::join_all(many).await;
        assert!(answers.contains(&Err(StoreError::Busy)));
        assert!(answers.iter().all(|answer| *answer != Ok(())));
        gate.add_permits(limits::STORE_QUEUE_MAX);
        assert_eq!(lanes.ask((), Duration::from_secs(60)).await, Ok(()));
        assert!(begun.load(Ordering::Relaxed) <= 2, "one was begun, the others were over before their turn");
    }
}
