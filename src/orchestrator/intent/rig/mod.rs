//! A vault, a provider and its connector in memory, for the engine's tests: the provider counts what it charged.

mod connector;
mod psp;
mod vault;
pub(crate) mod webhook;

pub(crate) use connector::{BLIND, FULL, PLAIN};
pub(crate) use psp::{AUTHENTICATE, DECLINED, FakePsp, GOOD, Trouble};
pub(crate) use vault::{FakeVault, close_field};

use std::sync::Arc;

use serde_json::Map;
use strongroom_wire::TenantId;

use super::{CapturePlan, Engine, MethodInput, NewPayment, Parts, PaymentKind, Terms};
use crate::account::{ConnectorAccount, Merchant};
use crate::clock::ManualClock;
use crate::connector::MitCategory;
use crate::store::{SqliteStore, Store};
use crate::telemetry::Metrics;
use crate::vault::{CardInput, SecretText, Vault as _};
use connector::CONNECTORS;
use psp::KEYS;

/// Everything around an engine, which can be exchanged as if the process had crashed.
pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    pub(crate) psp: Arc<FakePsp>,
    pub(crate) vault: Arc<FakeVault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) merchant: TenantId,
    _folder: Option<tempfile::TempDir>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::at(PLAIN).await
    }

    /// With an account at this connector.
    pub(crate) async fn at(connector: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        Self::on(store, connector, Some(folder)).await
    }

    /// On a store that is empty.
    pub(crate) async fn on(store: Arc<dyn Store>, connector: &str, folder: Option<tempfile::TempDir>) -> Self {
        let (psp, vault) = (Arc::<FakePsp>::default(), Arc::<FakeVault>::default());
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let merchant: TenantId = "shop".parse().unwrap();
        let engine = Arc::new(Engine::new(parts(&store, &psp, &vault, &clock)).unwrap());
        let rig = Self { engine, psp, vault, clock, store, merchant, _folder: folder };
        rig.add_merchant(connector).await;
        rig
    }

    async fn add_merchant(&self, connector: &str) {
        let merchant = Merchant {
            merchant_id: self.merchant.clone(),
            merchant_name: None,
            publishable_key: "pk_rig_0123456789".into(),
            profile_id: "pro_1".into(),
            metadata: Map::new(),
            webhooks: Default::default(),
            encryption: Default::default(),
            allowed_origins: vec!["https://shop.test".into(), "https://other.shop.test".into()],
            created_ms: 0,
        };
        self.store.add_merchant(&merchant).await.unwrap();
        self.add_account_at(connector, 1).await;
    }

    /// The merchant's account of this number, from 1; each has a key of its own.
    pub(crate) async fn add_account(&self, number: usize) {
        self.add_account_at(PLAIN, number).await;
    }

    async fn add_account_at(&self, connector: &str, number: usize) {
        let secret = format!(r#"{{"api_key":"{}","webhook_secret":"whsec_rig"}}"#, KEYS[number - 1]);
        let secret_id = self.vault.store_secret(&self.merchant, "x", &secret).await.unwrap();
        let account = ConnectorAccount {
            account_id: format!("mca_{number}"),
            merchant_id: self.merchant.clone(),
            connector: connector.into(),
            label: format!("rig {number}"),
            secret_id,
            has_webhook_secret: true,
            rotated_ms: None,
            retired: Vec::new(),
            accepts: Default::default(),
            destination: None,
            deleted_ms: None,
            test_mode: true,
            disabled: false,
            created_ms: 0,
        };
        self.store.add_connector_account(&account).await.unwrap();
    }

    /// What goes wrong with the next request of an account.
    pub(crate) fn trouble_of(&self, number: usize, path: &'static str, trouble: Trouble) {
        let mut state = self.psp.state.lock().unwrap();
        state.troubles_of.entry(KEYS[number - 1]).or_default().push_back((path, trouble));
    }

    /// The process is gone; another one starts on the same store.
    pub(crate) fn crash(&mut self) {
        self.engine = Arc::new(Engine::new(self.parts()).unwrap());
    }

    /// What an engine of this rig is made of.
    pub(crate) fn parts(&self) -> Parts {
        parts(&self.store, &self.psp, &self.vault, &self.clock)
    }

    pub(crate) fn trouble(&self, path: &'static str, trouble: Trouble) {
        self.psp.state.lock().unwrap().troubles.push_back((path, trouble));
    }

    /// Waits until the provider met every trouble that was made for it.
    pub(crate) async fn met(&self) {
        while !self.psp.state.lock().unwrap().troubles.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn charges(&self) -> u32 {
        self.psp.state.lock().unwrap().charges
    }

    pub(crate) fn cards_in_vault(&self) -> usize {
        self.vault.state.lock().unwrap().cards.len()
    }
}

fn parts(store: &Arc<dyn Store>, psp: &Arc<FakePsp>, vault: &Arc<FakeVault>, clock: &Arc<ManualClock>) -> Parts {
    Parts {
        store: store.clone(),
        vault: vault.clone(),
        transport: psp.clone(),
        clock: clock.clone(),
        connectors: CONNECTORS,
        metrics: Arc::new(Metrics::new()),
        exchange_ms_max: 30_000,
        public_url: "https://pay.test".into(),
    }
}

/// A payment of 10.00 USD.
pub(crate) fn new_payment(change: impl FnOnce(&mut Terms)) -> NewPayment {
    let mut terms = Terms {
        amount_minor: 1000,
        currency: "USD".parse().unwrap(),
        capture: CapturePlan::Automatic,
        capture_on_ms: None,
        amount_to_capture_minor: None,
        incremental: false,
        kind: PaymentKind::Normal,
        mit_category: MitCategory::Unscheduled,
        network_transaction_id: None,
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
        accounts: Vec::new(),
        door: None,
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
