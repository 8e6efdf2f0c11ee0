//! `Warrant<A>`: proof that act `A` was allowed and that its audit entry is durable.

use std::marker::PhantomData;

use strongroom_wire::entry::Subject;
use strongroom_wire::{RequestId, SecretId, TenantId, Token};

use crate::policy::{Action, Principal, Trace};

/// The entry of an allowed act `A` is on disk, so the act may happen, once. Only [`super::AuditLog::record`] makes one; it
/// has no `Clone`, `Default` or `Deserialize`, and the barrier consumes it.
#[must_use = "an allowed act was recorded and then did not happen"]
pub struct Warrant<A: Action> {
    trace: Trace,
    at_ms: u64,
    index: u64,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Warrant<A> {
    /// Only `AuditLog::record` may call it, after the entry is durable; the module boundary is the lock.
    pub(super) fn new(trace: Trace, at_ms: u64, index: u64) -> Self {
        Self { trace, at_ms, index, action: PhantomData }
    }

    /// For which tenant; none for acts on the vault as a whole.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.trace.tenant.as_ref()
    }

    /// On which card; none for a page of cards and for other acts.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        match self.trace.subject {
            Subject::Card(token) => Some(token),
            Subject::None | Subject::Secret(_) => None,
        }
    }

    /// On which secret.
    #[must_use]
    pub fn secret(&self) -> Option<SecretId> {
        match self.trace.subject {
            Subject::Secret(id) => Some(id),
            Subject::None | Subject::Card(_) => None,
        }
    }

    /// Place of the entry in the log, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Who.
    #[must_use]
    pub fn who(&self) -> &Principal {
        &self.trace.who
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

    /// What `AuditLog::record_failure` needs if the act fails after the Warrant is spent. Take it before.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.clone()
    }
}
