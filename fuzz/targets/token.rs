//! Names from outside: each is refused or written back as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_wire::{CustomerId, Reference, RequestId, SecretId, TenantId, Token};

fuzz_target!(|text: &str| {
    let same = |written: String| assert_eq!(written, text);
    let _ = text.parse::<Token>().map(|id| same(id.to_string()));
    let _ = text.parse::<SecretId>().map(|id| same(id.to_string()));
    let _ = text.parse::<RequestId>().map(|id| same(id.to_string()));
    let _ = text.parse::<TenantId>().map(|id| same(id.to_string()));
    let _ = text.parse::<CustomerId>().map(|id| same(id.to_string()));
    let _ = text.parse::<Reference>().map(|id| same(id.to_string()));
});
