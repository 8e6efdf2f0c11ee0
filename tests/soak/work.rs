//! What is done all the time: each kind of work at its own steady pace, by tasks of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::sample::{Kind, Times};
use crate::harness::{Client, Fault, Result, Shop, World, card, eventually, word};

/// The work as it runs.
pub(super) struct Work {
    tasks: JoinSet<()>,
    done: Arc<Done>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Done {
    pub(super) times: Times,
    answered: AtomicU64,
    rotations: AtomicU64,
    faults: std::sync::Mutex<Vec<String>>,
}

/// The same at the end.
pub(super) struct Sum {
    pub(super) answered: u64,
    pub(super) rotations: u64,
    pub(super) faults: Vec<String>,
}

impl Work {
    pub(super) async fn begin(world: &World, over: &Arc<AtomicBool>) -> Result<Self> {
        let done = Arc::new(Done::default());
        let (release, security, tenant) = (world.release().await?, world.security().await?, world.tenant.clone());
        let shop = Arc::new(Shop::of(world)?);
        let pool = Arc::new(Mutex::new(VecDeque::new()));
        let mut tasks = JoinSet::new();
        for (kind, pause, workers) in PACES {
            for worker in 0..workers {
                let (done, over, release, shop, pool) =
                    (Arc::clone(&done), Arc::clone(over), release.clone(), Arc::clone(&shop), Arc::clone(&pool));
                tasks.spawn(async move {
                    let mut turn = 0u64;
                    while !over.load(Ordering::Relaxed) {
                        let next = tokio::time::Instant::now() + pause;
                        done.note(kind, one(kind, &release, &shop, &pool, worker, turn)).await;
                        turn += 1;
                        tokio::time::sleep_until(next).await;
                    }
                });
            }
        }
        let (rotating, over) = (Arc::clone(&done), Arc::clone(over));
        tasks.spawn(async move {
            for key in ["kek", "fingerprint", "session"].into_iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                match rotate(&security, &tenant, key).await {
                    Ok(()) => {
                        rotating.rotations.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(fault) => rotating.fault(&fault.during(format!("rotating {key}"))),
                }
                tokio::time::sleep(BETWEEN_ROTATIONS).await;
            }
        });
        Ok(Self { tasks, done })
    }

    pub(super) fn times(&self) -> &Times {
        &self.done.times
    }

    /// Waits for what runs.
    pub(super) async fn end(mut self) -> Result<Sum> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|_| Fault::new("a task of the soak ended by a panic"))?;
        }
        let faults = self.done.faults.lock().map(|faults| faults.clone()).unwrap_or_default();
        Ok(Sum {
            answered: self.done.answered.load(Ordering::Relaxed),
            rotations: self.done.rotations.load(Ordering::Relaxed),
            faults,
        })
    }
}

impl Done {
    async fn note(&self, kind: Kind, work: impl Future<Output = Result<bool>>) {
        let began = Instant::now();
        match work.await {
            Ok(true) => {
                self.times.note(kind, began.elapsed());
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(false) => {}
            Err(fault) => self.fault(&fault.during(format!("{kind:?}"))),
        }
    }

    fn fault(&self, fault: &Fault) {
        if let Ok(mut faults) = self.faults.lock() {
            faults.push(fault.to_string());
        }
    }
}

type Pool = Arc<Mutex<VecDeque<String>>>;

/// Does one piece of work; `false` if there was nothing to do it with yet.
async fn one(kind: Kind, release: &Client, shop: &Shop, pool: &Pool, worker: usize, turn: u64) -> Result<bool> {
    match kind {
        Kind::Payment => {
            let customer = format!("cus_pay_{worker}_{}", turn % CUSTOMERS);
            let paid = shop.pay_new(1000, Some(&customer), card::VISA, json!({})).await?;
            match paid["status"].as_str() {
                Some("succeeded") => Ok(true),
                other => Err(Fault::new(format!("a payment is {other:?}"))),
            }
        }
        Kind::Tokenize => {
            let customer = format!("cus_{worker}_{turn}");
            let stored = release.post("/v1/payment_methods", &body(&customer, json!({}))).await?.expect(201)?;
            let token = word(&stored, "payment_method_id")?;
            let oldest = {
                let mut pool = pool.lock().await;
                pool.push_back(token);
                if pool.len() > POOL { pool.pop_front() } else { None }
            };
            if let Some(oldest) = oldest {
                let path = format!("/v1/payment_methods/{oldest}");
                release.send(Method::DELETE, &path, None, &[]).await?.must_be(204)?;
            }
            Ok(true)
        }
        Kind::Reveal => {
            // One of the newer half, which nobody shreds meanwhile.
            let token = {
                let pool = pool.lock().await;
                let newer = pool.len() / 2;
                let pick = usize::try_from(turn).unwrap_or(0).wrapping_mul(7919) % newer.max(1);
                pool.get(pool.len() - newer + pick).cloned()
            };
            let Some(token) = token else { return Ok(false) };
            let ask = json!({ "purpose": "authorize", "reference": "pay_soak" });
            let shown = release.post(&format!("/v1/payment_methods/{token}/reveal"), &ask).await?.expect(200)?;
            let is_right = shown["card"]["number"] == card::VISA;
            if is_right { Ok(true) } else { Err(Fault::new("another card came out")) }
        }
        Kind::ShortTerm => {
            let more = json!({ "storage": "short_term", "ttl_seconds": SHORT_S });
            let body = body(&format!("cus_short_{worker}_{turn}"), more);
            release.post("/v1/payment_methods", &body).await?.expect(201)?;
            Ok(true)
        }
    }
}

fn body(customer: &str, more: serde_json::Value) -> serde_json::Value {
    let mut body = json!({
        "type": "card",
        "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031 },
        "customer_id": customer,
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

async fn rotate(security: &Client, tenant: &str, key: &str) -> Result<()> {
    security.post("/v1/rotations", &json!({ "key": key, "tenant": tenant })).await?.must_be(202)?;
    let path = format!("/v1/rotations/{tenant}?key={key}");
    eventually("a rotation to end", Duration::from_secs(600), || async {
        let now = security.get(&path).await?.expect(200)?;
        match now["state"].as_str() {
            Some("done") => Ok(Some(())),
            Some("stopped") => Err(Fault::new(format!("the rotation stopped: {}", now["fault"]))),
            _ => Ok(None),
        }
    })
    .await
}

/// Each kind, how long after the beginning of one piece the next begins at the earliest, and by how many at once. It is far
/// less than the vault can do: what grows shall be seen, not how fast it is.
const PACES: [(Kind, Duration, usize); 4] = [
    (Kind::Payment, Duration::from_millis(1000), 3),
    (Kind::Tokenize, Duration::from_millis(200), 4),
    (Kind::Reveal, Duration::from_millis(100), 4),
    (Kind::ShortTerm, Duration::from_millis(500), 4),
];
/// Cards that are stored at a time, so that the store does not grow.
const POOL: usize = 2_000;
/// Customers of each paying task, whose cards are kept; each comes back.
const CUSTOMERS: u64 = 100;
/// Life of a short-term card, in seconds.
const SHORT_S: u64 = 20;
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(5);
