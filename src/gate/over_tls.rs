//! From a socket to HTTP: the handshake within its time, then a stream with limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_service::{ServiceFactory, ServiceFactoryExt as _};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;

use crate::admission::Gate;
use crate::pace::Patience;
use crate::patient::Patient;

/// A connection as HTTP sees it.
pub type Stream = Patient<TlsStream<TcpStream>>;

/// Puts TLS and the limits of time in front of an HTTP driver.
pub fn over_tls<H, E>(
    tls: ServerConfig,
    gate: Arc<Gate>,
    patience: Patience,
    http: H,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = TlsError<io::Error, E>, InitError = ()>
where
    H: ServiceFactory<(Stream, Option<SocketAddr>), Config = (), Response = (), Error = E, InitError = ()>,
{
    let mut acceptor = Acceptor::new(tls);
    acceptor.set_handshake_timeout(patience.handshake);
    acceptor
        .map_err(|error: TlsError<io::Error, Infallible>| match error {
            TlsError::Timeout => TlsError::Timeout,
            TlsError::Tls(why) => TlsError::Tls(why),
            TlsError::Service(never) => match never {},
        })
        .map(move |tls: TlsStream<TcpStream>| {
            let peer = tls.get_ref().0.peer_addr().ok();
            (Patient::new(tls, Arc::clone(&gate), patience), peer)
        })
        .and_then(http.map_err(TlsError::Service))
}
