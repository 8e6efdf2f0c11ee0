//! The listener: TLS always, short keep-alive, a graceful end, and the background loop beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Extensions, HttpService, KeepAlive};
use actix_service::{ServiceFactoryExt as _, map_config};
use actix_web::dev::{AppConfig, Server, Service as _, ServiceRequest, ServiceResponse};
use actix_web::web::Data;
use actix_web::{App, HttpMessage as _};
use rustix::process::{Resource, getrlimit};
use strongroom_gate::{Pace, Patience, Stream, drain, hold, hurry, over_tls};
use strongroom_wire::{RequestId, header, limits};

use super::answer::Refusal;
use super::tls::ServerCertificate;
use super::{Api, TlsError, configure};

/// How to listen.
pub struct ServerSettings {
    /// Where; port 0 takes a free one.
    pub listen: SocketAddr,
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// Threads that answer.
    pub workers: usize,
}

/// A server that listens; await `server` to run it.
pub struct Listening {
    /// The bound address.
    pub address: SocketAddr,
    /// Runs until a signal ends it.
    pub server: Server,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be bound.
    #[error("cannot listen: {0}")]
    Bind(#[from] std::io::Error),
}

/// Binds and starts; first resolves what an earlier run left open, then keeps looking for what is due.
///
/// # Errors
/// [`ServeError`].
pub fn serve(api: Arc<Api>, settings: ServerSettings) -> Result<Listening, ServeError> {
    let certificate = ServerCertificate::read(settings.certificate, settings.key)?;
    let shared = Data::from(api.clone());
    let (gate, tls) = (api.gate.clone(), certificate.config()?);
    let socket = strongroom_gate::listen(settings.listen)?;
    let address = socket.local_addr()?;
    let connections = connections_of_each(settings.workers);
    // The library stops accepting at 256 handshakes on a thread: that many silent clients would keep everybody out.
    actix_tls::accept::max_concurrent_tls_connect(connections);
    let server =
        Server::build().workers(settings.workers).max_concurrent_connections(connections).shutdown_timeout(SHUTDOWN_S);
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("api", socket, move || {
        let (api, gate, stopping) = (shared.clone(), gate.clone(), stopping.clone());
        let (metrics, door) = (api.metrics.clone(), gate.clone());
        let app = App::new()
            .wrap_fn(move |mut request, next| {
                let metrics = metrics.clone();
                let working = request.conn_data::<Rc<Pace>>().map(|pace| pace.begin(Pace::body_of(request.headers())));
                let is_free = request.path().starts_with("/health");
                let inside = if is_free { None } else { door.enter() };
                let is_turned_away = inside.is_none() && !is_free;
                let called = if is_turned_away {
                    Err(request)
                } else {
                    hurry(&mut request, Duration::from_secs(limits::BODY_TTL_S));
                    Ok(next.call(request))
                };
                async move {
                    let mut answer = match called {
                        Ok(answered) => answered.await?,
                        Err(request) => turned_away(request).await,
                    };
                    metrics.answered(answer.status().as_u16());
                    if let Ok(value) = RequestId::fresh().to_string().parse() {
                        let name = actix_web::http::header::HeaderName::from_bytes(header::REQUEST_ID.as_bytes());
                        if let Ok(name) = name {
                            answer.headers_mut().insert(name, value);
                        }
                    }
                    Ok(hold(answer, (working, inside)))
                }
            })
            .configure(configure(api));
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .client_request_timeout(REQUEST_HEAD_TIMEOUT)
            .client_disconnect_timeout(Duration::from_secs(1))
            .on_connect_ext(|io: &Stream, into: &mut Extensions| {
                into.insert(io.pace());
            })
            .h1(map_config(app, |_| AppConfig::default()).map_err(|error| error.error_response()));
        over_tls(tls.clone(), gate, PATIENCE, http)
    })?;
    tokio::spawn(background(api));
    tokio::spawn(reload_on_hangup(certificate));
    Ok(Listening { address, server: server.run() })
}

/// Turns a request away. Its body is read away, because a new handshake would cost both sides more than the request.
async fn turned_away(mut request: ServiceRequest) -> ServiceResponse {
    drain(request.take_payload(), limits::PAYMENT_BODY_BYTES_MAX).await;
    let why = "as many requests as this server takes at a time are at work; this one did nothing, ask again";
    let mut answer = actix_web::HttpResponse::from(Refusal::new(503, "HE_00", why));
    let after = actix_web::http::header::HeaderValue::from(RETRY_AFTER_S);
    answer.headers_mut().insert(actix_web::http::header::RETRY_AFTER, after);
    request.into_response(answer)
}

/// How many connections each thread may hold: half of the files that the process may open, because each request may need
/// two more, to the vault and to a provider.
fn connections_of_each(threads: usize) -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let half = usize::try_from(most).unwrap_or(usize::MAX) / 2;
    (half / threads.max(1)).clamp(1, CONNECTIONS_MAX)
}

async fn background(api: Arc<Api>) {
    // What an earlier run left is taken up at once where no other run can live; else when its lease ends.
    let mut everything = api.engine.store().is_exclusive();
    loop {
        let engine = api.engine.clone();
        // A task of its own, so that a panic ends this round and not all that would follow.
        if tokio::spawn(async move { engine.round(everything).await }).await.is_err() {
            tracing::error!("a round of the background loop ended by a panic; the next one follows");
        }
        everything = false;
        tokio::time::sleep(ROUND).await;
    }
}

async fn reload_on_hangup(certificate: Arc<ServerCertificate>) {
    let Ok(mut hangups) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else {
        tracing::warn!("SIGHUP cannot be received: certificates change at a restart only");
        return;
    };
    while hangups.recv().await.is_some() {
        match certificate.read_again() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }
}

const ROUND: Duration = Duration::from_millis(500);
/// Short, so that buffers that carried a card are freed and wiped soon.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: Patience = Patience {
    handshake: Duration::from_secs(5),
    head: Duration::from_secs(10),
    answer: Duration::from_secs(30),
    head_bytes_max: limits::RETURN_BYTES_MAX + limits::HEAD_BYTES_MAX,
};
const RETRY_AFTER_S: u64 = 1;
/// Most connections of each thread, whatever the system allows.
const CONNECTIONS_MAX: usize = 12_000;
/// Longer than a call to a provider may take, in seconds.
const SHUTDOWN_S: u64 = 40;
