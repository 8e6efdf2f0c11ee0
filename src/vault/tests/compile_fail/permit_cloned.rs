//! A Permit is good for one entry.

use strongroom_vault::policy::{Permit, Reveal};

fn twice(permit: &Permit<Reveal>) -> Permit<Reveal> {
    permit.clone()
}

fn main() {
    let _ = twice;
}
