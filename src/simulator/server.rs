//! The listener: TLS, loopback alone, limits, and the cut that faults need.

use std::any::Any;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use crate::adyen::Adyen;
use crate::bell::{Bell, Target, check_authority};
use crate::desk::Desk;
use crate::exchange::Cut;
use crate::house::{Dialect, House};
use crate::stripe::{self, Stripe};
use crate::worldpay::Worldpay;

/// How to start.
pub struct Config {
    /// Where to listen; must be loopback. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// The secret keys that every dialect and the desk accept: at least one, none of them a live key.
    pub api_keys: Vec<String>,
    /// Where webhooks go from the start; more can be added at the desk.
    pub webhooks: Vec<Webhook>,
    /// The authorities (PEM) that signed the certificates of webhook targets.
    pub webhook_ca: Option<PathBuf>,
    /// Gets the bound address as text, once requests are answered.
    pub ready_file: Option<PathBuf>,
}

/// A target of a dialect's webhooks.
pub struct Webhook {
    /// The dialect, such as `stripe`.
    pub provider: &'static str,
    /// An address on this machine.
    pub url: String,
    /// What the dialect signs with.
    pub secret: Zeroizing<String>,
}

/// Why the simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not loopback.
    #[error("--listen: {0} is not a loopback address; the simulator is for demos and tests on one machine")]
    NotLoopback(SocketAddr),
    /// No key was given, or too many.
    #[error("--api-key: give from 1 to {max} keys", max = limits::SIMULATOR_API_KEYS_MAX)]
    KeyCount,
    /// A key is not fit for a simulator.
    #[error("--api-key: a key has 8 to 200 visible ASCII characters and is never a live key (sk_live_, rk_live_)")]
    BadKey,
    /// The certificate or its key cannot be read.
    #[error("{option}: {path}: cannot be read as PEM")]
    BadPem {
        /// The option at fault.
        option: &'static str,
        /// The file at fault.
        path: PathBuf,
    },
    /// Webhooks cannot go there.
    #[error("webhooks of {provider}: {why}")]
    BadWebhook {
        /// The dialect.
        provider: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The certificate and the key do not fit together.
    #[error("--cert and --key: {0}")]
    Tls(#[from] rustls::Error),
    /// The address cannot be bound, or the ready file not be written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A running simulator.
pub struct Running {
    /// The bound address.
    pub address: SocketAddr,
    /// Stops it.
    pub handle: ServerHandle,
    /// Ends when it has stopped.
    pub ended: actix_web::dev::Server,
}

/// Binds, and answers requests as soon as the caller polls `ended`. It must be called within actix's runtime, which sends
/// the webhooks.
///
/// # Errors
/// See [`StartError`]; nothing listens then.
pub fn start(config: &Config) -> Result<Running, StartError> {
    if !config.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(config.listen));
    }
    check_keys(&config.api_keys)?;
    let tls = tls(&config.cert, &config.key)?;
    let listener = TcpListener::bind(config.listen).map_err(|source| StartError::Io { what: "--listen", source })?;
    let address = listener.local_addr().map_err(|source| StartError::Io { what: "--listen", source })?;
    let faults = Arc::default();
    let (bell, ringer) = Bell::new(Arc::clone(&faults));
    let authority = authority(config.webhook_ca.as_deref())?;
    for webhook in &config.webhooks {
        let target =
            Target::new(webhook.provider, None, &webhook.url, &webhook.secret, authority.as_deref().map(Vec::as_slice));
        let aimed = target.and_then(|target| bell.aim(target));
        aimed.map_err(|why| StartError::BadWebhook { provider: webhook.provider, why: why.to_string() })?;
    }
    let house = House::new(bell, faults, Arc::new(|| jiff::Timestamp::now().as_second()));
    let dialects = dialects(&house, &config.api_keys);
    let desk = Desk::new(house, Arc::clone(&dialects), &config.api_keys, authority);
    let app = move || {
        App::new()
            .app_data(web::PayloadConfig::new(limits::SIMULATOR_BODY_BYTES_MAX))
            .app_data(web::Data::new(desk.clone()))
            .configure(Desk::routes)
            .configure(|config| dialects.iter().for_each(|dialect| dialect.routes(config)))
            .default_service(web::to(stripe::no_route))
    };
    let server = HttpServer::new(app)
        .on_connect(keep_cut)
        .workers(WORKERS)
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(2)
        .server_hostname(address.to_string())
        .listen_rustls_0_23(listener, tls)
        .map_err(|source| StartError::Io { what: "--listen", source })?
        .run();
    actix_web::rt::spawn(ringer.run());
    if let Some(path) = &config.ready_file {
        write_whole(path, &address.to_string()).map_err(|source| StartError::Io { what: "--ready-file", source })?;
    }
    Ok(Running { address, handle: server.handle(), ended: server })
}

/// Every dialect that is spoken.
pub(crate) fn dialects(house: &House, api_keys: &[String]) -> Arc<[Arc<dyn Dialect>]> {
    Arc::new([
        Arc::new(Stripe::new(house.clone(), api_keys)),
        Arc::new(Adyen::new(house.clone(), api_keys)),
        Arc::new(Worldpay::new(house.clone(), api_keys)),
    ])
}

fn authority(path: Option<&Path>) -> Result<Option<Arc<Vec<u8>>>, StartError> {
    let Some(path) = path else { return Ok(None) };
    let bad = || StartError::BadPem { option: "--webhook-ca", path: path.to_owned() };
    let pem = fs::read(path).map_err(|_| bad())?;
    check_authority(&pem).map_err(|_| bad())?;
    Ok(Some(Arc::new(pem)))
}

fn check_keys(keys: &[String]) -> Result<(), StartError> {
    if keys.is_empty() || keys.len() > limits::SIMULATOR_API_KEYS_MAX {
        return Err(StartError::KeyCount);
    }
    let fit = |key: &String| {
        (8..=200).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
            && !key.contains("_live_")
    };
    if keys.iter().all(fit) { Ok(()) } else { Err(StartError::BadKey) }
}

fn tls(cert: &Path, key: &Path) -> Result<ServerConfig, StartError> {
    let bad = |option, path: &Path| StartError::BadPem { option, path: path.to_owned() };
    let chain = CertificateDer::pem_file_iter(cert).map_err(|_| bad("--cert", cert))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|_| bad("--cert", cert))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_| bad("--key", key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}

/// Keeps a second handle on each connection's socket.
fn keep_cut(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(tls) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    // Without the second handle a fault cannot cut this connection; it answers 500 then.
    if let Ok(socket) = tls.get_ref().0.as_fd().try_clone_to_owned() {
        extensions.insert(Cut(socket.into()));
    }
}

/// A reader sees the whole address or no file.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text)?;
    fs::rename(&draft, path)
}

/// Two are enough to meet requests that run at the same time.
const WORKERS: usize = 2;
