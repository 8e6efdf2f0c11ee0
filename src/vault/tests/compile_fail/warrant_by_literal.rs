//! A Warrant cannot be written down.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::{Reveal, Trace};

fn forge(trace: Trace) -> Warrant<Reveal> {
    Warrant { trace, at_ms: 0, index: 0, action: std::marker::PhantomData }
}

fn main() {
    let _ = forge;
}
