//! `Idempotency-Key`: the same request under the same key is done once and answered the same, also when both come at once.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use serde_json::Value;
use sha2::{Digest, Sha256};
use strongroom_wire::{TenantId, header, limits};

use super::Api;
use super::answer::{Answer, Refusal};
use super::free_text::holds_card_number;
use super::who::to_hex;
use crate::intent::{Engine, Fault, under};
use crate::store::{Claim, Kept, KeptState, Store};

/// What a request is about, so that it can be answered after a crash in the middle of it.
pub(crate) enum Subject {
    /// Makes a payment with this id.
    Payment(String),
    /// Makes a refund with this id.
    Refund(String),
    /// Makes a capture of the payment with this id, under this capture id.
    Capture(String, String),
    /// Raises the authorization of the payment with this id, under this increment id.
    Increment(String, String),
    /// Does something (`confirm`, `update`, `cancel`) to the payment with this id.
    Change(&'static str, String),
    /// Makes a customer with this id.
    Customer(String),
    /// Sets something to what the body says; doing that again changes nothing.
    Setting,
}

impl Subject {
    /// As it is stored beside the key: a word, then ids with blanks between.
    fn text(&self) -> String {
        match self {
            Subject::Payment(id) => format!("payment {id}"),
            Subject::Refund(id) => format!("refund {id}"),
            Subject::Capture(id, capture_id) => format!("capture {id} {capture_id}"),
            Subject::Increment(id, increment_id) => format!("increment {id} {increment_id}"),
            Subject::Change(what, id) => format!("{what} {id}"),
            Subject::Customer(id) => format!("customer {id}"),
            Subject::Setting => "setting -".to_owned(),
        }
    }
}

/// The idempotency keys under which requests of this process work right now.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<(TenantId, String)>>>);

/// One such key; given back when dropped, also by a panic.
struct Held {
    running: Running,
    name: (TenantId, String),
}

impl Running {
    /// `None`: another request works under it.
    fn hold(&self, claim: &Claim) -> Option<Held> {
        let name = (claim.merchant_id.clone(), claim.key.clone());
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        is_new.then(|| Held { running: self.clone(), name })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Refuses the header on a call that takes or answers a secret: neither the answer nor a digest of the body may be kept.
/// `instead` says what makes its repetition safe.
pub(crate) fn without_key(request: &HttpRequest, instead: &'static str) -> Result<(), Refusal> {
    if request.headers().contains_key(header::IDEMPOTENCY_KEY) {
        let message = format!("Idempotency-Key is not taken here, because no secret is kept for it: {instead}");
        return Err(Refusal::new(400, "IR_19", message));
    }
    Ok(())
}

/// A request by what tells its repetitions from others.
pub(crate) struct Named<'a> {
    /// The header that carries the key in the caller's dialect; the caller may leave it out.
    pub(crate) header: &'static str,
    /// The request.
    pub(crate) request: &'a HttpRequest,
    /// SHA-256 of what was asked, without card number and CVC, in hexadecimal digits.
    pub(crate) digest: String,
}

/// Runs `work` to its end even if the caller goes away; under an idempotency key at most once.
pub(crate) async fn once<F>(
    api: &Api,
    request: &HttpRequest,
    merchant: &TenantId,
    body: &[u8],
    subject: Subject,
    work: F,
) -> Result<Answer, Refusal>
where
    F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    let named = Named { header: header::IDEMPOTENCY_KEY, request, digest: digest(body) };
    once_named(api, named, merchant, subject, work).await
}

/// The same for a dialect that names its requests in another way. `work` answers in the native dialect, because that is how a
/// request that ended without an answer is answered later; whoever calls translates.
pub(crate) async fn once_named<F>(
    api: &Api,
    named: Named<'_>,
    merchant: &TenantId,
    subject: Subject,
    work: F,
) -> Result<Answer, Refusal>
where
    F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    let Named { header, request, digest } = named;
    let Some(key) = request.headers().get(header) else {
        return detached(work).await;
    };
    // The path and the key are stored.
    if holds_card_number(request.path()) {
        return Err(Fault::NotFound("Payment").into());
    }
    let key = key.to_str().ok().filter(|k| (1..=limits::IDEMPOTENCY_KEY_CHARS_MAX).contains(&k.len()));
    let key =
        key.ok_or_else(|| Refusal::new(400, "IR_06", format!("{header}: 1 to 128 printable ASCII characters")))?;
    if holds_card_number(key) {
        let message = format!("{header}: it contains a card number; use a random text");
        return Err(Refusal::new(400, "IR_06", message));
    }
    let engine = api.engine.clone();
    let claim = Claim {
        merchant_id: merchant.clone(),
        key: format!("{} {} {key}", request.method(), request.path()),
        run: engine.run().to_owned(),
    };
    let subject = subject.text();
    let began = Instant::now();
    let mut pause = WAIT;
    let held = loop {
        match api.running.hold(&claim) {
            Some(held) => break held,
            None if began.elapsed() > WAIT_MAX => return Err(still_runs()),
            None => tokio::time::sleep(WAIT).await,
        }
    };
    loop {
        let now = engine.now_ms();
        let kept = Kept {
            claim: claim.clone(),
            digest: digest.clone(),
            subject: subject.clone(),
            lease_ms: now + LEASE_MS,
            expires_ms: now + i64::try_from(limits::IDEMPOTENCY_TTL_S).unwrap_or(0) * 1000,
        };
        match engine.store().begin_kept(&kept, now).await? {
            KeptState::OtherBody => {
                let message = format!("{header} was used with another request body");
                return Err(Refusal::new(400, "IR_06", message));
            }
            KeptState::Answered { status, body } => return Ok(Answer { status, body }),
            KeptState::Fresh => return run(engine, claim, held, work).await,
            KeptState::Running if began.elapsed() > WAIT_MAX => return Err(still_runs()),
            KeptState::Running => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            // The first request ended without an answer, by a crash or by a fault of ours. What it left behind is the
            // answer; only if it left nothing is it done (again), under the names that this request has.
            KeptState::Unanswered { subject, begun } => match super::found(api, merchant, &subject, begun).await {
                Ok(Some(answer)) => {
                    engine.store().finish_kept(&claim, answer.status, &answer.body).await?;
                    return Ok(answer);
                }
                Ok(None) => engine.store().drop_kept(&claim).await?,
                Err(refusal) => {
                    leave(engine.store(), &claim, false).await;
                    return Err(refusal);
                }
            },
        }
    }
}

fn still_runs() -> Refusal {
    Refusal::new(409, "HE_00", "A request with this Idempotency-Key still runs. Try again")
}

async fn run<F>(engine: Arc<Engine>, claim: Claim, held: Held, work: F) -> Result<Answer, Refusal>
where
    F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    detached(async move {
        let work = under(claim.clone(), work);
        let done = if engine.store().is_exclusive() {
            work.await
        } else {
            tokio::select! {
                done = work => done,
                never = keep_lease(&engine, &claim) => match never {},
            }
        };
        let answer = match &done {
            // A fault of ours is not kept, so the caller may repeat the request. It may have struck after money moved:
            // the key stays reserved, and the repetition looks first at what this request left behind.
            Err(refusal) if refusal.status >= 500 || refusal.status == 409 => {
                leave(engine.store(), &claim, refusal.untouched).await;
                None
            }
            Err(refusal) => Some(refusal.answer()),
            Ok(answer) => Some(answer.clone()),
        };
        if let Some(answer) = answer {
            engine.store().finish_kept(&claim, answer.status, &answer.body).await?;
        }
        drop(held);
        done
    })
    .await
}

/// Says again and again that this run works under the key, for as long as the caller polls it.
async fn keep_lease(engine: &Engine, claim: &Claim) -> Infallible {
    loop {
        tokio::time::sleep(EXTEND).await;
        if let Err(error) = engine.store().extend_kept(claim, engine.now_ms() + LEASE_MS).await {
            tracing::warn!(%error, "the lease of an idempotency key cannot be extended");
        }
    }
}

/// Without it others wait until the lease ends, so that a fault here needs no answer.
async fn leave(store: &dyn Store, claim: &Claim, untouched: bool) {
    if let Err(error) = store.leave_kept(claim, untouched).await {
        tracing::warn!(%error, "an idempotency key stays reserved until its lease ends");
    }
}

async fn detached<F>(work: F) -> Result<Answer, Refusal>
where
    F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|_| Err(Fault::Internal.into()))
}

/// SHA-256 of the body without card number and CVC: a plain hash of a card number could be searched.
pub(crate) fn digest(body: &[u8]) -> String {
    let mut value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    redact(&mut value);
    to_hex(&Sha256::digest(value.to_string().as_bytes()))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), &*field) {
                    ("card_number", Value::String(text)) => {
                        let last4: String = text.chars().rev().filter(char::is_ascii_digit).take(4).collect();
                        *field = last4.into();
                    }
                    ("card_cvc", _) => *field = Value::Null,
                    _ => redact(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

const WAIT: Duration = Duration::from_millis(50);
/// Longest pause between two looks at a request that runs at another node.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long a request waits for the one that runs under its key.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a key stays another run's without a word from it, in milliseconds.
const LEASE_MS: i64 = 15_000;
/// How often that word is given.
const EXTEND: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_number_and_cvc_have_no_part_in_the_digest_but_the_rest_has() {
        let body = |number: &str, cvc: &str, amount: u32| {
            format!(
                r#"{{"amount":{amount},"payment_method_data":{{"card":{{"card_number":"{number}","card_cvc":"{cvc}"}}}}}}"#
            )
        };
        let first = digest(body("4242424242424242", "123", 1).as_bytes());
        assert_eq!(first, digest(body("4000000000004242", "999", 1).as_bytes()));
        assert_ne!(first, digest(body("5555555555554444", "123", 1).as_bytes()));
        assert_ne!(first, digest(body("4242424242424242", "123", 2).as_bytes()));
    }
}
