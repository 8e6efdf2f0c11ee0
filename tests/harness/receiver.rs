//! A merchant's receiver of webhooks: it takes what it is told to take, and keeps what it took.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Credentials, Fault, Orchestrator, Peer, Reply, Result, because};

/// A receiver on a loopback port of its own.
pub struct Receiver {
    peer: Peer,
    secrets: Arc<Mutex<Vec<String>>>,
    taken: Arc<Mutex<Vec<Value>>>,
    refusals: Arc<AtomicUsize>,
    forged: Arc<AtomicUsize>,
}

impl Receiver {
    /// Starts a receiver with this server certificate.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(server: &Credentials) -> Result<Self> {
        let secrets = Arc::<Mutex<Vec<String>>>::default();
        let taken = Arc::<Mutex<Vec<Value>>>::default();
        let (refusals, forged) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (known, kept, left, wrong) = (secrets.clone(), taken.clone(), refusals.clone(), forged.clone());
        let peer = Peer::start(server, move |request| {
            if request.starts_with("GET /taken ") {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let ids: Vec<&Value> = kept.iter().map(|event| &event["event_id"]).collect();
                return Reply::Answer(200, "", json!(ids).to_string());
            }
            let refused = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if refused {
                return Reply::Answer(500, "", String::new());
            }
            let secrets = known.lock().unwrap_or_else(PoisonError::into_inner);
            match verified(request, &secrets) {
                Some(event) => {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                    Reply::Answer(200, "", String::new())
                }
                None => {
                    wrong.fetch_add(1, Ordering::SeqCst);
                    Reply::Answer(400, "", String::new())
                }
            }
        });
        Ok(Self { peer: peer.await?, secrets, taken, refusals, forged })
    }

    /// Has the orchestrator's merchant send its events here.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn subscribe(&self, orchestrator: &Orchestrator) -> Result<()> {
        self.subscribe_for(orchestrator, &orchestrator.merchant.id).await
    }

    /// Has another merchant of the orchestrator send its events here.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn subscribe_for(&self, orchestrator: &Orchestrator, merchant_id: &str) -> Result<()> {
        let body = json!({ "webhook_details": { "webhook_url": format!("{}/hook", self.peer.url()) } });
        let path = format!("/accounts/{merchant_id}");
        let account = orchestrator.operator().post(&path, &body).await?.expect(200)?;
        let secret = account["webhook_details"]["webhook_secret"].as_str();
        self.trust(secret.ok_or_else(|| Fault::new("the first address of a merchant brought no secret"))?);
        Ok(())
    }

    /// Where anybody may ask for the ids of the events that were taken, in their order: a list as JSON.
    #[must_use]
    pub fn taken_url(&self) -> String {
        format!("{}/taken", self.peer.url())
    }

    /// Believes what is signed with this secret from now on, and with no other.
    pub fn trust(&self, secret: &str) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = vec![secret.to_owned()];
    }

    /// Answers the next `times` webhooks with status 500.
    pub fn refuse(&self, times: usize) {
        self.refusals.store(times, Ordering::SeqCst);
    }

    /// The events that were taken, in the order in which they came.
    #[must_use]
    pub fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest event of this type of content (`payment_details`, ...) whose object has this value under `name`.
    #[must_use]
    pub fn last_word(&self, content: &str, name: &str, value: &str) -> Option<Value> {
        let mut taken = self.taken().into_iter().rev();
        taken.find(|event| event["content"]["type"] == content && event["content"]["object"][name] == value)
    }

    /// How many webhooks came that were signed with no secret that is believed.
    #[must_use]
    pub fn forged(&self) -> usize {
        self.forged.load(Ordering::SeqCst)
    }

    /// Every request as it came.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.peer.heard()
    }
}

/// The event of a request that is signed well and lately.
fn verified(request: &str, secrets: &[String]) -> Option<Value> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let header = head.lines().find_map(|line| line.strip_prefix("strongroom-signature: "))?;
    let mut parts = header.split(',');
    let at = parts.next()?.strip_prefix("t=")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(at.parse().ok()?) > TOLERANCE_S {
        return None;
    }
    let signatures: Vec<&str> = parts.filter_map(|part| part.strip_prefix("v1=")).collect();
    let is_signed = secrets.iter().any(|secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok();
        let mac = mac.map(|mac| mac.chain_update(at).chain_update(".").chain_update(body).finalize().into_bytes());
        let text: Option<String> = mac.map(|mac| mac.iter().map(|byte| format!("{byte:02x}")).collect());
        text.is_some_and(|text| signatures.contains(&text.as_str()))
    });
    if is_signed { serde_json::from_str(body).map_err(because("a webhook's body")).ok() } else { None }
}

/// How old a signature may be, in seconds.
const TOLERANCE_S: u64 = 300;
