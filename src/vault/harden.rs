//! Process hardening before the first secret: no core dumps, no debugger, memory that stays out of swap; and as many open
//! files as the system allows. Every call is a safe one of `rustix`; what the system refuses is reported, not hidden.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit};

/// What the system granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardened {
    /// No core file is ever written.
    pub no_core: bool,
    /// Other processes of the same user cannot attach or read memory.
    pub not_dumpable: bool,
    /// Memory does not go to swap. An ordinary user may lock 8 MiB by default, which is not enough: give the service
    /// `LimitMEMLOCK=infinity`.
    pub locked: bool,
}

/// Hardens this process; call it first in `main`, before any secret is read and any thread is started.
#[must_use]
pub fn harden() -> Hardened {
    let files = getrlimit(Resource::Nofile);
    // As many connections as the system lets this process have at most; what it refuses, the listeners count with.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    Hardened {
        no_core: setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok(),
        not_dumpable: set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok(),
        locked: lock(),
    }
}

fn lock() -> bool {
    // With a finite limit, MCL_FUTURE would make ordinary allocations fail later: all or nothing.
    let unlimited = getrlimit(Resource::Memlock).current.is_none() || geteuid().is_root();
    unlimited && mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).is_ok()
}
