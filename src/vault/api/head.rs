//! Around every request: its id, its metrics, and a head that does not hold on to the connection's buffer.
//!
//! actix-http keeps up to 128 used request heads for reuse. A head's URI and header values are slices of the
//! connection's read buffer, in which card numbers stand as text; kept, they would keep the buffer, long after the
//! connection is closed and the allocator could have wiped it. So each head is given copies of the few headers that are
//! used here, before anything else happens. actix-web keeps used requests in the same way, with the head inside: so the
//! copies, among them the secret of a client session, are taken out when the request is answered. A head that could not
//! be parsed to its end never comes here; those are emptied when their connection ends.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_http::{ConnectionType, Request};
use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Url};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use strongroom_gate::{Pace, hold};
use strongroom_wire::RequestId;

use super::admission::{is_free, shed};
use super::chunked;
use super::problem::Refusal;
use super::state::State;
use crate::telemetry::metrics::ListenerLabel;

/// The pattern of the route that answers, for metrics; put into each resource's `app_data`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteLabel(pub(crate) &'static str);

/// Runs one request; see the module's text.
pub(super) fn around<S>(
    mut request: ServiceRequest,
    inner: &S,
    listener: ListenerLabel,
    state: Arc<State>,
) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    let began = Instant::now();
    let working = request.conn_data::<Rc<Pace>>().map(|pace| pace.begin(Pace::body_of(request.headers())));
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let carries_card = !matches!(*request.method(), Method::OPTIONS | Method::GET);
    let closes = listener == ListenerLabel::Intake && carries_card;
    detach(&mut request);
    let id = RequestId::fresh();
    request.extensions_mut().insert(id);
    let is_free = is_free(&request);
    let inside = if is_free { None } else { state.gates.of(listener).enter() };
    let called = if inside.is_none() && !is_free {
        Called::TurnedAway(request)
    } else if is_chunked {
        Called::InChunks(request)
    } else {
        Called::Runs(inner.call(request))
    };
    async move {
        let answer = match called {
            Called::Runs(answer) => answer.await?,
            Called::InChunks(request) => chunked::refuse(request, |refusal| state.told(listener, refusal, id)),
            Called::TurnedAway(request) => {
                shed(request, !closes && !is_chunked, |refusal| state.told(listener, refusal, id)).await
            }
        };
        let mut answer = finish(answer, id, listener, began, &state);
        if closes || state.is_leaving() {
            // A browser sends one card. Its connection's buffers hold the number until it is closed, so it is closed now,
            // also after a refusal. And whoever leaves has its clients find another.
            answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(hold(answer, (working, inside)))
    }
}

/// What becomes of a request.
enum Called<F> {
    Runs(F),
    InChunks(ServiceRequest),
    TurnedAway(ServiceRequest),
}

fn finish(
    mut answer: ServiceResponse,
    id: RequestId,
    listener: ListenerLabel,
    began: Instant,
    state: &State,
) -> ServiceResponse {
    if let Some(refusal) = answer.response().error().and_then(Error::as_error::<Refusal>) {
        let named = state.told(listener, refusal, id);
        answer = answer.into_response(named);
    }
    let label = answer.request().app_data::<RouteLabel>().map_or("unmatched", |route| route.0);
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        answer.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value);
    }
    state.vault.metrics.answered(listener, label, answer.status().as_u16(), began.elapsed());
    let (request, response) = answer.into_parts();
    let mut request = ServiceRequest::from_request(request);
    empty(&mut request);
    request.into_response(response)
}

/// Nobody holds the request any more when it is answered: a handler has ended, and no flow is given one.
fn empty(request: &mut ServiceRequest) {
    request.match_info_mut().set(Url::new(Uri::default()));
    let head = request.head_mut();
    head.uri = Uri::default();
    head.headers.clear();
}

fn detach(request: &mut ServiceRequest) {
    // A URI that was parsed once parses again; should it not, an empty path finds no route.
    let uri: Uri = request.uri().to_string().parse().unwrap_or_default();
    request.match_info_mut().set(Url::new(uri.clone()));
    let head = request.head_mut();
    head.uri = uri;
    let mut kept = HeaderMap::with_capacity(KEPT.len());
    for name in &KEPT {
        for value in head.headers.get_all(name) {
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                kept.append(name.clone(), copy);
            }
        }
    }
    head.headers = kept;
}

/// Empties every head that this thread keeps for reuse.
pub(super) fn forget_kept_heads() {
    // A head that is taken comes without headers; its URI stays until the next request is parsed into it. All are held
    // until the last one is out, because the one that was put back last is taken first.
    let taken: Vec<_> = std::iter::repeat_with(Request::new).take(HEADS_KEPT).map(without_uri).collect();
    drop(taken);
}

fn without_uri(mut request: Request) -> Request {
    request.head_mut().uri = Uri::default();
    request
}

/// As many as actix-http keeps on a thread.
const HEADS_KEPT: usize = 128;

const REQUEST_ID: &str = "x-request-id";

const KEPT: [HeaderName; 10] = [
    header::ACCEPT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::ORIGIN,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("strongroom-tenant"),
    HeaderName::from_static("x-tenant-id"),
];

#[cfg(test)]
mod tests {
    use strongroom_wire::header as ours;

    use super::*;

    #[test]
    fn the_headers_of_our_own_that_are_kept_are_the_ones_that_are_used() {
        for name in [ours::IDEMPOTENCY_KEY, ours::TENANT] {
            assert!(KEPT.iter().any(|kept| kept.as_str().eq_ignore_ascii_case(name)));
        }
        assert!(REQUEST_ID.eq_ignore_ascii_case(ours::REQUEST_ID));
    }
}
