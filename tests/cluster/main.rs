//! Several vaultd and orchestrators on one PostgreSQL that does not stay up: what was acknowledged at one node holds at every
//! other, whichever process or server is killed.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod payments;
