//! A Permit cannot be written down.

use strongroom_vault::policy::{Permit, Reveal, Trace};

fn forge(trace: Trace) -> Permit<Reveal> {
    Permit { trace, note: Default::default(), at_ms: 0, action: std::marker::PhantomData }
}

fn main() {
    let _ = forge;
}
