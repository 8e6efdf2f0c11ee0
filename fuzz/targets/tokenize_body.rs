//! The body of a tokenize or update request: it is refused with a field and a reason that never repeat it, or is a card.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_vault::card::{Incoming, UpdateBody};

fuzz_target!(|body: &[u8]| {
    let now_ms = 1_790_000_000_000;
    if let Ok(Incoming::Clear(parsed)) = Incoming::parse(body, now_ms) {
        let record = parsed.card.encode();
        assert!(!record.is_empty());
    }
    let _ = UpdateBody::parse(body, now_ms);
});
