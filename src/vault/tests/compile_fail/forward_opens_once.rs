//! A Warrant to forward opens one card for one request.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::Forward;

fn send_twice(barrier: &Barrier, warrant: Warrant<Forward>, envelope: &Envelope) {
    let _ = barrier.open(warrant, envelope, |_| ());
    let _ = barrier.open(warrant, envelope, |_| ());
}

fn main() {}
