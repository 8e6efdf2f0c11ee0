//! A proxy in front of a stand-in of AWS KMS, for what the stand-in cannot do: delays, throttling, refusals, hanging up.
//! The tests of `keys` use this very file too, so it knows nothing but the standard library.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It is passed on.
    Pass,
    /// This many are refused for being too many, then they are passed on.
    Throttle(usize),
    /// It is refused as not allowed.
    Deny,
    /// It is refused because the key is disabled.
    Disabled,
    /// It is passed on after so many milliseconds.
    Delay(u64),
    /// The connection is closed without an answer.
    HangUp,
    /// It is answered with bytes that are no HTTP.
    Babble,
}

/// A running proxy; it ends with the process.
#[derive(Clone)]
pub struct KmsProxy {
    at: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<AtomicUsize>,
}

impl KmsProxy {
    /// Starts one in front of `upstream`.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let proxy = Self {
            at: listener.local_addr()?,
            mood: Arc::new(Mutex::new(Mood::Pass)),
            seen: Arc::new(AtomicUsize::new(0)),
        };
        let inside = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let inside = inside.clone();
                // A client that goes away in between is what some tests are about.
                std::thread::spawn(move || inside.exchange(client, upstream).unwrap_or_default());
            }
        });
        Ok(proxy)
    }

    /// Where it listens, as an endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// From now on requests fare so.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Requests that came.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    fn exchange(&self, mut client: TcpStream, upstream: SocketAddr) -> std::io::Result<()> {
        let request = read_request(&mut client)?;
        self.seen.fetch_add(1, Ordering::SeqCst);
        let mood = {
            let mut mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner);
            let now = *mood;
            match now {
                Mood::Throttle(0 | 1) => *mood = Mood::Pass,
                Mood::Throttle(left) => *mood = Mood::Throttle(left - 1),
                _ => {}
            }
            now
        };
        match mood {
            Mood::Throttle(_) => refuse(&mut client, "ThrottlingException"),
            Mood::Deny => refuse(&mut client, "AccessDeniedException"),
            Mood::Disabled => refuse(&mut client, "DisabledException"),
            Mood::HangUp => client.shutdown(Shutdown::Both),
            Mood::Babble => client.write_all(b"\x00\x01 this is not HTTP\r\n\r\n"),
            Mood::Delay(ms) => {
                std::thread::sleep(Duration::from_millis(ms));
                pass(&mut client, upstream, &request)
            }
            Mood::Pass => pass(&mut client, upstream, &request),
        }
    }
}

/// The stand-in answers one request for each connection and closes it.
fn pass(client: &mut TcpStream, upstream: SocketAddr, request: &[u8]) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)
}

fn refuse(client: &mut TcpStream, code: &str) -> std::io::Result<()> {
    let body = format!("{{\"__type\":\"{code}\",\"message\":\"as the test wants it\"}}");
    write!(
        client,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Head and body of one request, by its length.
fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= head + 4 + length.unwrap_or(0) {
                return Ok(request);
            }
        }
        let read = client.read(&mut piece)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&piece[..read]);
    }
}
