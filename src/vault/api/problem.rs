//! The one place where what went wrong becomes a problem document (RFC 9457).

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use strongroom_wire::entry::Reason;
use strongroom_wire::{BadId, Kind, Problem, RequestId, problem};

use crate::card::{BodyError, Sealable};
use crate::flow::{FlowError, StoreFault};
use crate::policy::Quota;

/// An error answer.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    problem: Problem,
    retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal of a kind, with what to do about it.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts { problem: kind.problem(detail), retry_after_s: None }))
    }

    /// With the field at fault.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.0.problem.field = Some(field.to_owned());
        self
    }

    /// With the time after which asking again makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The answer to a request, which the document names.
    pub(super) fn answer_to(&self, request: RequestId) -> HttpResponse {
        self.written(Some(request))
    }

    fn written(&self, request: Option<RequestId>) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.insert_header((header::CONTENT_TYPE, problem::CONTENT_TYPE));
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.0.retry_after_s {
            answer.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if self.0.problem.status == StatusCode::UNAUTHORIZED.as_u16() {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let document = Problem { request_id: request.map(|id| id.to_string()), ..self.0.problem.clone() };
        // A document of strings and numbers always serializes.
        answer.body(serde_json::to_vec(&document).unwrap_or_default())
    }

    /// After how many seconds asking again makes sense.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// The document.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.problem.title)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.written(None)
    }
}

impl From<BadId> for Refusal {
    fn from(bad: BadId) -> Self {
        Refusal::new(Kind::InvalidField, bad.to_string())
    }
}

impl From<BodyError> for Refusal {
    fn from(bad: BodyError) -> Self {
        let refusal = Refusal::new(bad.kind, bad.why);
        match bad.field {
            Some(field) => refusal.at(field),
            None => refusal,
        }
    }
}

impl From<FlowError> for Refusal {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Denied(reason) => denied(reason),
            FlowError::Quota { quota, retry_after_s } => {
                let (kind, detail) = match quota {
                    Quota::RequestsPerSecond => (Kind::RateLimited, "this identity's requests_per_second are used up"),
                    Quota::RevealsPerMinute => (Kind::QuotaExceeded, "this identity's reveals_per_minute are used up"),
                    Quota::RevealsPerDay => (
                        Kind::QuotaExceeded,
                        "this identity's reveals_per_day are used up; the security team can raise them in the policy",
                    ),
                    Quota::SessionCards => (Kind::QuotaExceeded, "this client session stored as many cards as it may"),
                    Quota::Unknown => (
                        Kind::Unavailable,
                        "this node has not heard for a moment what the other nodes use of the quotas; ask another node, or again",
                    ),
                };
                Refusal::new(kind, detail).retry_after(retry_after_s)
            }
            FlowError::Sealed => {
                Refusal::new(Kind::Sealed, "the security team unseals it with `vaultctl unseal`").retry_after(30)
            }
            FlowError::Behind => Refusal::new(
                Kind::Unavailable,
                "this node has not reached the store for too long and uses no key until it does; ask another node, or again",
            )
            .retry_after(1),
            FlowError::Elsewhere(node) => {
                Refusal::new(Kind::Conflict, format!("node {node} does this now; ask that node, or again when it is done"))
            }
            FlowError::Unaware(node) => Refusal::new(
                Kind::Unavailable,
                format!("node {node} has not taken the change over yet; ask again, and look at that node if it goes on"),
            )
            .retry_after(2),
            FlowError::NotRecorded(why) => Refusal::new(Kind::NotRecorded, why.to_string()).retry_after(1),
            FlowError::Store(fault) => store(fault),
            FlowError::NotFound => Refusal::new(
                Kind::NotFound,
                "there is no such record for this tenant; it may have been deleted or expired",
            ),
            FlowError::Field { field, why } => Refusal::new(Kind::InvalidField, why).at(field),
            FlowError::Body(bad) => bad.into(),
            FlowError::CvcGone => Refusal::new(
                Kind::CvcGone,
                "the cvc_token was used, has expired or belongs to another card; ask the customer for the CVC again",
            )
            .at("cvc_token"),
            FlowError::IntakeKeyGone(what) => Refusal::new(
                Kind::IntakeKeyGone,
                "the intake key was exchanged; fetch GET /v1/intake-key again and seal anew",
            )
            .at(what.key_field()),
            FlowError::SealedTwice(Sealable::Card) => Refusal::new(
                Kind::SealedTwice,
                "each sealing is accepted once; seal the card anew, or repeat a request with its own Idempotency-Key",
            )
            .at(Sealable::Card.field()),
            FlowError::SealedTwice(Sealable::Cvc) => {
                Refusal::new(Kind::SealedTwice, "each sealing is accepted once; seal the CVC anew")
                    .at(Sealable::Cvc.field())
            }
            FlowError::OtherRequest => Refusal::new(
                Kind::IdempotencyConflict,
                "this Idempotency-Key was used with another request; use a new key for a new request",
            ),
            FlowError::Crowded => {
                Refusal::new(Kind::RateLimited, "too many requests are being forwarded; this one did nothing, ask again")
                    .retry_after(1)
            }
            FlowError::Running => Refusal::new(
                Kind::IdempotencyConflict,
                "a request with this idempotency key still runs; this one did nothing, ask again for the answer of that one",
            )
            .retry_after(1),
            FlowError::Conflict(why) => Refusal::new(Kind::Conflict, why),
            FlowError::Tampered => Refusal::new(
                Kind::Tampered,
                "the record was not released; tell the security team, who finds it in the audit log",
            ),
            FlowError::Unacknowledged => Refusal::new(
                Kind::Unacknowledged,
                "a custodian acknowledges their duty before their first share is taken: `vaultctl custodian acknowledge`, or \
                 vaultctl unseal with --acknowledge",
            ),
            FlowError::Share(why) => Refusal::new(Kind::ShareRefused, why.to_string()),
            FlowError::Root(why) => Refusal::new(Kind::Unavailable, why.to_string()).retry_after(10),
            FlowError::Move { why, may_pass: true } => Refusal::new(Kind::Unavailable, why).retry_after(5),
            FlowError::Move { why, may_pass: false } => Refusal::new(Kind::Conflict, why),
            FlowError::Backup(why) => Refusal::new(Kind::Unavailable, why),
            FlowError::KeyExpired => Refusal::new(
                Kind::KeyExpired,
                "nothing new is sealed under it; the security team rotates it with `vaultctl keys rotate`",
            )
            .retry_after(30),
            FlowError::Crypto(why) => Refusal::new(Kind::Unavailable, why).retry_after(30),
        }
    }
}

fn store(fault: StoreFault) -> Refusal {
    match fault {
        StoreFault::Busy => Refusal::new(Kind::RateLimited, "too many writes are waiting; ask again").retry_after(1),
        StoreFault::Gone => {
            Refusal::new(Kind::Unavailable, "the store cannot be read or written now; asking again is safe")
                .retry_after(2)
        }
        StoreFault::Held => Refusal::new(
            Kind::Unavailable,
            "the store moves into another database and nothing is written for a moment; nothing was changed, ask again",
        )
        .retry_after(1),
        StoreFault::Moved => Refusal::new(
            Kind::Unavailable,
            "the store was moved into a PostgreSQL database; the operator starts vaultd anew with [store] postgres",
        )
        .retry_after(10),
        StoreFault::Damaged => {
            Refusal::new(Kind::Tampered, "the store is damaged; the operator restores it from a backup")
        }
        StoreFault::NoTenant => Refusal::new(
            Kind::NotFound,
            "the tenant is not registered; register it with `vaultctl tenants add` or POST /v1/tenants",
        ),
        StoreFault::Full => Refusal::new(Kind::Conflict, "the vault has as many records of this kind as it may have"),
        StoreFault::Internal => Refusal::new(Kind::Internal, "see the vault's log with this request's id"),
    }
}

fn denied(reason: Reason) -> Refusal {
    match reason {
        Reason::UnknownIdentity => {
            Refusal::new(Kind::Denied, "the policy has no such identity; add its URI to the policy file")
        }
        Reason::Scope => Refusal::new(Kind::Denied, "the policy gives this identity no scope for this"),
        Reason::Tenant => Refusal::new(
            Kind::Denied,
            "the policy does not let this identity act for this tenant; where it may for several, Strongroom-Tenant says which",
        ),
        Reason::Credentials => Refusal::new(Kind::SessionInvalid, "the client session is not valid for this"),
        Reason::Destination => {
            Refusal::new(Kind::Denied, "the policy does not let this identity send cards to this destination")
                .at("destination")
        }
        Reason::SamePerson => Refusal::new(Kind::Denied, "a second person is needed for this"),
        Reason::Quota | Reason::Share | Reason::Sealed | Reason::Behind | Reason::None => {
            Refusal::new(Kind::Denied, "policy refuses this")
        }
    }
}
