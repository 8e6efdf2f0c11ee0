//! Sending: the filled body goes out once, and one answer of bounded size comes back in bounded time.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::{Error, Response};
use strongroom_wire::forward::InDoubt;
use strongroom_wire::limits;
use tokio::time::timeout_at;
use zeroize::Zeroizing;

use super::connect::Connection;
use super::header::incoming;

/// A destination's answer before it is scrubbed.
pub struct Received {
    /// The HTTP status.
    pub status: u16,
    /// Those headers that may be passed on, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, whatever it is.
    pub body: Zeroizing<Vec<u8>>,
}

impl Connection<'_> {
    /// Sends the body and waits for the whole answer. The connection ends with it.
    ///
    /// # Errors
    /// [`InDoubt`]: from here on nobody can say that nothing arrived.
    pub async fn send(self, body: Zeroizing<Vec<u8>>) -> Result<Received, InDoubt> {
        let Connection { prepared, mut sender, deadline, driver } = self;
        let request = prepared.into_request(Wiped(body)).ok_or(InDoubt::ConnectionLost)?;
        let answered = timeout_at(deadline.into(), async {
            let response = sender.send_request(request).await.map_err(doubt)?;
            read(response).await
        });
        let received = answered.await.unwrap_or(Err(InDoubt::TimedOut));
        drop(driver);
        received
    }
}

async fn read(response: Response<Incoming>) -> Result<Received, InDoubt> {
    let (head, mut body) = response.into_parts();
    let is_plain = head.headers.get_all(CONTENT_ENCODING).iter().all(|encoding| encoding == "identity");
    let head_bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if !is_plain || head_bytes > limits::FORWARD_ANSWER_HEAD_BYTES_MAX {
        return Err(InDoubt::Unreadable);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FIRST_BYTES));
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(doubt)?.into_data() else { continue };
        if bytes.len() + chunk.len() > limits::FORWARD_ANSWER_BYTES_MAX {
            return Err(InDoubt::Unreadable);
        }
        if bytes.capacity() < bytes.len() + chunk.len() {
            // Moved once, to all the room that there may be, so that no half of an answer is left behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(limits::FORWARD_ANSWER_BYTES_MAX));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Received { status: head.status.as_u16(), headers: incoming(&head.headers), body: bytes })
}

fn doubt(error: Error) -> InDoubt {
    if error.is_parse() {
        InDoubt::Unreadable
    } else if error.is_timeout() {
        InDoubt::TimedOut
    } else {
        InDoubt::ConnectionLost
    }
}

/// Bytes of a body that wipe themselves.
pub(super) struct Wiped(pub(super) Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

const FIRST_BYTES: usize = 8 * 1024;
