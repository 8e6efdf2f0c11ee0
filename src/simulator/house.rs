//! What every dialect of the simulator shares: one ledger, one set of faults, one bell for webhooks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::ServiceConfig;
use serde_json::Value;
use strongroom_wire::limits;

use crate::bell::Bell;
use crate::desk::Dispute;
use crate::fault::{Asked, Faults, Met, Place};
use crate::ledger::Ledger;

/// The API of one provider: a folder that gives routes.
pub(crate) trait Dialect: Send + Sync {
    /// The name in the ledger and at the desk, such as `stripe`.
    fn name(&self) -> &'static str;

    /// Registers its routes; they must not collide with those of another dialect.
    fn routes(&self, config: &mut ServiceConfig);

    /// Opens or moves a dispute of a payment of its own and tells it by webhook; answers the dispute as it tells it.
    ///
    /// # Errors
    /// Why there can be no such dispute.
    fn dispute(&self, dispute: &Dispute) -> Result<Value, String>;
}

/// What the dialects share. A clone is another handle on the same things.
#[derive(Clone)]
pub(crate) struct House {
    /// Every movement of money, whichever dialect asked for it.
    pub(crate) ledger: Ledger,
    /// Sends webhooks.
    pub(crate) bell: Bell,
    faults: Arc<Mutex<Faults>>,
    clock: Clock,
}

/// Tells the time in seconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl House {
    /// An empty house whose webhooks go through this bell.
    pub(crate) fn new(bell: Bell, faults: Arc<Mutex<Faults>>, clock: Clock) -> Self {
        Self { ledger: Ledger::default(), bell, faults, clock }
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        (self.clock)()
    }

    /// The faults that wait for a request.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the fault that meets this request, if one does.
    pub(crate) fn fault(&self, place: Place<'_>, asked: Asked<'_>) -> Option<Met> {
        self.faults().meet(place, asked)
    }
}

/// The simulator holds as many objects of a kind as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Refuses one object more than the simulator may hold.
pub(crate) fn room(count: usize) -> Result<(), Full> {
    if count < limits::SIMULATOR_OBJECTS_MAX { Ok(()) } else { Err(Full) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_more_than_the_limit_is_refused() {
        assert_eq!(room(limits::SIMULATOR_OBJECTS_MAX - 1), Ok(()));
        assert_eq!(room(limits::SIMULATOR_OBJECTS_MAX), Err(Full));
    }
}
