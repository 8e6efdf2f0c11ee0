//! A merchant's last webhook equals its payment's state: payments are stored in one place, which stores the event with them.

use crate::source::{self, Offences, Piece};

/// The one file of the engine that hands payments to the store.
const KEEPER: &str = "src/orchestrator/intent/engine.rs";

#[test]
fn payments_are_stored_only_together_with_their_events() {
    let mut offences = Offences::default();
    let mut stored = 0;
    for path in source::rust_files() {
        let product = path.starts_with("src/orchestrator/") && !path.starts_with("src/orchestrator/store/");
        if !product || path.ends_with("tests.rs") || path.contains("/rig/") {
            continue;
        }
        for placed in source::pieces_of(&path) {
            match &placed.piece {
                // What follows in this file is its tests.
                Piece::Name(name) if name == "tests" => break,
                Piece::Name(name) if name == "save_payment" || name == "add_payment" => {
                    stored += 1;
                    offences.unless(path == KEEPER, || {
                        format!("{path}:{} stores a payment past {KEEPER}, so the merchant is not told", placed.line)
                    });
                }
                _ => {}
            }
        }
    }
    assert_eq!(stored, 2, "{KEEPER} stores new payments and changed ones");
    offences.none();
}
