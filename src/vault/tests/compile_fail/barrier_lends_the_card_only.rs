//! A card that the barrier lends cannot be kept.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::card::Card;
use strongroom_vault::policy::Reveal;

fn keep<'a>(barrier: &Barrier, warrant: Warrant<Reveal>, envelope: &Envelope) -> Option<&'a Card> {
    barrier.open(warrant, envelope, |card| card).ok()
}

fn main() {}
