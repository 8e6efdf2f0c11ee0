//! Real processes over real mutual TLS: what tests, the demo and the benches are built from.

pub mod bench;
pub mod harness;
pub mod soak;
pub mod storefront;
