//! Bodies of requests and answers at the door: a body has to come in its time, an answer that comes in pieces keeps its request at work until the last one,
//! and the small body of a request that is turned away is read away, so that its connection can stay open.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::Sleep;

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

/// Gives a request's body so long to come whole; after that whoever reads it meets an error.
pub fn hurry(request: &mut ServiceRequest, within: Duration) {
    let body = request.take_payload();
    if matches!(body, Payload::None) {
        return;
    }
    let timer = Box::pin(tokio::time::sleep(within));
    request.set_payload(Payload::Stream { payload: Box::pin(Hurried { body, timer }) });
}

struct Hurried {
    body: Payload,
    timer: Pin<Box<Sleep>>,
}

impl Stream for Hurried {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut self.body).poll_next(cx);
        if piece.is_pending() && self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into()))));
        }
        piece
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;

    #[actix_web::test]
    async fn a_body_that_does_not_end_in_its_time_meets_an_error() {
        let mut request = TestRequest::post().to_srv_request();
        let begun = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
        request.set_payload(Payload::Stream { payload: Box::pin(begun) });
        hurry(&mut request, Duration::from_millis(20));
        let mut body = request.take_payload();
        assert_eq!(body.next().await.unwrap().unwrap(), "{");
        assert!(body.next().await.unwrap().is_err());
    }

    #[actix_web::test]
    async fn a_body_that_is_read_away_is_read_to_its_bound() {
        let pieces = stream::iter((0..100).map(|_| Ok(Bytes::from_static(&[0; 10]))));
        let left = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = std::rc::Rc::clone(&left);
        let counted = pieces.inspect(move |_| seen.set(seen.get() + 1));
        drain(Payload::Stream { payload: Box::pin(counted) }, 50).await;
        assert_eq!(left.get(), 6, "it is given up with the first piece beyond the bound");
    }

    #[test]
    fn an_answer_of_unknown_length_holds_its_request_and_another_does_not() {
        let answer = |body: BoxBody| {
            let request = TestRequest::get().to_http_request();
            ServiceResponse::new(request, actix_web::HttpResponse::Ok().body(body))
        };
        let held = std::rc::Rc::new(());
        let whole = hold(answer(BoxBody::new("whole")), std::rc::Rc::clone(&held));
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
        let pieces = actix_web::body::BodyStream::new(stream::pending::<Result<Bytes, actix_web::Error>>());
        let piecewise = hold(answer(BoxBody::new(pieces)), std::rc::Rc::clone(&held));
        assert_eq!(std::rc::Rc::strong_count(&held), 2);
        drop((whole, piecewise));
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
    }
}
