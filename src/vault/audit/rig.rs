//! A real policy and a real log in a folder of their own, for the tests of every room that needs a Permit or a Warrant.

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_keys::Key;
use strongroom_keys::sign::{PublicKey, Signer};
use strongroom_wire::{RequestId, Scope};
use tempfile::TempDir;

use super::{AuditError, AuditLog, NotRecorded, Notary, Warrant};
use crate::clock::{Clock as _, MockClock};
use crate::policy::{Action, Identity, Note, Permit, Policy, Request, Rules};

/// Policy, log and clock. Everybody may do everything for every tenant, as often as the limits allow.
pub(crate) struct Rig {
    pub(crate) clock: MockClock,
    pub(crate) policy: Policy,
    pub(crate) log: AuditLog,
    pub(crate) key: PublicKey,
    pub(crate) notary: Notary,
    folder: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap())
    }

    fn over(folder: TempDir) -> Self {
        let clock = MockClock::at(1_764_000_000_000);
        let log = AuditLog::open(&folder.path().join("audit.db"), Arc::new(clock.clone()), ORIGIN).unwrap();
        let signer = Signer::new(ORIGIN, &Key::generate().unwrap()).unwrap();
        let key = signer.public_key().clone();
        let notary: Notary = Arc::new(move |checkpoint| Some(checkpoint.sign(&signer)));
        Self { clock, policy: Policy::new(rules()), log, key, notary, folder }
    }

    /// A Permit of the identity that holds the act's scope.
    pub(crate) fn permit<A: Action>(&self, tenant: &str, subject: A::Subject) -> Permit<A> {
        let uri = if A::SCOPE.is_admin() { ADMIN } else { RELEASE };
        let request = Request {
            who: Identity::parse(uri).unwrap().into(),
            tenant: Some(tenant.parse().unwrap()),
            request_id: RequestId::fresh(),
            origin: Some([10, 0, 0, 1].into()),
            destination: Some("psp".parse().unwrap()),
            note: Note::none(),
        };
        self.policy.decide::<A>(&request, subject, self.clock.now_ms()).unwrap()
    }

    /// A Warrant for the same.
    pub(crate) async fn warrant<A: Action>(&self, tenant: &str, subject: A::Subject) -> Warrant<A> {
        self.try_warrant(tenant, subject).await.unwrap()
    }

    pub(crate) async fn try_warrant<A: Action>(
        &self,
        tenant: &str,
        subject: A::Subject,
    ) -> Result<Warrant<A>, NotRecorded> {
        self.log.record(self.permit::<A>(tenant, subject)).await
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("audit.db")
    }

    /// The log, opened again; `between` may do to its file what it likes.
    pub(crate) fn reopen(self, between: impl FnOnce(&rusqlite::Connection)) -> Result<Self, AuditError> {
        let path = self.path();
        let Self { clock, policy, log, key, notary, folder } = self;
        drop(log);
        let conn = rusqlite::Connection::open(&path).unwrap();
        between(&conn);
        conn.close().unwrap();
        let log = AuditLog::open(&path, Arc::new(clock.clone()), ORIGIN)?;
        Ok(Self { clock, policy, log, key, notary, folder })
    }
}

fn rules() -> Rules {
    let scopes = |admin| -> String {
        let held = Scope::ALL.into_iter().filter(|scope| scope.is_admin() == admin);
        held.map(|scope| format!("\"{}\",", scope.as_str())).collect()
    };
    Rules::parse(&format!(
        "version = 1
        [[identity]]\nuri = \"{RELEASE}\"\ntenants = [\"*\"]\nscopes = [{}]
        destinations = [\"psp\"]
        reveals_per_minute = 1000000\nreveals_per_day = 100000000
        [[identity]]\nuri = \"{ADMIN}\"\ntenants = [\"*\"]\nscopes = [{}]\n",
        scopes(false),
        scopes(true)
    ))
    .unwrap()
}

pub(crate) const ORIGIN: &str = "strongroom/rig";
pub(crate) const RELEASE: &str = "spiffe://strongroom/orchestrator/main";
const ADMIN: &str = "spiffe://strongroom/security/ann";
