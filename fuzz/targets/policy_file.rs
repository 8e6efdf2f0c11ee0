//! A policy file: it is refused with words, or is within every limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_vault::policy::Rules;
use strongroom_wire::limits;

fuzz_target!(|text: &str| {
    match Rules::parse(text) {
        Ok(rules) => assert!(rules.len() <= limits::IDENTITIES_MAX && text.len() <= limits::POLICY_BYTES_MAX),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
