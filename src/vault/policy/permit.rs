//! `Permit<A>`: proof that policy allowed act `A`; `Denied`: proof that it did not, for the audit log.

use std::marker::PhantomData;
use std::net::IpAddr;

use strongroom_wire::entry::{Act, OwnAct, Reason, Subject};
use strongroom_wire::forward::DestinationName;
use strongroom_wire::{RequestId, Scope, TenantId, Token};

use super::{Action, Fresh, Identity, Note, Principal};

/// What is known of a request before policy decides.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub who: Principal,
    /// The tenant that the request names, where it names one.
    pub tenant: Option<TenantId>,
    /// The request's id.
    pub request_id: RequestId,
    /// The address that it comes from.
    pub origin: Option<IpAddr>,
    /// Where a card is to go, where the vault itself sends it.
    pub destination: Option<DestinationName>,
    /// What for.
    pub note: Note,
}

/// Policy allowed `A` to this principal, for this tenant and subject, once. Only [`super::Policy::decide`] makes one; it
/// has no `Clone`, `Default` or `Deserialize`, and recording it consumes it.
#[must_use = "a Permit allows nothing until it is recorded"]
pub struct Permit<A: Action> {
    trace: Trace,
    note: Note,
    at_ms: u64,
    action: PhantomData<fn() -> A>,
}

/// Who asked for what: what a later entry about the same request (a refusal, a failure) needs. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What.
    pub act: Act,
    /// Who.
    pub who: Principal,
    /// For which tenant.
    pub tenant: Option<TenantId>,
    /// On which record.
    pub subject: Subject,
    /// In which request.
    pub request_id: RequestId,
    /// From which address.
    pub origin: Option<IpAddr>,
}

/// Policy, or the state of the vault, did not allow it. Record it with `AuditLog::record_refusal`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused by policy")]
#[must_use = "a refusal is an audit entry too"]
pub struct Denied(Box<Refusal>);

/// What a [`Denied`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who asked for what.
    pub trace: Trace,
    /// Why not.
    pub reason: Reason,
    /// More about it, log-safe.
    pub note: Note,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// Where a quota is used up: which, and when asking again makes sense.
    pub spent: Option<Spent>,
}

/// A quota that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub quota: Quota,
    /// Whole seconds, at least 1, after which asking again may succeed.
    pub retry_after_s: u64,
}

/// The quotas that policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// `requests_per_second` of an identity.
    RequestsPerSecond,
    /// `reveals_per_minute` of an identity.
    RevealsPerMinute,
    /// `reveals_per_day` of an identity.
    RevealsPerDay,
    /// Cards of one client session.
    SessionCards,
    /// None is used up: this node does not know what the others have used lately, and allows nothing that counts until it
    /// does.
    Unknown,
}

impl<A: Action> Permit<A> {
    /// Only `Policy::decide` may call it; the module boundary is the lock.
    pub(super) fn new(trace: Trace, note: Note, at_ms: u64) -> Self {
        Self { trace, note, at_ms, action: PhantomData }
    }

    /// For which tenant; none for acts on the vault as a whole.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.trace.tenant.as_ref()
    }

    /// Who.
    #[must_use]
    pub fn who(&self) -> &Principal {
        &self.trace.who
    }

    /// On which record.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.trace.subject
    }

    /// In which request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.trace.request_id
    }

    /// When policy decided, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// What a later entry about the same request needs.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.clone()
    }

    /// With more in its note, such as the term of a new key.
    pub fn noting(mut self, note: Note) -> Self {
        self.note = self.note.joined(&note);
        self
    }

    /// Gives the Permit up: the state of the vault (sealed, a wrong share, the same person twice) does not allow what
    /// policy did.
    pub fn refuse(self, reason: Reason) -> Denied {
        Denied::new(self.trace, reason, self.note, self.at_ms, None)
    }

    /// What the audit room writes down before it makes a Warrant.
    pub(crate) fn into_parts(self) -> (Trace, Note, u64) {
        (self.trace, self.note, self.at_ms)
    }
}

impl<A: Action<Subject = Fresh>> Permit<A> {
    /// Names the card that the act turned out to be about: the new token, or the one that the same card has already.
    pub fn about(mut self, token: Token) -> Self {
        self.trace.subject = Subject::Card(token);
        self
    }
}

impl Denied {
    pub(super) fn new(trace: Trace, reason: Reason, note: Note, at_ms: u64, spent: Option<Spent>) -> Self {
        Self(Box::new(Refusal { trace, reason, note, at_ms, spent }))
    }

    /// A client that never got an identity: no certificate for the listener, no session, or a bad one.
    pub fn unidentified(request_id: RequestId, origin: Option<IpAddr>, note: Note, at_ms: u64) -> Self {
        let act = Act::Own(OwnAct::Unidentified);
        let trace = Trace { act, who: Principal::Vault, tenant: None, subject: Subject::None, request_id, origin };
        Self::new(trace, Reason::Credentials, note, at_ms, None)
    }

    /// A client under the name of an identity that is pinned to another key.
    pub fn other_key(identity: Identity, request_id: RequestId, origin: Option<IpAddr>, at_ms: u64) -> Self {
        let (act, who) = (Act::Own(OwnAct::Unidentified), Principal::Identity(identity));
        let trace = Trace { act, who, tenant: None, subject: Subject::None, request_id, origin };
        Self::new(trace, Reason::Credentials, Note::words("not the pinned key"), at_ms, None)
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The scope that was asked for; none if the client never got so far.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        match self.0.trace.act {
            Act::Asked(scope) => Some(scope),
            Act::Own(_) => None,
        }
    }

    /// The quota that is used up, where that is the reason.
    #[must_use]
    pub fn spent(&self) -> Option<Spent> {
        self.0.spent
    }

    /// All of it.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }

    pub(crate) fn into_refusal(self) -> Refusal {
        *self.0
    }
}
