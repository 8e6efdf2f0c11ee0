//! Process hardening before the first secret: no core dumps, no debugger.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Whether the system granted all of it.
#[must_use]
pub fn harden() -> bool {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok();
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    no_core && not_dumpable
}
