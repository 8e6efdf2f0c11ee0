//! What a payer brings to a charge that asked for it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use strongroom_wire::TenantId;
use strongroom_wire::encrypted_fields::{EncryptedField, FieldNonce};

use super::body::AddressBody;
use super::card;
use super::scenario::Ask;
use crate::api::answer::Refusal;
use crate::api::payer_body::ContactBody;
use crate::intent::{Engine, Fault};
use crate::vault::SecretText;

/// `PUT /charges/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContinueBody {
    authorization: AuthorizationBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationBody {
    #[serde(rename = "type")]
    kind: String,
    pin: Option<PinBody>,
    otp: Option<OtpBody>,
    avs: Option<AvsBody>,
    external_3ds: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinBody {
    nonce: SecretText,
    encrypted_pin: SecretText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtpBody {
    code: SecretText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AvsBody {
    address: AddressBody,
}

/// What was brought, in the form that was asked for.
pub(super) enum Brought {
    /// Still closed.
    Pin(FieldNonce, EncryptedField),
    /// Was a code; nothing here can check it, and so nothing is left of it.
    Otp,
    /// An address with every part that is needed.
    Avs(AddressBody),
}

impl ContinueBody {
    /// What it brings, if that is what the charge asks for.
    pub(super) fn read(self, asks: Option<Ask>) -> Result<Brought, Fault> {
        let AuthorizationBody { kind, pin, otp, avs, external_3ds } = self.authorization;
        if kind == "external_3ds" || external_3ds.is_some() {
            return Err(Fault::NotSupported("authorization.external_3ds: 3-D Secure runs by next_action redirect_url"));
        }
        let asks = asks.ok_or(Fault::Precondition("This charge asks for nothing that PUT could bring"))?;
        let parts = [pin.is_some(), otp.is_some(), avs.is_some()];
        if kind != asks.word() || parts.iter().filter(|is_there| **is_there).count() != 1 {
            return Err(Fault::Invalid { field: "authorization.type", reason: mismatch(asks) });
        }
        match (asks, pin, otp, avs) {
            (Ask::Pin, Some(pin), ..) => Ok(Brought::Pin(
                card::nonce("authorization.pin.nonce", &pin.nonce)?,
                card::field(card::PIN, &pin.encrypted_pin)?,
            )),
            (Ask::Otp, _, Some(otp), _) => {
                let code = otp.code.expose();
                let is_code = OTP_DIGITS.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
                let reason = "4 to 8 digits";
                is_code.then_some(Brought::Otp).ok_or(Fault::Invalid { field: "authorization.otp.code", reason })
            }
            (Ask::Avs, _, _, Some(avs)) => Ok(Brought::Avs(avs.address.complete("authorization.avs.address")?)),
            _ => Err(Fault::Invalid { field: "authorization.type", reason: mismatch(asks) }),
        }
    }
}

impl Brought {
    /// What tells a repetition from another request. A PIN stands in it encrypted, a code not at all: it has few digits.
    pub(super) fn named(&self) -> String {
        match self {
            Brought::Pin(nonce, pin) => format!("pin {nonce} {}", pin.as_str()),
            Brought::Otp => "otp".to_owned(),
            Brought::Avs(address) => format!("avs {}", address.shown()),
        }
    }

    /// Checks and drops what no connector takes; answers the address of the bills, where there is one.
    pub(super) async fn settle(self, engine: &Engine, merchant: &TenantId) -> Result<Option<ContactBody>, Refusal> {
        match self {
            Brought::Pin(nonce, pin) => card::check_pin(engine, merchant, &nonce, &pin).await.map(|()| None),
            Brought::Otp => Ok(None),
            Brought::Avs(address) => Ok(Some(address.contact()?)),
        }
    }
}

fn mismatch(asks: Ask) -> &'static str {
    match asks {
        Ask::Pin => "this charge asks for a pin: authorization.type pin and authorization.pin",
        Ask::Otp => "this charge asks for a code: authorization.type otp and authorization.otp",
        Ask::Avs => "this charge asks for an address: authorization.type avs and authorization.avs",
    }
}

/// Digits of a code that a bank sends.
const OTP_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;
