//! `Prepared`: a template that fits its destination. Nothing was sent and no name resolved.

use std::collections::BTreeMap;

use hyper::Request;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use strongroom_wire::forward::{ForwardBody, ForwardMethod, ForwardRequest};

use super::Egress;
use super::fill::{encode, places};
use super::header::{is_credential, outgoing};
use super::path::is_path;
use super::plan::Destination;
use super::send::Wiped;

/// A request that needs its body and a connection.
pub struct Prepared<'a> {
    pub(super) destination: &'a Destination,
    method: ForwardMethod,
    /// Path and query.
    target: String,
    headers: HeaderMap,
}

/// Why a template does not fit. It repeats no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Misfit {
    /// The field of the request.
    pub field: &'static str,
    /// The rule.
    pub why: &'static str,
}

impl Egress {
    /// Holds a template against its destination.
    ///
    /// # Errors
    /// [`Misfit`]: there is no such destination, or it does not take this method, path, header or place of a slot.
    pub fn prepare(&self, request: &ForwardRequest) -> Result<Prepared<'_>, Misfit> {
        let misfit = |field, why| Misfit { field, why };
        let destination = self
            .destinations
            .get(&request.destination)
            .ok_or(misfit("destination", "the configuration has no destination of this name"))?;
        if !destination.methods.contains(&request.method) {
            return Err(misfit("method", "the destination does not take this method"));
        }
        if !is_path(&request.path) {
            let why = "a path is segments after slashes, percent-encoded, none of them empty or dots, without a query";
            return Err(misfit("path", why));
        }
        if !destination.paths.iter().any(|pattern| pattern.takes(&request.path)) {
            return Err(misfit("path", "the destination does not take this path"));
        }
        let body = request.body.as_ref().ok_or(misfit("body", "a request to forward has a body"))?;
        if let Some(allowed) = &destination.slots
            && !places(body).iter().all(|place| allowed.contains(place))
        {
            return Err(misfit("body", "a slot stands where the destination does not take one"));
        }
        let mut headers = outgoing(&request.headers).map_err(|why| misfit("headers", why))?;
        add_own(&mut headers, destination, request, body)?;
        Ok(Prepared { destination, method: request.method, target: target(request), headers })
    }
}

impl Prepared<'_> {
    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.destination.base_url, self.target)
    }

    /// Every header by name; the values that came from the caller are masked.
    #[must_use]
    pub fn shown_headers(&self) -> BTreeMap<String, String> {
        self.headers
            .iter()
            .map(|(name, value)| {
                let shown = if value.is_sensitive() { MASK } else { value.to_str().unwrap_or(MASK) };
                (name.as_str().to_owned(), shown.to_owned())
            })
            .collect()
    }

    /// The request with its body, as it goes over the connection.
    pub(super) fn into_request(self, body: Wiped) -> Option<Request<http_body_util::Full<bytes::Bytes>>> {
        let body = http_body_util::Full::new(bytes::Bytes::from_owner(body));
        let mut request = Request::builder().method(self.method.as_str()).uri(self.target).body(body).ok()?;
        *request.headers_mut() = self.headers;
        Some(request)
    }
}

/// What is the same again when a request is repeated under its idempotency key: all of it but the CVC, which is used up,
/// and the values of headers that are known to hold credentials, which may be rotated in between.
#[must_use]
pub fn sameness(request: &ForwardRequest) -> Option<Vec<u8>> {
    let headers: Vec<(String, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), if is_credential(name) { "" } else { value.as_str() }))
        .collect();
    let token = request.payment_method_id;
    let fixed = (&request.destination, request.method, &request.path, &request.query, &request.reference, token);
    serde_json::to_vec(&(fixed, headers, &request.body)).ok()
}

fn add_own(
    headers: &mut HeaderMap,
    destination: &Destination,
    request: &ForwardRequest,
    body: &ForwardBody,
) -> Result<(), Misfit> {
    let misfit = |why| Misfit { field: "headers", why };
    let (essence, fits): (&'static str, fn(&str) -> bool) = match body {
        ForwardBody::Json(_) => ("application/json", |given| given == "application/json" || given.ends_with("+json")),
        ForwardBody::Form(_) => {
            ("application/x-www-form-urlencoded", |given| given == "application/x-www-form-urlencoded")
        }
    };
    match headers.get(header::CONTENT_TYPE).map(|given| given.to_str().unwrap_or_default()) {
        None => drop(headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(essence))),
        Some(given) => {
            let given = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if !fits(&given) {
                return Err(misfit("Content-Type does not say what the body is; leave it out"));
            }
        }
    }
    headers.insert(header::HOST, destination.host.clone());
    // An encoded answer could not be masked, and a connection that carried a card is not used again.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!("strongroom/", env!("CARGO_PKG_VERSION"))));
    if let Some(key) = &request.idempotency_key {
        let key = HeaderValue::from_str(key)
            .map_err(|_| Misfit { field: "idempotency_key", why: "an idempotency key is printable ASCII" })?;
        headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    Ok(())
}

fn target(request: &ForwardRequest) -> String {
    let mut target = request.path.clone().into_bytes();
    for (nth, (name, value)) in request.query.iter().enumerate() {
        target.push(if nth == 0 { b'?' } else { b'&' });
        encode(&mut target, name);
        target.push(b'=');
        encode(&mut target, value);
    }
    // A path that was checked and what `encode` writes are ASCII.
    String::from_utf8(target).unwrap_or_default()
}

const MASK: &str = "***";
