//! Encrypted fields of a card and PINs, on their way to the vault, which alone opens them.

use strongroom_wire::encrypted_fields::{EncryptedField, EncryptedFieldsRequest, FieldNonce, PinCheckRequest};
use strongroom_wire::payment_method::PaymentMethod;
use strongroom_wire::{CustomerId, SecretId, TenantId};

use crate::api::answer::Refusal;
use crate::intent::{Engine, Fault};
use crate::vault::{SecretText, VaultError};

/// The fields as they came. They should be ciphertext, and until they are found to look like it they are held as secrets:
/// somebody may have forgotten to encrypt them.
pub(super) struct SealedBody {
    pub(super) nonce: SecretText,
    pub(super) number: SecretText,
    pub(super) expiry_month: SecretText,
    pub(super) expiry_year: SecretText,
    pub(super) cvv: Option<SecretText>,
}

/// Encrypted fields of a card, all under one nonce.
pub(super) struct Sealed {
    nonce: FieldNonce,
    number: EncryptedField,
    expiry_month: EncryptedField,
    expiry_year: EncryptedField,
    cvv: Option<EncryptedField>,
}

impl SealedBody {
    /// The fields, if each has the form of one.
    pub(super) fn read(self) -> Result<Sealed, Fault> {
        Ok(Sealed {
            nonce: nonce("payment_method.card.nonce", &self.nonce)?,
            number: field(NUMBER, &self.number)?,
            expiry_month: field(MONTH, &self.expiry_month)?,
            expiry_year: field(YEAR, &self.expiry_year)?,
            cvv: self.cvv.map(|cvv| field(CVV, &cvv)).transpose()?,
        })
    }
}

/// A nonce, if it is one.
pub(super) fn nonce(name: &'static str, text: &SecretText) -> Result<FieldNonce, Fault> {
    let reason = "12 printable ASCII characters without spaces";
    text.expose().parse().map_err(|_| Fault::Invalid { field: name, reason })
}

/// An encrypted field, if it has the form of one.
pub(super) fn field(name: &'static str, text: &SecretText) -> Result<EncryptedField, Fault> {
    let reason = "base64 of the ciphertext and its 16-byte tag (AES-256-GCM under your encryption key)";
    text.expose().parse().map_err(|_| Fault::Invalid { field: name, reason })
}

impl Sealed {
    /// Has the vault open the fields and keep the card for a short time.
    pub(super) async fn tokenize(
        self,
        engine: &Engine,
        merchant: &TenantId,
        customer: &CustomerId,
    ) -> Result<PaymentMethod, Refusal> {
        let mut refused = None;
        for secret_id in keys(engine, merchant).await? {
            let request = EncryptedFieldsRequest {
                secret_id,
                nonce: self.nonce.clone(),
                encrypted_card_number: self.number.clone(),
                encrypted_expiry_month: self.expiry_month.clone(),
                encrypted_expiry_year: self.expiry_year.clone(),
                encrypted_cvv: self.cvv.clone(),
                customer_id: Some(customer.clone()),
            };
            match engine.vault().tokenize_encrypted(merchant, &request).await {
                Ok(stored) => return Ok(stored),
                Err(VaultError::InvalidField { field } | VaultError::InvalidCard { field }) => {
                    // What the newest key says is what is told.
                    refused.get_or_insert(named(field.as_deref()));
                }
                Err(VaultError::NotFound) => tracing::error!("the vault has lost an encryption key: rotate it"),
                Err(other) => return Err(Fault::from(other).into()),
            }
        }
        Err(closed(refused.unwrap_or(NUMBER)))
    }
}

/// Has the vault say whether an encrypted PIN opens to one.
pub(super) async fn check_pin(
    engine: &Engine,
    merchant: &TenantId,
    nonce: &FieldNonce,
    pin: &EncryptedField,
) -> Result<(), Refusal> {
    for secret_id in keys(engine, merchant).await? {
        let request = PinCheckRequest { secret_id, nonce: nonce.clone(), encrypted_pin: pin.clone() };
        match engine.vault().check_pin(merchant, &request).await {
            Ok(()) => return Ok(()),
            Err(VaultError::InvalidField { .. } | VaultError::InvalidCard { .. }) => {}
            Err(VaultError::NotFound) => tracing::error!("the vault has lost an encryption key: rotate it"),
            Err(other) => return Err(Fault::from(other).into()),
        }
    }
    Err(closed(PIN))
}

/// The merchant's keys that are valid now. Another merchant's keys stand in another record, and the vault knows them for
/// another tenant.
async fn keys(engine: &Engine, merchant: &TenantId) -> Result<Vec<SecretId>, Refusal> {
    let known = engine.store().merchant(merchant).await?.ok_or(Fault::Internal)?;
    let keys: Vec<SecretId> = known.encryption.valid(engine.now_ms()).collect();
    if keys.is_empty() {
        let why = "This merchant has no encryption key: make one with POST /encryption-keys/rotate";
        return Err(Fault::Precondition(why).into());
    }
    Ok(keys)
}

/// The name of a field as the caller sent it; one of a few, so that nothing of what the vault says gets through.
fn named(field: Option<&str>) -> &'static str {
    let of = |part: &str| field.is_some_and(|field| field.ends_with(part));
    match () {
        () if of("expiry_month") || of("exp_month") => MONTH,
        () if of("expiry_year") || of("exp_year") => YEAR,
        () if of("cvv") || of("cvc") => CVV,
        () => NUMBER,
    }
}

/// A field did not open or holds nothing that can be used. Which of both it was is not said, and nothing about where: whoever
/// could tell a wrong tag from a wrong digit could read other people's fields byte by byte.
fn closed(field: &'static str) -> Refusal {
    let message = format!("Invalid value for {field}: it does not open under your encryption key to a valid value");
    Refusal::new(422, "IR_06", message)
}

pub(super) const NUMBER: &str = "payment_method.card.encrypted_card_number";
const MONTH: &str = "payment_method.card.encrypted_expiry_month";
const YEAR: &str = "payment_method.card.encrypted_expiry_year";
const CVV: &str = "payment_method.card.encrypted_cvv";
pub(super) const PIN: &str = "authorization.pin.encrypted_pin";
