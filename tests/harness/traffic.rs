//! Load that remembers what it was told: every card that a vault acknowledged, under its token, and how it was refused
//! meanwhile. Each card has a number of its own, so that a token that reveals another's is noticed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::task::JoinHandle;

use super::cards::{Card, cards};
use super::{Answer, Client, Fault, Result, eventually, word};

/// Workers that store and reveal cards at several vaultd in turn.
pub struct Traffic {
    workers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What was acknowledged and has to hold whatever happens afterwards.
#[derive(Default)]
pub struct Acknowledged {
    /// Token and the number that was stored under it.
    pub cards: Vec<(String, String)>,
    /// How many reveals were answered.
    pub reveals: usize,
    /// How many requests were answered 503, all of them with `Retry-After`.
    pub refused: usize,
    /// What they were told, and how often.
    pub why: BTreeMap<String, usize>,
    /// Everything that a client may not meet: other answers, answers without what they need, connections that broke.
    pub unclean: Vec<String>,
}

struct Shared {
    clients: Vec<Client>,
    cards: Vec<Card>,
    next: AtomicUsize,
    is_over: AtomicBool,
    /// Answered as they should be.
    done: AtomicUsize,
    refused: AtomicUsize,
    told: Mutex<Acknowledged>,
}

impl Traffic {
    /// So many workers at these vaultd, each with one request at a time.
    #[must_use]
    pub fn begin(clients: Vec<Client>, workers: usize) -> Self {
        let shared = Arc::new(Shared {
            clients,
            cards: cards(CARDS_MAX),
            next: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            told: Mutex::default(),
        });
        let workers = (0..workers).map(|worker| tokio::spawn(work(worker, Arc::clone(&shared)))).collect();
        Self { workers, shared }
    }

    /// Waits until so many more requests were answered as they should be.
    ///
    /// # Errors
    /// When they are not.
    pub async fn more(&self, count: usize) -> Result<()> {
        counted("more answers", &self.shared.done, count).await
    }

    /// Waits until so many more requests were refused.
    ///
    /// # Errors
    /// When they are not.
    pub async fn more_refused(&self, count: usize) -> Result<()> {
        counted("more refusals", &self.shared.refused, count).await
    }

    /// Ends it; what was acknowledged since it began.
    ///
    /// # Errors
    /// When a worker met what ends a test.
    pub async fn end(self) -> Result<Acknowledged> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.map_err(super::because("a worker"))?;
        }
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.refused = self.shared.refused.load(Ordering::Relaxed);
        Ok(std::mem::take(&mut told))
    }
}

impl Acknowledged {
    /// Reveals every card at these vaultd in turn and compares every digit.
    ///
    /// # Errors
    /// When one is lost, or its token reveals another.
    pub async fn hold_at(&self, clients: &[Client]) -> Result<()> {
        for ((token, number), client) in self.cards.iter().zip(clients.iter().cycle()) {
            let revealed = reveal(client, token).await?.expect(200)?;
            if revealed["card"]["number"] != number.as_str() {
                return Err(Fault::new(format!("the token {token} reveals another card than was stored under it")));
            }
        }
        Ok(())
    }
}

async fn counted(what: &str, count: &AtomicUsize, more: usize) -> Result<()> {
    let before = count.load(Ordering::Relaxed);
    let enough = || async { Ok((count.load(Ordering::Relaxed) >= before + more).then_some(())) };
    eventually(what, std::time::Duration::from_secs(120), enough).await
}

async fn work(worker: usize, shared: Arc<Shared>) {
    for turn in worker.. {
        let nth = shared.next.fetch_add(1, Ordering::Relaxed);
        if shared.is_over.load(Ordering::Relaxed) || nth >= shared.cards.len() {
            return;
        }
        let number = &shared.cards[nth].number;
        let client = shared.client(turn);
        let stored = store(client, number, nth).await;
        let Some(answer) = shared.weigh(stored, &[200, 201]) else {
            // Who was refused asks again a little later.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(token) = answer.json().and_then(|body| word(&body, "payment_method_id")) else {
            shared.note("a stored card without a token".to_owned());
            continue;
        };
        shared.told().cards.push((token.clone(), number.clone()));
        // Elsewhere than where it was stored.
        let client = shared.client(turn + 1);
        let Some(answer) = shared.weigh(reveal(client, &token).await, &[200]) else { continue };
        if answer.json().is_ok_and(|body| body["card"]["number"] == number.as_str()) {
            shared.told().reveals += 1;
        } else {
            shared.note(format!("the token {token} reveals another card than was stored under it"));
        }
    }
}

impl Shared {
    fn client(&self, turn: usize) -> &Client {
        &self.clients[turn % self.clients.len()]
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Acknowledged> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer; answers it if it is what was asked for.
    fn weigh(&self, answer: Result<Answer>, good: &[u16]) -> Option<Answer> {
        match answer {
            Ok(answer) if good.contains(&answer.status) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                return Some(answer);
            }
            // Never 429: nobody here uses up an allowance.
            Ok(answer) if answer.status == 503 && answer.header("retry-after").is_some() => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let said = answer.json().unwrap_or_default();
                let why = format!("{}: {}", answer.problem(), said["detail"].as_str().unwrap_or_default());
                *self.told().why.entry(why).or_default() += 1;
            }
            Ok(answer) => self.note(answer.must_be(good[0]).err().map_or_else(String::new, |fault| fault.to_string())),
            Err(fault) => self.note(fault.to_string()),
        }
        None
    }

    fn note(&self, what: String) {
        self.told().unclean.push(what);
    }
}

/// Every other card is of a customer, and every third request can be repeated.
async fn store(client: &Client, number: &str, nth: usize) -> Result<Answer> {
    let mut body = json!({ "type": "card", "card": { "number": number, "exp_month": 12, "exp_year": 2031 } });
    if nth.is_multiple_of(2) {
        body["customer_id"] = json!(format!("cus_{nth}"));
    }
    let key = format!("order-{nth}");
    let headers: &[(&str, &str)] = if nth.is_multiple_of(3) { &[("Idempotency-Key", &key)] } else { &[] };
    client.send(reqwest::Method::POST, "/v1/payment_methods", Some(&body), headers).await
}

async fn reveal(client: &Client, token: &str) -> Result<Answer> {
    let asked = json!({ "purpose": "authorize", "reference": "pay_traffic" });
    client.post(&format!("/v1/payment_methods/{token}/reveal"), &asked).await
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// More than any test stores.
const CARDS_MAX: u64 = 50_000;
