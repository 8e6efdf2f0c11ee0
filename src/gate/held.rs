//! Bodies of requests and answers at the door: an answer that comes in pieces keeps its request at work until the last one,
//! and the small body of a request that is turned away is read away, so that its connection can stay open.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceResponse};
use bytes::Bytes;
use futures_util::StreamExt as _;

/// Keeps `while_sent` until an answer of unknown length is sent; an answer of known length is as good as sent.
pub fn hold(answer: ServiceResponse, while_sent: impl Sized + Unpin + 'static) -> ServiceResponse {
    if answer.response().body().size() != BodySize::Stream {
        return answer;
    }
    answer.map_body(|_, body| BoxBody::new(Held { body, _while_sent: while_sent }))
}

struct Held<B, W> {
    body: B,
    _while_sent: W,
}

impl<B: MessageBody + Unpin, W: Unpin> MessageBody for Held<B, W> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Reads a body of at most `bytes_max` away if it comes at once. What is left of it costs the client its connection.
pub async fn drain(mut body: Payload, bytes_max: usize) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(piece)) = body.next().await {
            read += piece.len();
            if read > bytes_max {
                return;
            }
        }
    };
    // Whoever takes longer is told all the same.
    let _ = tokio::time::timeout(AT_ONCE, reading).await;
}

const AT_ONCE: Duration = Duration::from_secs(1);
