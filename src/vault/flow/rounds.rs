//! Rounds: which requests may still act on the terms that were known when they began.
//!
//! A new term of a fingerprint key comes in two steps: first every request knows it, then it is used. Between the steps, and
//! after the second, whoever rotates waits until the requests of before have ended. So of any two requests at the same time
//! each knows the term under which the other writes, and neither overlooks the other's card or answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Counts requests by the round in which they began.
#[derive(Default)]
pub(super) struct Rounds(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    now: u64,
    open: BTreeMap<u64, usize>,
}

/// A request's place in its round; dropped when the request is over. A request may take several.
#[must_use = "hold it until what was made is stored"]
pub(super) struct Round {
    inner: Arc<Inner>,
    number: u64,
}

impl Rounds {
    /// Enters the round that runs. Call it before the terms are looked at.
    pub(super) fn enter(&self) -> Round {
        let mut state = self.0.lock();
        let number = state.now;
        *state.open.entry(number).or_default() += 1;
        drop(state);
        Round { inner: Arc::clone(&self.0), number }
    }

    /// Begins another round and waits until every request of the earlier ones is over.
    pub(super) async fn settled(&self) {
        let now = {
            let mut state = self.0.lock();
            state.now += 1;
            state.now
        };
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            // Listening before the look, so that an end in between is not missed.
            ended.as_mut().enable();
            if self.0.lock().open.range(..now).next().is_none() {
                return;
            }
            ended.await;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        if let Some(count) = state.open.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&self.number);
            }
        }
        drop(state);
        self.inner.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_began_before_is_waited_for_and_who_begins_after_is_not() {
        let rounds = Arc::new(Rounds::default());
        rounds.settled().await;
        let (one, two) = (rounds.enter(), rounds.enter());
        let waiting = tokio::spawn({
            let rounds = Arc::clone(&rounds);
            async move { rounds.settled().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let later = rounds.enter();
        drop(one);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!waiting.is_finished(), "a request of before was not waited for");
        drop(two);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        drop(later);
        assert!(rounds.0.lock().open.is_empty());
    }
}
