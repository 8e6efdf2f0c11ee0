//! The constructor of a Permit belongs to policy alone.

use strongroom_vault::policy::{Note, Permit, Reveal, Trace};

fn forge(trace: Trace) -> Permit<Reveal> {
    Permit::new(trace, Note::none(), 0)
}

fn main() {
    let _ = forge;
}
