//! A share file and a share handed in: each is refused, or is written back as it was read; a read body is wiped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_keys::share::{SealedShare, read_submission};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(share) = SealedShare::parse(bytes) {
        let again = SealedShare::parse(share.to_json().as_bytes()).expect("what was written is read");
        assert_eq!((again.index(), again.vault_id(), again.custodian()), (share.index(), share.vault_id(), share.custodian()));
    }
    let mut body = bytes.to_vec();
    let _ = read_submission(&mut body);
    assert!(body.iter().all(|byte| *byte == 0), "a share may stay in the body that it came in");
});
