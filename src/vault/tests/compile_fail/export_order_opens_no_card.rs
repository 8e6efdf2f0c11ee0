//! That two people agreed on an export opens no card: each card has a Warrant of its own.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::OrderExport;

fn at_once(barrier: &Barrier, warrant: Warrant<OrderExport>, envelope: &Envelope) {
    let _ = barrier.open(warrant, envelope, |_| ());
}

fn main() {}
