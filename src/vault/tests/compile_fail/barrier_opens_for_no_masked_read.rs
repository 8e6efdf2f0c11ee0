//! A Warrant for the masked view does not open a card.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::ReadMasked;

fn open(barrier: &Barrier, warrant: Warrant<ReadMasked>, envelope: &Envelope) {
    let _ = barrier.open(warrant, envelope, |_| ());
}

fn main() {}
