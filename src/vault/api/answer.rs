//! Answers: JSON that no cache keeps, with the headers of our own.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use strongroom_wire::Kind;
use zeroize::Zeroizing;

use super::problem::Refusal;

/// What a handler gives back.
pub(super) type Answer = Result<HttpResponse, Refusal>;

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    let body =
        serde_json::to_vec(value).map_err(|_| Refusal::new(Kind::Internal, "the answer could not be written"))?;
    Ok(start(status).body(body))
}

/// JSON that is written already, in memory that wipes itself once the answer is sent.
pub(super) fn written(status: StatusCode, json: Zeroizing<Vec<u8>>, more: More) -> HttpResponse {
    let mut answer = start(status);
    if let Some(index) = more.audit_index {
        answer.insert_header((HeaderName::from_static("audit-index"), HeaderValue::from(index)));
    }
    if more.is_replay {
        answer.insert_header((HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true")));
    }
    answer.body(Bytes::from_owner(Wiped(json)))
}

/// Headers that some answers have.
#[derive(Default)]
pub(super) struct More {
    /// `Audit-Index`.
    pub(super) audit_index: Option<u64>,
    /// `Idempotent-Replayed`.
    pub(super) is_replay: bool,
}

pub(super) fn start(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CONTENT_TYPE, "application/json"));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
