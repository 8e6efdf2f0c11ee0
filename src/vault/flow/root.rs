//! Where the Root comes from: the root.json in force, the one to come, and the ceremonies in which custodians bring them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use arc_swap::ArcSwap;
use strongroom_keys::root::dev::{self, DevRootError};
use strongroom_keys::root::place::Site;
use strongroom_keys::root::{Assembly, Descriptor, Root};
use strongroom_wire::admin::RootKind;
use strongroom_wire::limits;
use tokio::sync::{Mutex, MutexGuard};

use super::FlowError;
use super::auto::Reach;
use super::rotate::Pace;
use crate::store::RootChangeRow;

/// A root.json and what opens its Root where that needs no people.
#[derive(Debug, Clone)]
pub struct RootPlace {
    /// What `vaultctl` wrote.
    pub file: PathBuf,
    /// The development Root's file, where there is one.
    pub dev_key: Option<PathBuf>,
    /// How an HSM or KMS is reached from this machine.
    pub site: Site,
}

impl RootPlace {
    /// Reads the root.json; none where there is no such file.
    ///
    /// # Errors
    /// What is wrong with it, for the person who put it there.
    pub fn read(&self) -> Result<Option<Descriptor>, String> {
        let size = match std::fs::metadata(&self.file) {
            Ok(about) => about.len(),
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why.to_string()),
        };
        if size > limits::ROOT_FILE_BYTES_MAX as u64 {
            return Err("the file is too large to be a root.json".to_owned());
        }
        let json = std::fs::read(&self.file).map_err(|why| why.to_string())?;
        Descriptor::parse(&json).map(Some).map_err(|why| why.to_string())
    }

    /// Opens the Root without people.
    ///
    /// # Errors
    /// [`FlowError::Crypto`] says what is missing or does not fit, [`FlowError::Root`] why an HSM or KMS was not reached.
    pub(super) async fn open(&self, descriptor: &Descriptor) -> Result<Root, FlowError> {
        match descriptor.kind() {
            RootKind::Dev => self.open_dev(descriptor),
            RootKind::Custodians => Err(FlowError::Crypto("this root does not open by itself")),
            RootKind::Pkcs11 | RootKind::Kms => Ok(Root::reach(descriptor, &self.site).await?),
        }
    }

    fn open_dev(&self, descriptor: &Descriptor) -> Result<Root, FlowError> {
        let path = self.dev_key.as_ref().ok_or(FlowError::Crypto("root.dev_key is missing"))?;
        dev::read(path, descriptor).map_err(|why| {
            FlowError::Crypto(match why {
                DevRootError::Unreadable => "root.dev_key cannot be read; check its path and owner",
                DevRootError::Mode => "root.dev_key can be read by others than its owner; run chmod 600 on it",
                DevRootError::Form => "root.dev_key is not a key file as `vaultctl init --dev` writes it",
                DevRootError::NotDev => "root.dev_key goes with a root.json of kind dev only",
                DevRootError::Wrong => "root.dev_key does not belong to this root.json; take the two from one folder",
            })
        })
    }
}

/// The Root in force, the one to come, and the change from one to the other.
pub struct RootSource {
    current: ArcSwap<(Descriptor, RootPlace)>,
    next: Option<RootPlace>,
    /// Whether only this machine reaches the listeners, as a development Root demands.
    loopback_only: bool,
    /// The Root, while unsealed: new tenants and terms are wrapped under it.
    pub(super) held: Mutex<Option<Arc<Root>>>,
    pub(super) ceremony: Mutex<Assembly>,
    pub(super) coming: Mutex<Coming>,
    /// How the HSM or KMS was when it was asked last.
    pub reach: Reach,
    /// The change that this process works on, and how fast.
    working: Lock<Option<(RootChangeRow, Arc<Pace>)>>,
}

/// The Root to come, as far as it is here.
#[derive(Default)]
pub(super) struct Coming {
    pub(super) ceremony: Option<Assembly>,
    pub(super) held: Option<Arc<Root>>,
}

impl RootSource {
    /// A source that holds no Root yet.
    #[must_use]
    pub fn new(current: (Descriptor, RootPlace), next: Option<RootPlace>, loopback_only: bool) -> Self {
        let ceremony = Mutex::new(Assembly::new(current.0.clone()));
        Self {
            current: ArcSwap::from_pointee(current),
            next,
            loopback_only,
            held: Mutex::new(None),
            ceremony,
            coming: Mutex::default(),
            reach: Reach::default(),
            working: Lock::new(None),
        }
    }

    /// With another time between two probes of an HSM or KMS.
    #[must_use]
    pub fn reached_by(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The root.json in force.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        self.current.load().0.clone()
    }

    /// The Root in force, opened without people.
    pub(super) async fn open(&self) -> Result<Root, FlowError> {
        let current = self.current.load_full();
        current.1.open(&current.0).await
    }

    /// The Root, if the vault is unsealed. It may be slow or away, so it is not asked for anything while the lock is held.
    pub(super) async fn get(&self) -> Result<Arc<Root>, FlowError> {
        self.held.lock().await.as_ref().map(Arc::clone).ok_or(FlowError::Sealed)
    }

    /// The lock under which the store's keys and the keyring change together, if the Root is still the one that wrapped
    /// what is about to be stored.
    pub(super) async fn still(&self, root: &Arc<Root>) -> Result<MutexGuard<'_, Option<Arc<Root>>>, FlowError> {
        let held = self.held.lock().await;
        match &*held {
            Some(now) if Arc::ptr_eq(now, root) => Ok(held),
            Some(_) => Err(FlowError::Conflict("another root came into force in between; ask again")),
            None => Err(FlowError::Sealed),
        }
    }

    /// The root.json to come, read now: it comes from the operator's file and never from the store, so that whoever can
    /// write to the store cannot name a key of their own. None where no file is there, or the one that is in force.
    ///
    /// # Errors
    /// [`FlowError::Conflict`] for a file that cannot be one to change to.
    pub(super) fn read_next(&self) -> Result<Option<Descriptor>, FlowError> {
        let Some(place) = &self.next else { return Ok(None) };
        let unreadable = "[root.next] file cannot be read or is not a root.json as `vaultctl` writes it";
        let Some(next) = place.read().map_err(|_| FlowError::Conflict(unreadable))? else { return Ok(None) };
        let current = self.descriptor();
        if next.vault_id() != current.vault_id() {
            return Err(FlowError::Conflict(
                "[root.next] file belongs to another vault; make one for this vault with `vaultctl init --for`, or deal \
                 the root anew with `vaultctl shares redeal`",
            ));
        }
        if next.kind() == RootKind::Dev && !self.loopback_only {
            return Err(FlowError::Conflict("[root.next] file is a dev root, which is for development on loopback"));
        }
        Ok((next.sum() != current.sum()).then_some(next))
    }

    /// The root.json to come and its Root: brought by its custodians before, or opened now as the configuration says.
    ///
    /// # Errors
    /// [`FlowError::Conflict`] says what is missing.
    pub(super) async fn next(&self) -> Result<Arc<Root>, FlowError> {
        let none =
            "there is no root to change to: put its root.json where [root.next] file of vaultd's configuration says";
        let descriptor = self.read_next()?.ok_or(FlowError::Conflict(none))?;
        let mut coming = self.coming.lock().await;
        if let Some(root) = coming.held.as_ref().filter(|root| *root.descriptor() == descriptor) {
            return Ok(Arc::clone(root));
        }
        coming.held = None;
        if descriptor.kind() == RootKind::Custodians {
            return Err(FlowError::Conflict(
                "the root to come is not here: its custodians hand in their shares with `vaultctl root share`, and then it goes on",
            ));
        }
        let place = self.next.as_ref().ok_or(FlowError::Conflict(none))?;
        let root = Arc::new(place.open(&descriptor).await?);
        coming.held = Some(Arc::clone(&root));
        Ok(root)
    }

    /// Puts the Root to come in the place of the one in force. The store did so before, and the caller holds both locks.
    pub(super) fn turn(&self, held: &mut Option<Arc<Root>>, ceremony: &mut Assembly, next: Arc<Root>) {
        let descriptor = next.descriptor().clone();
        *ceremony = Assembly::new(descriptor.clone());
        let place = self.next.clone().unwrap_or_else(|| self.current.load().1.clone());
        self.current.store(Arc::new((descriptor, place)));
        *held = Some(next);
        // Another kind of Root may be one to keep an eye on.
        self.reach.look_again();
    }

    /// The same for a vault that is sealed, where another node put that root.json in force.
    pub(super) fn turn_sealed(&self, ceremony: &mut Assembly, next: Descriptor) {
        *ceremony = Assembly::new(next.clone());
        let place = self.next.clone().unwrap_or_else(|| self.current.load().1.clone());
        self.current.store(Arc::new((next, place)));
        self.reach.look_again();
    }

    /// Forgets what is here of the Root to come.
    pub(super) async fn forget_next(&self) {
        *self.coming.lock().await = Coming::default();
    }

    /// Takes the one place of a change that is worked on; `false` if it is taken.
    pub(super) fn enter(&self, row: &RootChangeRow) -> bool {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let free = working.is_none();
        if free {
            *working = Some((row.clone(), Arc::new(Pace::new(row.keys_per_second_max))));
        }
        free
    }

    /// Says how far the change is that is worked on.
    pub(super) fn tell(&self, row: &RootChangeRow) {
        if let Some((known, _)) = &mut *self.working.lock().unwrap_or_else(PoisonError::into_inner) {
            *known = row.clone();
        }
    }

    /// A pace from now on for the change that is worked on: what it did before an interruption does not count.
    pub(super) fn pace_anew(&self, row: &RootChangeRow) -> Arc<Pace> {
        let pace = Arc::new(Pace::new(row.keys_per_second_max));
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some((row.clone(), Arc::clone(&pace)));
        pace
    }

    /// Gives the place back.
    pub(super) fn leave(&self) {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The change that is worked on, and how fast.
    pub(super) fn working(&self) -> Option<(RootChangeRow, Arc<Pace>)> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
