//! The constructor of a Warrant belongs to the log alone.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::{Reveal, Trace};

fn forge(trace: Trace) -> Warrant<Reveal> {
    Warrant::new(trace, 0, 0)
}

fn main() {
    let _ = forge;
}
