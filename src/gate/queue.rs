//! The socket of a listener, with room for clients that come all at once.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Binds and listens. Clients that connect while earlier ones are being accepted wait in the kernel, as many as it allows; with
/// the standard library's 128 places the others' first packets are dropped, and they try again a second later.
///
/// # Errors
/// What the system says: the address is taken, or is not this machine's.
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    // As the standard library does: a restart need not wait for connections of before to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(PLACES)?;
    Ok(socket.into())
}

/// Clients that wait to be accepted; the kernel's own bound (`net.core.somaxconn`) cuts it down.
const PLACES: i32 = 4_096;

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_clients_may_come_before_one_is_accepted() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = listener.local_addr().unwrap();
        let allowed: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        // Twice the standard library's places, where the kernel allows for it. A client without a place waits in vain, since
        // nobody accepts here.
        let many = 256.min(allowed);
        let waiting: Vec<_> =
            (0..many).map(|_| TcpStream::connect_timeout(&at, Duration::from_secs(60)).unwrap()).collect();
        let accepted: Vec<_> = (0..many).map(|_| listener.accept().unwrap()).collect();
        assert_eq!(waiting.len(), accepted.len());
    }
}
