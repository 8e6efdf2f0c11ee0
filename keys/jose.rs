//! Messages of JOSE: a JWS (RFC 7515) with RS256 inside a JWE (RFC 7516) with RSA-OAEP and A256GCM, the parts of each as
//! members of a flat JSON object, as card vaults of payment switches speak them.
//!
//! Only this one combination is read. The algorithm is never the sender's choice, nothing is compressed, no header parameter
//! but the known ones may stand there, and whatever is wrong is one and the same fault. The keys live in the library's
//! memory, which it wipes when it frees it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use crate::Unauthentic;
use crate::stack::wiped;

/// The RSA key of our side: it opens what comes and signs what goes. The protocol has one key for both. Not `Clone`, `Debug`
/// or `Serialize`.
pub struct OwnKey {
    opens: OaepPrivateDecryptingKey,
    signs: RsaKeyPair,
}

/// The RSA key of the other side: it verifies what comes and seals what goes. It is public.
pub struct OtherKey {
    seals: OaepPublicEncryptingKey,
    spki: Vec<u8>,
}

/// How the content key of an answer is wrapped; what comes is always wrapped with [`Wrapping::Sha256`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// `RSA-OAEP`: SHA-1 and its mask, which older switches demand of answers (RFC 7518 section 4.3).
    Sha1,
    /// `RSA-OAEP-256`.
    Sha256,
}

/// Whose keys a message names: `kid` of the JWE, where it has one, and of the JWS, always.
#[derive(Debug, Clone, Copy)]
pub struct KeyIds<'a> {
    /// What the sender calls our key. With none of it, no `kid` may stand in the JWE.
    pub own: Option<&'a str>,
    /// What the sender calls its own.
    pub other: &'a str,
}

/// A message that opened and whose signature is the sender's.
pub struct Message {
    /// What was signed, in memory that wipes itself.
    pub payload: Zeroizing<Vec<u8>>,
    /// SHA-256 over wrapped key, IV and tag: no two sealings share it.
    pub mark: [u8; 32],
}

/// Why bytes are not a key for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Another kind of key, or another encoding.
    #[error("not an RSA key in this encoding")]
    Form,
    /// Out of bounds.
    #[error("an RSA key has 2048 to 4096 bits here")]
    Length,
}

impl OwnKey {
    /// Reads a private key in PKCS#8, DER.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let private = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| BadKey::Form)?;
        check_length(private.key_size_bits())?;
        let opens = OaepPrivateDecryptingKey::new(private).map_err(|_| BadKey::Form)?;
        Ok(Self { opens, signs: RsaKeyPair::from_pkcs8(der).map_err(|_| BadKey::Form)? })
    }
}

impl OtherKey {
    /// Reads a public key as SubjectPublicKeyInfo, DER.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_spki(der: &[u8]) -> Result<Self, BadKey> {
        let public = PublicEncryptingKey::from_der(der).map_err(|_| BadKey::Form)?;
        check_length(public.key_size_bits())?;
        let seals = OaepPublicEncryptingKey::new(public).map_err(|_| BadKey::Form)?;
        Ok(Self { seals, spki: der.to_vec() })
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the name of the key, as a certificate's pin has it.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }
}

fn check_length(bits: usize) -> Result<(), BadKey> {
    let range = limits::LOCKER_KEY_BITS_MIN..=limits::LOCKER_KEY_BITS_MAX;
    if range.contains(&bits) { Ok(()) } else { Err(BadKey::Length) }
}

/// Opens a message to us and verifies that the other side signed it.
///
/// # Errors
/// [`Unauthentic`], whatever is wrong with it.
pub fn open(own: &OwnKey, other: &OtherKey, ids: KeyIds<'_>, body: &[u8]) -> Result<Message, Unauthentic> {
    wiped(|| {
        let jwe: Jwe<'_> = serde_json::from_slice(body).map_err(|_| Unauthentic)?;
        let (inner, mark) = unsealed(own, ids.own, &jwe)?;
        let jws: Jws<'_> = serde_json::from_slice(&inner).map_err(|_| Unauthentic)?;
        Ok(Message { payload: verified(other, ids.other, &jws)?, mark })
    })
}

/// Signs a payload with our key and seals it to the other side.
///
/// # Errors
/// [`Unauthentic`] if the system gives no random numbers or the library refuses; then nothing was made.
pub fn seal(own: &OwnKey, other: &OtherKey, wrapping: Wrapping, payload: &[u8]) -> Result<Vec<u8>, Unauthentic> {
    wiped(|| {
        let header = BASE64.encode(br#"{"alg":"RS256"}"#);
        // header.payload, the text that is signed.
        let mut signed = room(header.len() + 1 + encoded(payload.len()));
        signed.extend_from_slice(header.as_bytes());
        signed.push(b'.');
        put_base64(&mut signed, payload);
        let mut signature = vec![0; own.signs.public_modulus_len()];
        own.signs.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).map_err(|_| Unauthentic)?;
        let signature = BASE64.encode(signature);
        let payload = std::str::from_utf8(&signed[header.len() + 1..]).map_err(|_| Unauthentic)?;
        let jws = Jws { header: &header, payload, signature: &signature };
        // The names of three members and what stands between them.
        let mut inner = room(signed.len() + signature.len() + 64);
        serde_json::to_writer(&mut *inner, &jws).map_err(|_| Unauthentic)?;
        sealed(other, wrapping, inner)
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Jwe<'a> {
    header: &'a str,
    iv: &'a str,
    encrypted_payload: &'a str,
    tag: &'a str,
    encrypted_key: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jws<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// `crit`, `zip`, `jwk`, `x5c` and everything else that a header could ask for is unknown here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    enc: Option<&'a str>,
    kid: Option<&'a str>,
    typ: Option<&'a str>,
}

fn unsealed(own: &OwnKey, own_id: Option<&str>, jwe: &Jwe<'_>) -> Result<(Zeroizing<Vec<u8>>, [u8; 32]), Unauthentic> {
    let header = decode(jwe.header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| Unauthentic)?;
    let is_named = header.kid.is_none() || header.kid == own_id;
    if header.alg != "RSA-OAEP-256" || header.enc != Some("A256GCM") || !is_named || !is_jwt(header.typ) {
        return Err(Unauthentic);
    }
    let (wrapped, iv, tag) = (decode(jwe.encrypted_key)?, decode(jwe.iv)?, decode(jwe.tag)?);
    let nonce: [u8; 12] = iv.as_slice().try_into().map_err(|_| Unauthentic)?;
    if tag.len() != AES_256_GCM.tag_len() {
        return Err(Unauthentic);
    }
    let mut hash = Sha256::new();
    hash.update(&*wrapped);
    hash.update(&*iv);
    hash.update(&*tag);
    let mut text = room(decoded_most(jwe.encrypted_payload.len()) + tag.len());
    BASE64.decode_vec(jwe.encrypted_payload, &mut text).map_err(|_| Unauthentic)?;
    text.extend_from_slice(&tag);
    let key = unwrapped(own, &wrapped)?;
    // The header as it came is what the tag is over beside the text (RFC 7516 section 5.1).
    let length = content_key(&key)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(jwe.header.as_bytes()), &mut text)
        .map_err(|_| Unauthentic)?
        .len();
    text.truncate(length);
    Ok((text, hash.finalize().into()))
}

/// The content key. Where none comes out, a random one takes its place, so that the message fails at its tag like any other
/// and nobody learns which part was wrong (RFC 7516 section 11.5).
fn unwrapped(own: &OwnKey, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, Unauthentic> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|_| Unauthentic)?;
    let mut out = Zeroizing::new(vec![0; own.opens.min_output_size()]);
    if let Ok(bytes) = own.opens.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut out, None)
        && bytes.len() == key.len()
    {
        key.copy_from_slice(bytes);
    }
    Ok(key)
}

fn verified(other: &OtherKey, other_id: &str, jws: &Jws<'_>) -> Result<Zeroizing<Vec<u8>>, Unauthentic> {
    let header = decode(jws.header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| Unauthentic)?;
    if header.alg != "RS256" || header.enc.is_some() || header.kid != Some(other_id) || !is_jwt(header.typ) {
        return Err(Unauthentic);
    }
    let mut signed = room(jws.header.len() + 1 + jws.payload.len());
    signed.extend_from_slice(jws.header.as_bytes());
    signed.push(b'.');
    signed.extend_from_slice(jws.payload.as_bytes());
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &other.spki);
    key.verify(&signed, &decode(jws.signature)?).map_err(|_| Unauthentic)?;
    decode(jws.payload)
}

fn sealed(other: &OtherKey, wrapping: Wrapping, mut text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, Unauthentic> {
    let (name, algorithm): (_, &'static OaepAlgorithm) = match wrapping {
        Wrapping::Sha1 => ("RSA-OAEP", &OAEP_SHA1_MGF1SHA1),
        Wrapping::Sha256 => ("RSA-OAEP-256", &OAEP_SHA256_MGF1SHA256),
    };
    let header = BASE64.encode(format!(r#"{{"typ":"JWT","alg":"{name}","enc":"A256GCM"}}"#));
    let (mut key, mut iv) = (Zeroizing::new([0; 32]), [0; 12]);
    getrandom::fill(&mut *key).map_err(|_| Unauthentic)?;
    getrandom::fill(&mut iv).map_err(|_| Unauthentic)?;
    let mut wrapped = vec![0; other.seals.ciphertext_size()];
    let wrapped = other.seals.encrypt(algorithm, &*key, &mut wrapped, None).map_err(|_| Unauthentic)?;
    let tag = content_key(&key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(header.as_bytes()), &mut text)
        .map_err(|_| Unauthentic)?;
    let (iv, tag, encrypted_key) = (BASE64.encode(iv), BASE64.encode(tag.as_ref()), BASE64.encode(wrapped));
    let jwe = Jwe {
        header: &header,
        iv: &iv,
        encrypted_payload: &BASE64.encode(&*text),
        tag: &tag,
        encrypted_key: &encrypted_key,
    };
    serde_json::to_vec(&jwe).map_err(|_| Unauthentic)
}

fn content_key(key: &[u8; 32]) -> Result<LessSafeKey, Unauthentic> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| Unauthentic)
}

fn is_jwt(typ: Option<&str>) -> bool {
    typ.is_none_or(|typ| typ == "JWT")
}

/// A buffer that is never moved while it is filled.
fn room(bytes: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(bytes))
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Unauthentic> {
    let mut out = room(decoded_most(text.len()));
    BASE64.decode_vec(text, &mut out).map_err(|_| Unauthentic)?;
    Ok(out)
}

fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let from = out.len();
    out.resize(from + encoded(bytes.len()), 0);
    // The room is exactly what it takes.
    let written = BASE64.encode_slice(bytes, &mut out[from..]).unwrap_or(0);
    out.truncate(from + written);
}

/// Characters of so many bytes in base64 without padding.
fn encoded(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// No fewer than the bytes of so many characters, with what the decoder wants to have spare.
fn decoded_most(chars: usize) -> usize {
    chars / 4 * 3 + 6
}

#[cfg(test)]
#[path = "jose_tests.rs"]
mod tests;
