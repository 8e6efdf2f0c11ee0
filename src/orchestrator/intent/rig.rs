//! A vault, a provider and its connector in memory, for the engine's tests: the provider counts what it charged.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use strongroom_wire::payment_method::{Brand, CardSummary, MethodKind, PaymentMethod, Session, Storage};
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};
use zeroize::Zeroizing;

use super::{Engine, MethodInput, NewPayment, Parts, Terms};
use crate::account::{ConnectorAccount, Merchant};
use crate::clock::ManualClock;
use crate::connector::{
    Auth, BadCredentials, Body, Capabilities, CaptureMethod, Connector, Credentials, Decline, DeclineKind, Doubt,
    Field, Method, Operation, Outcome, Progress, PspAnswer, PspRequest, Slot, Step, Unsupported,
};
use crate::store::{SqliteStore, Store};
use crate::telemetry::Metrics;
use crate::transport::{NotSent, Sent, Transport};
use crate::vault::{Card, CardInput, SecretText, Vault, VaultError};

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
    async fn send(&self, _: &str, request: &PspRequest, credentials: &Credentials, card: Option<&Card>) -> Sent {
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
        }
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
            Body::Empty => None,
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
            Operation::SyncRefund(s) => ask("/look", "id", &format!("refund {}", s.refund_id)),
        })
    }

    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        if matches!(operation, Operation::Authorize(_)) && progress.step == 0 {
            let values = [("card".to_owned(), answer["card"].to_string())].into();
            return Step::Next(Progress { step: 1, values });
        }
        let psp_id = answer["id"].as_str().unwrap_or_default().to_owned();
        let amount_minor = answer["amount"].as_u64().unwrap_or(0);
        Step::Done(match answer["status"].as_str().unwrap() {
            "absent" => return Step::Absent,
            "authorized" => Outcome::Authorized { psp_id, network_transaction_id: Some("ntid".into()) },
            "captured" => Outcome::Captured { psp_id, amount_minor, network_transaction_id: Some("ntid".into()) },
            "cancelled" => Outcome::Cancelled { psp_id },
            "refunded" => Outcome::Refunded { psp_id, amount_minor },
            "action" => Outcome::RequiresAction { psp_id, redirect_url: "https://psp.test/3ds".into() },
            _ => Outcome::Declined(Decline {
                psp_id: Some(psp_id),
                code: "card_declined".into(),
                decline_code: Some("generic_decline".into()),
                message: "Your card was declined.".into(),
                kind: DeclineKind::Soft,
            }),
        })
    }
}

pub(crate) static CONNECTORS: &[&dyn Connector] = &[&RigConnector];

#[derive(Default)]
pub(crate) struct FakeVault {
    pub(crate) state: Mutex<VaultState>,
}

#[derive(Default)]
pub(crate) struct VaultState {
    pub(crate) cards: HashMap<Token, (PaymentMethod, String)>,
    pub(crate) reveals: u32,
    pub(crate) down: bool,
    pub(crate) secrets: HashMap<SecretId, String>,
}

impl FakeVault {
    fn up(&self) -> Result<std::sync::MutexGuard<'_, VaultState>, VaultError> {
        let state = self.state.lock().unwrap();
        if state.down { Err(VaultError::Unavailable) } else { Ok(state) }
    }
}

#[async_trait]
impl Vault for FakeVault {
    async fn register(&self, _: &TenantId) -> Result<(), VaultError> {
        self.up().map(drop)
    }

    async fn tokenize(
        &self,
        _: &TenantId,
        card: &CardInput,
        customer: Option<&CustomerId>,
    ) -> Result<PaymentMethod, VaultError> {
        let number = card.number.expose().to_owned();
        if number.len() < 12 {
            return Err(VaultError::InvalidCard { field: Some("card.number".into()) });
        }
        let method = PaymentMethod {
            payment_method_id: Token::fresh(),
            kind: MethodKind::Card,
            card: CardSummary {
                brand: Brand::Visa,
                bin: number[..6].into(),
                last4: number[number.len() - 4..].into(),
                exp_month: card.exp_month,
                exp_year: card.exp_year,
                fingerprint: "f".into(),
            },
            storage: Storage::ShortTerm,
            customer_id: customer.cloned(),
            metadata: Default::default(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            expires_at: None,
            cvc_token: card.cvc.as_ref().map(|_| "cvc_sealed".into()),
        };
        self.up()?.cards.insert(method.payment_method_id, (method.clone(), number));
        Ok(method)
    }

    async fn reveal(&self, _: &TenantId, token: Token, _: &str, _: Option<&str>) -> Result<Card, VaultError> {
        let mut state = self.up()?;
        state.reveals += 1;
        let (method, number) = state.cards.get(&token).ok_or(VaultError::NotFound)?;
        Ok(Card {
            number: Zeroizing::new(number.clone()),
            exp_month: method.card.exp_month,
            exp_year: method.card.exp_year,
            cvc: None,
            holder_name: None,
        })
    }

    async fn get(&self, _: &TenantId, token: Token) -> Result<PaymentMethod, VaultError> {
        self.up()?.cards.get(&token).map(|(method, _)| method.clone()).ok_or(VaultError::NotFound)
    }

    async fn list(&self, _: &TenantId, customer: &CustomerId) -> Result<Vec<PaymentMethod>, VaultError> {
        let state = self.up()?;
        let theirs = state.cards.values().filter(|(method, _)| method.customer_id.as_ref() == Some(customer));
        Ok(theirs.map(|(method, _)| method.clone()).collect())
    }

    async fn retain(&self, _: &TenantId, token: Token) -> Result<(), VaultError> {
        self.up()?.cards.get_mut(&token).ok_or(VaultError::NotFound)?.0.storage = Storage::LongTerm;
        Ok(())
    }

    async fn delete(&self, _: &TenantId, token: Token) -> Result<(), VaultError> {
        self.up()?.cards.remove(&token).map(drop).ok_or(VaultError::NotFound)
    }

    async fn session(
        &self,
        _: &TenantId,
        _: Option<&CustomerId>,
        _: Vec<String>,
        _: u64,
    ) -> Result<Session, VaultError> {
        let _up = self.up()?;
        Ok(Session { client_secret: "cs_rig".into(), expires_at: "2026-01-01T00:15:00.000Z".into() })
    }

    async fn store_secret(&self, _: &TenantId, _: &str, value: &str) -> Result<SecretId, VaultError> {
        let id = SecretId::fresh();
        self.up()?.secrets.insert(id, value.to_owned());
        Ok(id)
    }

    async fn reveal_secret(&self, _: &TenantId, id: SecretId) -> Result<Zeroizing<String>, VaultError> {
        self.up()?.secrets.get(&id).map(|text| Zeroizing::new(text.clone())).ok_or(VaultError::NotFound)
    }
}

/// Everything around an engine, which can be exchanged as if the process had crashed.
pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    pub(crate) psp: Arc<FakePsp>,
    pub(crate) vault: Arc<FakeVault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) merchant: TenantId,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let (psp, vault) = (Arc::<FakePsp>::default(), Arc::<FakeVault>::default());
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let merchant: TenantId = "shop".parse().unwrap();
        let engine = engine(&store, &psp, &vault, &clock);
        let rig = Self { engine, psp, vault, clock, store, merchant, _folder: folder };
        rig.add_merchant().await;
        rig
    }

    async fn add_merchant(&self) {
        let secret_id = self.vault.store_secret(&self.merchant, "x", r#"{"api_key":"sk_test_rig"}"#).await.unwrap();
        let merchant = Merchant {
            merchant_id: self.merchant.clone(),
            merchant_name: None,
            publishable_key: "pk_rig_0123456789".into(),
            profile_id: "pro_1".into(),
            metadata: Map::new(),
            created_ms: 0,
        };
        self.store.add_merchant(&merchant).await.unwrap();
        let account = ConnectorAccount {
            account_id: "mca_1".into(),
            merchant_id: self.merchant.clone(),
            connector: "rig".into(),
            label: "rig".into(),
            secret_id,
            test_mode: true,
            disabled: false,
            created_ms: 0,
        };
        self.store.add_connector_account(&account).await.unwrap();
    }

    /// The process is gone; another one starts on the same store.
    pub(crate) fn crash(&mut self) {
        self.engine = engine(&self.store, &self.psp, &self.vault, &self.clock);
    }

    pub(crate) fn trouble(&self, path: &'static str, trouble: Trouble) {
        self.psp.state.lock().unwrap().troubles.push_back((path, trouble));
    }

    pub(crate) fn charges(&self) -> u32 {
        self.psp.state.lock().unwrap().charges
    }

    pub(crate) fn cards_in_vault(&self) -> usize {
        self.vault.state.lock().unwrap().cards.len()
    }
}

fn engine(store: &Arc<dyn Store>, psp: &Arc<FakePsp>, vault: &Arc<FakeVault>, clock: &Arc<ManualClock>) -> Arc<Engine> {
    let parts = Parts {
        store: store.clone(),
        vault: vault.clone(),
        transport: psp.clone(),
        clock: clock.clone(),
        connectors: CONNECTORS,
        metrics: Arc::new(Metrics::new()),
        exchange_ms_max: 30_000,
        public_url: "https://pay.test".into(),
    };
    Arc::new(Engine::new(parts).unwrap())
}

/// A payment of 10.00 USD.
pub(crate) fn new_payment(change: impl FnOnce(&mut Terms)) -> NewPayment {
    let mut terms = Terms {
        amount_minor: 1000,
        currency: "USD".parse().unwrap(),
        automatic_capture: true,
        three_ds: false,
        customer_id: None,
        description: None,
        statement_descriptor: None,
        return_url: None,
        setup_future_usage: None,
        off_session: false,
        metadata: Map::new(),
        extra: Map::new(),
        connectors: Vec::new(),
    };
    change(&mut terms);
    NewPayment { payment_id: Some("pay_1".into()), terms, session_expiry_s: 900 }
}

pub(crate) fn card(number: &str) -> Option<MethodInput> {
    Some(MethodInput::Card(Box::new(CardInput {
        number: SecretText::new(number.into()),
        exp_month: 12,
        exp_year: 2034,
        cvc: Some(SecretText::new("123".into())),
        holder_name: None,
    })))
}
