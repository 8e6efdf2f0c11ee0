//! An envelope from a store that somebody may have written to: it is refused or stands for its own bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_keys::Envelope;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(envelope.as_bytes(), bytes);
        assert!(envelope.term() > 0);
    }
});
