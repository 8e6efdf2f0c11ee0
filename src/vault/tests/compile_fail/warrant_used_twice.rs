//! A spent Warrant is gone.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::Reveal;

fn spend(warrant: Warrant<Reveal>) -> u64 {
    warrant.index()
}

fn twice(warrant: Warrant<Reveal>) -> u64 {
    spend(warrant) + spend(warrant)
}

fn main() {
    let _ = twice;
}
