//! `Connection`: TLS to an address of the destination that was looked at first. No card is in sight yet.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use strongroom_wire::forward::NotSent;
use strongroom_wire::limits;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{Network, is_allowed};
use super::plan::Destination;
use super::prepare::Prepared;

/// A connection for one request. Dropping it closes it.
pub struct Connection<'a> {
    pub(super) prepared: Prepared<'a>,
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) deadline: Instant,
    pub(super) driver: Driver,
}

/// What moves the bytes of a connection. It ends with its owner, and with it every buffer that held a card.
pub(super) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<'a> Prepared<'a> {
    /// Resolves the destination's name once, looks at every address, connects to one of exactly those and opens TLS.
    ///
    /// # Errors
    /// [`NotSent`]; not one byte of the request has left.
    pub async fn connect(self) -> Result<Connection<'a>, NotSent> {
        let begun = Instant::now();
        let destination = self.destination;
        let opened = timeout(destination.connect_timeout, open(destination)).await;
        let (sender, driver) = opened.unwrap_or(Err(NotSent::Unreachable))?;
        Ok(Connection { prepared: self, sender, deadline: begun + destination.total_timeout, driver })
    }
}

async fn open(destination: &Destination) -> Result<(SendRequest<Full<Bytes>>, Driver), NotSent> {
    let found = lookup_host((destination.resolve.as_str(), destination.port)).await.map_err(|_| NotSent::Unresolved)?;
    let addresses = looked_at(found, &destination.pins, destination.allow_private)?;
    let mut socket = Err(NotSent::Unreachable);
    for address in addresses {
        socket = TcpStream::connect(address).await.map_err(|_| NotSent::Unreachable);
        if socket.is_ok() {
            break;
        }
    }
    let socket = socket?;
    // Whether small packets wait makes no difference to what is proven, only to how long it takes.
    let _ = socket.set_nodelay(true);
    let connector = TlsConnector::from(destination.tls.clone());
    let stream = connector.connect(destination.server_name.clone(), socket).await.map_err(|_| NotSent::TlsFailed)?;
    let mut http = Builder::new();
    http.max_buf_size(limits::FORWARD_ANSWER_HEAD_BYTES_MAX);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(|_| NotSent::TlsFailed)?;
    let driver = tokio::spawn(async move {
        // How it ended shows in the answer, or in that there is none.
        let _ = connection.await;
    });
    Ok((sender, Driver(driver)))
}

/// Every address that was found, if each of them is allowed: a name that leads to one that is not may lead there the next
/// time.
fn looked_at(
    found: impl Iterator<Item = SocketAddr>,
    pins: &[Network],
    allow_private: bool,
) -> Result<Vec<SocketAddr>, NotSent> {
    let addresses: Vec<SocketAddr> = found.take(limits::DESTINATION_ADDRESSES_MAX + 1).collect();
    let allowed = |address: &SocketAddr| is_allowed(address.ip(), pins, allow_private);
    match addresses.len() {
        0 => Err(NotSent::Unresolved),
        count if count > limits::DESTINATION_ADDRESSES_MAX => Err(NotSent::AddressRefused),
        _ if addresses.iter().all(allowed) => Ok(addresses),
        _ => Err(NotSent::AddressRefused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(addresses: &[&str]) -> Result<usize, NotSent> {
        let found = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443));
        looked_at(found, &[], false).map(|addresses| addresses.len())
    }

    #[test]
    fn one_address_that_is_not_allowed_spoils_them_all() {
        assert_eq!(look(&["1.1.1.1", "2606:4700::1111"]), Ok(2));
        assert_eq!(look(&["1.1.1.1", "127.0.0.1"]), Err(NotSent::AddressRefused));
        assert_eq!(look(&["::ffff:10.0.0.1"]), Err(NotSent::AddressRefused));
        assert_eq!(look(&[]), Err(NotSent::Unresolved));
    }

    #[test]
    fn a_name_with_too_many_addresses_is_refused() {
        assert_eq!(look(&["1.1.1.1"; limits::DESTINATION_ADDRESSES_MAX]), Ok(limits::DESTINATION_ADDRESSES_MAX));
        assert_eq!(look(&["1.1.1.1"; limits::DESTINATION_ADDRESSES_MAX + 1]), Err(NotSent::AddressRefused));
    }
}
