//! Process hardening before the first secret: no core dumps, no debugger; and as many open files as the system allows.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Whether the system granted all of it.
#[must_use]
pub fn harden() -> bool {
    let files = getrlimit(Resource::Nofile);
    // As many connections as the system lets this process have at most; what it refuses, the listener counts with.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok();
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    no_core && not_dumpable
}
