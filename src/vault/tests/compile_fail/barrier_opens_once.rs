//! A Warrant opens a card once: the barrier consumes it.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::Reveal;

fn open(barrier: &Barrier, warrant: Warrant<Reveal>, envelope: &Envelope) {
    let _ = barrier.open(warrant, envelope, |_| ());
    let _ = barrier.open(warrant, envelope, |_| ());
}

fn main() {}
