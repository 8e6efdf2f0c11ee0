//! The acts are those of the policy room; nobody adds one that needs a lesser scope.

use strongroom_vault::policy::Action;
use strongroom_wire::{Scope, Token};

enum Peek {}

impl Action for Peek {
    const SCOPE: Scope = Scope::Status;
    type Subject = Token;
}

fn main() {}
