//! There is no Permit by default: policy is default deny.

use strongroom_vault::policy::{Permit, Reveal};

fn main() {
    let _: Permit<Reveal> = Default::default();
}
