//! A provider in memory: it counts what it charged, and holds to its own law whatever it is asked.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::connector::{Body, Credentials, Doubt, Field, PspAnswer, PspRequest};
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
    /// Never comes back, though it was done.
    HangDone,
    /// The provider does it and says only that it works on it.
    Accepted,
    /// The provider refuses the request and does nothing.
    Refused,
    /// The issuer says no, for now.
    Soft,
    /// The issuer says no to this card.
    Hard,
    /// The schemes forbid to ask again with this card.
    Forbidden,
    /// The provider wants the payer on another page, and has done nothing yet.
    Onward,
    /// The provider wants the payer to authenticate.
    Action,
}

#[derive(Default)]
pub(crate) struct FakePsp {
    pub(crate) state: Mutex<PspState>,
}

#[derive(Default)]
pub(crate) struct PspState {
    pub(crate) troubles: VecDeque<(&'static str, Trouble)>,
    /// The same for requests under this API key alone.
    pub(crate) troubles_of: HashMap<&'static str, VecDeque<(&'static str, Trouble)>>,
    /// Every request that arrived.
    pub(crate) arrived: Vec<String>,
    /// The CVC of every card that arrived.
    pub(crate) cvcs: Vec<Option<String>>,
    /// The API key of every charge.
    pub(crate) charged_by: Vec<String>,
    /// The answer to the next request to pay is lost, whatever it says.
    pub(crate) loses_next: bool,
    /// Reservations and charges that were really made.
    pub(crate) charges: u32,
    pub(crate) captures: u32,
    pub(crate) refunds: u64,
    /// What the last authorization said about the card's history.
    pub(crate) credential: String,
    answers: HashMap<String, Value>,
    /// What the next request to pay ends in.
    instead: Option<&'static str>,
    payments: HashMap<String, Map<String, Value>>,
    cards: Vec<String>,
}

#[async_trait]
impl Transport for FakePsp {
    async fn send(&self, _: &str, request: &PspRequest, credentials: &Credentials, card: CardPass<'_>) -> Sent {
        let account = credentials.api_key.as_str();
        if request.path == "/probe" {
            let status = if account.contains("wrong") { 401 } else { 200 };
            return Sent::Answer(PspAnswer { status, body: Vec::new() });
        }
        assert!(KEYS.contains(&account), "the provider has no account for this key");
        let trouble = {
            let mut state = self.state.lock().unwrap();
            let next = |waiting: &mut VecDeque<(&'static str, Trouble)>| {
                let hit = waiting.front().is_some_and(|(path, _)| request.path.starts_with(path));
                if hit { waiting.pop_front().map(|(_, trouble)| trouble) } else { None }
            };
            next(&mut state.troubles).or_else(|| state.troubles_of.get_mut(account).and_then(next))
        };
        let instead = |status| self.state.lock().unwrap().instead = Some(status);
        let remember = |answer: Value| {
            let key = request.idempotency_key.clone().unwrap();
            self.state.lock().unwrap().answers.insert(key, answer);
        };
        match trouble {
            Some(Trouble::Unreachable) => return Sent::NotSent(NotSent::Unreachable),
            Some(Trouble::LostRequest) => return Sent::InDoubt(Doubt::TimedOut),
            Some(Trouble::Hang) => std::future::pending().await,
            Some(Trouble::Fault) => remember(json!({"status": "fault"})),
            Some(Trouble::Refused) => remember(json!({"status": "refused"})),
            Some(Trouble::Soft) => instead("declined"),
            Some(Trouble::Hard) => instead("hard"),
            Some(Trouble::Forbidden) => instead("forbidden"),
            Some(Trouble::Action) => instead("action"),
            Some(Trouble::Onward) => {
                remember(json!({"id": "ps_0", "status": "action", "url": "https://psp.test/more"}));
            }
            Some(Trouble::LostAnswer | Trouble::HangDone | Trouble::Accepted) | None => {}
        }
        let card = match card {
            CardPass::Released(card) => Some(card),
            CardPass::None | CardPass::ByVault(_) => None,
        };
        let mut answer = self.state.lock().unwrap().handle(request, card, account);
        if request.path == "/pay" && std::mem::take(&mut self.state.lock().unwrap().loses_next) {
            return Sent::InDoubt(Doubt::ConnectionLost);
        }
        match trouble {
            Some(Trouble::LostAnswer) => return Sent::InDoubt(Doubt::ConnectionLost),
            Some(Trouble::HangDone) => std::future::pending().await,
            Some(Trouble::Accepted) => answer["status"] = "pending".into(),
            _ => {}
        }
        Sent::Answer(PspAnswer { status: 200, body: answer.to_string().into_bytes() })
    }
}

impl PspState {
    fn handle(&mut self, request: &PspRequest, card: Option<&Card>, account: &str) -> Value {
        self.arrived.push(request.path.clone());
        if let Some(known) = request.idempotency_key.as_ref().and_then(|key| self.answers.get(key)) {
            return known.clone();
        }
        let answer = self.act(request, card, account);
        if let Some(key) = &request.idempotency_key {
            self.answers.insert(key.clone(), answer.clone());
        }
        answer
    }

    fn act(&mut self, request: &PspRequest, card: Option<&Card>, account: &str) -> Value {
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
        let refused = json!({"status": "refused"});
        match request.path.as_str() {
            "/card" => {
                let card = card.expect("a slot was filled");
                self.cards.push(card.number.to_string());
                self.cvcs.push(card.cvc.as_ref().map(|cvc| cvc.to_string()));
                json!({"card": self.cards.len() - 1})
            }
            "/pay" => {
                self.credential = field("credential").unwrap_or_default();
                let card = self.cards[usize::try_from(number("card")).unwrap()].clone();
                let payment = json!({"id": format!("ps_{}", self.payments.len()), "amount": number("amount"), "taken": 0,
                    "capture": field("capture"), "attempt_id": field("attempt_id"), "status": "declined",
                    "account": account});
                let mut payment = payment.as_object().unwrap().clone();
                match card.as_str() {
                    _ if self.instead.is_some() => _ = payment.insert("status".into(), self.instead.take().into()),
                    DECLINED => {}
                    AUTHENTICATE => _ = payment.insert("status".into(), "action".into()),
                    _ => self.authorize(&mut payment),
                }
                self.payments.insert(text(&payment, "id").to_owned(), payment.clone());
                Value::Object(payment)
            }
            "/look" => {
                let found = self.payments.get(&id).filter(|p| p.get("account").is_none_or(|of| of == account));
                found.map_or(json!({"status": "absent"}), |p| Value::Object(p.clone()))
            }
            "/find" => {
                let wanted = query("attempt_id").map(Value::from);
                let found = self.payments.values().find(|p| {
                    p.get("attempt_id") == wanted.as_ref() && p.get("account").is_none_or(|of| of == account)
                });
                found.map_or(json!({"status": "absent"}), |p| Value::Object(p.clone()))
            }
            "/complete" => {
                let mut payment = self.payments[&id].clone();
                match (text(&payment, "status"), field("result").as_deref()) {
                    ("action", Some("good")) => self.authorize(&mut payment),
                    ("action", Some("bad")) => _ = payment.insert("status".into(), "declined".into()),
                    _ => return refused,
                }
                self.payments.insert(id, payment.clone());
                Value::Object(payment)
            }
            "/capture" => {
                let payment = self.payments.get_mut(&id).unwrap();
                let (amount, taken) = (count(payment, "amount"), count(payment, "taken") + number("amount"));
                if !matches!(text(payment, "status"), "authorized" | "part") || taken > amount {
                    return refused;
                }
                let all = taken == amount || field("final").as_deref() == Some("true");
                self.captures += 1;
                payment.insert("taken".into(), taken.into());
                payment.insert("status".into(), if all { "captured" } else { "part" }.into());
                Value::Object(payment.clone())
            }
            "/raise" => {
                let payment = self.payments.get_mut(&id).unwrap();
                if text(payment, "status") != "authorized" {
                    return refused;
                }
                payment.insert("amount".into(), number("amount").into());
                Value::Object(payment.clone())
            }
            "/cancel" => {
                let payment = self.payments.get_mut(&id).unwrap();
                match text(payment, "status") {
                    "authorized" | "action" => _ = payment.insert("status".into(), "cancelled".into()),
                    "part" => _ = payment.insert("status".into(), "captured".into()),
                    _ => return refused,
                }
                json!({"id": id, "status": "cancelled"})
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

    fn authorize(&mut self, payment: &mut Map<String, Value>) {
        let amount = count(payment, "amount");
        let status = match (amount, text(payment, "capture")) {
            (0, _) => "verified",
            (_, "automatic") => "captured",
            _ => "authorized",
        };
        if status == "captured" {
            payment.insert("taken".into(), amount.into());
        }
        self.charges += u32::from(amount > 0);
        self.charged_by.extend((amount > 0).then(|| text(payment, "account").to_owned()));
        payment.insert("status".into(), status.into());
    }

    /// The provider's word about a refund changes.
    pub(crate) fn set_refund(&mut self, refund_id: &str, status: &str) {
        self.set(&format!("refund {refund_id}"), "status", status);
    }

    /// Something happens to a payment at the provider without us.
    pub(crate) fn set(&mut self, psp_id: &str, name: &str, value: impl Into<Value>) {
        self.payments.get_mut(psp_id).unwrap().insert(name.into(), value.into());
    }

    /// The payer passes authentication.
    pub(crate) fn authenticate(&mut self, psp_id: &str) {
        let mut payment = self.payments[psp_id].clone();
        self.authorize(&mut payment);
        self.payments.insert(psp_id.into(), payment);
    }

    /// What the provider took of a payment.
    pub(crate) fn taken(&self, psp_id: &str) -> u64 {
        count(&self.payments[psp_id], "taken")
    }

    /// How a payment stands at the provider.
    pub(crate) fn status(&self, psp_id: &str) -> String {
        text(&self.payments[psp_id], "status").to_owned()
    }

    /// How often a path was called.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.arrived.iter().filter(|arrived| *arrived == path).count()
    }
}

/// The API keys of the accounts that there are.
pub(crate) const KEYS: [&str; 3] = ["sk_test_rig", "sk_test_rig_2", "sk_test_rig_3"];

fn text<'a>(payment: &'a Map<String, Value>, name: &str) -> &'a str {
    payment.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn count(payment: &Map<String, Value>, name: &str) -> u64 {
    payment.get(name).and_then(Value::as_u64).unwrap_or(0)
}
