//! A barrier with keys for tests, and real Warrants for it: policy decides and the log records, as in the vault.

use std::sync::Arc;

use strongroom_keys::Key;
use strongroom_keys::sign::Signer;
use strongroom_wire::admin::KeyState;
use strongroom_wire::{RequestId, Scope, SecretId, TenantId, Token};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Barrier, KekTerm, KeyFacts, Keyring, MacTerm, MacTerms, TenantKeys};
use crate::audit::{AuditLog, Warrant};
use crate::card::{Card, Expiry, HolderName, Pan};
use crate::clock::MockClock;
use crate::policy::{
    Action, CreateSession, Fresh, Identity, Note, Permit, Policy, ReadMasked, Request, RevealSecret, Rotate, Rules,
    Tokenize, WriteSecret,
};

/// See above.
pub(super) struct Rig {
    pub(super) barrier: Barrier,
    pub(super) clock: MockClock,
    policy: Policy,
    log: AuditLog,
    runtime: Runtime,
    _folder: TempDir,
}

impl Rig {
    /// Unsealed, with fresh keys and plenty of wraps for each tenant.
    pub(super) fn new(tenants: &[&str]) -> Self {
        let rig = Self::without_wraps(tenants);
        for tenant in tenants {
            rig.barrier.grant_wraps(&tenant.parse().unwrap(), 1, 10_000);
        }
        rig
    }

    /// Unsealed, and no wrap granted.
    pub(super) fn without_wraps(tenants: &[&str]) -> Self {
        let rig = Self::sealed();
        let empty = Keyring::new(KeyFacts::fresh(1, NOW_MS), signer());
        let ring =
            tenants.iter().fold(empty, |ring, tenant| ring.add_tenant(tenant.parse().unwrap(), keys(1)).unwrap());
        rig.barrier.install(ring).unwrap();
        rig
    }

    /// Sealed.
    pub(super) fn sealed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = MockClock::at(NOW_MS);
        let log = AuditLog::open(&folder.path().join("audit.db"), Arc::new(clock.clone()), "strongroom/rig").unwrap();
        Self {
            barrier: Barrier::new(Arc::new(clock.clone())),
            policy: Policy::new(rules()),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            clock,
            log,
            _folder: folder,
        }
    }

    /// A Permit to tokenize.
    pub(super) fn permit(&self, tenant: &str) -> Permit<Tokenize> {
        self.decide(tenant, Fresh)
    }

    /// A Warrant to tokenize, and the fresh token that it names.
    pub(super) fn tokenize(&self, tenant: &str) -> (Warrant<Tokenize>, Token) {
        let token = Token::fresh();
        (self.record(self.permit(tenant).about(token)), token)
    }

    /// A Warrant to tokenize that names no token.
    pub(super) fn tokenize_nothing(&self, tenant: &str) -> Warrant<Tokenize> {
        self.record(self.permit(tenant))
    }

    /// A Warrant for an act on one card.
    pub(super) fn on<A: Action<Subject = Token>>(&self, tenant: &str, token: Token) -> Warrant<A> {
        self.record(self.decide::<A>(tenant, token))
    }

    /// A Warrant for the masked view of one card or of a page.
    pub(super) fn read(&self, tenant: &str, token: Option<Token>) -> Warrant<ReadMasked> {
        self.record(self.decide(tenant, token))
    }

    /// A Warrant to rewrap a tenant's records.
    pub(super) fn rotate(&self, tenant: &str) -> Warrant<Rotate> {
        self.record(self.decide(tenant, ()))
    }

    /// A Warrant to make a session.
    pub(super) fn session(&self, tenant: &str) -> Warrant<CreateSession> {
        self.record(self.decide(tenant, ()))
    }

    /// A Warrant to store a secret, and the fresh id that it names.
    pub(super) fn write_secret(&self, tenant: &str) -> (Warrant<WriteSecret>, SecretId) {
        let id = SecretId::fresh();
        (self.record(self.decide(tenant, id)), id)
    }

    /// A Warrant to read a secret.
    pub(super) fn reveal_secret(&self, tenant: &str, id: SecretId) -> Warrant<RevealSecret> {
        self.record(self.decide(tenant, id))
    }

    /// A Warrant for an act on one secret.
    pub(super) fn on_secret<A: Action<Subject = SecretId>>(&self, tenant: &str, id: SecretId) -> Warrant<A> {
        self.record(self.decide::<A>(tenant, id))
    }

    fn decide<A: Action>(&self, tenant: &str, subject: A::Subject) -> Permit<A> {
        let uri = if A::SCOPE.is_admin() { ADMIN } else { RELEASE };
        let request = Request {
            who: Identity::parse(uri).unwrap().into(),
            tenant: Some(tenant.parse::<TenantId>().unwrap()),
            request_id: RequestId::fresh(),
            origin: None,
            destination: Some("psp".parse().unwrap()),
            note: Note::none(),
        };
        self.policy.decide(&request, subject, NOW_MS).unwrap()
    }

    fn record<A: Action>(&self, permit: Permit<A>) -> Warrant<A> {
        self.runtime.block_on(self.log.record(permit)).unwrap()
    }
}

/// The keys of a tenant, fresh, with the Kek on this term.
pub(super) fn keys(term: u32) -> TenantKeys {
    let mac = || MacTerms::new(vec![mac_term(1, KeyState::Active)]).unwrap();
    TenantKeys::new(vec![keks(term)], mac(), mac()).unwrap()
}

/// A fresh term of a Mac key.
pub(super) fn mac_term(term: u32, state: KeyState) -> MacTerm {
    MacTerm::new(KeyFacts { state, ..KeyFacts::fresh(term, NOW_MS) }, Key::generate().unwrap())
}

/// A fresh active Kek.
pub(super) fn keks(term: u32) -> KekTerm {
    KekTerm::new(KeyFacts::fresh(term, NOW_MS), &Key::generate().unwrap())
}

/// A fresh signer.
pub(super) fn signer() -> Signer {
    Signer::new("strongroom/rig", &Key::generate().unwrap()).unwrap()
}

/// A card of Stripe's test numbers.
pub(super) fn visa() -> Card {
    Card {
        pan: Pan::parse("4242424242424242").ok().unwrap(),
        expiry: Expiry::new(12, 2030, NOW_MS).unwrap(),
        holder_name: Some(HolderName::parse("Ada Lovelace").ok().unwrap()),
    }
}

fn rules() -> Rules {
    let words = |admin: bool| -> String {
        let scopes = Scope::ALL.into_iter().filter(|scope| scope.is_admin() == admin);
        scopes.map(|scope| format!("\"{}\",", scope.as_str())).collect()
    };
    Rules::parse(&format!(
        "version = 1
        [[identity]]\nuri = \"{RELEASE}\"\ntenants = [\"*\"]\nscopes = [{}]
        destinations = [\"psp\"]
        reveals_per_minute = 100000\nreveals_per_day = 100000
        [[identity]]\nuri = \"{ADMIN}\"\ntenants = [\"*\"]\nscopes = [{}]",
        words(false),
        words(true)
    ))
    .unwrap()
}

/// 2026-03-15T00:00:00Z.
pub(super) const NOW_MS: u64 = 1_773_532_800_000;
const RELEASE: &str = "spiffe://strongroom/orchestrator/rig";
const ADMIN: &str = "spiffe://strongroom/security/rig";
