//! The body of a request with a sealed card or CVC, and what the sealing opens to: refused with a field, or a card or CVC.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_vault::card::{BatchBody, CvcBody, Incoming, IncomingCvc};
use strongroom_wire::payment_method::Brand;

fuzz_target!(|bytes: &[u8]| {
    let now_ms = 1_790_000_000_000;
    // A body and a plaintext, with a zero byte between them.
    let (body, plaintext) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    if let Ok(Incoming::Sealed(sealed)) = Incoming::parse(body, now_ms) {
        assert!(sealed.sealed.ciphertext.len() > 16 && sealed.sealed.key.term() > 0);
        if let Ok(opened) = sealed.opened(plaintext.get(1..).unwrap_or_default(), now_ms) {
            assert!(!opened.card.encode().is_empty());
        }
    }
    if let Ok(IncomingCvc::Sealed(sealed)) = IncomingCvc::parse(body) {
        assert!(sealed.ciphertext.len() > 16 && sealed.key.term() > 0);
        if let Ok(cvc) = CvcBody::opened(plaintext.get(1..).unwrap_or_default()) {
            assert!(cvc.of_brand(Brand::Visa).is_ok() != cvc.of_brand(Brand::Amex).is_ok());
        }
    }
    if let Ok(batch) = BatchBody::parse(body, now_ms) {
        assert!((1..=1000).contains(&batch.items.len()));
    }
});
