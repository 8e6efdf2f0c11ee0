//! What the shop's server hears: every byte of every request is kept, for tests that look for card numbers in it and for the
//! panel that shows it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage as _};
use serde_json::{Value, json};

use crate::harness::{Fault, Result};

/// What was heard so far.
#[derive(Default)]
pub(super) struct Ears {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    is_cut: bool,
    lately: VecDeque<Value>,
}

/// A request's body, for its handler: the ears have taken it off the wire.
pub(super) struct Sent(pub(super) Bytes);

/// Keeps a request, then lets it through.
pub(super) async fn listen(
    ears: Data<Ears>,
    body: Bytes,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, Error> {
    ears.keep(&request, &body);
    request.extensions_mut().insert(Sent(body));
    next.call(request).await
}

impl Ears {
    fn keep(&self, request: &ServiceRequest, body: &Bytes) {
        let mut heard = self.lock();
        let line = format!("{} {}", request.method(), request.uri());
        heard.bytes.extend_from_slice(line.as_bytes());
        for (name, value) in request.headers() {
            heard.bytes.extend_from_slice(format!("\n{name}: ").as_bytes());
            heard.bytes.extend_from_slice(value.as_bytes());
        }
        heard.bytes.extend_from_slice(b"\n\n");
        heard.bytes.extend_from_slice(body);
        heard.bytes.push(b'\n');
        if heard.bytes.len() > HEARD_BYTES_MAX {
            heard.bytes.drain(..HEARD_BYTES_MAX / 2);
            heard.is_cut = true;
        }
        if !request.path().starts_with("/api/") || request.path() == "/api/panel" {
            return;
        }
        let said = String::from_utf8_lossy(body).chars().take(SHOWN_CHARS_MAX).collect::<String>();
        heard.lately.push_back(json!({ "at": now_ms(), "line": line, "body": said }));
        if heard.lately.len() > LATELY_MAX {
            heard.lately.pop_front();
        }
    }

    /// The newest requests that pages made by script, oldest first: `at` (milliseconds), `line`, `body`.
    pub(super) fn lately(&self) -> Vec<Value> {
        self.lock().lately.iter().cloned().collect()
    }

    /// Every byte since the shop opened.
    ///
    /// # Errors
    /// When there was more than is kept, so that a search would prove nothing.
    pub(super) fn everything(&self) -> Result<Vec<u8>> {
        let heard = self.lock();
        if heard.is_cut {
            return Err(Fault::new("the shop heard more than it keeps"));
        }
        Ok(heard.bytes.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const HEARD_BYTES_MAX: usize = 64 * 1024 * 1024;
const SHOWN_CHARS_MAX: usize = 300;
const LATELY_MAX: usize = 20;
