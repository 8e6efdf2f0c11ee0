//! The three listeners: HTTP/1.1 over TLS, one application each, one server that stops in order.
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

use super::connection::Peer;
use super::head::around;
use super::routes;
use super::state::State;
use super::tls::{Certificates, TlsError};
use crate::config::Listen;
use crate::telemetry::metrics::ListenerLabel;

/// Three bound sockets that do not answer yet.
pub struct Bound {
    sockets: [(ListenerLabel, TcpListener, SocketAddr); 3],
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
    /// Binds all three, or none.
    ///
    /// # Errors
    /// [`ListenError::Bind`] names the address.
    pub fn bind(listen: &Listen) -> Result<Self, ListenError> {
        let bind = |label, at: SocketAddr| {
            let socket = TcpListener::bind(at).map_err(|why| ListenError::Bind { at, why })?;
            let bound = socket.local_addr()?;
            Ok::<_, ListenError>((label, socket, bound))
        };
        Ok(Self {
            sockets: [
                bind(ListenerLabel::Intake, listen.intake)?,
                bind(ListenerLabel::Release, listen.release)?,
                bind(ListenerLabel::Admin, listen.admin)?,
            ],
        })
    }

    /// Where they are; a port of 0 in the configuration has become a real one.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let [intake, release, admin] = &self.sockets;
        Addresses { intake: intake.2, release: release.2, admin: admin.2 }
    }

    /// Starts to answer. The future ends when the server has stopped; the handle stops it.
    ///
    /// # Errors
    /// [`ListenError`] if TLS or a socket refuses.
    pub fn serve(
        self,
        listen: &Listen,
        state: &Arc<State>,
        certificates: &Arc<Certificates>,
    ) -> Result<(Server, ServerHandle), ListenError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut server = Server::build()
            .workers(listen.workers.unwrap_or(cores))
            .max_concurrent_connections(listen.connections_max)
            .shutdown_timeout(listen.drain_seconds)
            .disable_signals();
        for (label, socket, _) in self.sockets {
            let tls = match label {
                ListenerLabel::Intake => certificates.intake()?,
                ListenerLabel::Release | ListenerLabel::Admin => certificates.internal()?,
            };
            let (state, clients) = (Arc::clone(state), certificates.clients());
            let timing = (listen.keep_alive_seconds, listen.head_seconds);
            server = server.listen(format!("{label:?}"), socket, move || {
                let (state, clients) = (Arc::clone(&state), Arc::clone(&clients));
                let app = App::new()
                    .app_data(web::Data::from(Arc::clone(&state)))
                    .configure(|routes| routes::of(label, routes))
                    .wrap_fn(move |request, inner| {
                        let state = Arc::clone(&state);
                        around(request, inner, label, state)
                    });
                HttpService::build()
                    .keep_alive(KeepAlive::Timeout(Duration::from_secs(timing.0)))
                    .client_request_timeout(Duration::from_secs(timing.1))
                    .client_disconnect_timeout(Duration::from_secs(1))
                    .on_connect_ext(move |io: &_, into: &mut actix_http::Extensions| {
                        Peer::remember(io, into, clients.generation());
                    })
                    .h1(map_config(app, |_| AppConfig::default()).map_err(|error| error.error_response()))
                    .rustls_0_23(tls.clone())
            })?;
        }
        let server = server.run();
        let handle = server.handle();
        Ok((server, handle))
    }
}
