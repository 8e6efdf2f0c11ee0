//! One logged-in session with a token and the Root's key in it.

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use zeroize::Zeroizing;

use super::hex;
use crate::aead::{NONCE, TAG, Unsealed};
use crate::root::RootError;
use crate::root::place::{HsmKey, HsmSite, read_pin};

/// A session that is not closed by being dropped: after a restart of the library its number may be another's.
pub(super) struct Line {
    session: Session,
    key: ObjectHandle,
    pub(super) life: u64,
}

/// Why a call to the token failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The session or the token is gone, or something that a new session may mend.
    Lost,
    /// The token does not say whether the ciphertext or something else was at fault.
    Unclear,
    /// This, and trying again does not change it.
    Plain(RootError),
}

impl Line {
    /// Logs in and finds the key.
    pub(super) fn open(calls: &Pkcs11, life: u64, site: &HsmSite, key: &HsmKey) -> Result<Self, Fault> {
        let slot = slot_of(calls, site, &key.token_label, Some(&key.token_serial))?;
        let session = calls.open_ro_session_no_drop(slot)?;
        match logged_in(&session, site).and_then(|()| find(&session, &key.key_label, Some(&key.key_id))) {
            Ok((key, _)) => Ok(Self { session, key, life }),
            Err(fault) => {
                let _closed = session.close();
                Err(fault)
            }
        }
    }

    pub(super) fn close(self) {
        let _closed = self.session.close();
    }

    /// `nonce || ciphertext || tag`. The nonce is ours unless the token puts one of its own in its place.
    pub(super) fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| Fault::Plain(RootError::NoRandomness))?;
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, associated, TAG_BITS.into())?);
        let sealed = self.session.encrypt(&gcm, self.key, plaintext)?;
        if sealed.len() != plaintext.len() + TAG {
            return Err(Fault::Plain(RootError::Setting(NOT_GCM)));
        }
        Ok([&nonce[..], &sealed].concat())
    }

    pub(super) fn open_sealed(&self, associated: &[u8], sealed: &[u8]) -> Result<Unsealed, Fault> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(UNAUTHENTIC)?;
        if rest.len() < TAG {
            return Err(UNAUTHENTIC);
        }
        let mut nonce = *nonce;
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, associated, TAG_BITS.into())?);
        self.session.decrypt(&gcm, self.key, rest).map(Zeroizing::new).map_err(|error| match error.into() {
            // Tokens have many words for a tag that does not fit, some of which mean other things too.
            Fault::Lost => Fault::Unclear,
            other => other,
        })
    }

    /// Whether the key seals and opens on this line, which tells a bad ciphertext from a bad line.
    pub(super) fn works(&self) -> bool {
        let round = self.seal(b"strongroom", b"strongroom").and_then(|sealed| self.open_sealed(b"strongroom", &sealed));
        round.is_ok_and(|opened| opened.as_slice() == b"strongroom")
    }
}

/// Makes the key of a new Root, or finds it, and says what it is.
pub(super) fn found(
    calls: &Pkcs11,
    site: &HsmSite,
    token_label: &str,
    key_label: &str,
    is_there: bool,
) -> Result<HsmKey, Fault> {
    let slot = slot_of(calls, site, token_label, None)?;
    let token_serial = calls.get_token_info(slot)?.serial_number().trim().to_owned();
    let session = calls.open_rw_session_no_drop(slot)?;
    let made = logged_in(&session, site).and_then(|()| {
        let known =
            session.find_objects(&[Attribute::Label(key_label.into()), Attribute::Class(ObjectClass::SECRET_KEY)])?;
        if !is_there {
            if !known.is_empty() {
                return Err(Fault::Plain(RootError::Setting(
                    "the token holds a key of this label already; take another label, or take that key with --existing",
                )));
            }
            generate(&session, key_label)?;
        }
        find(&session, key_label, None)
    });
    let _closed = session.close();
    let (_, key_id) = made?;
    Ok(HsmKey {
        token_label: token_label.to_owned(),
        token_serial,
        key_label: key_label.to_owned(),
        key_id,
        mechanism: crate::root::place::Mechanism::AesGcm,
    })
}

/// AES-256, made in the token, which never shows it.
fn generate(session: &Session, label: &str) -> Result<(), Fault> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Fault::Plain(RootError::NoRandomness))?;
    session.generate_key(
        &Mechanism::AesKeyGen,
        &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Label(label.into()),
            Attribute::Id(id.to_vec()),
        ],
    )?;
    Ok(())
}

/// The one key of this label and id, if it may never leave the token.
fn find(session: &Session, label: &str, id: Option<&str>) -> Result<(ObjectHandle, String), Fault> {
    let known = session.find_objects(&[Attribute::Label(label.into()), Attribute::Class(ObjectClass::SECRET_KEY)])?;
    let mut fitting = Vec::new();
    for key in known {
        let asked = [
            AttributeType::Id,
            AttributeType::KeyType,
            AttributeType::ValueLen,
            AttributeType::Sensitive,
            AttributeType::Extractable,
        ];
        let facts = session.get_attributes(key, &asked)?;
        let found = facts.iter().find_map(|fact| if let Attribute::Id(id) = fact { Some(hex(id)) } else { None });
        let found = found.unwrap_or_default();
        if id.is_none_or(|wanted| wanted == found) {
            fitting.push((key, found, facts));
        }
    }
    let mut fitting = fitting.into_iter();
    let (Some((key, id, facts)), None) = (fitting.next(), fitting.next()) else {
        return Err(Fault::Plain(RootError::NoKey));
    };
    let is_aes = facts.contains(&Attribute::KeyType(KeyType::AES)) && facts.contains(&Attribute::ValueLen(32.into()));
    if !is_aes {
        return Err(Fault::Plain(RootError::Setting("the key in the HSM is not an AES key of 256 bits; take another")));
    }
    if !facts.contains(&Attribute::Sensitive(true)) || !facts.contains(&Attribute::Extractable(false)) {
        return Err(Fault::Plain(RootError::Setting(
            "the key in the HSM can be taken out of it; take one that is sensitive and not extractable",
        )));
    }
    Ok((key, id))
}

fn slot_of(calls: &Pkcs11, site: &HsmSite, label: &str, serial: Option<&str>) -> Result<Slot, Fault> {
    let mut fitting = Vec::new();
    for slot in calls.get_slots_with_token()? {
        // A slot that does not answer is not the one.
        let Ok(token) = calls.get_token_info(slot) else { continue };
        let is_it = token.label().trim_end() == label
            && serial.is_none_or(|serial| token.serial_number().trim() == serial)
            && site.slot.is_none_or(|wanted| wanted == slot.id());
        if is_it {
            fitting.push(slot);
        }
    }
    match fitting[..] {
        [slot] => Ok(slot),
        [] => Err(Fault::Lost),
        _ => Err(Fault::Plain(RootError::Setting("several tokens have this label; say which with [root.pkcs11] slot"))),
    }
}

/// The login belongs to the process and the token, not to the session, so there may be one already.
fn logged_in(session: &Session, site: &HsmSite) -> Result<(), Fault> {
    let pin = read_pin(&site.pin_file).map_err(Fault::Plain)?;
    // Moved, not copied; the type wipes it.
    let pin = RawAuthPin::new(Box::new(std::mem::take(&mut *{ pin })));
    match session.login_with_raw(UserType::User, &pin) {
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        other => Ok(other?),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(answer, _) = error else { return Fault::Lost };
        match answer {
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized => Fault::Plain(RootError::PinRefused),
            RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::FunctionNotSupported
            | RvError::KeyTypeInconsistent
            | RvError::KeyFunctionNotPermitted
            | RvError::ActionProhibited => Fault::Plain(RootError::Setting(NOT_GCM)),
            _ => Fault::Lost,
        }
    }
}

const TAG_BITS: u64 = 128;
const UNAUTHENTIC: Fault = Fault::Plain(RootError::Unauthentic);
const NOT_GCM: &str =
    "the HSM does not do AES-GCM with this key; it needs CKM_AES_GCM and a key that may encrypt and decrypt";
