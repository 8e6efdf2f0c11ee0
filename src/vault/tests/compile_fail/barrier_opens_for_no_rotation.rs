//! A Warrant to rotate a key does not open a card: the barrier tells it a new fingerprint and lends it nothing.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::Rotate;

fn open(barrier: &Barrier, warrant: Warrant<Rotate>, envelope: &Envelope) {
    let _ = barrier.open(warrant, envelope, |_| ());
}

fn main() {}
