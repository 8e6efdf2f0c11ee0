//! Bodies of unknown length are refused: no client of ours needs them, a limit is known before the first byte only with a
//! `Content-Length`, and the server would wait without end for the rest of one that is refused on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::{HttpMessage as _, HttpResponse};
use bytes::Bytes;
use strongroom_wire::Kind;

use super::problem::Refusal;

/// The answer to a request whose body comes in chunks.
pub(super) fn refuse(mut request: ServiceRequest, told: impl FnOnce(&Refusal) -> HttpResponse) -> ServiceResponse {
    let unread = request.take_payload();
    let refusal = Refusal::new(Kind::Malformed, "send the body in one piece, with Content-Length");
    let answer = told(&refusal).map_body(|_, body| {
        let text = body.try_into_bytes().unwrap_or_default();
        BoxBody::new(Held { size: text.len() as u64, text: Some(text), _unread: unread })
    });
    request.into_response(answer)
}

/// An answer that holds on to the body that nobody read. The server closes the connection, within its time for that, only
/// while somebody still could read the body; once nobody can, it reads on to the end, however long that takes.
struct Held {
    size: u64,
    text: Option<Bytes>,
    _unread: Payload,
}

impl MessageBody for Held {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.text.take().map(Ok))
    }
}
