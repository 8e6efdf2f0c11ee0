//! Card fields and PINs that a merchant's page encrypted: opened by a key that is a secret of the tenant. The key stays in
//! this room and goes with the act; it opens and never seals.

use strongroom_keys::Envelope;
use strongroom_keys::context::Purpose;
use strongroom_keys::fields::FieldKey;
use strongroom_wire::SecretId;

use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::card::{BodyError, FieldsBody, PinBody, TokenizeBody};
use crate::policy::{Action, CheckPin, OpenFields};

/// Why fields did not open to a card or a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// The secret is none of 32 bytes as base64.
    #[error("the secret is no key for encrypted fields")]
    NoKey,
    /// A field does not open, or opens to something else.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// See [`BarrierError`].
    #[error(transparent)]
    Barrier(#[from] BarrierError),
}

impl Barrier {
    /// Opens the fields of a card with the secret that the Warrant names. `now_ms` decides whether the card has expired.
    ///
    /// # Errors
    /// [`FieldsError`]; [`BarrierError::Unauthentic`] for the envelope of any other secret or tenant.
    pub fn open_fields(
        &self,
        warrant: Warrant<OpenFields>,
        envelope: &Envelope,
        fields: FieldsBody,
        now_ms: u64,
    ) -> Result<TokenizeBody, FieldsError> {
        let key = self.field_key(warrant, envelope)?;
        Ok(fields.opened(|nonce: &_, sealed: &_| key.open(nonce, sealed).ok(), now_ms)?)
    }

    /// Tries whether a field opens to a PIN with the secret that the Warrant names.
    ///
    /// # Errors
    /// As [`Barrier::open_fields`].
    pub fn check_pin(&self, warrant: Warrant<CheckPin>, envelope: &Envelope, pin: &PinBody) -> Result<(), FieldsError> {
        let key = self.field_key(warrant, envelope)?;
        Ok(pin.check(|nonce: &_, sealed: &_| key.open(nonce, sealed).ok())?)
    }

    fn field_key<A>(&self, warrant: Warrant<A>, envelope: &Envelope) -> Result<FieldKey, FieldsError>
    where
        A: Action<Subject = SecretId>,
    {
        let id = warrant.secret().ok_or(BarrierError::Unauthentic)?;
        let value = self.open_record(warrant.tenant(), id.uuid().as_bytes(), Purpose::Secret, envelope)?;
        FieldKey::from_base64(&value).ok_or(FieldsError::NoKey)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rig::{NOW_MS, Rig};
    use super::*;

    /// The bytes 0 to 31, and a card that OpenSSL encrypted under them.
    const KEY: &[u8] = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn fields() -> FieldsBody {
        let body = json!({
            "secret_id": SecretId::fresh(), "nonce": "a1B2c3D4e5F6",
            "encrypted_card_number": "2BUyUdgomb2Ow+xzyikkh8KGvK/d59d+yH6FsX68jvc=",
            "encrypted_expiry_month": "3B5x4K3wi8UyDeRbf67hUQOI", "encrypted_expiry_year": "3xVz/XCtn7AYJbbYr8ukwJ36",
        });
        FieldsBody::parse(body.to_string().as_bytes()).ok().unwrap()
    }

    fn pin(field: &str) -> PinBody {
        let body = json!({"secret_id": SecretId::fresh(), "nonce": "a1B2c3D4e5F6", "encrypted_pin": field});
        PinBody::parse(body.to_string().as_bytes()).ok().unwrap()
    }

    #[test]
    fn fields_open_with_their_own_tenants_secret_alone() {
        let rig = Rig::new(&["acme", "globex"]);
        let (warrant, id) = rig.write_secret("acme");
        let key = rig.barrier.seal_secret(warrant, KEY).unwrap();
        let open = |tenant, id| {
            let opened = rig.barrier.open_fields(rig.on_secret(tenant, id), &key, fields(), NOW_MS);
            opened.map(|body| body.card.pan.digits().as_str().to_owned())
        };
        assert_eq!(open("acme", id), Ok("4242424242424242".to_owned()));
        assert_eq!(open("acme", SecretId::fresh()), Err(BarrierError::Unauthentic.into()));
        assert_eq!(open("globex", id), Err(BarrierError::Unauthentic.into()));
        rig.barrier.seal_now();
        assert_eq!(open("acme", id), Err(BarrierError::Sealed.into()));
    }

    #[test]
    fn a_secret_that_is_no_key_opens_nothing() {
        let rig = Rig::new(&["acme"]);
        for value in [&b"sk_test_1"[..], &KEY[..43], b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"] {
            let (warrant, id) = rig.write_secret("acme");
            let key = rig.barrier.seal_secret(warrant, value).unwrap();
            let opened = rig.barrier.open_fields(rig.on_secret("acme", id), &key, fields(), NOW_MS);
            assert_eq!(opened.err(), Some(FieldsError::NoKey));
            let checked = rig.barrier.check_pin(rig.on_secret("acme", id), &key, &pin("3RU1V5gQKDOZ0VGlziBZnbdZbZc="));
            assert_eq!(checked, Err(FieldsError::NoKey));
        }
    }

    #[test]
    fn a_pin_is_tried_and_nothing_of_it_comes_back() {
        let rig = Rig::new(&["acme"]);
        let (warrant, id) = rig.write_secret("acme");
        let key = rig.barrier.seal_secret(warrant, KEY).unwrap();
        let check = |field| rig.barrier.check_pin(rig.on_secret("acme", id), &key, &pin(field));
        assert_eq!(check("3RU1V5gQKDOZ0VGlziBZnbdZbZc="), Ok(()));
        assert_eq!(check("3RU1V9nzdZ4AlAen9GpsVF4r8rg3"), Ok(()));
        let three_digits = check("3RU1IAFgnq0N86ifDQIZWooGlg==").unwrap_err();
        assert_eq!(check("3RU1V5gQKDOZ0VGlziBZnbdZbZg="), Err(three_digits));
    }

    /// Whatever is sealed beside such a key is sealed under the tenant's own.
    #[test]
    fn nothing_is_ever_sealed_under_a_field_key() {
        let rig = Rig::new(&["acme"]);
        let (warrant, _) = rig.write_secret("acme");
        let sealed = rig.barrier.seal_secret(warrant, KEY).unwrap();
        let key = FieldKey::from_base64(KEY).unwrap();
        let bytes = sealed.as_bytes();
        let mut tried = 0;
        for from in 0..bytes.len() {
            for to in from + 12 + 16..=bytes.len() {
                let nonce: &[u8; 12] = bytes[from..].first_chunk().unwrap();
                assert!(key.open(nonce, &bytes[from + 12..to]).is_err());
                tried += 1;
            }
        }
        assert!(tried > 1_000, "only {tried} ways to read the envelope were tried");
    }
}
