//! The access matrix: who is refused where, on every route that the served OpenAPI documents name.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod acts;
mod certificates;
mod identity;
mod intake;
mod quota;
mod refusals;
mod reload;
mod schema;
mod sealed;
mod start;
mod table;
mod tenant;
mod tls;
