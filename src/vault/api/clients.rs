//! Which client certificates are let in: those that a CA of today signed and that no revocation list names. A CA out of
//! its time is none, and a list that is out of date refuses everybody rather than nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use sha2::{Digest as _, Sha256};
use strongroom_wire::limits;

use super::certificate::{next_update, validity};

/// Verifies client certificates against the CAs and revocation lists that were read last.
pub struct Clients {
    provider: Arc<CryptoProvider>,
    trust: ArcSwap<Trust>,
    generation: AtomicU64,
    /// By the SHA-256 of the certificate.
    seen: Mutex<HashMap<[u8; 32], Seen>>,
}

/// A certificate that was shown, and when last, in seconds since 1970.
pub(super) type Seen = (Vec<u8>, i64);

/// CAs and lists as they were read, and the verifier that they make at this time.
pub(super) struct Trust {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    /// None when no CA is in its time.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When a CA next begins or ends, in seconds since 1970: another verifier is needed then.
    until_s: i64,
}

impl Trust {
    /// What these CAs and lists trust at `now_s`.
    ///
    /// # Errors
    /// The verifier's reason, for the person who wrote the files.
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        authorities: Vec<CertificateDer<'static>>,
        lists: Vec<CertificateRevocationListDer<'static>>,
        now_s: i64,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut until_s = i64::MAX;
        for authority in &authorities {
            let (from_s, to_s) = validity(authority).ok_or("it holds what is no certificate")?;
            if (from_s..=to_s).contains(&now_s) {
                roots.add(authority.clone()).map_err(|why| why.to_string())?;
                until_s = until_s.min(to_s);
            } else if now_s < from_s {
                until_s = until_s.min(from_s - 1);
            }
        }
        let verifier = if roots.is_empty() {
            None
        } else {
            let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            if !lists.is_empty() {
                builder = builder.with_crls(lists.clone()).enforce_revocation_expiration();
            }
            Some(builder.build().map_err(|why| why.to_string())?)
        };
        Ok(Self { authorities, lists, verifier, until_s })
    }

    /// Whether anybody could be let in.
    pub(super) fn trusts_anybody(&self) -> bool {
        self.verifier.is_some()
    }

    fn verify(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Verified {
        match &self.verifier {
            Some(verifier) => verifier.verify_client_cert(leaf, rest, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

type Verified = Result<ClientCertVerified, rustls::Error>;

impl Clients {
    pub(super) fn new(provider: Arc<CryptoProvider>, trust: Trust) -> Self {
        Self { provider, trust: ArcSwap::from_pointee(trust), generation: AtomicU64::new(1), seen: Mutex::default() }
    }

    pub(super) fn replace(&self, trust: Trust) {
        self.trust.store(Arc::new(trust));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Grows with each reload; a connection that was verified under an older one is verified again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a chain would be let in now, and until when nothing but a reload can change that, in seconds since 1970.
    #[must_use]
    pub fn trusted_until(&self, chain: &[CertificateDer<'_>], now_s: i64) -> Option<i64> {
        let (leaf, rest) = chain.split_first()?;
        let trust = self.trust_at(now_s);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(now_s).ok()?));
        trust.verify(leaf, rest, now).ok()?;
        let ends = chain.iter().filter_map(|one| validity(one)).map(|(_, to_s)| to_s);
        let lists = trust.lists.iter().filter_map(|list| next_update(list));
        // What ended before did not matter, or the chain would have been refused. What ends in this second still counts: it
        // is looked at again with each request until the second is over.
        ends.chain(lists).chain([trust.until_s]).filter(|end| *end >= now_s).min()
    }

    /// Remembers that a client showed this certificate.
    pub(super) fn saw(&self, leaf: &CertificateDer<'_>, at_s: i64) {
        let name: [u8; 32] = Sha256::digest(leaf).into();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, last_s)) = seen.get_mut(&name) {
            *last_s = at_s;
            return;
        }
        if seen.len() >= limits::CLIENTS_SEEN_MAX
            && let Some(oldest) = seen.iter().min_by_key(|(_, (_, last_s))| *last_s).map(|(name, _)| *name)
        {
            seen.remove(&oldest);
        }
        seen.insert(name, (leaf.to_vec(), at_s));
    }

    /// The certificates that clients showed, newest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen: Vec<_> = seen.values().cloned().collect();
        seen.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        seen
    }

    /// What is trusted at this time. Where a CA has begun or ended since, that is first made true.
    pub(super) fn trust_at(&self, now_s: i64) -> Arc<Trust> {
        let held = self.trust.load_full();
        if now_s <= held.until_s {
            return held;
        }
        match Trust::new(&self.provider, held.authorities.clone(), held.lists.clone(), now_s) {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                // A reload in between is newer than both.
                self.trust.compare_and_swap(&held, Arc::clone(&fresh));
                self.generation.fetch_add(1, Ordering::Release);
                fresh
            }
            // The same files made a verifier before; should they not any more, nobody is let in.
            Err(_) => Arc::new(Trust { authorities: Vec::new(), lists: Vec::new(), verifier: None, until_s: i64::MAX }),
        }
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hint: the list would outlive a reload, and our clients hold one certificate.
        &[]
    }

    fn verify_client_cert(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Verified {
        self.trust_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)).verify(leaf, rest, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
