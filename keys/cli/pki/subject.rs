//! Whom a certificate is for and how long: the one identity of a client, the names and addresses of a server.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use strongroom_wire::limits;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::common_name;
use crate::failure::Failure;

/// Whom a leaf certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// A client: one URI, `spiffe://trust-domain/role/name`.
    Client(String),
    /// A server: names and addresses.
    Server(Vec<String>, Vec<IpAddr>),
}

impl Subject {
    /// A client's identity.
    pub(super) fn client(uri: &str) -> Result<Self, Failure> {
        let sound = |part: &str, extra: &[u8]| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
        };
        let parts: Vec<&str> = uri.strip_prefix("spiffe://").unwrap_or_default().split('/').collect();
        let fits = matches!(parts[..], [domain, role, name]
            if sound(domain, b".-_") && sound(role, b"-_") && sound(name, b".-_"))
            && uri.len() <= limits::IDENTITY_BYTES_MAX;
        if fits {
            return Ok(Self::Client(uri.to_owned()));
        }
        Err(Failure::new(
            "the URI is not an identity",
            "name it as spiffe://TRUST-DOMAIN/ROLE/NAME, for instance spiffe://strongroom/security/ada",
        ))
    }

    /// A server's names and addresses.
    pub(super) fn server(names: &[String], addresses: &[IpAddr]) -> Result<Self, Failure> {
        let sound = |name: &String| {
            (1..=253).contains(&name.len())
                && name.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        };
        if names.iter().all(sound) && !(names.is_empty() && addresses.is_empty()) {
            return Ok(Self::Server(names.to_vec(), addresses.to_vec()));
        }
        Err(Failure::new(
            "a server needs a name or an address, and a name has letters, digits, hyphens and dots",
            "name it with --dns localhost or --ip 127.0.0.1",
        ))
    }

    /// Whom an existing certificate names, for a renewal.
    pub(super) fn of(der: &[u8]) -> Result<Self, Failure> {
        let odd = || Failure::new("the certificate is not one that `vaultctl pki issue` made", "issue a new one");
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| odd())?;
        let names = certificate.subject_alternative_name().ok().flatten().ok_or_else(odd)?;
        let (mut uris, mut hosts, mut addresses) = (vec![], vec![], vec![]);
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::DNSName(host) => hosts.push((*host).to_owned()),
                GeneralName::IPAddress(bytes) => addresses.push(address(bytes).ok_or_else(odd)?),
                _ => return Err(odd()),
            }
        }
        match (uris[..].as_ref(), hosts.is_empty() && addresses.is_empty()) {
            ([uri], true) => Self::client(uri),
            ([], false) => Self::server(&hosts, &addresses),
            _ => Err(odd()),
        }
    }

    /// What the files are called if nobody says.
    pub(super) fn file_name(&self) -> &str {
        match self {
            Subject::Client(uri) => uri.rsplit('/').next().unwrap_or("client"),
            Subject::Server(..) => "server",
        }
    }

    /// An X.509 v3 leaf that may do what its subject does and nothing else.
    pub(super) fn params(&self, validity: Validity) -> Result<CertificateParams, Failure> {
        let text = |text: &str| {
            Ia5String::try_from(text).map_err(|_| Failure::new("a name is not ASCII", "name it in ASCII letters"))
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = common_name(self.file_name())?;
        validity.write(&mut params);
        match self {
            Subject::Client(uri) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.subject_alt_names = vec![SanType::URI(text(uri)?)];
            }
            Subject::Server(names, addresses) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                let names = names.iter().map(|name| text(name).map(SanType::DnsName));
                let addresses = addresses.iter().map(|address| Ok(SanType::IpAddress(*address)));
                params.subject_alt_names = names.chain(addresses).collect::<Result<_, _>>()?;
            }
        }
        Ok(params)
    }
}

/// From when to when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    from_s: u64,
    to_s: u64,
}

impl Validity {
    /// From a minute ago, because clocks differ, for so many seconds from now.
    pub(super) fn from_now(seconds: u64) -> Result<Self, Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Failure::new("the clock stands before 1970", "set it"))?
            .as_secs();
        Ok(Self { from_s: now.saturating_sub(60), to_s: now.saturating_add(seconds) })
    }

    /// From a given time on, for so many seconds.
    pub(super) fn from(start: Timestamp, seconds: u64) -> Result<Self, Failure> {
        let from_s = u64::try_from(start.as_second())
            .map_err(|_| Failure::new("--not-before lies before 1970", "name a later time"))?;
        Ok(Self { from_s, to_s: from_s.saturating_add(seconds) })
    }

    /// The beginning, in seconds since 1970.
    pub(super) fn start_s(self) -> u64 {
        self.from_s
    }

    /// The end, in seconds since 1970.
    pub(super) fn end_s(self) -> u64 {
        self.to_s
    }

    /// Writes both times into a certificate to be.
    pub(super) fn write(self, params: &mut CertificateParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(self.from_s);
        params.not_after = epoch + Duration::from_secs(self.to_s);
    }

    /// The end, RFC 3339 in UTC.
    pub(super) fn not_after(self) -> String {
        i64::try_from(self.to_s)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok())
            .map_or_else(|| "out of range".to_owned(), |at| at.to_string())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;

    fn certificate(subject: &Subject) -> Vec<u8> {
        let params = subject.params(Validity::from_now(60).unwrap()).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_names_the_subject_that_it_was_made_for() {
        let client = Subject::client("spiffe://strongroom/security/ada").unwrap();
        let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let server = Subject::server(&["localhost".to_owned(), "vault.example".to_owned()], &addresses).unwrap();
        for subject in [client, server] {
            assert_eq!(Subject::of(&certificate(&subject)).unwrap(), subject);
        }
        assert!(Subject::of(b"no certificate").is_err());
    }

    #[test]
    fn a_client_may_not_serve_and_a_server_may_not_ask() {
        let read = |subject: &Subject| {
            let der = certificate(subject);
            let (_, parsed) = X509Certificate::from_der(&der).unwrap();
            let usage = parsed.extended_key_usage().unwrap().unwrap().value.clone();
            assert!(!parsed.is_ca() && parsed.version().0 == 2);
            (usage.client_auth, usage.server_auth)
        };
        assert_eq!(read(&Subject::client("spiffe://strongroom/security/ada").unwrap()), (true, false));
        assert_eq!(read(&Subject::server(&["localhost".to_owned()], &[]).unwrap()), (false, true));
    }

    #[test]
    fn an_identity_of_another_form_is_refused() {
        for bad in [
            "",
            "spiffe://",
            "spiffe://a/b",
            "spiffe://a/b/c/d",
            "spiffe:///b/c",
            "spiffe://a//c",
            "spiffe://a/b/c d",
            "SPIFFE://a/b/c",
            &format!("spiffe://a/b/{}", "c".repeat(200)),
        ] {
            assert!(Subject::client(bad).is_err());
        }
    }

    #[test]
    fn a_server_without_a_sound_name_is_refused() {
        assert!(Subject::server(&[], &[]).is_err());
        for bad in ["", ".", "a..b", "-a", "a b", "*.a", &"a".repeat(254)] {
            assert!(Subject::server(&[bad.to_owned()], &[]).is_err());
        }
    }
}
