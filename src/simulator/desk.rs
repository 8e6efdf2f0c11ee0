//! What a test asks of the simulator itself: the ledger, faults to come, where webhooks go, and disputes.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Query, ServiceConfig, delete, get, post};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::bell::Target;
use crate::exchange::presented_key;
use crate::fault::Armed;
use crate::house::{Dialect, House};

/// The desk of a house, and who may speak at it.
#[derive(Clone)]
pub(crate) struct Desk {
    house: House,
    dialects: Arc<[Arc<dyn Dialect>]>,
    keys: Arc<[String]>,
    authority: Option<Arc<Vec<u8>>>,
}

impl Desk {
    /// A desk that these keys open. `authority` (PEM) signed the certificates of webhook targets that name none.
    pub(crate) fn new(
        house: House,
        dialects: Arc<[Arc<dyn Dialect>]>,
        keys: &[String],
        authority: Option<Arc<Vec<u8>>>,
    ) -> Self {
        Self { house, dialects, keys: keys.into(), authority }
    }

    /// Its routes.
    pub(crate) fn routes(config: &mut ServiceConfig) {
        config
            .route("/ledger", get().to(ledger))
            .route("/faults", get().to(list_faults))
            .route("/faults", post().to(arm_fault))
            .route("/faults", delete().to(clear_faults))
            .route("/webhooks", get().to(list_webhooks))
            .route("/webhooks", post().to(aim_webhook))
            .route("/webhooks", delete().to(forget_webhooks))
            .route("/disputes", post().to(dispute));
    }

    fn admit(&self, request: &HttpRequest) -> Result<(), No> {
        match presented_key(request) {
            Some(key) if self.keys.contains(&key) => Ok(()),
            _ => Err(No(StatusCode::UNAUTHORIZED, NO_KEY.to_owned())),
        }
    }

    fn dialect(&self, name: &str) -> Option<&dyn Dialect> {
        self.dialects.iter().find(|dialect| dialect.name() == name).map(|dialect| &**dialect)
    }
}

/// The query of `GET /ledger`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    payment: Option<String>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Lines,
}

/// `GET /ledger`: `{"entries", "payments", "totals"}`; `?payment=` for one payment (the merchant's name for it or the
/// provider's id), `?format=lines` for one JSON line for each entry. It needs no key: there is no secret in it.
async fn ledger(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let Ok(Query(wanted)) = Query::<Wanted>::from_query(request.query_string()) else {
        return answer(Err(bad("GET /ledger takes ?payment= and ?format=json|lines alone.")));
    };
    let statement = desk.house.ledger.statement(wanted.payment.as_deref());
    match wanted.format {
        Format::Json => HttpResponse::Ok().json(&statement),
        Format::Lines => {
            let text: String = statement.entries.iter().map(|line| format!("{}\n", json!(line))).collect();
            HttpResponse::Ok().content_type("application/x-ndjson").body(text)
        }
    }
}

/// `GET /faults`: what is armed.
async fn list_faults(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    answer(desk.admit(&request).map(|()| json!({ "armed": desk.house.faults().list() })))
}

/// `POST /faults` with an [`Armed`] as JSON.
async fn arm_fault(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let armed = desk.admit(&request).and_then(|()| {
        let armed: Armed = read(&body, ARMED)?;
        if armed.provider.as_deref().is_some_and(|name| desk.dialect(name).is_none()) {
            return Err(bad("provider: the simulator speaks no such dialect"));
        }
        desk.house.faults().arm(armed).map_err(bad)?;
        Ok(json!({ "armed": desk.house.faults().list() }))
    });
    answer(armed)
}

/// `DELETE /faults`: disarms all of them.
async fn clear_faults(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let cleared = desk.admit(&request).map(|()| {
        desk.house.faults().clear();
        json!({ "armed": [] })
    });
    answer(cleared)
}

/// The body of `POST /webhooks`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Aim {
    provider: String,
    #[serde(default)]
    account_ending: Option<String>,
    url: String,
    #[serde(deserialize_with = "wiped")]
    secret: Zeroizing<String>,
    #[serde(default)]
    ca: Option<String>,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// `GET /webhooks`: where they go (without secrets), and what became of them.
async fn list_webhooks(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let bell = &desk.house.bell;
    answer(desk.admit(&request).map(|()| json!({ "targets": bell.shown(), "counts": bell.counts() })))
}

/// `POST /webhooks`: one more target, or a new secret for one.
async fn aim_webhook(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let aimed = desk.admit(&request).and_then(|()| {
        let aim: Aim = read(&body, AIM)?;
        if desk.dialect(&aim.provider).is_none() {
            return Err(bad("provider: the simulator speaks no such dialect"));
        }
        let authority = aim.ca.as_deref().map(str::as_bytes).or(desk.authority.as_deref().map(Vec::as_slice));
        let target = Target::new(&aim.provider, aim.account_ending.as_deref(), &aim.url, &aim.secret, authority);
        let aimed = target.and_then(|target| desk.house.bell.aim(target));
        aimed.map_err(|why| bad(&why.to_string()))?;
        Ok(json!({ "targets": desk.house.bell.shown() }))
    });
    answer(aimed)
}

/// `DELETE /webhooks`: forgets all targets.
async fn forget_webhooks(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let forgotten = desk.admit(&request).map(|()| {
        desk.house.bell.forget();
        json!({ "targets": [] })
    });
    answer(forgotten)
}

/// A dispute that somebody orders at the desk; the body of `POST /disputes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeOrder {
    #[serde(default)]
    psp_id: Option<String>,
    #[serde(default)]
    payment_id: Option<String>,
    #[serde(default)]
    status: DisputeStatus,
    #[serde(default)]
    amount: Option<i64>,
    #[serde(default)]
    reason: Option<String>,
}

/// A dispute, as a dialect is told to open or move it. A payment has one dispute at most: a second order moves it.
pub(crate) struct Dispute {
    /// The provider's id of the payment.
    pub(crate) psp_id: String,
    /// How it stands from now on.
    pub(crate) status: DisputeStatus,
    /// How much is disputed, in minor units; all of the payment when left out.
    pub(crate) amount: Option<i64>,
    /// The reason in the dialect's words.
    pub(crate) reason: Option<String>,
}

/// How a dispute stands.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    /// The bank asks; no money has moved.
    Inquiry,
    /// A chargeback that the merchant may answer.
    #[default]
    Opened,
    /// The merchant has answered.
    Challenged,
    /// The merchant gave in.
    Accepted,
    /// The bank has taken it back.
    Cancelled,
    /// Decided for the merchant.
    Won,
    /// Decided for the payer.
    Lost,
}

/// `POST /disputes`: opens or moves a dispute of a payment; its dialect tells it by webhook.
async fn dispute(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let disputed = desk.admit(&request).and_then(|()| {
        let order: DisputeOrder = read(&body, DISPUTE)?;
        let (Some(reference), None) = (order.psp_id.as_ref().or(order.payment_id.as_ref()), order.both()) else {
            return Err(bad("Name the payment: psp_id or payment_id, not both."));
        };
        let Some((provider, psp_id)) = desk.house.ledger.find(reference) else {
            return Err(No(StatusCode::NOT_FOUND, NO_PAYMENT.to_owned()));
        };
        let dialect = desk.dialect(provider).ok_or_else(|| No(StatusCode::NOT_FOUND, NO_PAYMENT.to_owned()))?;
        let dispute = Dispute { psp_id, status: order.status, amount: order.amount, reason: order.reason };
        dialect.dispute(&dispute).map_err(|why| bad(&why))
    });
    answer(disputed)
}

impl DisputeOrder {
    fn both(&self) -> Option<(&str, &str)> {
        Some((self.psp_id.as_deref()?, self.payment_id.as_deref()?))
    }
}

/// Reads a JSON body; `form` says what it must look like.
fn read<T: DeserializeOwned>(body: &[u8], form: &'static str) -> Result<T, No> {
    serde_json::from_slice(body).map_err(|_| bad(form))
}

/// What the desk answers when it does nothing.
struct No(StatusCode, String);

fn answer(done: Result<Value, No>) -> HttpResponse {
    match done {
        Ok(value) => HttpResponse::Ok().json(value),
        Err(No(status, message)) => HttpResponse::build(status).json(json!({ "error": { "message": message } })),
    }
}

fn bad(message: &str) -> No {
    No(StatusCode::BAD_REQUEST, message.to_owned())
}

const NO_KEY: &str = "The desk wants one of the --api-key keys as a bearer token.";
const NO_PAYMENT: &str = "No money of such a payment has moved here.";
const ARMED: &str = "Send JSON: {\"fault\": slow | drop_after | error_after | error_before | drop_before | decline | \
    webhook_lost | webhook_twice | webhook_delayed, \"operation\"?: method | prepare | authorize | verify | complete | \
    increment | capture | cancel | refund | read | webhook | any, \"provider\"?, \"account_ending\"?, \"times\"?, \
    \"delay_ms\"?}.";
const AIM: &str = "Send JSON: {\"provider\", \"url\", \"secret\", \"account_ending\"?, \"ca\"? (PEM)}.";
const DISPUTE: &str = "Send JSON: {\"psp_id\" | \"payment_id\", \"status\"?: inquiry | opened | challenged | accepted | \
    cancelled | won | lost, \"amount\"?, \"reason\"?}.";
