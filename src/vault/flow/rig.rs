//! A whole vault on a clock that stands still, unsealed by a development Root, for tests of stories that take days.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom_keys::note;
use strongroom_keys::root::place::Site;
use strongroom_keys::root::{Descriptor, dev};
use strongroom_wire::acts::DestroyKey;
use strongroom_wire::admin::{KeyPurpose, RotateRequest, RotationState};
use strongroom_wire::payment_method::{PaymentMethod, RevealRequest};
use strongroom_wire::{NodeName, RequestId, Scope, TenantId, Token};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::nodes::{self, Bounds};
use super::{
    Asker, FlowError, RootPlace, RootSource, Vault, epochs, policy_change, read, reveal, rotate, tenant, tokenize,
    unseal,
};
use crate::audit::{AuditError, AuditLog};
use crate::barrier::Barrier;
use crate::card::Incoming;
use crate::clock::MockClock;
use crate::egress::Egress;
use crate::policy::{Identity, Policy};
use crate::store::{SqliteOptions, SqliteStore};

/// See above.
pub(super) struct Rig {
    pub(super) vault: Arc<Vault>,
    pub(super) clock: MockClock,
    pub(super) store: Arc<SqliteStore>,
    descriptor: Descriptor,
    folder: Arc<TempDir>,
    /// What a node that knows of others does by itself.
    tasks: Vec<JoinHandle<()>>,
}

/// How a vault of a test starts.
#[derive(Default)]
struct Begin<'a> {
    name: Option<&'a str>,
    anew: bool,
    /// It knows of other nodes.
    bounds: Option<Bounds>,
}

impl Rig {
    /// Unsealed, with the tenant `acme`.
    pub(super) async fn new() -> Self {
        Self::named(Begin::default()).await
    }

    /// The first of several nodes that know of each other.
    pub(super) async fn member(name: &str, bounds: Bounds) -> Self {
        Self::named(Begin { name: Some(name), bounds: Some(bounds), anew: false }).await
    }

    /// Another one, unsealed.
    pub(super) async fn member_beside(&self, name: &str, bounds: Bounds) -> Self {
        self.started(Begin { name: Some(name), bounds: Some(bounds), anew: false }).await.unwrap()
    }

    /// The node beats no more, as one that is stopped or cut off.
    pub(super) fn stop_beating(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }

    /// It does again what it does by itself.
    pub(super) fn beat_again(&mut self) {
        let (beating, leading) = (Arc::clone(&self.vault), Arc::clone(&self.vault));
        self.tasks.push(actix_web::rt::spawn(async move { nodes::keep_beating(&beating).await }));
        self.tasks.push(actix_web::rt::spawn(async move { nodes::keep_leading(&leading).await }));
        let sharing = Arc::clone(&self.vault);
        self.tasks.push(actix_web::rt::spawn(async move { epochs::keep_sharing(&sharing).await }));
    }

    /// The first of several nodes.
    pub(super) async fn node(name: &str) -> Self {
        Self::named(Begin { name: Some(name), ..Begin::default() }).await
    }

    async fn named(begin: Begin<'_>) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = MockClock::at(NOW_MS);
        let (key, descriptor) = dev::make().unwrap();
        let dev_key = folder.path().join("dev.key");
        std::fs::write(&dev_key, key.as_bytes()).unwrap();
        std::fs::set_permissions(&dev_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let options = SqliteOptions {
            path: folder.path().join("vault.db"),
            vault: descriptor.vault_id().to_string(),
            bytes_max: None,
        };
        let store = Arc::new(SqliteStore::open(&options).unwrap());
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, rules()).unwrap();
        let vault = start(&begin, (&folder, &clock), &store, &descriptor).await;
        let mut rig = Self { vault, clock, store, descriptor, folder, tasks: Vec::new() };
        rig.join(&begin).await.unwrap();
        unseal::by_itself(&rig.vault).await.unwrap();
        tenant::add(&rig.vault, &officer("alice"), acme()).await.unwrap();
        rig
    }

    /// Another node of the same vault on the same clock, or one that starts again: unsealed.
    pub(super) async fn beside(&self, name: &str) -> Self {
        self.try_beside(name).await.unwrap()
    }

    /// The same where it may be refused.
    pub(super) async fn try_beside(&self, name: &str) -> Result<Self, FlowError> {
        self.started(Begin { name: Some(name), ..Begin::default() }).await
    }

    /// One that takes the policy's file, whatever the store keeps.
    pub(super) async fn beside_anew(&self, name: &str) -> Self {
        self.started(Begin { name: Some(name), anew: true, bounds: None }).await.unwrap()
    }

    async fn started(&self, begin: Begin<'_>) -> Result<Self, FlowError> {
        let mut rig = self.sealed_beside(&begin).await;
        rig.join(&begin).await?;
        unseal::by_itself(&rig.vault).await?;
        Ok(rig)
    }

    async fn sealed_beside(&self, begin: &Begin<'_>) -> Self {
        let vault = start(begin, (&*self.folder, &self.clock), &self.store, &self.descriptor).await;
        let (store, folder) = (Arc::clone(&self.store), Arc::clone(&self.folder));
        let (clock, descriptor) = (self.clock.clone(), self.descriptor.clone());
        Self { vault, clock, store, descriptor, folder, tasks: Vec::new() }
    }

    async fn join(&mut self, begin: &Begin<'_>) -> Result<(), FlowError> {
        if begin.bounds.is_some() {
            nodes::join(&self.vault).await?;
            self.beat_again();
        }
        Ok(())
    }

    /// The same under a name that another process may have; whether it joined.
    pub(super) async fn try_to_join(&self, name: &str, bounds: Bounds) -> Result<(), FlowError> {
        let begin = Begin { name: Some(name), bounds: Some(bounds), anew: false };
        let vault = start(&begin, (&tempfile::tempdir().unwrap(), &self.clock), &self.store, &self.descriptor).await;
        nodes::join(&vault).await
    }

    /// Ends the node.
    pub(super) async fn stop(self) {
        self.vault.rotations.end().await;
    }

    /// Removes the log of a node that has ended.
    pub(super) async fn lose_log(&self, name: &str) {
        let path = self.folder.path().join(format!("audit-{name}.db"));
        let origin = note::node_origin(&self.descriptor.vault_id().to_string(), &name.parse().unwrap());
        drop(open_log(&path, &self.clock, &origin).await);
        for file in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{file}", path.display()));
        }
    }

    /// Puts another policy where the configuration names it, with one more officer in it; its text.
    pub(super) fn put_policy(&self, officer: &str) -> String {
        let text = rules() + &row("security", officer, "*", "");
        std::fs::write(self.folder.path().join("policy.toml"), &text).unwrap();
        text
    }

    /// Puts a root.json where the configuration names the one to come.
    pub(super) fn put_next(&self, descriptor: &Descriptor) {
        std::fs::write(self.folder.path().join("next.json"), descriptor.to_json()).unwrap();
    }

    /// Its development key.
    pub(super) fn put_next_key(&self, text: &str) {
        let path = self.folder.path().join("next.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Takes the root.json to come away.
    pub(super) fn remove_next(&self) {
        std::fs::remove_file(self.folder.path().join("next.json")).unwrap();
    }

    /// Changes one row behind the vault's back.
    pub(super) fn tampered(&self, sql: &str) {
        let open = rusqlite::Connection::open(self.folder.path().join("vault.db")).unwrap();
        assert_eq!(open.execute(sql, []).unwrap(), 1);
    }

    /// Keeps the vault from writing to its store, as a full disk does, until it is dropped.
    pub(super) fn full(&self) -> rusqlite::Connection {
        let open = rusqlite::Connection::open(self.folder.path().join("vault.db")).unwrap();
        open.execute_batch("BEGIN IMMEDIATE").unwrap();
        open
    }

    /// Stores a card of this customer of `acme`.
    pub(super) async fn card(&self, customer: &str) -> Token {
        let body = format!(
            "{{\"type\":\"card\",\"customer_id\":\"{customer}\",\"metadata\":{{\"order\":\"8\"}},\"card\":\
             {{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031}}}}"
        );
        let body = Incoming::parse(body.as_bytes(), self.vault.now_ms()).unwrap();
        let done = tokenize::tokenize(&self.vault, &orchestrator(), None, body).await.unwrap();
        let shown: PaymentMethod = serde_json::from_slice(&done.json).unwrap();
        shown.payment_method_id
    }

    /// Stores a card with its CVC: its token, and what opens the CVC.
    pub(super) async fn card_with_cvc(&self) -> (Token, String) {
        let body = b"{\"type\":\"card\",\"card\":{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031,\
                     \"cvc\":\"123\"}}";
        let body = Incoming::parse(body, self.vault.now_ms()).unwrap();
        let done = tokenize::tokenize(&self.vault, &orchestrator(), None, body).await.unwrap();
        let shown: PaymentMethod = serde_json::from_slice(&done.json).unwrap();
        (shown.payment_method_id, shown.cvc_token.unwrap())
    }

    /// Releases a card with its CVC.
    pub(super) async fn revealed(&self, token: Token, cvc_token: &str) -> Result<String, FlowError> {
        let asked = serde_json::json!({ "purpose": "authorize", "reference": "pay_1", "cvc_token": cvc_token });
        let asked: RevealRequest = serde_json::from_value(asked).unwrap();
        let shown = reveal::reveal(&self.vault, &orchestrator(), token, None, &asked).await?;
        Ok(String::from_utf8(shown.json.to_vec()).unwrap())
    }

    /// Whether the card is released.
    pub(super) async fn releases(&self, token: Token) -> bool {
        let asked = serde_json::json!({ "purpose": "authorize", "reference": "pay_1" });
        let asked: RevealRequest = serde_json::from_value(asked).unwrap();
        reveal::reveal(&self.vault, &orchestrator(), token, None, &asked).await.is_ok()
    }

    /// Whether the card is there and opens, masked.
    pub(super) async fn shows(&self, token: Token) -> bool {
        read::get(&self.vault, &orchestrator(), token).await.is_ok()
    }

    /// The notes of entries with this act.
    pub(super) async fn notes(&self, act: &str) -> Vec<String> {
        let page = self.vault.audit.entries(0, 1000).await.unwrap();
        page.entries.into_iter().filter(|entry| entry.act == act).map(|entry| entry.note).collect()
    }

    /// Gives `acme` a new Kek; the term before it is retired and empty afterwards.
    pub(super) async fn rotated(&self) -> DestroyKey {
        let request = RotateRequest {
            key: KeyPurpose::Kek,
            tenant: Some(acme()),
            records_per_second_max: None,
            emergency: false,
        };
        let begun = rotate::start(&self.vault, &officer("alice"), request).await.unwrap();
        while rotate::show(&self.vault, &officer("alice"), acme(), None).await.unwrap().state != RotationState::Done {
            actix_web::rt::task::yield_now().await;
        }
        DestroyKey { purpose: KeyPurpose::Kek, tenant: Some(acme()), term: begun.to_term - 1 }
    }
}

/// A node as it starts, sealed. Its log is its own, in a file that its next start finds again.
async fn start(
    begin: &Begin<'_>,
    (folder, clock): (&TempDir, &MockClock),
    store: &Arc<SqliteStore>,
    descriptor: &Descriptor,
) -> Arc<Vault> {
    let node: Option<NodeName> = begin.name.map(|name| name.parse().unwrap());
    let vault_id = descriptor.vault_id().to_string();
    let (origin, file) = match &node {
        None => (note::origin(&vault_id), "audit.db".to_owned()),
        Some(node) => (note::node_origin(&vault_id, node), format!("audit-{node}.db")),
    };
    let log = open_log(&folder.path().join(file), clock, &origin).await;
    let policy = folder.path().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap_or_else(|_| rules());
    let start = policy_change::Start { begin_anew: begin.anew, is_node: node.is_some() };
    let (rules, source) = policy_change::at_start((&**store, &log), &policy, text, start).await.unwrap();
    let rooms = (Policy::new(rules), log, Barrier::new(Arc::new(clock.clone())), Arc::clone(store) as _);
    let place = |name: &str, dev_key: &str| RootPlace {
        file: folder.path().join(name),
        dev_key: Some(folder.path().join(dev_key)),
        site: Site::default(),
    };
    let next = place("next.json", "next.key");
    let root = RootSource::new((descriptor.clone(), place("root.json", "dev.key")), Some(next), true);
    let egress = Egress::load(&BTreeMap::new()).unwrap();
    let mut vault = Vault::new(rooms, source, egress, Arc::new(clock.clone()), root, Vec::new());
    if node.is_some() {
        vault.barrier.share_epochs();
    }
    vault.node = node.clone();
    if let (Some(node), Some(bounds)) = (node, begin.bounds) {
        vault.among(node, bounds);
    }
    Arc::new(vault)
}

/// The log of a node that may have ended a moment ago: the check of it that began with the unseal holds it on another thread.
async fn open_log(path: &Path, clock: &MockClock, origin: &str) -> AuditLog {
    loop {
        match AuditLog::open(path, Arc::new(clock.clone()), origin) {
            Err(AuditError::InUse) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => return opened.unwrap(),
        }
    }
}

/// A security officer: each holds every scope of the admin listener, alice and bob for every tenant, carol for `acme`.
pub(super) fn officer(name: &str) -> Asker {
    let who = Identity::parse(&format!("spiffe://strongroom/security/{name}")).unwrap();
    Asker { who: who.into(), tenant: None, request: RequestId::fresh(), origin: None, key: None }
}

/// An orchestrator with every scope of the release listener.
pub(super) fn orchestrator() -> Asker {
    let who = Identity::parse("spiffe://strongroom/orchestrator/main").unwrap();
    Asker { who: who.into(), tenant: Some(acme()), request: RequestId::fresh(), origin: None, key: None }
}

pub(super) fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn rules() -> String {
    let quota = "destinations = [\"psp\"]\nreveals_per_minute = 10000\nreveals_per_day = 10000\n";
    let rows = [
        row("security", "alice", "*", ""),
        row("security", "bob", "*", ""),
        row("security", "carol", "acme", ""),
        row("orchestrator", "main", "*", quota),
    ];
    format!("version = 1\n{}", rows.concat())
}

fn row(role: &str, name: &str, tenant: &str, more: &str) -> String {
    let scopes = Scope::ALL.iter().filter(|scope| scope.is_admin() == (role == "security"));
    let scopes: String = scopes.map(|scope| format!("\"{}\",", scope.as_str())).collect();
    format!(
        "[[identity]]\nuri = \"spiffe://strongroom/{role}/{name}\"\ntenants = [\"{tenant}\"]\nscopes = [{scopes}]\n{more}"
    )
}

/// 2026-03-15T00:00:00Z.
pub(super) const NOW_MS: u64 = 1_773_532_800_000;
