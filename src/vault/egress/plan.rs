//! `Plan`: a destination as the configuration writes it; `Destination`: the same, checked and ready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use strongroom_wire::forward::{DestinationName, ForwardMethod};
use strongroom_wire::limits;

use super::address::Network;
use super::path::Pattern;

/// `[destination.NAME]` of the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `https://host[:port]`.
    pub base_url: String,
    /// CA certificates (PEM) that alone may sign the destination's; the system's when absent.
    pub ca: Option<PathBuf>,
    /// How long a connection may take, name and TLS included, in milliseconds.
    #[serde(default = "connect_default")]
    pub connect_timeout_ms: u64,
    /// How long all of it may take, in milliseconds.
    #[serde(default = "total_default")]
    pub total_timeout_ms: u64,
    /// Blocks (CIDR) that the resolved addresses must be in; any public address when empty.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Whether addresses that are not public are taken.
    #[serde(default)]
    pub allow_private: bool,
    /// Patterns of the paths that it takes.
    pub paths: Vec<String>,
    /// Methods that it takes.
    #[serde(default = "methods_default")]
    pub methods: Vec<ForwardMethod>,
    /// The only places of a body where a part of a card may stand: a JSON pointer or the name of a form's field. Any place
    /// when absent.
    pub slots: Option<Vec<String>>,
}

/// Why a destination cannot be used. It names keys, never values.
#[derive(Debug, thiserror::Error)]
#[error("destination.{name}.{key}: {why}")]
pub struct PlanError {
    /// Which.
    pub name: DestinationName,
    /// Which key.
    pub key: &'static str,
    /// What it should be.
    pub why: String,
}

/// A destination that is ready.
pub(super) struct Destination {
    /// `https://host[:port]`, for a dry run.
    pub(super) base_url: String,
    /// As the header `Host` has it.
    pub(super) host: HeaderValue,
    /// What is resolved: a name or an address without brackets.
    pub(super) resolve: String,
    pub(super) port: u16,
    pub(super) server_name: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) pins: Vec<Network>,
    pub(super) allow_private: bool,
    pub(super) paths: Vec<Pattern>,
    pub(super) methods: Vec<ForwardMethod>,
    pub(super) slots: Option<Vec<String>>,
    pub(super) connect_timeout: Duration,
    pub(super) total_timeout: Duration,
}

impl Destination {
    pub(super) fn load(name: &DestinationName, plan: &Plan) -> Result<Self, PlanError> {
        let bad = |key, why: &str| PlanError { name: name.clone(), key, why: why.to_owned() };
        let bad_url = || bad("base_url", "give https://host or https://host:port, without user, path or query");
        let (host, resolve, port, server_name) = read_url(&plan.base_url).ok_or_else(bad_url)?;
        let timeouts = [
            ("connect_timeout_ms", plan.connect_timeout_ms, limits::DESTINATION_CONNECT_MS_MAX, "give 1 to 30000"),
            ("total_timeout_ms", plan.total_timeout_ms, limits::DESTINATION_TOTAL_MS_MAX, "give 1 to 120000"),
        ];
        for (key, value, most, why) in timeouts {
            if !(1..=most).contains(&value) {
                return Err(bad(key, why));
            }
        }
        if plan.total_timeout_ms < plan.connect_timeout_ms {
            return Err(bad("total_timeout_ms", "give at least connect_timeout_ms"));
        }
        let rules = [("addresses", plan.addresses.len()), ("paths", plan.paths.len())];
        for (key, count) in rules.into_iter().chain(plan.slots.as_ref().map(|slots| ("slots", slots.len()))) {
            if count > limits::DESTINATION_RULES_MAX {
                return Err(bad(key, "give at most 100"));
            }
        }
        let pins = plan.addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let pins = pins.map_err(|_| bad("addresses", "give blocks such as 192.0.2.0/24 or single addresses"))?;
        let paths: Option<Vec<_>> = plan.paths.iter().map(|text| Pattern::parse(text)).collect();
        let paths = paths.filter(|paths| !paths.is_empty()).ok_or_else(|| {
            bad(
                "paths",
                "give at least one, such as \"/v1/payment_methods\", \"/v71/*\" (one segment) or \"/v1/**\" (any)",
            )
        })?;
        if plan.methods.is_empty() {
            return Err(bad("methods", "give at least one of POST, PUT, PATCH, or leave it out"));
        }
        if plan.slots.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("slots", "give at least one place, or leave it out"));
        }
        let roots = roots(plan.ca.as_ref()).map_err(|why| PlanError { name: name.clone(), key: "ca", why })?;
        Ok(Self {
            base_url: plan.base_url.trim_end_matches('/').to_owned(),
            host,
            resolve,
            port,
            server_name,
            tls: Arc::new(client(roots).map_err(|why| bad("ca", &why.to_string()))?),
            pins,
            allow_private: plan.allow_private,
            paths,
            methods: plan.methods.clone(),
            slots: plan.slots.clone(),
            connect_timeout: Duration::from_millis(plan.connect_timeout_ms),
            total_timeout: Duration::from_millis(plan.total_timeout_ms),
        })
    }
}

fn read_url(text: &str) -> Option<(HeaderValue, String, u16, ServerName<'static>)> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let plain = uri.scheme_str() == Some("https")
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none()
        && !text.contains(['#', '@', '?', '\\'])
        && !authority.host().is_empty();
    let resolve = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    // A port that is no port is not passed over: it would become another one.
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" => 443,
        port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
    };
    let server_name = ServerName::try_from(resolve.clone()).ok()?;
    let host = HeaderValue::from_str(authority.as_str()).ok()?;
    plain.then_some((host, resolve, port, server_name))
}

fn roots(ca: Option<&PathBuf>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
            let certificates = read().map_err(|why| format!("{}: {why}", path.display()))?;
            for certificate in certificates {
                roots.add(certificate).map_err(|why| format!("{}: {why}", path.display()))?;
            }
        }
        None => {
            // What the system trusts and this library cannot read is of no use; none at all is a fault.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err("there is no CA certificate; name a PEM file with one or install the system's".to_owned());
    }
    Ok(roots)
}

/// TLS 1.2 and 1.3, HTTP/1.1 alone. No session is resumed: each card goes over a handshake of its own.
fn client(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.resumption = Resumption::disabled();
    Ok(client)
}

fn connect_default() -> u64 {
    5_000
}
fn total_default() -> u64 {
    30_000
}
fn methods_default() -> Vec<ForwardMethod> {
    vec![ForwardMethod::Post]
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
