//! A key for encrypted fields opens; there is nothing that seals with it.

use strongroom_keys::fields::FieldKey;

fn seal(key: &FieldKey) {
    let _ = key.seal(b"a1B2c3D4e5F6", b"4242424242424242");
}

fn main() {}
