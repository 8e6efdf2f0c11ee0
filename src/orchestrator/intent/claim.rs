//! The idempotency key under which a request works. The first change that the request stores says so in the same
//! transaction: a request that was taken for dead then changes nothing any more, and whoever takes its key over knows
//! whether it did.

use std::cell::RefCell;
use std::future::Future;

use crate::store::{Claim, Effects};

tokio::task_local! {
    static CLAIM: RefCell<Option<Claim>>;
}

/// Runs `work`, whose first stored change is made under `claim`.
pub async fn under<F: Future>(claim: Claim, work: F) -> F::Output {
    CLAIM.scope(RefCell::new(Some(claim)), work).await
}

/// The effects with the claim of the running request, unless an earlier change has it.
pub(super) fn with_claim(effects: &Effects) -> Effects {
    let claim = CLAIM.try_with(|claim| claim.borrow_mut().take()).ok().flatten();
    Effects { claim, ..effects.clone() }
}

/// These effects were not stored (or it is not known), so the claim goes with the next change.
pub(super) fn put_back(effects: &Effects) {
    // Outside of a request there is no claim to put back.
    let _outside = CLAIM.try_with(|claim| {
        let mut claim = claim.borrow_mut();
        *claim = effects.claim.clone().or(claim.take());
    });
}
