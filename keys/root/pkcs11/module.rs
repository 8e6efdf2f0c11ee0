//! A PKCS#11 library in this process. It is one for all Roots that use it, because `C_Initialize` and `C_Finalize` are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use crate::root::RootError;

/// A loaded library, and which of its lives it is in: a restart ends every session, and their numbers come again.
pub(super) struct Module {
    library: RwLock<Library>,
}

struct Library {
    calls: Pkcs11,
    life: u64,
}

impl Module {
    /// Loads a library, or finds it loaded.
    ///
    /// # Errors
    /// [`RootError::Setting`] if there is no such library, [`RootError::Unavailable`] if it does not start.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, RootError> {
        let refused = |_| RootError::Setting(NOT_A_MODULE);
        // Two names of one file are one library to the linker.
        let path = path.canonicalize().map_err(|_| RootError::Setting(NOT_A_MODULE))?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded.get(&path) {
            return Ok(Arc::clone(module));
        }
        let calls = Pkcs11::new(&path).map_err(refused)?;
        start(&calls).map_err(|_| RootError::Unavailable)?;
        let module = Arc::new(Self { library: RwLock::new(Library { calls, life: 0 }) });
        loaded.insert(path, Arc::clone(&module));
        Ok(module)
    }

    /// Does work while the library cannot be restarted; the work is told in which life.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Pkcs11, u64) -> T) -> T {
        let library = self.library.read().unwrap_or_else(PoisonError::into_inner);
        work(&library.calls, library.life)
    }

    /// Restarts the library, unless somebody did since the life that the caller saw: some see a token that came, or a
    /// connection that was lost, only then. It waits for calls to end, because a restart under a call is undefined.
    pub(super) fn restart(&self, seen: u64, within: Duration) {
        let end = Instant::now() + within;
        loop {
            let free = match self.library.try_write() {
                Ok(library) => Some(library),
                Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => None,
            };
            if let Some(mut library) = free {
                if library.life == seen {
                    // A library that was not running is as good as one that was ended.
                    let _ended = library.calls.clone().finalize();
                    let _started = start(&library.calls);
                    library.life += 1;
                }
                return;
            }
            if Instant::now() >= end {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn start(calls: &Pkcs11) -> Result<(), Error> {
    match calls.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

static LOADED: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

const NOT_A_MODULE: &str =
    "[root.pkcs11] module cannot be loaded; give the path of the HSM's PKCS#11 library, such as libsofthsm2.so";
