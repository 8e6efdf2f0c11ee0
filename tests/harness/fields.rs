//! What a merchant's page does before it sends a card in encrypted fields: each under one key and one nonce.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Client, Result};

/// The page's key, as the value of the secret that holds it.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The page's nonce.
pub const NONCE: &str = "a1B2c3D4e5F6";

/// Stores the page's key as a secret; its id.
///
/// # Errors
/// If the vault does not take it.
pub async fn store_key(release: &Client) -> Result<String> {
    let stored = release.post("/v1/secrets", &json!({ "name": "page", "value": KEY })).await?.expect(201)?;
    Ok(stored["secret_id"].as_str().unwrap_or_default().to_owned())
}

/// A text as an encrypted field.
///
/// # Panics
/// If the nonce has not twelve bytes.
#[must_use]
pub fn encrypted(nonce: &str, text: &str) -> String {
    let key = BASE64_STANDARD.decode(KEY).expect("the key is base64");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes"));
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).expect("a nonce has twelve bytes");
    let mut sealed = text.as_bytes().to_vec();
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).expect("a field is short");
    BASE64_STANDARD.encode(sealed)
}

/// The body that stores a card which expires in December 2031.
#[must_use]
pub fn of_card(secret_id: &str, number: &str, cvc: &str) -> Value {
    json!({
        "secret_id": secret_id,
        "nonce": NONCE,
        "encrypted_card_number": encrypted(NONCE, number),
        "encrypted_expiry_month": encrypted(NONCE, "12"),
        "encrypted_expiry_year": encrypted(NONCE, "31"),
        "encrypted_cvv": encrypted(NONCE, cvc),
    })
}

/// The body that has a PIN checked.
#[must_use]
pub fn of_pin(secret_id: &str, pin: &str) -> Value {
    json!({ "secret_id": secret_id, "nonce": NONCE, "encrypted_pin": encrypted(NONCE, pin) })
}

#[test]
fn a_field_is_what_openssl_makes_of_it() {
    assert_eq!(encrypted(NONCE, "12345"), "3RU1V9nzdZ4AlAen9GpsVF4r8rg3");
    assert_eq!(encrypted(NONCE, "09"), "3B5x4K3wi8UyDeRbf67hUQOI");
}
