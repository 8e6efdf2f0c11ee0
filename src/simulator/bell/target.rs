//! Where webhooks go: an address on this machine, and the secret that they are signed with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use strongroom_wire::limits;
use zeroize::Zeroizing;

/// A merchant's webhook endpoint at a dialect.
#[derive(Clone)]
pub(crate) struct Target {
    provider: String,
    account_ending: Option<String>,
    pub(super) url: Url,
    /// Held once, whoever has a clone, and wiped with the last of them.
    pub(super) secret: Arc<Zeroizing<String>>,
    pub(super) client: Client,
}

/// Why webhooks cannot go there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    /// Not an address on this machine.
    #[error("url: must be http or https, at localhost, a name below it, or a loopback address")]
    Url,
    /// Empty or too long.
    #[error("secret: must have from 1 to 200 characters")]
    Secret,
    /// https without an authority to trust.
    #[error("ca: an https address needs the PEM of the authority that signed its certificate")]
    NoAuthority,
    /// Not a certificate.
    #[error("ca: cannot be read as PEM certificates")]
    Authority,
    /// One more than the simulator keeps.
    #[error("too many webhook targets; forget them with DELETE /webhooks")]
    TooMany,
}

impl Target {
    /// A target of a dialect; of one account alone when `account_ending` says what its API key ends with. `authority` is
    /// PEM.
    ///
    /// # Errors
    /// See [`BadTarget`].
    pub(crate) fn new(
        provider: &str,
        account_ending: Option<&str>,
        url: &str,
        secret: &str,
        authority: Option<&[u8]>,
    ) -> Result<Self, BadTarget> {
        let url = Url::parse(url).ok().filter(|url| url.as_str().len() <= limits::URL_BYTES_MAX);
        let url = url.ok_or(BadTarget::Url)?;
        let client = client(&url, authority)?;
        if !(1..=200).contains(&secret.chars().count()) {
            return Err(BadTarget::Secret);
        }
        Ok(Self {
            provider: provider.to_owned(),
            account_ending: account_ending.map(str::to_owned),
            url,
            secret: Arc::new(Zeroizing::new(secret.to_owned())),
            client,
        })
    }

    /// Whether it stands for the same place as another one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.provider, &self.account_ending, &self.url) == (&other.provider, &other.account_ending, &other.url)
    }

    /// Whether it is for this dialect.
    pub(super) fn is_of(&self, provider: &str) -> bool {
        self.provider == provider
    }

    /// Whether events of this account (its API key) go there.
    pub(super) fn wants(&self, provider: &str, account: &str) -> bool {
        self.provider == provider && self.account_ending.as_deref().is_none_or(|ending| account.ends_with(ending))
    }

    /// What the desk shows of it: all but the secret.
    pub(super) fn shown(&self) -> Value {
        json!({ "provider": self.provider, "account_ending": self.account_ending, "url": self.url.as_str() })
    }
}

/// Whether the PEM holds certificates to trust.
///
/// # Errors
/// [`BadTarget::Authority`].
pub(crate) fn check_authority(pem: &[u8]) -> Result<(), BadTarget> {
    trust(pem).map(drop)
}

/// A client that speaks to this machine alone: it asks no name server, follows no redirect and uses no proxy.
fn client(url: &Url, authority: Option<&[u8]>) -> Result<Client, BadTarget> {
    let host = url.host_str().ok_or(BadTarget::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) if bare == "localhost" || bare.ends_with(".localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Err(_) => return Err(BadTarget::Url),
    };
    if !address.is_loopback() {
        return Err(BadTarget::Url);
    }
    let builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .resolve(bare, SocketAddr::new(address, 0))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT);
    let builder = match (url.scheme(), authority) {
        ("https", Some(pem)) => builder.https_only(true).tls_backend_preconfigured(trust(pem)?),
        ("https", None) => return Err(BadTarget::NoAuthority),
        // Nothing is trusted: the address is plain http and no redirect leads away from it.
        ("http", _) => builder.tls_backend_preconfigured(tls(RootCertStore::empty())?),
        _ => return Err(BadTarget::Url),
    };
    builder.build().map_err(|_| BadTarget::Authority)
}

fn trust(pem: &[u8]) -> Result<ClientConfig, BadTarget> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| BadTarget::Authority)?;
        roots.add(certificate).map_err(|_| BadTarget::Authority)?;
    }
    if roots.is_empty() { Err(BadTarget::Authority) } else { tls(roots) }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, BadTarget> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|_| BadTarget::Authority)?.with_root_certificates(roots).with_no_client_auth())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
