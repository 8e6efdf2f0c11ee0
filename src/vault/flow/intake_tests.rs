//! Sealed cards through the whole vault: store, log and keys are real, time is a test's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_keys::intake::{Sender, What, info, seal};
use strongroom_keys::note;
use strongroom_keys::root::place::Site;
use strongroom_keys::root::{Descriptor, dev};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::entry::{Outcome, OwnAct};
use strongroom_wire::intake::IntakeKeyId;
use strongroom_wire::{RequestId, Scope, TenantId, limits};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::tokenize::{Tokenized, tokenize};
use super::super::{Asker, IdempotencyKey, RootPlace, RootSource, batch, policy_change, tenant, unseal};
use super::*;
use crate::audit::AuditLog;
use crate::barrier::Barrier;
use crate::card::Incoming;
use crate::clock::MockClock;
use crate::egress::Egress;
use crate::policy::{Identity, Policy, Principal, SessionClaims};
use crate::store::{SqliteOptions, SqliteStore, Store};

struct House {
    vault: Option<Arc<Vault>>,
    clock: MockClock,
    descriptor: Descriptor,
    folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (text, descriptor) = dev::make().unwrap();
        let key = folder.path().join("dev.key");
        std::fs::write(&key, text.as_bytes()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut house = Self { vault: None, clock: MockClock::at(NOW_MS), descriptor, folder };
        house.start().await;
        for name in ["acme", "globex"] {
            tenant::provision(house.vault(), &house.asker("acme"), name.parse().unwrap()).await.unwrap();
        }
        house
    }

    /// From the files alone, as after a crash.
    async fn start(&mut self) {
        // After an unseal the log is read once, beside the work, by somebody who holds the vault for so long.
        while self.vault.as_ref().is_some_and(|vault| Arc::strong_count(vault) > 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.vault = None;
        let at = |name: &str| self.folder.path().join(name);
        let clock: Arc<dyn crate::clock::Clock> = Arc::new(self.clock.clone());
        let id = self.descriptor.vault_id().to_string();
        let options = SqliteOptions { path: at("vault.db"), vault: id.clone(), bytes_max: None };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options).unwrap());
        let audit = AuditLog::open(&at("audit.db"), Arc::clone(&clock), &note::origin(&id)).unwrap();
        std::fs::write(at("policy.toml"), rules()).unwrap();
        let (rules, source) =
            policy_change::at_start((&*store, &audit), &at("policy.toml"), rules(), BEGIN).await.unwrap();
        let rooms = (Policy::new(rules), audit, Barrier::new(Arc::clone(&clock)), store);
        let place = RootPlace { file: at("root.json"), dev_key: Some(at("dev.key")), site: Site::default() };
        let root = RootSource::new((self.descriptor.clone(), place), None, true);
        let egress = Egress::load(&BTreeMap::new()).unwrap();
        let vault = Arc::new(Vault::new(rooms, source, egress, clock, root, Vec::new()));
        unseal::by_itself(&vault).await.unwrap();
        self.vault = Some(vault);
    }

    fn vault(&self) -> &Arc<Vault> {
        self.vault.as_ref().unwrap()
    }

    fn asker(&self, tenant: &str) -> Asker {
        let who = Principal::Identity(Identity::parse(RELEASE).unwrap());
        Asker { who, tenant: Some(tenant.parse().unwrap()), request: RequestId::fresh(), origin: None, key: None }
    }

    fn session(&self, id: u128) -> Asker {
        let claims = SessionClaims {
            id: Uuid::from_u128(id),
            tenant: "acme".parse().unwrap(),
            customer: None,
            origins: vec![],
            expires_ms: self.clock_ms() + 3_600_000,
        };
        let tenant = Some(claims.tenant.clone());
        Asker { who: claims.into(), tenant, request: RequestId::fresh(), origin: None, key: None }
    }

    fn clock_ms(&self) -> u64 {
        self.vault().now_ms()
    }

    /// The body of a request with a card that is sealed to the key of now.
    fn sealed(&self, number: &str, from: Sender<'_>) -> Value {
        let key = public(self.vault()).unwrap().key;
        let bytes: [u8; 32] = BASE64_URL_SAFE_NO_PAD.decode(&key.public_key).unwrap().try_into().unwrap();
        let card = json!({"number": number, "exp_month": 12, "exp_year": 2030}).to_string();
        let (enc, ciphertext) =
            seal(&bytes, &info(What::Card, key.vault_id, &key.key_id.to_string(), from), card.as_bytes()).unwrap();
        json!({"type": "card", "encrypted_card": {
            "key_id": key.key_id,
            "enc": BASE64_URL_SAFE_NO_PAD.encode(enc),
            "ciphertext": BASE64_URL_SAFE_NO_PAD.encode(ciphertext),
        }})
    }

    fn incoming(&self, body: &Value) -> Incoming {
        Incoming::parse(body.to_string().as_bytes(), self.clock_ms()).ok().unwrap()
    }

    async fn post(&self, asker: &Asker, key: Option<&str>, body: &Value) -> Result<Tokenized, FlowError> {
        let key: Option<IdempotencyKey> = key.map(|key| key.parse().ok().unwrap());
        tokenize(self.vault(), asker, key.as_ref(), self.incoming(body)).await
    }

    /// The store knows the next term, and the keyring does not.
    async fn change_in_store_alone(&self, term: u32, before: KeyState) {
        let vault = self.vault();
        let root = vault.root.get().await.unwrap();
        let made = keyring::make::<IntakeRole>(&root, KeyPurpose::Intake, None, term, vault.now_ms()).await.unwrap();
        let old = KeyName { purpose: KeyPurpose::Intake, tenant: None, term: term - 1 };
        let states = vec![(old, KeyState::Active, before)];
        let change = KeyChange { insert: vec![made.row], states, ..KeyChange::default() };
        assert_eq!(vault.store.change_keys(change).await, Ok(true));
    }

    /// Of every term of the intake key.
    async fn states(&self) -> Vec<KeyState> {
        let rows = self.vault().store.keys().await.unwrap();
        rows.iter().filter(|row| row.name.purpose == KeyPurpose::Intake).map(|row| row.state).collect()
    }

    async fn cards(&self) -> usize {
        let acme: TenantId = "acme".parse().unwrap();
        self.vault().store.cards(&acme, &Default::default(), None, 100, self.clock_ms()).await.unwrap().len()
    }
}

fn token_of(done: &Tokenized) -> Value {
    serde_json::from_slice::<Value>(&done.json).unwrap()["payment_method_id"].clone()
}

#[tokio::test]
async fn a_sealing_is_accepted_once_also_after_a_restart() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let body = house.sealed(VISA, Sender::Tenant(&acme));
    house.post(&house.asker("acme"), None, &body).await.unwrap();
    for _ in 0..2 {
        let again = house.post(&house.asker("acme"), None, &body).await;
        assert!(matches!(again, Err(FlowError::SealedTwice(_))));
        let keyed = house.post(&house.asker("acme"), Some("another"), &body).await;
        assert!(matches!(keyed, Err(FlowError::SealedTwice(_))));
        house.start().await;
    }
    assert_eq!(house.cards().await, 1);
    let mut refused = 0;
    let count = |_: u64, entry: &strongroom_wire::Entry| {
        refused += u32::from(entry.outcome == Outcome::Refused && entry.note.contains("sealed card used before"));
    };
    house.vault().audit.walk_back(0, count).unwrap();
    assert_eq!(refused, 4, "each repetition has its entry");
}

#[tokio::test]
async fn a_request_that_is_repeated_with_its_idempotency_key_answers_as_before() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let body = house.sealed(VISA, Sender::Tenant(&acme));
    let first = house.post(&house.asker("acme"), Some("k1"), &body).await.unwrap();
    house.start().await;
    let again = house.post(&house.asker("acme"), Some("k1"), &body).await.unwrap();
    assert!(again.is_replay);
    assert_eq!(token_of(&again), token_of(&first));
    // Sealed anew it is the same request, because its content is.
    let anew = house.sealed(VISA, Sender::Tenant(&acme));
    assert_eq!(token_of(&house.post(&house.asker("acme"), Some("k1"), &anew).await.unwrap()), token_of(&first));
    let other = house.sealed("378282246310005", Sender::Tenant(&acme));
    assert!(matches!(house.post(&house.asker("acme"), Some("k1"), &other).await, Err(FlowError::OtherRequest)));
    assert_eq!(house.cards().await, 1);
}

#[tokio::test]
async fn a_sealing_of_one_session_or_tenant_stores_nothing_for_another() {
    let house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let of_session = house.sealed(VISA, Sender::Session(Uuid::from_u128(1)));
    let of_tenant = house.sealed(VISA, Sender::Tenant(&acme));
    for (asker, body) in [
        (house.session(2), &of_session),
        (house.asker("acme"), &of_session),
        (house.session(1), &of_tenant),
        (house.asker("globex"), &of_tenant),
    ] {
        assert!(matches!(house.post(&asker, None, body).await, Err(FlowError::Body(_))));
    }
    assert_eq!(house.cards().await, 0);
    // The thief has not used it up for its owner.
    house.post(&house.session(1), None, &of_session).await.unwrap();
    house.post(&house.asker("acme"), None, &of_tenant).await.unwrap();
    assert_eq!(house.cards().await, 2);
}

#[tokio::test]
async fn the_key_is_exchanged_by_itself_opens_an_hour_longer_and_is_destroyed() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let first = public(house.vault()).unwrap();
    assert_eq!((first.key.key_id.term(), first.max_age_s), (1, limits::INTAKE_KEY_CACHE_S));
    let (early, late) = (house.sealed(VISA, Sender::Tenant(&acme)), house.sealed(VISA, Sender::Tenant(&acme)));
    house.clock.advance_ms(DAY_MS - HOUR_MS - 1);
    tend(house.vault()).await.unwrap();
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 1);
    // An hour before its end, so that there is always a valid one.
    house.clock.advance_ms(1);
    tend(house.vault()).await.unwrap();
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 2);
    house.clock.advance_ms(HOUR_MS + limits::INTAKE_OVERLAP_S * 1000 - 1);
    house.post(&house.asker("acme"), None, &early).await.unwrap();
    // Over, whether or not the sweep came by; and after it, over a restart, too.
    house.clock.advance_ms(1);
    assert!(matches!(house.post(&house.asker("acme"), None, &late).await, Err(FlowError::IntakeKeyGone(_))));
    tend(house.vault()).await.unwrap();
    house.start().await;
    assert!(matches!(house.post(&house.asker("acme"), None, &late).await, Err(FlowError::IntakeKeyGone(_))));
    let rows = house.vault().store.keys().await.unwrap();
    let intake = rows.iter().filter(|row| row.name.purpose == KeyPurpose::Intake);
    let states: Vec<_> = intake.map(|row| (row.name.term, row.state, row.wrapped.is_empty())).collect();
    assert_eq!(states, [(1, KeyState::Destroyed, true), (2, KeyState::Active, false)]);
    let mut acts = Vec::new();
    let gather = |_: u64, entry: &strongroom_wire::Entry| {
        if entry.note.starts_with("intake: term") {
            acts.push((entry.act.as_str(), entry.note.clone()));
        }
    };
    house.vault().audit.walk_back(0, gather).unwrap();
    acts.sort();
    let word = |act: OwnAct| strongroom_wire::entry::Act::Own(act).as_str();
    let note = |term: u32| format!("intake: term {term}");
    assert_eq!(
        acts,
        [(word(OwnAct::KeyDestroyed), note(1)), (word(OwnAct::KeyMade), note(1)), (word(OwnAct::KeyMade), note(2))]
    );
    // What is forgotten with a key is forgotten for that key alone.
    let fresh = house.sealed(VISA, Sender::Tenant(&acme));
    house.post(&house.asker("acme"), None, &fresh).await.unwrap();
    tend(house.vault()).await.unwrap();
    assert!(matches!(house.post(&house.asker("acme"), None, &fresh).await, Err(FlowError::SealedTwice(_))));
}

#[tokio::test]
async fn a_key_that_could_not_be_exchanged_is_handed_out_to_its_end_and_no_longer() {
    let house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let due = |house: &House| {
        let infos = house.vault().barrier.key_infos();
        infos
            .into_iter()
            .find(|info| info.purpose == KeyPurpose::Intake)
            .map(|info| (info.expires_at, info.due))
            .unwrap()
    };
    assert_eq!(due(&house), (Some(rfc3339_ms(NOW_MS + DAY_MS)), false));
    let early = house.sealed(VISA, Sender::Tenant(&acme));
    house.clock.advance_ms(DAY_MS - 100_000);
    assert_eq!(public(house.vault()).unwrap().max_age_s, 100, "no cache outlives the key");
    assert!(due(&house).1, "nobody is told that the exchange is late");
    house.clock.advance_ms(99_999);
    assert_eq!(public(house.vault()).unwrap().max_age_s, 0);
    house.clock.advance_ms(1);
    assert!(matches!(public(house.vault()), Err(FlowError::IntakeKeyGone(_))));
    // What was sealed in time opens for a while yet.
    house.post(&house.asker("acme"), None, &early).await.unwrap();
    tend(house.vault()).await.unwrap();
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 2);
}

#[tokio::test]
async fn an_exchange_that_is_cut_off_anywhere_leaves_a_key_that_opens() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let early: Vec<Value> = (0..3).map(|_| house.sealed(VISA, Sender::Tenant(&acme))).collect();
    // Killed before the store: the entry alone is there.
    record(house.vault(), OwnAct::KeyMade, 2).await.unwrap();
    house.start().await;
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 1);
    house.post(&house.asker("acme"), None, &early[0]).await.unwrap();
    // Killed after it: the next start knows the key, and the one before opens on.
    house.change_in_store_alone(2, KeyState::Retiring).await;
    house.start().await;
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 2);
    house.post(&house.asker("acme"), None, &early[1]).await.unwrap();
    // Not killed: the store took it and could not say so. Nobody is in the way of the exchange that comes next.
    house.change_in_store_alone(3, KeyState::Retiring).await;
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 2);
    house.clock.advance_ms(DAY_MS - HOUR_MS);
    tend(house.vault()).await.unwrap();
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 4);
    for _ in 0..2 {
        let fresh = house.sealed(VISA, Sender::Tenant(&acme));
        house.post(&house.asker("acme"), None, &fresh).await.unwrap();
        house.start().await;
    }
    house.post(&house.asker("acme"), None, &early[2]).await.unwrap();
    assert_eq!(house.states().await, [KeyState::Retiring, KeyState::Retiring, KeyState::Retiring, KeyState::Active]);
    house.clock.advance_ms(3 * HOUR_MS);
    tend(house.vault()).await.unwrap();
    assert_eq!(house.states().await[..3], [KeyState::Destroyed; 3]);
}

#[tokio::test]
async fn after_an_emergency_nothing_of_before_opens_although_it_was_cut_off() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let before = house.sealed(VISA, Sender::Tenant(&acme));
    assert_eq!(exchange(house.vault(), Before::OpensOn).await, Ok(2));
    let last = house.sealed(VISA, Sender::Tenant(&acme));
    assert_eq!(exchange(house.vault(), Before::IsGone).await, Ok(3));
    for _ in 0..2 {
        for old in [&before, &last] {
            assert!(matches!(house.post(&house.asker("acme"), None, old).await, Err(FlowError::IntakeKeyGone(_))));
        }
        tend(house.vault()).await.unwrap();
        assert_eq!(house.states().await, [KeyState::Destroyed, KeyState::Destroyed, KeyState::Active]);
        house.start().await;
    }
    // The store took it and could not say so: the key of before opens until it is asked again, and then no more.
    let before = house.sealed(VISA, Sender::Tenant(&acme));
    house.change_in_store_alone(4, KeyState::Destroyed).await;
    assert_eq!(exchange(house.vault(), Before::IsGone).await, Ok(5));
    assert!(matches!(house.post(&house.asker("acme"), None, &before).await, Err(FlowError::IntakeKeyGone(_))));
    let fresh = house.sealed(VISA, Sender::Tenant(&acme));
    house.start().await;
    house.post(&house.asker("acme"), None, &fresh).await.unwrap();
    let rows = house.vault().store.keys().await.unwrap();
    let kept = rows.iter().filter(|row| row.name.purpose == KeyPurpose::Intake && !row.wrapped.is_empty());
    assert_eq!(kept.map(|row| row.name.term).collect::<Vec<_>>(), [5]);
}

#[tokio::test]
async fn a_vault_that_slept_over_the_end_of_its_key_wakes_with_a_new_one() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let old = house.sealed(VISA, Sender::Tenant(&acme));
    house.clock.advance_ms(3 * DAY_MS);
    house.start().await;
    assert_eq!(public(house.vault()).unwrap().key.key_id.term(), 2);
    assert!(matches!(house.post(&house.asker("acme"), None, &old).await, Err(FlowError::IntakeKeyGone(_))));
    let mut unknown = old.clone();
    unknown["encrypted_card"]["key_id"] = json!(IntakeKeyId::of(77));
    assert!(matches!(house.post(&house.asker("acme"), None, &unknown).await, Err(FlowError::IntakeKeyGone(_))));
}

#[tokio::test]
async fn the_same_sealing_twice_in_one_batch_is_stored_once_and_the_batch_may_be_repeated() {
    let mut house = House::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    let body = house.sealed(VISA, Sender::Tenant(&acme));
    let key: IdempotencyKey = "batch-1".parse().ok().unwrap();
    let mut tokens = Vec::new();
    for round in 0..2 {
        let items = vec![Ok(house.incoming(&body)), Ok(house.incoming(&body))];
        let results = batch::tokenize(house.vault(), &house.asker("acme"), Some(&key), b"raw", items).await.unwrap();
        let done: Vec<&Tokenized> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(done.len(), 1, "round {round}");
        assert!(results.iter().any(|result| matches!(result, Err(FlowError::SealedTwice(_)))));
        tokens.push(token_of(done[0]));
        house.start().await;
    }
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(house.cards().await, 1);
}

fn rules() -> String {
    let scopes = Scope::ALL.into_iter().filter(|scope| !scope.is_admin());
    let words: String = scopes.map(|scope| format!("\"{}\",", scope.as_str())).collect();
    format!(
        "version = 1
        [[identity]]\nuri = \"{RELEASE}\"\ntenants = [\"*\"]\nscopes = [{words}]
        destinations = [\"psp\"]\nreveals_per_minute = 100000\nreveals_per_day = 100000"
    )
}

/// 2026-03-15T00:00:00Z.
const BEGIN: policy_change::Start = policy_change::Start { begin_anew: false, is_node: false };
const NOW_MS: u64 = 1_773_532_800_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const VISA: &str = "4242424242424242";
const RELEASE: &str = "spiffe://strongroom/orchestrator/rig";
