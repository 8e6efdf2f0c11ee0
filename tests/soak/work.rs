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
    in_doubt: AtomicU64,
    faults: std::sync::Mutex<Vec<String>>,
}

/// The same at the end.
pub(super) struct Sum {
    pub(super) answered: u64,
    pub(super) rotations: u64,
    pub(super) in_doubt: u64,
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
                        done.note(kind, one(kind, &release, &shop, &pool, (worker, turn))).await;
                        turn += 1;
                        tokio::time::sleep_until(next).await;
                    }
                });
            }
        }
        let (rotating, over) = (Arc::clone(&done), Arc::clone(over));
        tasks.spawn(async move {
            // A session key is left out: it leaves an hour to the sessions of before.
            for key in ["kek", "fingerprint"].into_iter().cycle() {
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
            in_doubt: self.done.in_doubt.load(Ordering::Relaxed),
            faults,
        })
    }
}

impl Done {
    async fn note(&self, kind: Kind, work: impl Future<Output = Result<Came>>) {
        let began = Instant::now();
        match work.await {
            Ok(Came::Answer) => {
                self.times.note(kind, began.elapsed());
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Came::AnswerAfterDoubt) => {
                self.in_doubt.fetch_add(1, Ordering::Relaxed);
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Came::Nothing) => {}
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

/// What came of one piece of work.
enum Came {
    Answer,
    /// The provider's answer was lost or late, and the orchestrator found out by itself what became of the payment.
    AnswerAfterDoubt,
    /// There was nothing to do it with yet.
    Nothing,
}

/// Does one piece of work, the so manieth of a task.
async fn one(kind: Kind, release: &Client, shop: &Shop, pool: &Pool, (worker, turn): (usize, u64)) -> Result<Came> {
    match kind {
        Kind::Payment => {
            let customer = format!("cus_pay_{worker}_{}", turn % CUSTOMERS);
            let paid = shop.pay_new(1000, Some(&customer), card::VISA, json!({})).await?;
            match paid["status"].as_str() {
                Some("succeeded") => Ok(Came::Answer),
                Some("processing") => {
                    let id = word(&paid, "payment_id")?;
                    let known = || async { Ok((shop.payment(&id).await?["status"] == "succeeded").then_some(())) };
                    eventually("a payment in doubt to succeed", DOUBT_WITHIN, known).await?;
                    Ok(Came::AnswerAfterDoubt)
                }
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
            Ok(Came::Answer)
        }
        Kind::Reveal => {
            // One of the newer half, which nobody shreds meanwhile.
            let token = {
                let pool = pool.lock().await;
                let newer = pool.len() / 2;
                let pick = usize::try_from(turn).unwrap_or(0).wrapping_mul(7919) % newer.max(1);
                pool.get(pool.len() - newer + pick).cloned()
            };
            let Some(token) = token else { return Ok(Came::Nothing) };
            let ask = json!({ "purpose": "authorize", "reference": "pay_soak" });
            let shown = release.post(&format!("/v1/payment_methods/{token}/reveal"), &ask).await?.expect(200)?;
            let is_right = shown["card"]["number"] == card::VISA;
            if is_right { Ok(Came::Answer) } else { Err(Fault::new("another card came out")) }
        }
        Kind::ShortTerm => {
            let more = json!({ "storage": "short_term", "ttl_seconds": SHORT_S });
            let body = body(&format!("cus_short_{worker}_{turn}"), more);
            release.post("/v1/payment_methods", &body).await?.expect(201)?;
            Ok(Came::Answer)
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
const DOUBT_WITHIN: Duration = Duration::from_secs(120);
