//! A whole vault on a clock that stands still, unsealed by a development Root, for tests of stories that take days.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use strongroom_keys::root::dev;
use strongroom_wire::acts::DestroyKey;
use strongroom_wire::admin::{KeyPurpose, RotateRequest, RotationState};
use strongroom_wire::{RequestId, Scope, TenantId};
use tempfile::TempDir;

use super::{Asker, RootSource, Vault, rotate, tenant, unseal};
use crate::audit::AuditLog;
use crate::barrier::Barrier;
use crate::clock::MockClock;
use crate::egress::Egress;
use crate::policy::{Identity, Policy, Rules};
use crate::store::{SqliteOptions, SqliteStore};

/// See above.
pub(super) struct Rig {
    pub(super) vault: Arc<Vault>,
    pub(super) clock: MockClock,
    _folder: TempDir,
}

impl Rig {
    /// Unsealed, with the tenant `acme`.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = MockClock::at(NOW_MS);
        let (key, descriptor) = dev::make().unwrap();
        let dev_key = folder.path().join("dev.key");
        std::fs::write(&dev_key, key.as_bytes()).unwrap();
        std::fs::set_permissions(&dev_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let origin = strongroom_keys::note::origin(&descriptor.vault_id().to_string());
        let log = AuditLog::open(&folder.path().join("audit.db"), Arc::new(clock.clone()), &origin).unwrap();
        let options = SqliteOptions {
            path: folder.path().join("vault.db"),
            vault: descriptor.vault_id().to_string(),
            bytes_max: None,
        };
        let store = Arc::new(SqliteStore::open(&options).unwrap());
        let rooms = (Policy::new(rules()), log, Barrier::new(Arc::new(clock.clone())), store as _);
        let root = RootSource::new(descriptor, Some(dev_key));
        let egress = Egress::load(&BTreeMap::new()).unwrap();
        let vault = Arc::new(Vault::new(rooms, egress, Arc::new(clock.clone()), root, Vec::new()));
        unseal::with_dev_root(&vault).await.unwrap();
        tenant::add(&vault, &officer("alice"), acme()).await.unwrap();
        Self { vault, clock, _folder: folder }
    }

    /// Gives `acme` a new Kek; the term before it is retired and empty afterwards.
    pub(super) async fn rotated(&self) -> DestroyKey {
        let request = RotateRequest { tenant: acme(), records_per_second_max: None };
        let begun = rotate::start(&self.vault, &officer("alice"), request).await.unwrap();
        while rotate::show(&self.vault, &officer("alice"), acme()).await.unwrap().state != RotationState::Done {
            actix_web::rt::task::yield_now().await;
        }
        DestroyKey { purpose: KeyPurpose::Kek, tenant: Some(acme()), term: begun.to_term - 1 }
    }
}

/// A security officer: alice and bob hold every scope of the admin listener.
pub(super) fn officer(name: &str) -> Asker {
    let who = Identity::parse(&format!("spiffe://strongroom/security/{name}")).unwrap();
    Asker { who: who.into(), tenant: None, request: RequestId::fresh(), origin: None, key: None }
}

pub(super) fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn rules() -> Rules {
    let scopes: String =
        Scope::ALL.iter().filter(|scope| scope.is_admin()).map(|scope| format!("\"{}\",", scope.as_str())).collect();
    let row = |name: &str| {
        format!("[[identity]]\nuri = \"spiffe://strongroom/security/{name}\"\ntenants = [\"*\"]\nscopes = [{scopes}]\n")
    };
    Rules::parse(&format!("version = 1\n{}{}", row("alice"), row("bob"))).unwrap()
}

/// 2026-03-15T00:00:00Z.
pub(super) const NOW_MS: u64 = 1_773_532_800_000;
