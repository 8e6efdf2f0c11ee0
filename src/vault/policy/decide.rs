//! `Policy::decide`: the only place where a `Permit` is made.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use strongroom_wire::entry::{Act, Reason, Subject};
use strongroom_wire::{Scope, SecretId, TenantId};

use super::nodes::{self, Heard, Parts, Report, Whole};
use super::quota::Use;
use super::rules::Grant;
use super::session_cards::SessionCards;
use super::{
    Action, Bulk, Denied, Fresh, Identity, IntoSubject as _, OpenFields, Permit, Principal, Request, Rules,
    SessionClaims, Spent, Tokenize, Trace,
};

/// The rules that are in force and what has been used of their quotas.
#[derive(Debug)]
pub struct Policy {
    pub(super) seats: ArcSwap<HashMap<Identity, Seat>>,
    pub(super) sessions: SessionCards,
    /// What every identity has used, also of those that a reload took out of the file: taking one out and in again must
    /// not refill its quota.
    pub(super) uses: Mutex<HashMap<Identity, Arc<Use>>>,
    /// Whether quotas are shared with other nodes.
    is_shared: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) grant: Grant,
    used: Arc<Use>,
}

/// One line of the quota metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUse {
    /// Whose.
    pub identity: Identity,
    /// Releases in the last minute.
    pub minute_used: u64,
    /// Releases allowed in a minute.
    pub minute_max: u32,
    /// Releases in the last day.
    pub day_used: u64,
    /// Releases allowed in a day.
    pub day_max: u32,
}

impl Policy {
    /// A policy with these rules and unused quotas.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let policy = Self {
            seats: ArcSwap::default(),
            sessions: SessionCards::new(),
            uses: Mutex::default(),
            is_shared: AtomicBool::new(false),
        };
        policy.replace(rules, 0);
        policy
    }

    /// Puts other rules in force. Requests that were decided keep their Permit; quotas keep what was used of them.
    pub fn replace(&self, rules: Rules, now_ms: u64) {
        // The lock is held until the rules are in force, so that two reloads at once cannot leave a mixture.
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seats = HashMap::with_capacity(rules.len());
        let is_shared = self.is_shared.load(Ordering::SeqCst);
        for (identity, grant) in rules.into_grants() {
            let used = Arc::clone(uses.entry(identity.clone()).or_insert_with(|| Arc::new(Use::new(is_shared))));
            seats.insert(identity, Seat { grant, used });
        }
        uses.retain(|identity, used| seats.contains_key(identity) || used.reveals(now_ms).1 > 0);
        self.seats.store(Arc::new(seats));
    }

    /// Decides whether the request may do `A` to the subject. Default deny: an identity that is not in the rules may do
    /// nothing, a session may only tokenize for its tenant, the vault itself may only rotate keys and go on with a change
    /// of the Root or a move of the store.
    ///
    /// The tenant is the one that the request names, which must be among the identity's; or, for acts on a tenant where
    /// the request names none, the identity's only one. The vault's own keys are rotated by identities of every tenant alone,
    /// whose Permit then names none. A card goes to destinations that the identity's rule names alone.
    /// Quotas are counted here and only for what is allowed.
    ///
    /// # Errors
    /// [`Denied`] with the reason; give it to `AuditLog::record_refusal`.
    pub fn decide<A: Action>(&self, request: &Request, subject: A::Subject, now_ms: u64) -> Result<Permit<A>, Denied> {
        let subject = subject.into_subject();
        let decision = match &request.who {
            Principal::Identity(identity) => self.identity_may(identity, A::SCOPE, request, now_ms),
            // A browser has nothing to do with secrets, whatever they are used for.
            Principal::Session(_) if matches!(subject, Subject::Secret(_)) => Err(No::because(Reason::Scope)),
            Principal::Session(claims) => self.session_may(claims, A::SCOPE, request.tenant.as_ref(), now_ms),
            Principal::Vault if A::SCOPE == Scope::Rotate => Ok(request.tenant.clone()),
            Principal::Vault if A::SCOPE == Scope::RootChange && request.tenant.is_none() => Ok(None),
            Principal::Vault if A::SCOPE == Scope::Migrate && request.tenant.is_none() => Ok(None),
            Principal::Vault => Err(No::because(Reason::Scope)),
        };
        let mut trace = Trace {
            act: Act::Asked(A::SCOPE),
            who: request.who.clone(),
            tenant: request.tenant.clone(),
            subject,
            request_id: request.request_id,
            origin: request.origin,
        };
        match decision {
            Ok(tenant) => {
                trace.tenant = tenant;
                Ok(Permit::new(trace, request.note.clone(), now_ms))
            }
            Err(no) => {
                trace.tenant = trace.tenant.or(no.tenant);
                Err(Denied::new(trace, no.reason, request.note.clone(), now_ms, no.spent))
            }
        }
    }

    /// Decides about one request for an act on each of many subjects: a Permit for each, or one refusal of all. The request
    /// counts once.
    ///
    /// # Errors
    /// As [`Policy::decide`].
    pub fn decide_all<A: Bulk>(
        &self,
        request: &Request,
        subjects: Vec<A::Subject>,
        now_ms: u64,
    ) -> Result<Vec<Permit<A>>, Denied> {
        let mut subjects = subjects.into_iter();
        let Some(first) = subjects.next() else { return Ok(Vec::new()) };
        let first = self.decide::<A>(request, first, now_ms)?;
        let trace = first.trace();
        let others = subjects.map(|subject| {
            let trace = Trace { subject: subject.into_subject(), ..trace.clone() };
            Permit::new(trace, request.note.clone(), now_ms)
        });
        let others: Vec<Permit<A>> = others.collect();
        Ok(std::iter::once(first).chain(others).collect())
    }

    /// Decides about one request that opens a card's fields with a secret and stores the card: a Permit for each of the two
    /// acts, or one refusal of both. The request counts once.
    ///
    /// # Errors
    /// As [`Policy::decide`].
    pub fn decide_fields(
        &self,
        request: &Request,
        key: SecretId,
        now_ms: u64,
    ) -> Result<(Permit<OpenFields>, Permit<Tokenize>), Denied> {
        // Both have one scope, and it is none of those that release something and have a quota for it.
        let opening = self.decide::<OpenFields>(request, key, now_ms)?;
        let trace = Trace { subject: Fresh.into_subject(), ..opening.trace() };
        Ok((opening, Permit::new(trace, request.note.clone(), now_ms)))
    }

    /// Whether a certificate with this public key (SHA-256 of its SubjectPublicKeyInfo) may speak for an identity. Whoever is
    /// not in the rules is pinned to nothing, and is refused by [`Policy::decide`].
    #[must_use]
    pub fn admits(&self, who: &Identity, key: &[u8; 32]) -> bool {
        self.seats.load().get(who).is_none_or(|seat| seat.grant.admits(key))
    }

    /// Counts releases that an earlier process recorded, so that a restart does not refill the day's quota. `who` is
    /// the audit entry's text; whoever is not in the rules is passed over.
    pub fn restore(&self, who: &str, (at_ms, now_ms): (u64, u64), count: u32) {
        if let Some(seat) = self.seats.load().get(who) {
            seat.used.restore((at_ms, now_ms), count);
        }
    }

    /// How far back `restore` wants to know, in milliseconds.
    pub const RESTORE_MS: u64 = 24 * 3_600 * 1_000;

    /// What has been used of every quota.
    #[must_use]
    pub fn use_of(&self, now_ms: u64) -> Vec<QuotaUse> {
        let seats = self.seats.load();
        let mut lines: Vec<QuotaUse> = seats
            .iter()
            .filter_map(|(identity, seat)| {
                let quota = seat.grant.reveals?;
                let (minute_used, day_used) = seat.used.reveals(now_ms);
                Some(QuotaUse {
                    identity: identity.clone(),
                    minute_used,
                    minute_max: quota.per_minute,
                    day_used,
                    day_max: quota.per_day,
                })
            })
            .collect();
        lines.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        lines
    }

    /// How many identities hold a scope, for a tenant where one is named.
    #[must_use]
    pub fn holders(&self, scope: Scope, tenant: Option<&TenantId>) -> usize {
        let may = |grant: &Grant| grant.holds(scope) && tenant.is_none_or(|tenant| grant.covers(tenant));
        self.seats.load().values().filter(|seat| may(&seat.grant)).count()
    }

    /// Whether an identity holds a scope, for a tenant where one is named. It allows nothing: that is [`Policy::decide`]'s.
    #[must_use]
    pub fn holds(&self, identity: &Identity, scope: Scope, tenant: Option<&TenantId>) -> bool {
        let seats = self.seats.load();
        let Some(seat) = seats.get(identity) else { return false };
        seat.grant.holds(scope) && tenant.is_none_or(|tenant| seat.grant.covers(tenant))
    }

    /// Number of identities in force.
    #[must_use]
    pub fn identities(&self) -> usize {
        self.seats.load().len()
    }

    /// From now on quotas are those of several nodes: nothing is allowed before the others were heard.
    pub fn share(&self) {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_shared.store(true, Ordering::SeqCst);
        uses.values().for_each(|used| used.share());
        self.sessions.share();
    }

    /// Whether this node allows nothing that counts, because it has not heard for too long what the others use.
    #[must_use]
    pub fn is_unheard(&self, now_ms: u64) -> bool {
        self.sessions.are_unknown(now_ms)
    }

    /// What this node tells the others of its quotas; the busy ones first, where there are too many.
    #[must_use]
    pub fn tell(&self, now_ms: u64) -> Vec<u8> {
        let (uses, seats) = (self.uses.lock().unwrap_or_else(PoisonError::into_inner), self.seats.load());
        let whole = |identity: &Identity| Whole::of(seats.get(identity).map(|seat| &seat.grant));
        let mut told: Vec<_> = uses.iter().map(|(identity, used)| (used.is_busy(), identity, used)).collect();
        told.retain(|(is_busy, identity, _)| *is_busy || whole(identity).is_some());
        told.sort_unstable_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
        told.truncate(nodes::LINES_MAX);
        let mut said = nodes::head(told.len());
        for (_, identity, used) in told {
            used.tell(nodes::short(identity), whole(identity), now_ms, &mut said);
        }
        self.sessions.tell(now_ms, &mut said);
        said
    }

    /// What was told last is known to the others, and this is what they said before that.
    pub fn heard(&self, others: &[Heard<'_>], now_ms: u64) {
        let read: Option<Vec<Report>> = others.iter().filter(|heard| heard.is_recent()).map(Report::read).collect();
        let Some(recent) = read else {
            // A node whose words are not understood may use as much as the whole: better nothing is given here.
            self.unheard();
            return;
        };
        let older = others.iter().filter(|heard| !heard.is_recent()).filter_map(Report::read);
        let reports: Vec<Report> = recent.into_iter().chain(older).collect();
        self.sessions.heard(&reports.iter().map(Report::sessions).collect::<Vec<_>>(), now_ms);
        let (uses, seats) = (self.uses.lock().unwrap_or_else(PoisonError::into_inner), self.seats.load());
        for (identity, used) in uses.iter() {
            let whole = Whole::of(seats.get(identity).map(|seat| &seat.grant));
            used.parts(|parts| parts.heard(&nodes::short(identity), whole, &reports, now_ms));
        }
    }

    /// Whether what was told last is known to the others is not known.
    pub fn unheard(&self) {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.values().for_each(|used| used.parts(Parts::unheard));
        self.sessions.unheard();
    }

    /// Gives up what this node has not used: it is on its way out. What it tells next says so.
    pub fn give_up(&self) {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.values().for_each(|used| used.parts(Parts::give_up));
        self.sessions.give_up();
    }

    fn identity_may(
        &self,
        identity: &Identity,
        scope: Scope,
        request: &Request,
        now_ms: u64,
    ) -> Result<Option<TenantId>, No> {
        let named = request.tenant.as_ref();
        let seats = self.seats.load();
        let seat = seats.get(identity).ok_or(No::because(Reason::UnknownIdentity))?;
        let tenant = match named {
            Some(named) => Some(named).filter(|named| seat.grant.covers(named)),
            // An export that names no tenant is one of all, and not of the only one that its asker may act for.
            None => seat.grant.only_tenant().filter(|_| scope.is_tenant_bound() && scope != Scope::Export),
        };
        let no = |reason, spent| No { reason, spent, tenant: tenant.cloned() };
        seat.used.count_request(&seat.grant, now_ms).map_err(|spent| no(Reason::Quota, Some(spent)))?;
        if !seat.grant.holds(scope) {
            return Err(no(Reason::Scope, None));
        }
        let is_of_the_vault = matches!(scope, Scope::Rotate | Scope::Export) && seat.grant.covers_all();
        if tenant.is_none() && (named.is_some() || scope.is_tenant_bound() && !is_of_the_vault) {
            return Err(no(Reason::Tenant, None));
        }
        if scope == Scope::Forward && !request.destination.as_ref().is_some_and(|to| seat.grant.sends_to(to)) {
            return Err(no(Reason::Destination, None));
        }
        if scope.is_release() {
            // The file cannot grant these scopes without a quota; should it ever, the answer is no.
            let quota = seat.grant.reveals.ok_or_else(|| no(Reason::Quota, None))?;
            seat.used.count_reveal(quota, now_ms).map_err(|spent| no(Reason::Quota, Some(spent)))?;
        }
        Ok(tenant.cloned())
    }

    fn session_may(
        &self,
        claims: &SessionClaims,
        scope: Scope,
        named: Option<&TenantId>,
        now_ms: u64,
    ) -> Result<Option<TenantId>, No> {
        let no = |reason, spent| No { reason, spent, tenant: Some(claims.tenant.clone()) };
        if scope != Scope::Tokenize {
            return Err(no(Reason::Scope, None));
        }
        if now_ms >= claims.expires_ms {
            return Err(no(Reason::Credentials, None));
        }
        if named.is_some_and(|named| *named != claims.tenant) {
            return Err(no(Reason::Tenant, None));
        }
        self.sessions.count(claims.id, claims.expires_ms, now_ms).map_err(|spent| no(Reason::Quota, Some(spent)))?;
        Ok(Some(claims.tenant.clone()))
    }
}

/// A refusal before it knows its request.
struct No {
    reason: Reason,
    spent: Option<Spent>,
    tenant: Option<TenantId>,
}

impl No {
    fn because(reason: Reason) -> Self {
        Self { reason, spent: None, tenant: None }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
