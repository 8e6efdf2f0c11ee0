//! What there is to say about a certificate or revocation list: read from its bytes, for people and for monitors.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::certificate::{CertificateInfo, CertificateRole, RevocationListInfo};
use strongroom_wire::hex::hex;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A certificate's particulars; `None` for bytes that are none.
pub(super) fn info(
    role: CertificateRole,
    destination: Option<&str>,
    der: &[u8],
    now_s: i64,
    seen_s: Option<i64>,
) -> Option<CertificateInfo> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let validity = parsed.validity();
    let (key_algorithm, key_bits) = key_of(parsed.public_key());
    let names = parsed.subject_alternative_name().ok().flatten();
    let until_s = validity.not_after.timestamp();
    Some(CertificateInfo {
        role,
        destination: destination.map(str::to_owned),
        subject: parsed.subject().to_string(),
        names: names.iter().flat_map(|san| &san.value.general_names).filter_map(name_of).collect(),
        issuer: parsed.issuer().to_string(),
        serial: hex(parsed.raw_serial()),
        key_algorithm,
        key_bits,
        signature_algorithm: signature_of(&parsed.signature_algorithm.algorithm.to_id_string()),
        not_before: time(&validity.not_before),
        not_after: time(&validity.not_after),
        days_left: days_left(until_s, now_s),
        sha256: hex(&Sha256::digest(der)),
        pin: pin_text(&pin_of(&parsed)),
        last_seen: seen_s.and_then(|at| u64::try_from(at).ok()).map(|at| rfc3339_ms(at * 1000)),
    })
}

/// A revocation list's particulars; `None` for bytes that are none.
pub(super) fn list_info(der: &[u8], now_s: i64) -> Option<RevocationListInfo> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let next = list.next_update();
    Some(RevocationListInfo {
        issuer: list.issuer().to_string(),
        number: list.crl_number().map(ToString::to_string),
        this_update: time(&list.last_update()),
        next_update: next.as_ref().map(time),
        days_left: next.as_ref().map(|next| days_left(next.timestamp(), now_s)),
        revoked: list.iter_revoked_certificates().count() as u64,
        sha256: hex(&Sha256::digest(der)),
    })
}

/// From when to when a certificate is valid, in seconds since 1970.
pub(super) fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some((parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp()))
}

/// When a revocation list is out of date, in seconds since 1970; `None` if it does not say.
pub(super) fn next_update(der: &[u8]) -> Option<i64> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    list.next_update().map(|at| at.timestamp())
}

/// SHA-256 of the SubjectPublicKeyInfo, to which the policy may pin an identity.
pub(super) fn pin_of(certificate: &X509Certificate<'_>) -> [u8; 32] {
    Sha256::digest(certificate.public_key().raw).into()
}

fn pin_text(pin: &[u8; 32]) -> String {
    format!("sha256/{}", STANDARD.encode(pin))
}

fn days_left(until_s: i64, now_s: i64) -> i64 {
    (until_s - now_s).div_euclid(24 * 3600)
}

fn key_of(key: &SubjectPublicKeyInfo<'_>) -> (String, u32) {
    let oid = key.algorithm.algorithm.to_id_string();
    let bits = |bits: usize| u32::try_from(bits).unwrap_or(u32::MAX);
    match (oid.as_str(), key.parsed()) {
        ("1.3.101.112", _) => ("Ed25519".to_owned(), 256),
        ("1.3.101.113", _) => ("Ed448".to_owned(), 456),
        (_, Ok(PublicKey::RSA(rsa))) => ("RSA".to_owned(), bits(rsa.key_size())),
        (_, Ok(PublicKey::EC(point))) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => ("EC P-256".to_owned(), 256),
                Some("1.3.132.0.34") => ("EC P-384".to_owned(), 384),
                Some("1.3.132.0.35") => ("EC P-521".to_owned(), 521),
                other => (format!("EC {}", other.unwrap_or("?")), bits(point.key_size())),
            }
        }
        _ => (oid, 0),
    }
}

fn signature_of(oid: &str) -> String {
    match oid {
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.2.840.113549.1.1.5" => "RSA with SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.3.101.112" => "Ed25519",
        other => other,
    }
    .to_owned()
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(uri) => Some(format!("URI:{uri}")),
        GeneralName::DNSName(host) => Some(format!("DNS:{host}")),
        GeneralName::RFC822Name(mail) => Some(format!("EMAIL:{mail}")),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
            Some(format!("IP:{address}"))
        }
        _ => None,
    }
}

fn time(at: &ASN1Time) -> String {
    u64::try_from(at.timestamp()).map_or_else(|_| "before 1970".to_owned(), |at| rfc3339_ms(at * 1000))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, date_time_ymd};

    use super::*;

    fn certificate(key: &KeyPair) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["vault.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://strongroom/security/ada".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("::1".parse().unwrap()));
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2025, 1, 11);
        params.self_signed(key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_told_with_its_names_key_and_time() {
        let der = certificate(&KeyPair::generate().unwrap());
        let at = validity(&der).unwrap();
        let told = info(CertificateRole::IntakeServer, None, &der, at.0 + 3600, None).unwrap();
        assert_eq!(told.names, ["DNS:vault.example", "URI:spiffe://strongroom/security/ada", "IP:::1"]);
        assert_eq!((told.key_algorithm.as_str(), told.key_bits, told.days_left), ("EC P-256", 256, 9));
        assert_eq!(told.not_after, "2025-01-11T00:00:00.000Z");
        assert_eq!(info(CertificateRole::IntakeServer, None, &der, at.1 + 1, None).unwrap().days_left, -1);
        assert!(info(CertificateRole::IntakeServer, None, b"none", 0, None).is_none());
    }

    #[test]
    fn the_pin_is_of_the_key_and_not_of_the_certificate() {
        let keys = [KeyPair::generate().unwrap(), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()];
        let told = |key: &KeyPair| info(CertificateRole::Client, None, &certificate(key), 0, Some(1)).unwrap();
        assert_eq!(told(&keys[0]).pin, told(&keys[0]).pin);
        assert_ne!(told(&keys[0]).pin, told(&keys[1]).pin);
        assert_eq!((told(&keys[1]).key_algorithm.as_str(), told(&keys[1]).key_bits), ("EC P-384", 384));
        let ed = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        assert_eq!((told(&ed).key_algorithm.as_str(), told(&ed).signature_algorithm.as_str()), ("Ed25519", "Ed25519"));
    }
}
