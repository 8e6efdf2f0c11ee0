//! The simulator inside another process: no listener, no TLS, a clock that is handed in, and webhooks that are carried by
//! hand. For simulations that live through thousands of payments.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, http::Method, web};
use serde_json::Value;
use strongroom_wire::limits;
use tokio::sync::{mpsc, oneshot};

use crate::bell::{Bell, Ringer, Seal};
use crate::desk::{Dispute, DisputeStatus};
use crate::fault::{Armed, Fault, Operation};
use crate::house::{Dialect, House};
use crate::server::dialects;
use crate::stripe::no_route;

/// A simulator without a network. Its thread ends when it is dropped.
pub struct Inside {
    asks: mpsc::UnboundedSender<Ask>,
    house: House,
    dialects: Arc<[Arc<dyn Dialect>]>,
    ringer: Mutex<Ringer>,
    webhook_secret: String,
}

/// What the provider did with the money of one payment, in minor units.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// How many authorizations.
    pub authorizations: u64,
    /// Reserved, increments among it.
    pub authorized: u64,
    /// Taken.
    pub captured: u64,
    /// Released.
    pub released: u64,
    /// Given back.
    pub refunded: u64,
}

/// A webhook on its way.
#[derive(Clone)]
pub struct Carried {
    /// Which dialect tells it.
    pub provider: &'static str,
    /// The API key of the account that it is for.
    pub account: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// What it is signed from, and how; a webhook that somebody else wrote is never signed again.
    source: Option<(Value, Seal)>,
}

impl Carried {
    /// A webhook that is not the simulator's own.
    #[must_use]
    pub fn foreign(provider: &'static str, headers: Vec<(String, String)>, body: String) -> Self {
        Self { provider, account: String::new(), headers, body, source: None }
    }
}

struct Ask {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    answer: oneshot::Sender<Told>,
}

struct Told {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

impl Inside {
    /// An empty simulator that accepts this key and signs webhooks with this secret. `now_s` tells seconds since 1970.
    ///
    /// # Panics
    /// The system gives no thread.
    pub fn new(api_key: &str, webhook_secret: &str, now_s: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self::with_accounts(&[api_key], webhook_secret, now_s)
    }

    /// With an account for each of these keys.
    ///
    /// # Panics
    /// See [`Inside::new`].
    pub fn with_accounts(
        api_keys: &[&str],
        webhook_secret: &str,
        now_s: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let faults = Arc::default();
        let (bell, ringer) = Bell::new(Arc::clone(&faults));
        bell.carry_by_hand();
        let house = House::new(bell, faults, Arc::new(now_s));
        let dialects = dialects(&house, &api_keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        let (asks, asked) = mpsc::unbounded_channel();
        let spoken = Arc::clone(&dialects);
        let run = move || actix_web::rt::System::new().block_on(serve(spoken, asked));
        thread::Builder::new().name("psp".to_owned()).spawn(run).expect("a thread for the simulator");
        Self { asks, house, dialects, ringer: Mutex::new(ringer), webhook_secret: webhook_secret.to_owned() }
    }

    /// Answers a request: status and body. `target` is path and query.
    pub async fn handle(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
        let told = self.ask(method, target, headers, body).await;
        (told.status, told.body)
    }

    /// The cardholder presses a button on a 3-D Secure page; answers where the browser is sent.
    pub async fn click(&self, page: &str, approves: bool) -> Option<String> {
        let target = page.strip_prefix("https://").and_then(|rest| rest.find('/').map(|at| &rest[at..]))?;
        let body: &[u8] = if approves { b"outcome=approve" } else { b"outcome=fail" };
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.ask("POST", target, &kind, body).await.location
    }

    /// The next request fails with a 500, with its work done or not.
    pub fn arm_error(&self, work_is_done: bool) {
        let fault = if work_is_done { Fault::ErrorAfter } else { Fault::ErrorBefore };
        let operation = Operation::Any;
        let armed = Armed { fault, operation, provider: None, account_ending: None, times: 1, delay_ms: 0 };
        // Fails only where very many wait, and then an error comes all the same.
        let _ = self.house.faults().arm(armed);
    }

    /// What happened to the money of a payment, by the merchant's name for it.
    #[must_use]
    pub fn moved(&self, payment_id: &str) -> Moved {
        let sums = self.house.ledger.statement(Some(payment_id)).totals;
        let minor = |amount: i64| u64::try_from(amount).unwrap_or(0);
        Moved {
            authorizations: sums.authorizations,
            authorized: minor(sums.authorized),
            captured: minor(sums.captured),
            released: minor(sums.released),
            refunded: minor(sums.refunded),
        }
    }

    /// Opens a dispute about all of a payment. `false`: it has taken no money.
    #[must_use]
    pub fn dispute(&self, payment_id: &str) -> bool {
        let Some((provider, psp_id)) = self.house.ledger.find(payment_id) else { return false };
        let order = Dispute { psp_id, status: DisputeStatus::Opened, amount: None, reason: None };
        let dialect = self.dialects.iter().find(|dialect| dialect.name() == provider);
        dialect.is_some_and(|dialect| dialect.dispute(&order).is_ok())
    }

    /// The webhooks since the last call, oldest first.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Carried> {
        let mut ringer = self.ringer.lock().unwrap_or_else(PoisonError::into_inner);
        ringer
            .take()
            .into_iter()
            .map(|event| self.sign(event.provider, event.account, event.event, event.seal))
            .collect()
    }

    /// The same webhook as it is sent again: signed anew.
    #[must_use]
    pub fn again(&self, carried: &Carried) -> Carried {
        match &carried.source {
            Some((event, seal)) => self.sign(carried.provider, carried.account.clone(), event.clone(), *seal),
            None => carried.clone(),
        }
    }

    fn sign(&self, provider: &'static str, account: String, event: Value, seal: Seal) -> Carried {
        let letter = seal(&event, &self.webhook_secret, self.house.now_s());
        let headers = letter.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Carried { provider, account, headers, body: letter.body, source: Some((event, seal)) }
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        let (answer, answered) = oneshot::channel();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ask = Ask { method: method.to_owned(), target: target.to_owned(), headers, body: body.to_vec(), answer };
        let gone = || Told { status: 500, location: None, body: Vec::new() };
        if self.asks.send(ask).is_err() {
            return gone();
        }
        answered.await.unwrap_or_else(|_| gone())
    }
}

async fn serve(dialects: Arc<[Arc<dyn Dialect>]>, mut asked: mpsc::UnboundedReceiver<Ask>) {
    let app = App::new()
        .app_data(web::PayloadConfig::new(limits::SIMULATOR_BODY_BYTES_MAX))
        .configure(|config| dialects.iter().for_each(|dialect| dialect.routes(config)))
        .default_service(web::to(no_route));
    let app = init_service(app).await;
    while let Some(ask) = asked.recv().await {
        let method = Method::from_bytes(ask.method.as_bytes()).unwrap_or(Method::GET);
        let mut request = TestRequest::with_uri(&ask.target).method(method).insert_header(("host", "psp.test"));
        for (name, value) in &ask.headers {
            request = request.insert_header((name.as_str(), value.as_str()));
        }
        let answer = call_service(&app, request.set_payload(ask.body).to_request()).await;
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read_body(answer).await.to_vec();
        // Whoever asked may have given up, as a process does that dies.
        let _ = ask.answer.send(Told { status, location, body });
    }
}
