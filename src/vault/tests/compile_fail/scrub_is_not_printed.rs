//! What an answer is scrubbed of cannot be printed.

use strongroom_vault::egress::Scrub;

fn show(scrub: &Scrub) -> String {
    format!("{scrub:?}")
}

fn main() {
    let _ = show;
}
