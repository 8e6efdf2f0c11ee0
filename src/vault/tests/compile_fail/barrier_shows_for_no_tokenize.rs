//! A Warrant to store a card does not show others.

use strongroom_keys::Envelope;
use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::Tokenize;
use strongroom_wire::Token;

fn show(barrier: &Barrier, warrant: &Warrant<Tokenize>, token: &Token, envelope: &Envelope) {
    let _ = barrier.glance(warrant, token, envelope);
}

fn main() {}
