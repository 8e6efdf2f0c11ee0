//! What may never happen to a payment, whatever happens to it: held against the ledger of the provider.

use strongroom_simulator::Moved;

use super::life::World;
use crate::intent::{CaptureStatus, Payment, RefundStatus, State};

/// Laws that hold at every moment.
pub(super) async fn always(world: &World) {
    for payment in world.payments().await {
        let id = &payment.payment_id;
        let moved = world.road.provider.moved(id);
        // What the merchant wants to raise it to is agreed, too, although the provider may not have answered yet.
        let raised =
            payment.increments.iter().filter(|row| row.status != CaptureStatus::Failed).map(|row| row.total_minor);
        let agreed = raised.fold(payment.terms.amount_minor, u64::max);
        assert!(moved.captured <= moved.authorized, "{id}: captured more than authorized: {moved:?}");
        assert!(moved.refunded <= moved.captured, "{id}: refunded more than captured: {moved:?}");
        assert!(moved.captured <= agreed, "{id}: charged more than agreed ({agreed}): {moved:?}");
        let reserved = moved.authorized - moved.released;
        assert!(
            reserved <= agreed,
            "{id}: reserved more than agreed ({agreed}) at a time: {moved:?}; {:?} {:?}",
            payment.pending,
            payment.increments
        );
        let told = world.told.get(id).copied().unwrap_or_default();
        assert!(
            moved.captured >= told.captured_minor,
            "{id}: the merchant was told of {} captured: {moved:?}",
            told.captured_minor
        );
        assert!(payment.captured_minor >= told.captured_minor, "{id}: forgot a capture that it told of");
        if payment.pending.is_none() {
            agrees(&payment, moved);
        }
    }
}

/// Nothing runs now, so no payment may say that this run of the process works on it.
pub(super) async fn nobody_pretends(world: &World) {
    for payment in world.payments().await {
        let refunds = payment.refunds.iter().filter_map(|refund| refund.flight.as_ref());
        let calls = payment.pending.iter().map(|pending| &pending.flight).chain(refunds);
        let pretended = calls.into_iter().find(|flight| flight.busy && flight.run == world.engine.run());
        assert_eq!(pretended, None, "{}: stored as busy, and nobody works on it", payment.payment_id);
    }
}

/// What a payment without a call under way says is what the provider did.
fn agrees(payment: &Payment, moved: Moved) {
    let id = &payment.payment_id;
    let reserved = moved.authorized - moved.released - moved.captured;
    let says = payment.state.word();
    match payment.state {
        State::RequiresPaymentMethod | State::RequiresConfirmation => {
            assert_eq!(moved, Moved::default(), "{id} says {says}");
        }
        // The payer may have approved already, and nobody has asked yet.
        State::RequiresCustomerAction | State::Processing => {}
        State::RequiresCapture => {
            assert_eq!((reserved, moved.captured), (payment.terms.amount_minor, 0), "{id} says {says}: {moved:?}");
        }
        State::Succeeded => {
            assert_eq!((reserved, moved.captured), (0, payment.terms.amount_minor), "{id} says {says}: {moved:?}");
        }
        State::PartiallyCapturedAndCapturable => {
            let left = payment.terms.amount_minor - payment.captured_minor;
            assert_eq!((reserved, moved.captured), (left, payment.captured_minor), "{id} says {says}: {moved:?}");
        }
        State::PartiallyCaptured => {
            assert_eq!((reserved, moved.captured), (0, payment.captured_minor), "{id} says {says}: {moved:?}");
            assert!(moved.captured > 0, "{id} says {says}: {moved:?}");
        }
        State::Failed | State::Cancelled | State::Expired => {
            assert_eq!((reserved, moved.captured), (0, 0), "{id} says {says}: {moved:?}");
        }
    }
    if payment.refunds.iter().all(|refund| refund.status != RefundStatus::Pending) {
        let done = payment.refunds.iter().filter(|r| r.status == RefundStatus::Succeeded);
        let done: u64 = done.map(|refund| refund.amount_minor).sum();
        assert_eq!(done, moved.refunded, "{id}: refunds: {moved:?}");
    }
}

/// Laws that hold once time has passed and nothing is left to do.
pub(super) async fn at_rest(world: &World) {
    for payment in world.payments().await {
        let id = &payment.payment_id;
        let is_at_rest = payment.state.is_terminal()
            || matches!(payment.state, State::RequiresPaymentMethod | State::RequiresConfirmation);
        assert!(is_at_rest, "{id} says {} after two weeks: {:?}", payment.state.word(), payment.pending);
        let pending = payment.refunds.iter().find(|refund| refund.status == RefundStatus::Pending);
        assert_eq!(pending, None, "{id}: a refund is pending after two weeks");
        agrees(&payment, world.road.provider.moved(id));
        let says = payment.state.word();
        if let Some(heard) = world.ear.last(id) {
            assert_eq!(heard, says, "{id}: the merchant's last webhook");
        } else {
            let quiet = matches!(payment.state, State::RequiresPaymentMethod | State::RequiresConfirmation);
            assert!(quiet, "{id} says {says} and the merchant was told nothing");
        }
    }
    let kept: Vec<_> = world.payments().await.into_iter().filter_map(|p| p.method).filter(|m| m.kept).collect();
    let state = world.vault.state.lock().unwrap();
    for (token, (method, _)) in &state.cards {
        let wanted = kept.iter().any(|kept| kept.token == *token);
        let waits = method.storage == strongroom_wire::payment_method::Storage::ShortTerm;
        assert!(wanted || waits, "a card is kept that no payment kept");
    }
    for method in &kept {
        assert!(state.cards.contains_key(&method.token), "a payment names a card that is gone");
    }
}
