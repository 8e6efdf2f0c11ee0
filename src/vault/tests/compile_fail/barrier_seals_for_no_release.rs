//! A Warrant to release a card does not seal one.

use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::card::Card;
use strongroom_vault::policy::Reveal;

fn seal(barrier: &Barrier, warrant: Warrant<Reveal>, card: &Card) {
    let _ = barrier.seal(warrant, card);
}

fn main() {}
