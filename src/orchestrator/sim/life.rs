//! Lives a life: runs its steps on a real engine and store, with a clock that is moved, a vault in memory and the
//! simulator behind the real connector, and holds every law after each step and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Map;
use strongroom_simulator::{Carried, Inside};
use strongroom_wire::TenantId;

use super::ears::Ear;
use super::laws;
use super::op::{Number, Op, Order, Plan, Step};
use super::psp::Road;
use crate::account::{ConnectorAccount, Merchant, WebhookSettings};
use crate::clock::ManualClock;
use crate::connector;
use crate::intent::rig::{FakeVault, card, new_payment};
use crate::intent::{
    Asker, CapturePlan, Engine, Fault, FutureUsage, NewIncrement, NewPayment, NewRefund, Parts, Payment,
};
use crate::store::{SqliteStore, Store, StoreTrouble};
use crate::telemetry::Metrics;
use crate::vault::Vault as _;
use crate::webhook::{Courier, Door};

/// Everything that outlives a process, and the process.
pub(super) struct World {
    pub(super) engine: Arc<Engine>,
    pub(super) road: Arc<Road>,
    pub(super) vault: Arc<FakeVault>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<dyn Store>,
    /// The same.
    disk: Arc<SqliteStore>,
    pub(super) merchant: TenantId,
    /// The most that was ever agreed, captured and refunded of each payment, as its merchant was told.
    pub(super) told: BTreeMap<String, Told>,
    /// The provider of this life.
    pub(super) provider: &'static str,
    pub(super) door: Door,
    /// What the provider has told and nobody has carried yet.
    pub(super) letters: Vec<Carried>,
    pub(super) ear: Arc<Ear>,
    _folder: tempfile::TempDir,
}

/// What a merchant was told about a payment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) captured_minor: u64,
    pub(super) refunded_minor: u64,
}

/// Lives the steps at one provider.
///
/// # Panics
/// A law was broken.
pub(super) async fn live(provider: &'static str, steps: &[Step]) {
    let mut world = World::new(provider).await;
    for step in steps {
        world.step(step).await;
    }
    world.settle().await;
}

impl World {
    async fn new(provider: &'static str) -> Self {
        let folder = tempfile::tempdir_in(memory()).unwrap();
        let disk = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let store: Arc<dyn Store> = disk.clone();
        let clock = Arc::new(ManualClock::at(START_MS));
        let ticking = clock.clone();
        let inside =
            Inside::with_accounts(&API_KEYS, WEBHOOK_SECRET, move || crate::clock::Clock::now_ms(&*ticking) / 1000);
        let (road, vault) = (Arc::new(Road::to(inside)), Arc::<FakeVault>::default());
        let merchant: TenantId = "shop".parse().unwrap();
        let engine = engine(&store, &road, &vault, &clock);
        let world = Self {
            engine,
            road,
            vault,
            clock,
            store,
            disk,
            merchant,
            told: BTreeMap::new(),
            provider,
            door: Door::default(),
            letters: Vec::new(),
            ear: Arc::default(),
            _folder: folder,
        };
        world.add_merchant().await;
        world
    }

    async fn add_merchant(&self) {
        let more = match self.provider {
            "adyen" => r#""key1":"ShopAccount","#,
            "worldpay" => r#""key1":"password","api_secret":"default","#,
            _ => "",
        };
        let signs = self.vault.store_secret(&self.merchant, "webhook", "whsec_merchant").await.unwrap();
        let mut webhooks = WebhookSettings { url: Some("https://shop.test/hook".into()), ..Default::default() };
        webhooks.rotate(signs, START_MS, 0).unwrap();
        let merchant = Merchant {
            merchant_id: self.merchant.clone(),
            merchant_name: None,
            publishable_key: "pk_sim_0123456789".into(),
            profile_id: "pro_1".into(),
            metadata: Map::new(),
            webhooks,
            encryption: Default::default(),
            allowed_origins: Vec::new(),
            created_ms: START_MS,
        };
        self.store.add_merchant(&merchant).await.unwrap();
        // Two accounts at one provider: what was not sent or declined softly at the first goes to the second.
        for (number, api_key) in (1..).zip(API_KEYS) {
            let secret = format!(r#"{{"api_key":"{api_key}",{more}"webhook_secret":"{WEBHOOK_SECRET}"}}"#);
            let account = ConnectorAccount {
                account_id: format!("mca_{number}"),
                merchant_id: self.merchant.clone(),
                connector: self.provider.into(),
                label: format!("account {number}"),
                secret_id: self.vault.store_secret(&self.merchant, "x", &secret).await.unwrap(),
                has_webhook_secret: true,
                rotated_ms: None,
                retired: Vec::new(),
                accepts: Default::default(),
                destination: None,
                test_mode: true,
                disabled: false,
                deleted_ms: None,
                created_ms: START_MS,
            };
            self.store.add_connector_account(&account).await.unwrap();
        }
    }

    async fn step(&mut self, step: &Step) {
        self.road.plan(&step.faults);
        self.vault.state.lock().unwrap().down = step.vault_down;
        self.disk.set_trouble_after(step.store.0, step.store.1);
        let answers = {
            let all = join_all(step.ops.iter().map(|op| self.act(*op)));
            tokio::select! {
                answers = all => Some(answers),
                () = self.road.death.notified() => None,
            }
        };
        self.vault.state.lock().unwrap().down = false;
        self.disk.set_trouble(StoreTrouble::None);
        self.road.plan(&[]);
        match answers {
            Some(answers) => {
                for payment in answers.into_iter().flatten() {
                    self.hear(&payment);
                }
            }
            None => self.crash(),
        }
        for op in &step.ops {
            match op {
                Op::Crash => self.crash(),
                Op::Told(order) => self.carry(*order).await,
                // A provider that cannot be asked repeats what it tells until somebody listens.
                Op::TellingLost if self.can_be_asked() => {
                    self.collect();
                    self.letters.clear();
                }
                _ => {}
            }
        }
        if step.store.0 != StoreTrouble::None {
            self.engine.round(false).await;
        }
        laws::nobody_pretends(self).await;
        if step.wait_ms > 0 {
            self.clock.advance(step.wait_ms);
            self.engine.round(false).await;
        }
        laws::always(self).await;
    }

    /// What a merchant was told must stay true.
    fn hear(&mut self, payment: &Payment) {
        let told = self.told.entry(payment.payment_id.clone()).or_default();
        told.captured_minor = told.captured_minor.max(payment.captured_minor);
        let refunded = payment.refunds.iter().filter(|r| r.status == crate::intent::RefundStatus::Succeeded);
        told.refunded_minor = told.refunded_minor.max(refunded.map(|r| r.amount_minor).sum());
    }

    fn crash(&mut self) {
        self.engine = engine(&self.store, &self.road, &self.vault, &self.clock);
    }

    async fn act(&self, op: Op) -> Option<Payment> {
        let (engine, merchant) = (&self.engine, &self.merchant);
        let done: Result<Payment, Fault> = match op {
            Op::Create { pay, amount, plan, card: number, saves, increments } => {
                let mut new = new_payment(|terms| {
                    terms.amount_minor = amount;
                    terms.capture = match plan {
                        // The accounts of a life at Adyen are ordinary ones: Adyen releases the rest with a capture.
                        Plan::ManualMultiple if self.provider == "adyen" => CapturePlan::Manual,
                        other => other.into(),
                    };
                    if let Plan::Scheduled(hours) = plan {
                        terms.capture_on_ms = Some(START_MS + hours * 3_600_000);
                    }
                    terms.three_ds = number == Some(Number::Authenticate);
                    terms.return_url = Some("https://shop.test/thanks".into());
                    // Worldpay's history does not tell whether a raise whose answer was lost was made.
                    terms.incremental = increments && self.provider != "worldpay";
                    if saves {
                        terms.customer_id = Some("cus_1".parse().unwrap());
                        terms.setup_future_usage = Some(FutureUsage::OffSession);
                    }
                });
                new = NewPayment { payment_id: Some(name(pay)), ..new };
                let method = number.and_then(|number| card(number.digits()));
                engine.create(merchant, new, method, number.is_some()).await
            }
            Op::Confirm { pay, card: number } => {
                let method = card(number.digits());
                engine.update(merchant, &name(pay), Asker::Merchant, |_| Ok(()), method, true).await
            }
            Op::Amount { pay, amount } => {
                let change = move |terms: &mut crate::intent::Terms| {
                    terms.amount_minor = amount;
                    Ok(())
                };
                engine.update(merchant, &name(pay), Asker::Merchant, change, None, false).await
            }
            Op::Capture { pay, amount } => engine.capture(merchant, &name(pay), amount).await,
            Op::Cancel { pay } => engine.cancel(merchant, &name(pay), None).await,
            Op::Refund { pay, refund, amount } => {
                let new = NewRefund {
                    payment_id: name(pay),
                    refund_id: Some(format!("ref_{pay}_{refund}")),
                    amount_minor: amount,
                    reason: None,
                    metadata: Map::new(),
                };
                engine.refund(merchant, new).await.map(|(payment, _)| payment)
            }
            Op::Authenticate { pay, approves, returns } => {
                self.authenticate(&name(pay), approves, returns).await;
                return None;
            }
            Op::Dispute { pay } => {
                let _is_one = self.road.provider.dispute(&name(pay));
                return None;
            }
            Op::Increment { pay, total } => {
                let new = NewIncrement { total_minor: total, increment_id: None, reason: None, from_minor: None };
                engine.increment(merchant, &name(pay), new).await
            }
            Op::ComeBack { pay } => engine.come_back(merchant, &name(pay)).await,
            Op::Sync { pay } => engine.resolve(merchant, &name(pay), true).await,
            Op::Round => {
                engine.round(false).await;
                return None;
            }
            Op::Crash | Op::Told(_) | Op::TellingLost => return None,
        };
        done.ok()
    }

    fn can_be_asked(&self) -> bool {
        connector::find(self.provider).is_some_and(|connector| connector.capabilities().can_sync)
    }

    /// The payer presses a button, and now and then the browser comes back with what the provider gave it.
    async fn authenticate(&self, id: &str, approves: bool, returns: bool) {
        let Ok((payment, _)) = self.engine.payment(&self.merchant, id).await else { return };
        let Some(page) = payment.redirect_url else { return };
        let Some(back) = self.road.provider.click(&page, approves).await else { return };
        let Ok(back) = reqwest::Url::parse(&back) else { return };
        let parts: Vec<_> = back.path_segments().into_iter().flatten().collect();
        if let (true, ["redirect", _, id, ticket]) = (returns, parts.as_slice()) {
            let query = back.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            let _refused = self.engine.come_back_with(&self.merchant, id, ticket, query).await;
        }
    }

    /// Time passes until nothing is left to do; then every payment must be at rest and agree with the ledger.
    async fn settle(&mut self) {
        self.engine.round(true).await;
        for wait_ms in [5_000, 60_000, 3_600_000, 43_200_000, 86_400_000, 86_400_000, 2 * 86_400_000, 6 * 86_400_000] {
            for _ in 0..ROUNDS {
                self.clock.advance(wait_ms / i64::from(ROUNDS));
                self.engine.round(false).await;
                self.carry(Order::Straight).await;
            }
            laws::always(self).await;
        }
        self.tell_merchant().await;
        laws::at_rest(self).await;
    }

    /// Delivers every event to the merchant, whose receiver fails now and then.
    async fn tell_merchant(&mut self) {
        let chance = Box::new(|below: u64| below - 1);
        let courier = Courier::new(self.engine.clone(), self.ear.clone(), chance, 10_000);
        for _ in 0..200 {
            courier.round().await;
            courier.rest().await;
            if self.store.waiting_events().await.unwrap() == 0 {
                return;
            }
            self.clock.advance(60_000);
        }
    }

    /// Every payment of this life.
    pub(super) async fn payments(&self) -> Vec<Payment> {
        let mut found = Vec::new();
        for pay in 0..8 {
            if let Ok((payment, _)) = self.engine.payment(&self.merchant, &name(pay)).await {
                found.push(payment);
            }
        }
        found
    }
}

impl From<Plan> for CapturePlan {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::Automatic => CapturePlan::Automatic,
            Plan::Manual => CapturePlan::Manual,
            Plan::ManualMultiple => CapturePlan::ManualMultiple,
            Plan::Scheduled(_) => CapturePlan::Scheduled,
        }
    }
}

fn engine(store: &Arc<dyn Store>, road: &Arc<Road>, vault: &Arc<FakeVault>, clock: &Arc<ManualClock>) -> Arc<Engine> {
    let parts = Parts {
        store: store.clone(),
        vault: vault.clone(),
        transport: road.clone(),
        clock: clock.clone(),
        connectors: connector::all(),
        metrics: Arc::new(Metrics::new()),
        exchange_ms_max: 30_000,
        public_url: "https://pay.test".into(),
    };
    Arc::new(Engine::new(parts).unwrap())
}

/// The payment's id.
pub(super) fn name(pay: u8) -> String {
    format!("pay_{pay}")
}

/// A folder in memory where there is one: a life commits often, and the disk is no part of what is tried here.
fn memory() -> std::path::PathBuf {
    let shared = std::path::PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

/// Hexadecimal, because Adyen's is; the others take any text.
const WEBHOOK_SECRET: &str = "0123012301230123012301230123012301230123012301230123012301230123";
pub(super) const API_KEYS: [&str; 2] = ["sk_test_simulation_1", "sk_test_simulation_2"];
/// In the past of nobody: 2027.
const START_MS: i64 = 1_800_000_000_000;
/// Rounds of the background loop in each wait at the end.
const ROUNDS: u32 = 8;
