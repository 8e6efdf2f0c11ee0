//! A Warrant is good for one act.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::Reveal;

fn twice(warrant: &Warrant<Reveal>) -> Warrant<Reveal> {
    warrant.clone()
}

fn main() {
    let _ = twice;
}
