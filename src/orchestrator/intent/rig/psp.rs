//! A provider in memory and its connector: it counts what it charged.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::connector::{
    Auth, BadCredentials, Body, Capabilities, CaptureMethod, Connector, Credentials, Decline, DeclineKind, Doubt,
    Field, Method, Operation, Outcome, Progress, PspAnswer, PspEvent, PspRequest, Refusal, Slot, Step, Unsupported,
    WebhookCall, WebhookRefusal,
};
use crate::transport::{CardPass, NotSent, Sent, Transport};
use crate::vault::Card;

pub(crate) const GOOD: &str = "4242424242424242";
pub(crate) const DECLINED: &str = "4000000000000002";
pub(crate) const AUTHENTICATE: &str = "4000002500003155";

/// What goes wrong with the next request to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection.
    Unreachable,
    /// The request is lost on its way, the caller only sees a time-out.
    LostRequest,
    /// The provider does it, the answer is lost.
    LostAnswer,
    /// The provider has a fault of its own, does nothing and remembers that answer under the key.
    Fault,
    /// Never comes back, with nothing done.
    Hang,
}

#[derive(Default)]
pub(crate) struct FakePsp {
    pub(crate) state: Mutex<PspState>,
}

#[derive(Default)]
pub(crate) struct PspState {
    pub(crate) troubles: VecDeque<(&'static str, Trouble)>,
    /// Every request that arrived.
    pub(crate) arrived: Vec<String>,
    /// Reservations and charges that were really made.
    pub(crate) charges: u32,
    pub(crate) captures: u32,
    pub(crate) refunds: u64,
    answers: HashMap<String, Value>,
    payments: HashMap<String, Map<String, Value>>,
    cards: Vec<String>,
}

#[async_trait]
impl Transport for FakePsp {
    async fn send(&self, _: &str, request: &PspRequest, credentials: &Credentials, card: CardPass<'_>) -> Sent {
        assert_eq!(*credentials.api_key, "sk_test_rig");
        let trouble = {
            let mut state = self.state.lock().unwrap();
            let hit = state.troubles.front().is_some_and(|(path, _)| request.path.starts_with(path));
            if hit { state.troubles.pop_front().map(|(_, trouble)| trouble) } else { None }
        };
        match trouble {
            Some(Trouble::Unreachable) => return Sent::NotSent(NotSent::Unreachable),
            Some(Trouble::LostRequest) => return Sent::InDoubt(Doubt::TimedOut),
            Some(Trouble::Hang) => std::future::pending().await,
            Some(Trouble::LostAnswer) | None => {}
            Some(Trouble::Fault) => {
                let key = request.idempotency_key.clone().unwrap();
                self.state.lock().unwrap().answers.insert(key, json!({"status": "fault"}));
            }
        }
        let card = match card {
            CardPass::Released(card) => Some(card),
            CardPass::None | CardPass::ByVault(_) => None,
        };
        let answer = self.state.lock().unwrap().handle(request, card);
        if trouble == Some(Trouble::LostAnswer) {
            return Sent::InDoubt(Doubt::ConnectionLost);
        }
        Sent::Answer(PspAnswer { status: 200, body: answer.to_string().into_bytes() })
    }
}

impl PspState {
    fn handle(&mut self, request: &PspRequest, card: Option<&Card>) -> Value {
        self.arrived.push(request.path.clone());
        if let Some(known) = request.idempotency_key.as_ref().and_then(|key| self.answers.get(key)) {
            return known.clone();
        }
        let answer = self.act(request, card);
        if let Some(key) = &request.idempotency_key {
            self.answers.insert(key.clone(), answer.clone());
        }
        answer
    }

    fn act(&mut self, request: &PspRequest, card: Option<&Card>) -> Value {
        let field = |name: &str| match &request.body {
            Body::Form(pairs) => pairs.iter().find_map(|(n, f)| match f {
                Field::Text(text) if n == name => Some(text.clone()),
                _ => None,
            }),
            Body::Empty | Body::Json(_) => None,
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let query = |name: &str| request.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let id = query("id").or_else(|| field("id")).unwrap_or_default();
        match request.path.as_str() {
            "/card" => {
                self.cards.push(card.expect("a slot was filled").number.to_string());
                json!({"card": self.cards.len() - 1})
            }
            "/pay" => {
                let card = &self.cards[usize::try_from(number("card")).unwrap()];
                let id = format!("ps_{}", self.payments.len());
                let status = match card.as_str() {
                    DECLINED => "declined",
                    AUTHENTICATE => "action",
                    _ if field("capture").as_deref() == Some("manual") => "authorized",
                    _ => "captured",
                };
                if matches!(status, "authorized" | "captured") {
                    self.charges += 1;
                }
                let payment = json!({"id": id, "status": status, "amount": number("amount"),
                    "attempt_id": field("attempt_id")});
                self.payments.insert(id, payment.as_object().unwrap().clone());
                payment
            }
            "/look" => self.payments.get(&id).map_or(json!({"status": "absent"}), |p| Value::Object(p.clone())),
            "/find" => {
                let wanted = query("attempt_id").map(Value::from);
                let found = self.payments.values().find(|p| p.get("attempt_id") == wanted.as_ref());
                found.map_or(json!({"status": "absent"}), |p| Value::Object(p.clone()))
            }
            "/capture" | "/cancel" => {
                let payment = self.payments.get_mut(&id).unwrap();
                if request.path == "/capture" {
                    self.captures += 1;
                    payment.insert("status".into(), "captured".into());
                    payment.insert("amount".into(), number("amount").into());
                } else {
                    payment.insert("status".into(), "cancelled".into());
                }
                Value::Object(payment.clone())
            }
            "/refund" => {
                self.refunds += number("amount");
                let refund = json!({"id": format!("re_{}", field("refund_id").unwrap()), "status": "refunded",
                    "amount": number("amount")});
                let id = format!("refund {}", field("refund_id").unwrap());
                self.payments.insert(id, refund.as_object().unwrap().clone());
                refund
            }
            other => panic!("the provider has no {other}"),
        }
    }

    /// The provider's word about a refund changes.
    pub(crate) fn set_refund(&mut self, refund_id: &str, status: &str) {
        self.payments.get_mut(&format!("refund {refund_id}")).unwrap().insert("status".into(), status.into());
    }

    /// The payer passes authentication.
    pub(crate) fn authenticate(&mut self, psp_id: &str) {
        self.charges += 1;
        self.payments.get_mut(psp_id).unwrap().insert("status".into(), "captured".into());
    }
}

/// The pure mapping to [`FakePsp`]: two steps to authorize, as at Stripe.
pub(crate) struct RigConnector;

impl Connector for RigConnector {
    fn name(&self) -> &'static str {
        "rig"
    }

    fn capabilities(&self) -> &'static Capabilities {
        const CAPABILITIES: Capabilities = Capabilities {
            partial_capture: true,
            multiple_captures: false,
            incremental: false,
            zero_amount: false,
            foreign_network_id: false,
            can_sync: true,
            authorization_days: 7,
            currencies: &[],
            networks: &[],
            three_ds: true,
            idempotent_replay_s: Some(86_400),
        };
        &CAPABILITIES
    }

    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials> {
        let good = credentials.api_key.starts_with("sk_");
        if good { Ok(()) } else { Err(BadCredentials { field: "api_key", reason: "begins with sk_" }) }
    }

    fn request(&self, operation: &Operation, progress: &Progress) -> Result<PspRequest, Unsupported> {
        let text = |name: &str, value: &str| (name.to_owned(), Field::Text(value.to_owned()));
        let ask = |path: &str, name: &str, value: &str| PspRequest {
            method: Method::Get,
            path: path.into(),
            query: vec![(name.into(), value.into())],
            auth: Auth::Bearer,
            headers: Vec::new(),
            idempotency_key: None,
            body: Body::Empty,
            moves_money: false,
        };
        let tell = |path: &str, key: &str, fields: Vec<(String, Field)>, moves_money| PspRequest {
            method: Method::Post,
            path: path.into(),
            query: Vec::new(),
            auth: Auth::Bearer,
            headers: Vec::new(),
            idempotency_key: (!key.is_empty()).then(|| key.to_owned()),
            body: Body::Form(fields),
            moves_money,
        };
        Ok(match operation {
            Operation::Authorize(_) if progress.step == 0 => {
                tell("/card", "", vec![("number".into(), Field::Slot(Slot::Number))], false)
            }
            Operation::Authorize(a) => {
                let capture = if a.capture == CaptureMethod::Manual { "manual" } else { "automatic" };
                let fields = vec![
                    text("card", &progress.values["card"]),
                    text("amount", &a.amount.minor.to_string()),
                    text("capture", capture),
                    text("attempt_id", &a.attempt_id),
                ];
                tell("/pay", &a.idempotency_key, fields, true)
            }
            Operation::Sync(s) => match &s.psp_id {
                Some(id) => ask("/look", "id", id),
                None => ask("/find", "attempt_id", &s.attempt_id),
            },
            Operation::Capture(c) => {
                let fields = vec![text("id", &c.psp_id), text("amount", &c.amount.minor.to_string())];
                tell("/capture", &c.idempotency_key, fields, true)
            }
            Operation::Cancel(c) => tell("/cancel", &c.idempotency_key, vec![text("id", &c.psp_id)], true),
            Operation::Refund(r) => {
                let fields = vec![text("refund_id", &r.refund_id), text("amount", &r.amount.minor.to_string())];
                tell("/refund", &r.idempotency_key, fields, true)
            }
            Operation::Verify(_) | Operation::Increment(_) | Operation::Complete(_) => {
                return Err(Unsupported("not offered here"));
            }
            Operation::SyncRefund(s) => ask("/look", "id", &format!("refund {}", s.refund_id)),
        })
    }

    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        if matches!(operation, Operation::Authorize(_)) && progress.step == 0 {
            let values = [("card".to_owned(), answer["card"].to_string())].into();
            return Step::Next(Progress { step: 1, values });
        }
        let handles = Default::default();
        let psp_id = answer["id"].as_str().unwrap_or_default().to_owned();
        let amount_minor = answer["amount"].as_u64().unwrap_or(0);
        Step::Done(match answer["status"].as_str().unwrap() {
            "absent" => return Step::Absent,
            "fault" => return Step::InDoubt(Doubt::ServerFault),
            "authorized" => Outcome::Authorized { psp_id, network_transaction_id: Some("ntid".into()), handles },
            "captured" => {
                Outcome::Captured { psp_id, amount_minor, network_transaction_id: Some("ntid".into()), handles }
            }
            "cancelled" => Outcome::Cancelled { psp_id },
            "refunded" => Outcome::Refunded { psp_id, amount_minor },
            "pending" => Outcome::Pending { psp_id, handles },
            "failed" => Outcome::Refused(Refusal { code: "refund_failed".into(), message: "It failed.".into() }),
            "action" => Outcome::RequiresAction { psp_id, redirect_url: "https://psp.test/3ds".into(), handles },
            _ => Outcome::Declined(Decline {
                psp_id: Some(psp_id),
                code: "card_declined".into(),
                decline_code: Some("generic_decline".into()),
                message: "Your card was declined.".into(),
                kind: DeclineKind::Soft,
            }),
        })
    }

    fn webhook(&self, _: &WebhookCall<'_>, _: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        Err(WebhookRefusal::NoSecret)
    }
}

pub(crate) static CONNECTORS: &[&dyn Connector] = &[&RigConnector];
