//! The inventory of certificates (PCI DSS 4.2.1.1) and of what the listeners speak, the ends that monitors watch, and the
//! warnings before each.

use rustls_pki_types::CertificateDer;
use strongroom_wire::certificate::{CertificateInfo, CertificateList, CertificateRole, ListenerTls};

use super::certificate::{info, list_info};
use super::tls::{Certificates, Swappable, versions};

/// When something is over, for the metrics.
pub(super) struct End {
    /// The word of the role.
    pub(super) role: &'static str,
    /// The first 16 hexadecimal digits of its SHA-256.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) at_s: i64,
}

impl Certificates {
    /// Every certificate and list that is shown, trusted or was seen, and what is spoken.
    #[must_use]
    pub fn list(&self, now_ms: u64) -> CertificateList {
        let now_s = seconds(now_ms);
        let mut certificates = self.held(now_s);
        certificates.extend(self.clients.seen().iter().filter_map(|(der, seen_s)| {
            let role = CertificateRole::Client;
            info(role, None, der, now_s, Some(*seen_s))
        }));
        let trust = self.clients.trust_at(now_s);
        let revocation_lists = trust.lists.iter().filter_map(|list| list_info(list, now_s)).collect();
        let listeners = vec![self.speaks("intake", self.intake_tls12, false), self.speaks("internal", false, true)];
        CertificateList { certificates, revocation_lists, listeners }
    }

    /// What an operator should renew, sorted by nothing but the order of the inventory. `warn_days` of the configuration
    /// says how early; a revocation list, which lives for less, is warned of a tenth as early.
    #[must_use]
    pub fn warnings(&self, now_ms: u64) -> Vec<String> {
        let now_s = seconds(now_ms);
        let warn_days = i64::from(self.warn_days);
        let mut warnings: Vec<String> = self
            .held(now_s)
            .iter()
            .filter(|one| one.days_left < warn_days)
            .map(|one| {
                let CertificateInfo { role, subject, days_left, not_after, sha256, .. } = one;
                let (role, id) = (role.as_str(), &sha256[..ID_CHARS]);
                if *days_left < 0 {
                    format!("the {role} certificate {id} ({subject}) ended at {not_after}: replace it now")
                } else {
                    format!(
                        "the {role} certificate {id} ({subject}) ends in {days_left} days, at {not_after}: renew it"
                    )
                }
            })
            .collect();
        for list in self.clients.trust_at(now_s).lists.iter().filter_map(|list| list_info(list, now_s)) {
            let (Some(days_left), Some(at)) = (list.days_left, list.next_update) else { continue };
            if days_left < 0 {
                warnings.push(format!("the revocation list of {} ended at {at}: its clients are refused", list.issuer));
            } else if days_left < (warn_days + 9) / 10 {
                warnings.push(format!("the revocation list of {} ends in {days_left} days: sign it anew", list.issuer));
            }
        }
        warnings
    }

    /// The end of each certificate and list.
    pub(super) fn ends(&self, now_ms: u64) -> Vec<End> {
        let now_s = seconds(now_ms);
        let at = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        let end =
            |role, sha256: &str, text: &str| Some(End { role, id: sha256[..ID_CHARS].to_owned(), at_s: at(text)? });
        let lists = self.clients.trust_at(now_s);
        let lists = lists.lists.iter().filter_map(|list| {
            let list = list_info(list, now_s)?;
            end("client_crl", &list.sha256, list.next_update.as_deref()?)
        });
        let held = self.held(now_s);
        held.iter().filter_map(|one| end(one.role.as_str(), &one.sha256, &one.not_after)).chain(lists).collect()
    }

    /// Those that vaultd shows or trusts.
    fn held(&self, now_s: i64) -> Vec<CertificateInfo> {
        let mut held = Vec::new();
        for (role, shown) in
            [(CertificateRole::IntakeServer, &self.intake), (CertificateRole::InternalServer, &self.internal)]
        {
            held.extend(chain(role, shown, now_s));
        }
        let authorities = &self.clients.trust_at(now_s).authorities;
        held.extend(authorities.iter().filter_map(|der| info(CertificateRole::ClientCa, None, der, now_s, None)));
        for (name, ders) in &self.destinations {
            let of = |der: &CertificateDer<'_>| info(CertificateRole::DestinationCa, Some(name), der, now_s, None);
            held.extend(ders.iter().filter_map(of));
        }
        held
    }

    fn speaks(&self, listener: &str, tls12: bool, client_certificates: bool) -> ListenerTls {
        let versions = versions(tls12);
        let suites = self.provider.cipher_suites.iter();
        ListenerTls {
            listener: listener.to_owned(),
            versions: versions.iter().map(|version| format!("{:?}", version.version)).collect(),
            cipher_suites: suites
                .filter(|suite| versions.iter().any(|version| version.version == suite.version().version))
                .map(|suite| format!("{:?}", suite.suite()))
                .collect(),
            key_exchange: self.provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect(),
            client_certificates,
        }
    }
}

fn chain(role: CertificateRole, shown: &Swappable, now_s: i64) -> Vec<CertificateInfo> {
    let key = shown.key.load();
    let roles = std::iter::once(role).chain(std::iter::repeat(CertificateRole::Intermediate));
    key.cert.iter().zip(roles).filter_map(|(der, role)| info(role, None, der, now_s, None)).collect()
}

fn seconds(now_ms: u64) -> i64 {
    i64::try_from(now_ms / 1000).unwrap_or(i64::MAX)
}

const ID_CHARS: usize = 16;
