//! The listener: TLS always, short keep-alive, a graceful end, and the background loop beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, Service as _};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use strongroom_wire::{RequestId, header};

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
    /// The operating system says nothing about the bound address.
    #[error("the listener has no address")]
    NoAddress,
}

/// Binds and starts; first resolves what an earlier run left open, then keeps looking for what is due.
///
/// # Errors
/// [`ServeError`].
pub fn serve(api: Arc<Api>, settings: ServerSettings) -> Result<Listening, ServeError> {
    let certificate = ServerCertificate::read(settings.certificate, settings.key)?;
    let shared = Data::from(api.clone());
    let server = HttpServer::new(move || {
        let api = shared.clone();
        let metrics = api.metrics.clone();
        App::new()
            .wrap_fn(move |request, next| {
                let metrics = metrics.clone();
                let answered = next.call(request);
                async move {
                    let mut answer = answered.await?;
                    metrics.answered(answer.status().as_u16());
                    if let Ok(value) = RequestId::fresh().to_string().parse() {
                        let name = actix_web::http::header::HeaderName::from_bytes(header::REQUEST_ID.as_bytes());
                        if let Ok(name) = name {
                            answer.headers_mut().insert(name, value);
                        }
                    }
                    Ok(answer)
                }
            })
            .configure(configure(api))
    })
    .workers(settings.workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_TIMEOUT)
    .shutdown_timeout(SHUTDOWN_S)
    .bind_rustls_0_23(settings.listen, certificate.config()?)?;
    let address = server.addrs().first().copied().ok_or(ServeError::NoAddress)?;
    tokio::spawn(background(api));
    tokio::spawn(reload_on_hangup(certificate));
    Ok(Listening { address, server: server.run() })
}

async fn background(api: Arc<Api>) {
    // What an earlier run left is taken up at once where no other run can live; else when its lease ends.
    api.engine.round(api.engine.store().is_exclusive()).await;
    loop {
        tokio::time::sleep(ROUND).await;
        api.engine.round(false).await;
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
/// Longer than a call to a provider may take, in seconds.
const SHUTDOWN_S: u64 = 40;
