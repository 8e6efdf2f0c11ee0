//! Shops that pay at several orchestrators, each payment with an idempotency key of its own, and what has to hold of all of
//! them afterwards: what was answered is so, and money moved once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::shop::card;
use super::{Answer, Client, Fault, Psp, Result, because, eventually, word};

/// Workers that pay.
pub struct Tills {
    workers: Vec<JoinHandle<Result<Vec<Payment>>>>,
    shops: Vec<Client>,
    tally: Arc<Tally>,
}

/// A payment that was asked for.
struct Payment {
    key: String,
    body: Value,
    answer: Answer,
}

/// What was answered so far.
#[derive(Default)]
struct Tally {
    taken: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Tills {
    /// So many workers at these orchestrators, each with one payment at a time.
    #[must_use]
    pub fn begin(shops: Vec<Client>, workers: usize) -> Self {
        let tally = Arc::<Tally>::default();
        let pay = |worker| tokio::spawn(pay(worker, shops.clone(), Arc::clone(&tally)));
        Self { workers: (0..workers).map(pay).collect(), shops, tally }
    }

    /// Waits until so many more payments were taken.
    ///
    /// # Errors
    /// When they are not.
    pub async fn more(&self, many: usize) -> Result<()> {
        counted("more payments", &self.tally.taken, many).await
    }

    /// Waits until so many more payments were refused.
    ///
    /// # Errors
    /// When they are not.
    pub async fn more_refused(&self, many: usize) -> Result<()> {
        counted("more refusals", &self.tally.refused, many).await
    }

    /// Ends it, asks again for what was refused, under the same keys at other orchestrators, and holds each payment against
    /// its answer and the provider's ledger.
    ///
    /// # Errors
    /// When an answer does not hold or money moved otherwise than the payment says.
    pub async fn end(self, psp: &Psp) -> Result<()> {
        self.tally.is_over.store(true, Ordering::Relaxed);
        let mut payments = Vec::new();
        for worker in self.workers {
            payments.extend(worker.await.map_err(because("a worker"))??);
        }
        for (payment, shop) in payments.iter().zip(self.shops.iter().cycle()) {
            payment.holds(shop, psp).await?;
        }
        Ok(())
    }
}

impl Payment {
    async fn holds(&self, shop: &Client, psp: &Psp) -> Result<()> {
        let id = word(&self.body, "payment_id")?;
        if self.answer.status == 200 {
            let found = shop.get(&format!("/payments/{id}")).await?.expect(200)?;
            let told = self.answer.json()?;
            // In doubt at the time of the answer, it may be known by now; an end is an end.
            if told["status"] != "processing" && told["status"] != found["status"] {
                return Err(Fault::new(format!("{id} was answered and is no longer so: {found}")));
            }
        } else {
            self.answer.must_be(503)?;
            // It is told what became of the first, or done now.
            shop.clone().with("Idempotency-Key", &self.key).post("/payments", &self.body).await?.must_be(200)?;
        }
        let state = settled(shop, &id).await?;
        let expected: &[(&str, i64)] = match state.as_str() {
            "succeeded" => &[("authorize", AMOUNT), ("capture", AMOUNT)],
            // Interrupted before the provider was asked to move money.
            "failed" => &[],
            other => return Err(Fault::new(format!("{id} says {other}"))),
        };
        let lines = psp.ledger_of(&id).await?;
        let moved: Vec<(&str, i64)> = lines.iter().map(|line| (line.kind.as_str(), line.amount)).collect();
        if moved == expected { Ok(()) } else { Err(Fault::new(format!("{id} says {state} and moved {moved:?}"))) }
    }
}

async fn counted(what: &str, count: &AtomicUsize, more: usize) -> Result<()> {
    let before = count.load(Ordering::Relaxed);
    let enough = || async { Ok((count.load(Ordering::Relaxed) >= before + more).then_some(())) };
    eventually(what, Duration::from_secs(120), enough).await
}

async fn pay(worker: usize, shops: Vec<Client>, tally: Arc<Tally>) -> Result<Vec<Payment>> {
    let mut payments = Vec::new();
    for (number, shop) in shops.iter().cycle().skip(worker).enumerate() {
        if tally.is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("order-{worker}-{number}");
        let body = json!({
            "payment_id": format!("pay_till_{worker}_{number}"), "amount": AMOUNT, "currency": "EUR", "confirm": true,
            "capture_method": "automatic", "authentication_type": "no_three_ds", "payment_method": "card",
            "payment_method_data": { "card": {
                "card_number": card::VISA, "card_exp_month": "12", "card_exp_year": "2031", "card_cvc": "123"
            } },
        });
        let answer = shop.clone().with("Idempotency-Key", &key).post("/payments", &body).await?;
        let count = if answer.status == 200 { &tally.taken } else { &tally.refused };
        count.fetch_add(1, Ordering::Relaxed);
        payments.push(Payment { key, body, answer });
    }
    Ok(payments)
}

/// The state of a payment, once nothing is under way any more.
async fn settled(shop: &Client, payment_id: &str) -> Result<String> {
    let path = format!("/payments/{payment_id}");
    eventually("the payment to settle", Duration::from_secs(90), || async {
        let payment = shop.get(&path).await?.expect(200)?;
        let status = word(&payment, "status")?;
        Ok((status != "processing").then_some(status))
    })
    .await
}

const AMOUNT: i64 = 4200;
