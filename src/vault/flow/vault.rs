//! The rooms together, and the two steps that every story begins with: ask policy, then have it recorded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use strongroom_wire::entry::Reason;
use strongroom_wire::forward::DestinationName;
use strongroom_wire::{NodeName, RequestId, Scope, SecretId, TenantId, Token};

use super::backup::Backups;
use super::migrate::Moves;
use super::nodes::Nodes;
use super::policy_change::PolicySource;
use super::root::RootSource;
use super::rotate::Rotations;
use super::{FlowError, StoreFault, acts, epochs, export, idempotency, kek, quotas, retention, rounds};
use crate::audit::{AuditLog, Warrant};
use crate::barrier::Barrier;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::policy::{Action, Bulk, Forward, Note, OpenFields, Permit, Policy, Principal, Request, Seal, Tokenize};
use crate::store::{Store, TokenMint};
use crate::telemetry::Metrics;

/// Everything a story needs.
pub struct Vault {
    /// Who may do what.
    pub policy: Policy,
    /// Where its rules come from.
    pub policy_source: PolicySource,
    /// What was done.
    pub audit: AuditLog,
    /// Keys and cards.
    pub barrier: Barrier,
    /// Ciphertext.
    pub store: Arc<dyn Store>,
    /// Destinations.
    pub egress: Egress,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
    /// Makes tokens.
    pub mint: TokenMint,
    /// Where the Root comes from.
    pub root: RootSource,
    /// Rotations that run.
    pub rotations: Rotations,
    /// Backups: where they go, and whether one runs.
    pub backups: Backups,
    /// The move of the store into another database.
    pub moves: Moves,
    /// What an operator should know now.
    pub warnings: Vec<String>,
    /// When the process started, milliseconds since 1970.
    pub started_ms: u64,
    /// Its name among several nodes; none for a vault that is one process.
    pub node: Option<NodeName>,
    pub(super) post: epochs::Post,
    pub(super) uses: quotas::Uses,
    /// This process among several.
    pub nodes: Nodes,
    pub(super) acts: acts::Acts,
    pub(super) exports: export::Exports,
    pub(super) retention: retention::Due,
    pub(super) wraps: kek::WrapCount,
    pub(super) turns: idempotency::Turns,
    pub(super) rounds: rounds::Rounds,
    /// While set no checkpoint is signed: one Sign key hands over to the next.
    pub(super) signing_paused: AtomicBool,
}

/// Who asks, as the API found it out.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Who.
    pub who: Principal,
    /// The tenant that the request names.
    pub tenant: Option<TenantId>,
    /// The request's id.
    pub request: RequestId,
    /// From where.
    pub origin: Option<IpAddr>,
    /// SHA-256 of the public key of the client certificate, where there is one.
    pub key: Option<[u8; 32]>,
}

impl Vault {
    /// Puts the rooms together.
    pub fn new(
        (policy, audit, barrier, store): (Policy, AuditLog, Barrier, Arc<dyn Store>),
        policy_source: PolicySource,
        egress: Egress,
        clock: Arc<dyn Clock>,
        root: RootSource,
        warnings: Vec<String>,
    ) -> Self {
        let started_ms = clock.now_ms();
        Self {
            policy,
            policy_source,
            audit,
            barrier,
            store,
            egress,
            clock,
            metrics: Metrics::new(),
            mint: TokenMint::new(),
            root,
            rotations: Rotations::default(),
            backups: Backups::default(),
            moves: Moves::default(),
            warnings,
            started_ms,
            node: None,
            post: epochs::Post::default(),
            uses: quotas::Uses::default(),
            nodes: Nodes::default(),
            acts: acts::Acts::default(),
            exports: export::Exports::default(),
            retention: retention::Due::default(),
            wraps: kek::WrapCount::default(),
            turns: idempotency::Turns::default(),
            rounds: rounds::Rounds::default(),
            signing_paused: AtomicBool::new(false),
        }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Asks policy. A refusal is recorded before it is answered.
    pub(super) async fn permit<A: Action>(
        &self,
        asker: &Asker,
        subject: A::Subject,
        note: Note,
    ) -> Result<Permit<A>, FlowError> {
        self.permit_to(asker, subject, None, note).await
    }

    /// The same for an act that sends a card to a destination.
    async fn permit_to<A: Action>(
        &self,
        asker: &Asker,
        subject: A::Subject,
        destination: Option<DestinationName>,
        note: Note,
    ) -> Result<Permit<A>, FlowError> {
        let request = Self::request(asker, destination, note);
        match self.policy.decide::<A>(&request, subject, self.now_ms()) {
            Ok(permit) => Ok(permit),
            Err(denied) => {
                let refused = FlowError::denied(&denied);
                self.audit.record_refusal(denied).await?;
                Err(refused)
            }
        }
    }

    /// Asks policy for an act that needs keys: while the vault is sealed it is refused, and the refusal recorded.
    pub(super) async fn permit_unsealed<A: Action>(
        &self,
        asker: &Asker,
        subject: A::Subject,
        note: Note,
    ) -> Result<Permit<A>, FlowError> {
        // The log is no part of the store.
        if A::SCOPE != Scope::AuditRead {
            self.while_here()?;
        }
        let permit = self.permit::<A>(asker, subject, note).await?;
        self.while_unsealed(permit).await
    }

    /// Asks policy whether keys may be forgotten. Neither a fence nor a store that lies elsewhere is in the way of that; a vault
    /// alone that is sealed has none.
    pub(super) async fn permit_seal(&self, asker: &Asker) -> Result<Permit<Seal>, FlowError> {
        let permit = self.permit::<Seal>(asker, (), Note::none()).await?;
        if self.barrier.is_unsealed() || self.nodes.are_several() {
            return Ok(permit);
        }
        self.audit.record_refusal(permit.refuse(Reason::Sealed)).await?;
        Err(FlowError::Sealed)
    }

    /// Asks policy whether a card may be sent to a destination.
    pub(super) async fn permit_forward(
        &self,
        asker: &Asker,
        token: Token,
        destination: &DestinationName,
        note: Note,
    ) -> Result<Permit<Forward>, FlowError> {
        self.while_here()?;
        let permit = self.permit_to::<Forward>(asker, token, Some(destination.clone()), note).await?;
        self.while_unsealed(permit).await
    }

    /// Asks policy once whether a card's fields may be opened with a secret, and the card be stored.
    pub(super) async fn permits_fields(
        &self,
        asker: &Asker,
        key: SecretId,
        note: Note,
    ) -> Result<(Permit<OpenFields>, Permit<Tokenize>), FlowError> {
        self.while_here()?;
        match self.policy.decide_fields(&Self::request(asker, None, note), key, self.now_ms()) {
            Ok((opening, storing)) => Ok((self.while_unsealed(opening).await?, storing)),
            Err(denied) => {
                let refused = FlowError::denied(&denied);
                self.audit.record_refusal(denied).await?;
                Err(refused)
            }
        }
    }

    /// Asks policy once for an act on each of many subjects: it is one request. A Permit for each, in their order.
    pub(super) async fn permits_unsealed<A: Bulk>(
        &self,
        asker: &Asker,
        subjects: Vec<A::Subject>,
        note: Note,
    ) -> Result<Vec<Permit<A>>, FlowError> {
        self.while_here()?;
        let request = Self::request(asker, None, note);
        let permits = match self.policy.decide_all::<A>(&request, subjects, self.now_ms()) {
            Ok(permits) => permits,
            Err(denied) => {
                let refused = FlowError::denied(&denied);
                self.audit.record_refusal(denied).await?;
                return Err(refused);
            }
        };
        let Some((reason, refused)) = self.unusable() else { return Ok(permits) };
        if let Some(permit) = permits.into_iter().next() {
            self.audit.record_refusal(permit.refuse(reason)).await?;
        }
        Err(refused)
    }

    fn request(asker: &Asker, destination: Option<DestinationName>, note: Note) -> Request {
        Request {
            who: asker.who.clone(),
            tenant: asker.tenant.clone(),
            request_id: asker.request,
            origin: asker.origin,
            destination,
            note,
        }
    }

    /// Once the store lies elsewhere this process knows nothing of it any more; what it answered might not be true.
    fn while_here(&self) -> Result<(), FlowError> {
        if self.moves.is_over() { Err(FlowError::Store(StoreFault::Moved)) } else { Ok(()) }
    }

    async fn while_unsealed<A: Action>(&self, permit: Permit<A>) -> Result<Permit<A>, FlowError> {
        let Some((reason, refused)) = self.unusable() else { return Ok(permit) };
        self.audit.record_refusal(permit.refuse(reason)).await?;
        Err(refused)
    }

    /// Why no key may be used now. It is looked at again with every use.
    fn unusable(&self) -> Option<(Reason, FlowError)> {
        if !self.barrier.is_unsealed() {
            Some((Reason::Sealed, FlowError::Sealed))
        } else if self.barrier.fence().is_up() {
            Some((Reason::Behind, FlowError::Behind))
        } else {
            None
        }
    }

    /// Has a Permit recorded; the Warrant exists once the entry is durable.
    pub(super) async fn warrant<A: Action>(&self, permit: Permit<A>) -> Result<Warrant<A>, FlowError> {
        Ok(self.audit.record(permit).await?)
    }
}
