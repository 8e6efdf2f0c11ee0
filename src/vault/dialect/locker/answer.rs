//! Answers: sealed to the caller who asked, whether they bring what was asked for or say why not.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use bytes::Bytes;
use strongroom_keys::jose;
use zeroize::Zeroizing;

use super::door::{Caller, Door, Speech};
use super::fault::Fault;
use super::work::{DONE, unwritten};
use crate::api::problem::Refusal;

impl Door {
    /// The answer to a caller.
    ///
    /// # Errors
    /// A [`Refusal`] in plain if it cannot be sealed; then the caller learns that and nothing else.
    pub(super) fn answer(
        &self,
        caller: &Caller,
        done: Result<Zeroizing<Vec<u8>>, Refusal>,
    ) -> Result<HttpResponse, Refusal> {
        let (status, json, retry_after_s) = match done {
            Ok(json) => (DONE, json, None),
            Err(refusal) => {
                let fault = Fault::of(&refusal);
                (fault.status, Zeroizing::new(fault.json()), refusal.retry_after_s())
            }
        };
        let body = match &caller.speech {
            Speech::Plain => Bytes::from_owner(Wiped(json)),
            Speech::Jose { key, wrapping, .. } => {
                jose::seal(&self.own, key, *wrapping, &json).map(Bytes::from).map_err(|_| unwritten())?
            }
        };
        Ok(with_body(status, retry_after_s, body))
    }
}

/// JSON that no cache keeps.
pub(super) fn with_body(status: StatusCode, retry_after_s: Option<u64>, body: Bytes) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CONTENT_TYPE, "application/json"));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(seconds) = retry_after_s {
        answer.insert_header((header::RETRY_AFTER, seconds));
    }
    answer.body(body)
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
