//! Request bodies: JSON, of bounded size, in memory that wipes itself.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use strongroom_wire::{Kind, limits};
use zeroize::Zeroizing;

use super::problem::Refusal;

/// The bytes of a JSON body.
pub(crate) struct Body(pub(crate) Zeroizing<Vec<u8>>);

/// The same, as large as a request to forward may be.
pub(super) struct ForwardBytes(pub(super) Body);

/// The same, as large as a batch of cards may be.
pub(super) struct BatchBytes(pub(super) Body);

impl Body {
    /// The body as a type that holds no secret.
    ///
    /// # Errors
    /// [`Kind::Malformed`] says at which line and column, without repeating the text.
    pub(super) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0).map_err(|why| Refusal::new(Kind::Malformed, where_not_what(&why)))
    }

    /// The same, where an empty body stands for `{}`.
    ///
    /// # Errors
    /// As [`Body::json`].
    pub(super) fn json_or_default<'a, T: serde::Deserialize<'a> + Default>(&'a self) -> Result<T, Refusal> {
        if self.0.is_empty() { Ok(T::default()) } else { self.json() }
    }
}

/// What a JSON error may say. serde repeats values in its messages; only the names of fields and the place are safe.
fn where_not_what(why: &serde_json::Error) -> String {
    let text = why.to_string();
    let safe = ["unknown field", "missing field", "duplicate field"].iter().any(|kind| text.starts_with(kind));
    if safe && !text.bytes().any(|b| b.is_ascii_digit() && text.len() > 400) {
        let said: String = text.chars().take(200).collect();
        if said.bytes().filter(u8::is_ascii_digit).count() < 9 {
            return said;
        }
    }
    format!("the body is not the JSON it should be, at line {} column {}", why.line(), why.column())
}

impl FromRequest for Body {
    type Error = Refusal;
    type Future = Pending<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        read(request, payload, limits::BODY_BYTES_MAX)
    }
}

impl FromRequest for ForwardBytes {
    type Error = Refusal;
    type Future = Pending<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, limits::FORWARD_BYTES_MAX);
        Box::pin(async { body.await.map(Self) })
    }
}

impl FromRequest for BatchBytes {
    type Error = Refusal;
    type Future = Pending<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, limits::BATCH_BYTES_MAX);
        Box::pin(async { body.await.map(Self) })
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>>>>;

fn read(request: &HttpRequest, payload: &mut Payload, most: usize) -> Pending<Body> {
    let declared = match check_headers(request, most) {
        Ok(declared) => declared,
        Err(refusal) => return Box::pin(async { Err(refusal) }),
    };
    let payload = payload.take();
    Box::pin(async move {
        // The server limits the time of a head alone; without a limit here a client that sends one byte and waits
        // would hold a connection and a buffer for as long as it likes.
        let within = Duration::from_secs(limits::BODY_TTL_S);
        let bytes = tokio::time::timeout(within, collect(payload, declared, most)).await;
        bytes.unwrap_or_else(|_| Err(too_slow())).map(Body)
    })
}

async fn collect<E>(
    mut payload: impl Stream<Item = Result<Bytes, E>> + Unpin,
    declared: Option<usize>,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // Room for all of it at once: a vector that grows leaves its old bytes behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(declared.unwrap_or(most)));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(Kind::Malformed, "the body broke off"))?;
        if bytes.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn check_headers(request: &HttpRequest, most: usize) -> Result<Option<usize>, Refusal> {
    let headers = request.headers();
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    if declared == Some(0) {
        return Ok(declared);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_bodyless = kind.is_empty() && declared.is_none();
    if essence.eq_ignore_ascii_case("application/json") || is_bodyless {
        Ok(declared)
    } else {
        Err(Refusal::new(Kind::UnsupportedMedia, "send the body as Content-Type: application/json"))
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(Kind::TooLarge, format!("a request body has at most {most} bytes here"))
}

fn too_slow() -> Refusal {
    Refusal::new(Kind::Malformed, format!("a request body is sent within {} seconds", limits::BODY_TTL_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds stand for seconds.
    #[actix_web::test]
    async fn a_body_that_never_ends_is_given_up() {
        let begun = futures_util::stream::iter([Ok::<_, ()>(Bytes::from_static(b"{"))]);
        let never = begun.chain(futures_util::stream::pending());
        let within = Duration::from_millis(limits::BODY_TTL_S);
        assert!(tokio::time::timeout(within, collect(never, Some(2), limits::BODY_BYTES_MAX)).await.is_err());
        assert!(too_slow().problem().detail.contains(&limits::BODY_TTL_S.to_string()));
    }

    #[actix_web::test]
    async fn a_body_over_the_limit_is_refused_whatever_it_declared() {
        let chunk = |bytes: usize| Ok::<_, ()>(Bytes::from(vec![b' '; bytes]));
        for most in [limits::BODY_BYTES_MAX, limits::FORWARD_BYTES_MAX, limits::BATCH_BYTES_MAX] {
            for (chunks, fits) in [([most - 1, 1], true), ([most, 1], false)] {
                let sent = futures_util::stream::iter(chunks.map(chunk));
                let taken = collect(sent, None, most).await;
                assert_eq!(taken.is_ok(), fits);
            }
        }
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only the refusal is looked at")]
        struct One {
            a: u8,
        }
        for text in [r#"{"a":"4242424242424242"}"#, r#"{"4242424242424242":1}"#, r#"{"a":4242424242424242}"#] {
            let refusal = Body(Zeroizing::new(text.as_bytes().to_vec())).json::<One>().unwrap_err();
            assert!(!refusal.problem().detail.contains("4242"), "{}", refusal.problem().detail);
        }
        let unknown = Body(Zeroizing::new(br#"{"a":1,"b":2}"#.to_vec())).json::<One>().unwrap_err();
        assert!(unknown.problem().detail.contains("unknown field `b`"));
    }
}
