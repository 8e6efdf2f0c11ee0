//! A Permit to export a card opens nothing: the entry comes first.

use strongroom_keys::Envelope;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::{Export, Permit};

fn hurry(barrier: &Barrier, permit: Permit<Export>, envelope: &Envelope) {
    let _ = barrier.open(permit, envelope, |_| ());
}

fn main() {}
