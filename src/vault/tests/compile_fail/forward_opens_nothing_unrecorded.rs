//! A Permit to forward opens nothing: the entry comes first.

use strongroom_keys::Envelope;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::{Forward, Permit};

fn hurry(barrier: &Barrier, permit: Permit<Forward>, envelope: &Envelope) {
    let _ = barrier.open(permit, envelope, |_| ());
}

fn main() {}
