//! Card numbers and CVCs that were given to vaultd, searched for wherever they may not be: logs, metrics, error answers,
//! database files, and the memory of the process once the connections that brought them are gone.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]
#![expect(clippy::print_stdout, reason = "the search reports what it found while connections live")]

mod crowd;
mod fields;
mod files;
mod forward;
mod memory;
mod orchestrator;
mod search;
mod wrong;

use strongroom_tests::harness::cards;
