//! The listeners: HTTP/1.1 over TLS, one application and one server with threads of its own each, so that whoever
//! floods the one that browsers reach takes neither threads nor connections from the others.
//!
//! HTTP/2 is left out: on a listener that carries card numbers, one request at a time on a connection is what can be
//! reasoned about, and what the release listener's clients gain from multiplexing they have from keep-alive.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactoryExt as _, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use futures_util::future::{join_all, try_join_all};
use rustix::process::{Resource, getrlimit};
use strongroom_gate::{Patience, Stream, over_tls};
use strongroom_wire::limits;

use super::connection::Peer;
use super::head::around;
use super::routes;
use super::state::State;
use super::tls::{Certificates, TlsError};
use crate::config::Listen;
use crate::telemetry::metrics::ListenerLabel;

/// Bound sockets that do not answer yet.
pub struct Bound {
    sockets: Vec<(ListenerLabel, TcpListener)>,
    addresses: Addresses,
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Addresses {
    /// Browsers.
    pub intake: SocketAddr,
    /// Orchestrators.
    pub release: SocketAddr,
    /// The security team.
    pub admin: SocketAddr,
    /// Payment switches that speak the card-vault dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locker: Option<SocketAddr>,
}

/// Why the listeners cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on {at}: {why}; is another vaultd running, or the port taken?")]
    Bind {
        /// Which address.
        at: SocketAddr,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The server could not be set up.
    #[error("cannot start the listeners: {0}")]
    Start(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Bound {
    /// Binds all of them, or none.
    ///
    /// # Errors
    /// [`ListenError::Bind`] names the address.
    pub fn bind(listen: &Listen) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        let mut bind = |label, at: SocketAddr| {
            let socket = strongroom_gate::listen(at).map_err(|why| ListenError::Bind { at, why })?;
            let bound = socket.local_addr()?;
            sockets.push((label, socket));
            Ok::<_, ListenError>(bound)
        };
        let addresses = Addresses {
            intake: bind(ListenerLabel::Intake, listen.intake)?,
            release: bind(ListenerLabel::Release, listen.release)?,
            admin: bind(ListenerLabel::Admin, listen.admin)?,
            locker: listen.locker.map(|at| bind(ListenerLabel::Locker, at)).transpose()?,
        };
        Ok(Self { sockets, addresses })
    }

    /// Where they are; a port of 0 in the configuration has become a real one.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Starts to answer.
    ///
    /// # Errors
    /// [`ListenError`] if TLS or a socket refuses.
    pub fn serve(
        self,
        listen: &Listen,
        state: &Arc<State>,
        certificates: &Arc<Certificates>,
    ) -> Result<Serving, ListenError> {
        let workers = listen.workers.unwrap_or(std::thread::available_parallelism().map_or(1, usize::from));
        // The library stops accepting at 256 handshakes on a thread: that many silent clients would keep everybody out.
        actix_tls::accept::max_concurrent_tls_connect(listen.connections_max);
        let patience = Patience {
            handshake: Duration::from_secs(listen.head_seconds),
            head: Duration::from_secs(listen.keep_alive_seconds + listen.head_seconds),
            answer: Duration::from_secs(listen.answer_seconds),
            head_bytes_max: limits::HEAD_BYTES_MAX,
        };
        let mut servers = Vec::with_capacity(self.sockets.len());
        let has_locker = self.addresses.locker.is_some();
        for (label, socket) in self.sockets {
            let server = Server::build()
                .workers(workers)
                .max_concurrent_connections(listen.connections_max.min(files_for_each(label, has_locker, workers)))
                .shutdown_timeout(listen.drain_seconds)
                .disable_signals();
            let tls = match label {
                ListenerLabel::Intake => certificates.intake()?,
                ListenerLabel::Release | ListenerLabel::Admin => certificates.internal()?,
                ListenerLabel::Locker if state.dialect.as_ref().is_none_or(|dialect| dialect.client_certificates) => {
                    certificates.internal()?
                }
                ListenerLabel::Locker => certificates.locker()?,
            };
            let (state, clients) = (Arc::clone(state), certificates.clients());
            let gate = Arc::clone(state.gates.of(label));
            let timing = (listen.keep_alive_seconds, listen.head_seconds);
            let server = server.listen(format!("{label:?}"), socket, move || {
                let (state, clients) = (Arc::clone(&state), Arc::clone(&clients));
                let app = App::new()
                    .app_data(web::Data::from(Arc::clone(&state)))
                    .configure(|routes| match &state.dialect {
                        Some(dialect) if label == ListenerLabel::Locker => (dialect.routes)(routes),
                        _ => routes::of(label, routes),
                    })
                    .wrap_fn(move |request, inner| {
                        let state = Arc::clone(&state);
                        around(request, inner, label, state)
                    });
                let http = HttpService::build()
                    .keep_alive(KeepAlive::Timeout(Duration::from_secs(timing.0)))
                    .client_request_timeout(Duration::from_secs(timing.1))
                    .client_disconnect_timeout(Duration::from_secs(1))
                    .on_connect_ext(move |io: &Stream, into: &mut actix_http::Extensions| {
                        Peer::remember(io.stream(), into, &clients);
                        into.insert(io.pace());
                    })
                    .h1(map_config(app, |_| AppConfig::default()).map_err(|error| error.error_response()));
                over_tls(tls.clone(), Arc::clone(&gate), patience, http)
            })?;
            servers.push(server.run());
        }
        Ok(Serving { servers })
    }
}

/// The listeners at work.
pub struct Serving {
    servers: Vec<Server>,
}

/// Stops the listeners.
pub struct Stop(Vec<ServerHandle>);

impl Serving {
    /// What stops them.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.servers.iter().map(Server::handle).collect())
    }

    /// Answers requests until all of them have stopped.
    ///
    /// # Errors
    /// The system's, from the first that fails.
    pub async fn ended(self) -> std::io::Result<()> {
        try_join_all(self.servers).await.map(|_| ())
    }
}

impl Stop {
    /// Takes no new request and waits for those that run, as long as the configuration says.
    pub async fn in_order(&self) {
        join_all(self.0.iter().map(|server| server.stop(true))).await;
    }
}

/// How many connections each of a listener's threads may hold: a part of the files that the process may open, less what
/// it needs itself, so that the disk is never out of reach because of clients, nor one listener because of another.
fn files_for_each(listener: ListenerLabel, has_locker: bool, threads: usize) -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(FILES_OF_OUR_OWN);
    let eighths = match listener {
        ListenerLabel::Intake => 5 - usize::from(has_locker),
        ListenerLabel::Release => 2,
        ListenerLabel::Admin | ListenerLabel::Locker => 1,
    };
    (left / 8 * eighths / threads.max(1)).max(1)
}

/// Databases and their logs, keys, policy, sockets and what the libraries open, with room to spare.
const FILES_OF_OUR_OWN: usize = 256;
