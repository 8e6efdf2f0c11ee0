//! Which calls this run of the process works on right now, and which payments it let go with a result that is not stored.
//!
//! A call is stored as busy before it is made, under a lease that other nodes respect. If its result cannot be stored (a
//! full disk, a database that is away), nobody works on it any more while the store says otherwise. This run knows better
//! than the lease: it looks at such a payment again as soon as the store answers.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_wire::TenantId;

use super::call::Flight;
use super::engine::Engine;
use super::fault::Fault;
use super::payment::Payment;

/// What this run works on. In memory alone: with the process its work ends, too.
#[derive(Default)]
pub(crate) struct AtWork(Mutex<Work>);

#[derive(Default)]
struct Work {
    /// How many hold it.
    held: HashMap<Name, usize>,
    let_go: HashSet<(TenantId, String)>,
}

/// Merchant, payment and, for a call of a refund, which.
type Name = (TenantId, String, Option<String>);

/// Says that this run works on a call, until it is dropped.
pub(crate) struct Hold<'a> {
    at_work: &'a AtWork,
    name: Name,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut work = self.at_work.lock();
        if let Some(count) = work.held.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                work.held.remove(&self.name);
            }
        }
    }
}

impl AtWork {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The payments that were let go since the last time, and that whoever let them go holds no more.
    pub(super) fn take_let_go(&self) -> Vec<(TenantId, String)> {
        let Work { held, let_go } = &mut *self.lock();
        let is_held = |(merchant, id): &(TenantId, String)| held.keys().any(|(m, i, _)| m == merchant && i == id);
        let (kept, free): (HashSet<_>, HashSet<_>) = let_go.drain().partition(is_held);
        *let_go = kept;
        free.into_iter().collect()
    }

    pub(super) fn let_go(&self, merchant: &TenantId, payment_id: &str) {
        self.lock().let_go.insert((merchant.clone(), payment_id.to_owned()));
    }
}

impl Engine {
    /// Whoever makes a payment's call, or a refund's, holds it from before it is stored as busy until its result is.
    pub(super) fn hold(&self, payment: &Payment, refund_id: Option<&str>) -> Hold<'_> {
        let name = name(payment, refund_id);
        *self.at_work.lock().held.entry(name.clone()).or_default() += 1;
        Hold { at_work: &self.at_work, name }
    }

    /// Whether somebody works on a call right now. One of another run is theirs until its lease ends where other processes
    /// may use the store; where none can, another run has ended. One of this run is worked on if this run knows of it.
    pub(super) fn is_busy(&self, payment: &Payment, refund_id: Option<&str>, flight: &Flight) -> bool {
        let is_worked_on = if flight.run == self.run {
            self.at_work.lock().held.contains_key(&name(payment, refund_id))
        } else {
            !self.store.is_exclusive()
        };
        is_worked_on && flight.is_leased(self.now_ms())
    }

    /// Notes a payment whose call ended without a stored result, so that the next round looks at it.
    pub(super) fn or_let_go<T>(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        ended: Result<T, Fault>,
    ) -> Result<T, Fault> {
        if matches!(ended, Err(Fault::Store)) {
            self.at_work.let_go(merchant, payment_id);
        }
        ended
    }
}

fn name(payment: &Payment, refund_id: Option<&str>) -> Name {
    (payment.merchant_id.clone(), payment.payment_id.clone(), refund_id.map(str::to_owned))
}
