//! Egress: the one room from which a card leaves for somewhere else than its caller. Named destinations only, over TLS, to
//! an address that was looked at before; nothing is followed, retried or kept open.
//!
//! A request goes through it in this order: [`Egress::prepare`] holds a template against its destination and touches no
//! network; [`Prepared::connect`] opens a connection with no card in sight, so that what fails until then is proven not to
//! have been sent; [`Connection::send`] sends the filled body once; [`Scrub`] masks what comes back.

mod address;
mod connect;
mod fill;
mod header;
mod path;
mod plan;
mod prepare;
mod scrub;
mod send;

use std::collections::BTreeMap;

use strongroom_wire::forward::DestinationName;
use strongroom_wire::limits;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use connect::Connection;
pub use fill::{Masked, OfCard, Parts, fill};
pub use plan::{Plan, PlanError};
pub use prepare::{Misfit, Prepared, sameness};
pub use scrub::Scrub;
pub use send::Received;

use plan::Destination;

/// Every destination of the configuration.
pub struct Egress {
    destinations: BTreeMap<DestinationName, Destination>,
    gate: Semaphore,
}

/// Leave to have one request on its way; it ends when it is dropped.
pub struct Leave<'a>(#[expect(dead_code, reason = "held, never looked at")] SemaphorePermit<'a>);

impl Egress {
    /// Reads the certificates that the plans name and gets every destination ready. No network is touched.
    ///
    /// # Errors
    /// [`PlanError`] names the destination and the key at fault.
    pub fn load(plans: &BTreeMap<DestinationName, Plan>) -> Result<Self, PlanError> {
        let destinations = plans
            .iter()
            .map(|(name, plan)| Ok((name.clone(), Destination::load(name, plan)?)))
            .collect::<Result<_, PlanError>>()?;
        Ok(Self::of(destinations))
    }

    /// Leave to send one request, unless [`limits::FORWARDS_AT_ONCE_MAX`] are on their way.
    #[must_use]
    pub fn leave(&self) -> Option<Leave<'_>> {
        self.gate.try_acquire().ok().map(Leave)
    }

    fn of(destinations: BTreeMap<DestinationName, Destination>) -> Self {
        Self { destinations, gate: Semaphore::new(limits::FORWARDS_AT_ONCE_MAX) }
    }
}

#[cfg(test)]
mod tests;
