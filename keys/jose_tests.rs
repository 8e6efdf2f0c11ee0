//! Messages that are whole, and every way in which one may not be.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use serde_json::{Value, json};

use super::*;

struct Side {
    own: OwnKey,
    public: OtherKey,
}

fn side(size: KeySize) -> Side {
    let made = PrivateDecryptingKey::generate(size).unwrap();
    let private: Pkcs8V1Der<'_> = AsDer::as_der(&made).unwrap();
    let public: PublicKeyX509Der<'_> = AsDer::as_der(&made.public_key()).unwrap();
    Side { own: OwnKey::from_pkcs8(private.as_ref()).unwrap(), public: OtherKey::from_spki(public.as_ref()).unwrap() }
}

static US: LazyLock<Side> = LazyLock::new(|| side(KeySize::Rsa2048));
static THEM: LazyLock<Side> = LazyLock::new(|| side(KeySize::Rsa2048));

const IDS: KeyIds<'static> = KeyIds { own: Some("ours"), other: "1" };
const JWE: &str = r#"{"enc":"A256GCM","typ":"JWT","alg":"RSA-OAEP-256"}"#;
const JWS: &str = r#"{"kid":"1","alg":"RS256"}"#;

fn jws(header: &str, payload: &[u8], with: &OwnKey) -> Value {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    let mut signature = vec![0; with.signs.public_modulus_len()];
    with.signs.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    json!({"header": BASE64.encode(header), "payload": BASE64.encode(payload), "signature": BASE64.encode(signature)})
}

fn jwe(header: &str, text: &[u8], to: &OtherKey, with: &'static OaepAlgorithm, key: &[u8]) -> Value {
    let header = BASE64.encode(header);
    let mut wrapped = vec![0; to.seals.ciphertext_size()];
    let wrapped = to.seals.encrypt(with, key, &mut wrapped, None).unwrap();
    let mut text = text.to_vec();
    let content = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let nonce = Nonce::assume_unique_for_key([1; 12]);
    let tag = content.seal_in_place_separate_tag(nonce, Aad::from(header.as_bytes()), &mut text).unwrap();
    json!({"header": header, "iv": BASE64.encode([1; 12]), "encryptedPayload": BASE64.encode(text),
           "tag": BASE64.encode(tag.as_ref()), "encryptedKey": BASE64.encode(wrapped)})
}

fn message(jwe_header: &str, jws_header: &str, payload: &[u8]) -> Value {
    let inner = jws(jws_header, payload, &THEM.own).to_string();
    jwe(jwe_header, inner.as_bytes(), &US.public, &OAEP_SHA256_MGF1SHA256, &[7; 32])
}

fn opened(message: &Value) -> Option<Vec<u8>> {
    open(&US.own, &THEM.public, IDS, message.to_string().as_bytes()).ok().map(|message| message.payload.to_vec())
}

#[test]
fn a_message_of_the_other_side_opens() {
    assert_eq!(opened(&message(JWE, JWS, b"{}")), Some(b"{}".to_vec()));
    let named = r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"ours"}"#;
    assert!(opened(&message(named, r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, b"")).is_some());
}

#[test]
fn what_we_seal_opens_at_the_other_side_alone() {
    let answer = seal(&US.own, &THEM.public, Wrapping::Sha256, b"an answer").unwrap();
    // Ours names no key of its own, so the strict reader here is told so by a header of its own.
    let jwe: Jwe<'_> = serde_json::from_slice(&answer).unwrap();
    let (inner, _) = unsealed(&THEM.own, None, &jwe).unwrap();
    let jws: Jws<'_> = serde_json::from_slice(&inner).unwrap();
    assert_eq!(&*decode(jws.payload).unwrap(), b"an answer");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &US.public.spki);
    let signed = format!("{}.{}", jws.header, jws.payload);
    assert!(key.verify(signed.as_bytes(), &decode(jws.signature).unwrap()).is_ok());
    assert!(unsealed(&US.own, None, &jwe).is_err());
}

#[test]
fn each_sealing_has_a_mark_of_its_own() {
    let one = seal(&US.own, &THEM.public, Wrapping::Sha256, b"x").unwrap();
    let other = seal(&US.own, &THEM.public, Wrapping::Sha256, b"x").unwrap();
    let mark = |bytes: &[u8]| unsealed(&THEM.own, None, &serde_json::from_slice(bytes).unwrap()).unwrap().1;
    assert_ne!(mark(&one), mark(&other));
    assert_eq!(mark(&one), mark(&one));
}

#[test]
fn an_older_switch_gets_its_answer_under_sha_1() {
    let answer = seal(&US.own, &THEM.public, Wrapping::Sha1, b"x").unwrap();
    let jwe: Jwe<'_> = serde_json::from_slice(&answer).unwrap();
    assert!(std::str::from_utf8(&decode(jwe.header).unwrap()).unwrap().contains(r#""RSA-OAEP""#));
    let mut out = vec![0; THEM.own.opens.min_output_size()];
    let wrapped = decode(jwe.encrypted_key).unwrap();
    assert_eq!(THEM.own.opens.decrypt(&OAEP_SHA1_MGF1SHA1, &wrapped, &mut out, None).unwrap().len(), 32);
}

#[test]
fn no_header_chooses_another_algorithm() {
    for header in [
        r#"{"alg":"none","enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
        r#"{"alg":"RSA1_5","enc":"A256GCM"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A128GCM"}"#,
        r#"{"alg":"RSA-OAEP-256"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","zip":"DEF"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","crit":["exp"]}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"another"}"#,
        r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"JOSE"}"#,
        r#"{"alg":"RSA-OAEP-256","alg":"RSA-OAEP-256","enc":"A256GCM"}"#,
        "",
    ] {
        assert_eq!(opened(&message(header, JWS, b"{}")), None, "{header}");
    }
    for header in [
        r#"{"alg":"none","kid":"1"}"#,
        r#"{"alg":"HS256","kid":"1"}"#,
        r#"{"alg":"PS256","kid":"1"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"2"}"#,
        r#"{"alg":"RS256","kid":"1","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"RS256","kid":"1","jwk":{}}"#,
        r#"{"alg":"RS256","kid":"1","enc":"A256GCM"}"#,
    ] {
        assert_eq!(opened(&message(JWE, header, b"{}")), None, "{header}");
    }
}

#[test]
fn the_signature_is_the_other_sides_and_over_what_stands_there() {
    let stranger = side(KeySize::Rsa2048);
    let to_us = |inner: &Value| jwe(JWE, inner.to_string().as_bytes(), &US.public, &OAEP_SHA256_MGF1SHA256, &[7; 32]);
    assert!(opened(&to_us(&jws(JWS, b"{}", &THEM.own))).is_some());
    assert_eq!(opened(&to_us(&jws(JWS, b"{}", &stranger.own))), None);
    assert_eq!(opened(&to_us(&jws(JWS, b"{}", &US.own))), None);
    let mut other = jws(JWS, b"{}", &THEM.own);
    other["payload"] = BASE64.encode(b"[]").into();
    assert_eq!(opened(&to_us(&other)), None);
    other["signature"] = "".into();
    assert_eq!(opened(&to_us(&other)), None);
    other["more"] = "".into();
    assert_eq!(opened(&to_us(&other)), None);
    assert_eq!(opened(&to_us(&json!("{}"))), None);
}

#[test]
fn any_part_that_is_changed_is_noticed() {
    let whole = message(JWE, JWS, b"{}");
    for part in ["header", "iv", "encryptedPayload", "tag", "encryptedKey"] {
        let text = whole[part].as_str().unwrap();
        for changed in [&text[1..], "", &format!("{text}A"), &format!("{text}="), &format!("B{}", &text[1..])] {
            let mut other = whole.clone();
            other[part] = changed.into();
            assert!(other == whole || opened(&other).is_none(), "{part}");
        }
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(part);
        assert_eq!(opened(&without), None);
    }
    let mut more = whole.clone();
    more["unprotected"] = json!({});
    assert_eq!(opened(&more), None);
}

#[test]
fn a_wrapped_key_of_another_length_or_scheme_opens_nothing() {
    let inner = jws(JWS, b"{}", &THEM.own).to_string();
    for key in [&[7; 16][..], &[7; 31], &[7; 33], &[]] {
        assert_eq!(opened(&jwe(JWE, inner.as_bytes(), &US.public, &OAEP_SHA256_MGF1SHA256, key)), None);
    }
    assert_eq!(opened(&jwe(JWE, inner.as_bytes(), &US.public, &OAEP_SHA1_MGF1SHA1, &[7; 32])), None);
    assert_eq!(opened(&jwe(JWE, inner.as_bytes(), &THEM.public, &OAEP_SHA256_MGF1SHA256, &[7; 32])), None);
}

#[test]
fn a_key_out_of_its_bounds_or_of_another_kind_is_refused() {
    assert_eq!(check_length(limits::LOCKER_KEY_BITS_MIN), Ok(()));
    assert_eq!(check_length(limits::LOCKER_KEY_BITS_MAX), Ok(()));
    assert_eq!(check_length(limits::LOCKER_KEY_BITS_MIN - 1), Err(BadKey::Length));
    assert_eq!(check_length(limits::LOCKER_KEY_BITS_MAX + 1), Err(BadKey::Length));
    assert_eq!(OwnKey::from_pkcs8(b"not a key").err(), Some(BadKey::Form));
    assert_eq!(OwnKey::from_pkcs8(&THEM.public.spki).err(), Some(BadKey::Form));
    assert_eq!(OtherKey::from_spki(b"not a key").err(), Some(BadKey::Form));
}

#[test]
fn buffers_have_their_full_size_from_the_start() {
    for length in 0..200 {
        let bytes = vec![b'x'; length];
        let text = BASE64.encode(&bytes);
        assert_eq!(text.len(), encoded(length));
        assert!(decoded_most(text.len()) >= length);
        let mut out = Vec::new();
        put_base64(&mut out, &bytes);
        assert_eq!(out, text.as_bytes());
    }
}
