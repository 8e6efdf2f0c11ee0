//! A card number as a person or an attacker writes it: what is taken has digits alone and parses again to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_vault::card::Pan;
use strongroom_vault::card::text::holds_card_number;

fuzz_target!(|text: &str| {
    if let Ok(pan) = Pan::parse(text) {
        let digits = pan.digits();
        assert!((12..=19).contains(&digits.as_str().len()) && digits.as_bytes().iter().all(u8::is_ascii_digit));
        assert!(digits.as_str().starts_with(pan.bin()) && digits.as_str().ends_with(pan.last4()));
        let again = Pan::parse(digits.as_str()).unwrap_or_else(|_| panic!("a parsed number does not parse again"));
        assert_eq!(again.digits().as_bytes(), digits.as_bytes());
    }
    let _ = holds_card_number(text);
});
