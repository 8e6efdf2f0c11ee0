//! A crowd: so many connections, each of which asks again as soon as it was answered, whatever the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::line::Way;

/// What a crowd met.
pub(crate) struct Met {
    /// How long answers took that were a success, in microseconds.
    pub(crate) served: Histogram<u64>,
    /// And those that turned a request away.
    pub(crate) turned_away: Histogram<u64>,
    /// How many answers had which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Those that turn a request away and do not say when to come back.
    pub(crate) without_retry_after: u64,
    /// Connections that broke before an answer.
    pub(crate) broken: u64,
    took: Duration,
}

impl Met {
    fn nothing() -> Self {
        let times = || Histogram::new_with_max(600_000_000, 3).unwrap();
        Self {
            served: times(),
            turned_away: times(),
            statuses: BTreeMap::new(),
            without_retry_after: 0,
            broken: 0,
            took: Duration::ZERO,
        }
    }

    fn add(&mut self, other: &Met) {
        self.served.add(&other.served).unwrap();
        self.turned_away.add(&other.turned_away).unwrap();
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.without_retry_after += other.without_retry_after;
        self.broken += other.broken;
    }

    /// Successes a second.
    pub(crate) fn rate(&self) -> f64 {
        self.served.len() as f64 / self.took.as_secs_f64()
    }

    /// 99 of 100 successes took no longer.
    pub(crate) fn p99(&self) -> Duration {
        Duration::from_micros(self.served.value_at_quantile(0.99))
    }

    /// 99 of 100 that were turned away waited no longer for that.
    pub(crate) fn p99_turned_away(&self) -> Duration {
        Duration::from_micros(self.turned_away.value_at_quantile(0.99))
    }

    /// All answers.
    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} served a second, p99 {:?}; turned away p99 {:?}; statuses {:?}; {} broken",
            self.rate(),
            self.p99(),
            self.p99_turned_away(),
            self.statuses,
            self.broken
        )
    }
}

/// Has `lines` connections ask for so long.
pub(crate) async fn crowd(way: &Way, requests: &[Vec<u8>], lines: usize, lasting: Duration) -> Met {
    let over = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(crowd_until(way.clone(), requests.to_vec(), lines, Arc::clone(&over)));
    tokio::time::sleep(lasting).await;
    over.store(true, Ordering::Relaxed);
    asking.await.unwrap()
}

/// The same until somebody says that it is over.
pub(crate) async fn crowd_until(way: Way, requests: Vec<Vec<u8>>, lines: usize, over: Arc<AtomicBool>) -> Met {
    let requests = Arc::new(requests);
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for nth in 0..lines {
        asking.spawn(ask(way.clone(), Arc::clone(&requests), nth, Arc::clone(&over)));
    }
    let mut all = Met::nothing();
    for met in asking.join_all().await {
        all.add(&met);
    }
    all.took = began.elapsed();
    all
}

async fn ask(way: Way, requests: Arc<Vec<Vec<u8>>>, first: usize, over: Arc<AtomicBool>) -> Met {
    let mut met = Met::nothing();
    let mut line = None;
    let mut turn = first;
    while !over.load(Ordering::Relaxed) {
        let mut open = match line.take() {
            Some(open) => open,
            None => match way.open().await {
                Ok(open) => open,
                Err(_) => {
                    met.broken += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let began = Instant::now();
        let Ok(answered) = open.ask(&requests[turn % requests.len()]).await else {
            met.broken += 1;
            continue;
        };
        turn += 1;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        *met.statuses.entry(answered.status).or_default() += 1;
        match answered.status {
            200..=299 => met.served.saturating_record(took),
            429 | 503 => {
                met.turned_away.saturating_record(took);
                met.without_retry_after += u64::from(answered.retry_after.is_none());
            }
            _ => {}
        }
        line = answered.stays_open.then_some(open);
    }
    met
}
