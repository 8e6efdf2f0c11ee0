//! A Permit cannot come from a request.

use strongroom_vault::policy::{Permit, Reveal};

fn main() {
    let _: Result<Permit<Reveal>, _> = serde_json::from_str("{}");
}
