//! CAs that begin and end, lists that run out, and what is remembered of clients.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;

use super::*;

/// 2025-01-01, in seconds since 1970, and a day.
const START_S: i64 = 1_735_689_600;
const DAY_S: i64 = 24 * 3600;

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// An authority that is valid from one day of January 2025 to another.
fn authority(from_day: u8, to_day: u8) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("CA {from_day} {to_day}"));
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, from_day), date_time_ymd(2025, 1, to_day));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority { certificate, issuer: Issuer::new(params, key) }
}

impl Authority {
    /// A client that is valid for all of 2025.
    fn client(&self) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2025, 12, 31));
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
    }

    fn list(&self, to_day: u8) -> CertificateRevocationListDer<'static> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2025, 1, to_day),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }
}

fn clients(authorities: &[&Authority], lists: Vec<CertificateRevocationListDer<'static>>, now_s: i64) -> Clients {
    let provider = Arc::new(default_provider());
    let ders = authorities.iter().map(|one| one.certificate.der().clone()).collect();
    let trust = Trust::new(&provider, ders, lists, now_s).unwrap();
    Clients::new(provider, trust)
}

fn day(number: i64) -> i64 {
    START_S + (number - 1) * DAY_S + 60
}

#[test]
fn a_ca_signs_nobody_before_it_begins_and_after_it_ended() {
    let (old, new) = (authority(1, 10), authority(5, 20));
    let clients = clients(&[&old, &new], Vec::new(), day(2));
    let (by_old, by_new) = ([old.client()], [new.client()]);
    let let_in = |at| (clients.trusted_until(&by_old, at).is_some(), clients.trusted_until(&by_new, at).is_some());
    assert_eq!(let_in(day(2)), (true, false));
    assert_eq!(let_in(day(6)), (true, true));
    assert_eq!(let_in(day(12)), (false, true));
    assert_eq!(let_in(day(25)), (false, false));
    // Nothing can begin any more.
    assert!(clients.trust_at(day(25)).until_s == i64::MAX && !clients.trust_at(day(25)).trusts_anybody());
}

#[test]
fn trust_lasts_until_the_first_thing_that_ends() {
    let ca = authority(1, 20);
    let client = [ca.client()];
    let with_list = clients(&[&ca], vec![ca.list(8)], day(2));
    assert_eq!(with_list.trusted_until(&client, day(2)), Some(START_S + 7 * DAY_S));
    assert_eq!(with_list.trusted_until(&client, day(9)), None, "a list that is out of date lets somebody in");
    // In the very second in which it ends, nothing longer may take its place.
    let end = START_S + 19 * DAY_S;
    assert_eq!(clients(&[&ca], Vec::new(), day(2)).trusted_until(&client, end), Some(end));
    let without = clients(&[&ca], Vec::new(), day(2));
    assert_eq!(without.trusted_until(&client, day(2)), Some(START_S + 19 * DAY_S));
}

#[test]
fn a_list_of_one_ca_does_not_speak_for_the_clients_of_another() {
    let (old, new) = (authority(1, 20), authority(1, 20));
    let clients = clients(&[&old, &new], vec![old.list(15)], day(2));
    assert!(clients.trusted_until(&[old.client()], day(2)).is_some());
    assert_eq!(clients.trusted_until(&[new.client()], day(2)), None, "nobody says that it is not revoked");
}

#[test]
fn only_so_many_clients_are_remembered_and_the_oldest_goes_first() {
    let clients = clients(&[&authority(1, 20)], Vec::new(), day(2));
    let name = |nth: usize| CertificateDer::from(nth.to_be_bytes().to_vec());
    for nth in 0..=limits::CLIENTS_SEEN_MAX {
        clients.saw(&name(nth), i64::try_from(nth).unwrap());
    }
    let seen = clients.seen();
    assert_eq!(seen.len(), limits::CLIENTS_SEEN_MAX);
    assert!(seen[0].0 == name(limits::CLIENTS_SEEN_MAX).to_vec() && !seen.iter().any(|one| one.0 == name(0).to_vec()));
}
