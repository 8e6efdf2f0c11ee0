//! A Permit to reveal one card cannot be turned to another; only a card that has no token yet can be named later.

use strongroom_vault::policy::{Permit, Reveal};
use strongroom_wire::Token;

fn turn(permit: Permit<Reveal>, other: Token) -> Permit<Reveal> {
    permit.about(other)
}

fn main() {
    let _ = turn;
}
