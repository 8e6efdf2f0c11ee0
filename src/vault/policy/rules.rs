//! The policy file: which identity holds which scopes, for which tenants, under which quotas.
//!
//! ```toml
//! version = 1
//!
//! [[identity]]
//! uri = "spiffe://strongroom/orchestrator/main"  # URI SAN of the client certificate
//! tenants = ["acme"]                             # or ["*"]
//! scopes = ["tokenize", "read-masked", "reveal"] # of one listener only
//! destinations = ["stripe"]                      # with forward: each by its name
//! reveals_per_minute = 600                       # both, with reveal, secrets-reveal or forward
//! reveals_per_day = 100000
//! requests_per_second = 1000                     # optional
//! pins = ["sha256/..."]                          # optional: the only public keys that may speak for it
//! ```

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use strongroom_wire::forward::DestinationName;
use strongroom_wire::{Scope, TenantId, limits};

use super::Identity;
use super::pin::{Pin, read_pins};

/// The rules of one policy file. Whoever is not in it may do nothing.
#[derive(Debug, Default)]
pub struct Rules {
    grants: HashMap<Identity, Grant>,
}

/// What one identity may do.
#[derive(Debug)]
pub(super) struct Grant {
    /// A bit for each scope's number.
    scopes: u64,
    pub(super) tenants: Tenants,
    /// Sorted.
    pub(super) destinations: Vec<DestinationName>,
    pub(super) pins: Vec<Pin>,
    pub(super) reveals: Option<RevealQuota>,
    pub(super) requests_per_second: Option<u32>,
}

/// How many cards and secrets an identity may have in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RevealQuota {
    pub(super) per_minute: u32,
    pub(super) per_day: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tenants {
    Any,
    Named(Vec<TenantId>),
}

/// Why a policy file is refused. Nothing of it was applied. Identities are counted from 1 in the file's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Larger than the limit.
    #[error("the policy file is larger than 1 MiB; split the deployment or remove identities")]
    TooLarge,
    /// Not TOML, or an unknown, repeated, missing or mistyped key.
    #[error(
        "line {line} of the policy file: not TOML, or a key or value that is unknown, repeated, missing or of the wrong \
         type; the keys are version and, in each [[identity]], uri, tenants, scopes, destinations, \
         reveals_per_minute, reveals_per_day, requests_per_second, pins"
    )]
    Syntax {
        /// Where, from 1; in a table that lacks a key, where the table begins.
        line: usize,
    },
    /// A version that this vaultd does not read.
    #[error("the policy file's version is not 1; use the vaultd that it was written for, or rewrite it")]
    Version,
    /// More identities than the limit.
    #[error("the policy file has more than 10000 identities")]
    TooMany,
    /// Something is wrong with one identity.
    #[error("identity {number} of the policy file: {fault}")]
    Identity {
        /// Which, from 1.
        number: usize,
        /// What.
        fault: Fault,
    },
}

/// What is wrong with an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not an identity.
    #[error("`uri` is not spiffe://<trust-domain>/<role>/<name> of at most 200 bytes")]
    Uri,
    /// Twice in the file.
    #[error("`uri` is in the file twice; merge the two")]
    RepeatedUri,
    /// Without scopes it could do nothing.
    #[error("`scopes` is empty; remove the identity or name what it may do")]
    NoScopes,
    /// A scope twice.
    #[error("`scopes` names a scope twice")]
    RepeatedScope,
    /// Scopes of both listeners: who uses cards must not hold the keys.
    #[error("`scopes` mixes the release and the admin listener; use two identities with a certificate each")]
    MixedListeners,
    /// A scope that acts on a tenant, and no tenant.
    #[error("`tenants` is empty although a scope acts on a tenant; name tenants or [\"*\"]")]
    NoTenants,
    /// Not a tenant's name.
    #[error("`tenants` holds what is neither a tenant's name nor \"*\"")]
    Tenant,
    /// A tenant twice.
    #[error("`tenants` names a tenant twice")]
    RepeatedTenant,
    /// `*` beside names.
    #[error("`tenants` names tenants beside \"*\"; keep one or the other")]
    StarAndNames,
    /// Too many.
    #[error("`tenants` names more than 10000 tenants; use [\"*\"]")]
    TooManyTenants,
    /// A scope that releases in clear, without both quotas.
    #[error(
        "`reveal`, `secrets-reveal` and `forward` need `reveals_per_minute` and `reveals_per_day`; there is no default"
    )]
    NoQuota,
    /// A quota without a scope that it could apply to.
    #[error(
        "`reveals_per_minute` and `reveals_per_day` belong to `reveal`, `secrets-reveal` and `forward`, which are not here"
    )]
    QuotaWithoutScope,
    /// A scope that sends cards somewhere, and no destination.
    #[error("`forward` needs `destinations`, the names of those that cards may go to; there is no default")]
    NoDestinations,
    /// Destinations without the scope that they could apply to.
    #[error("`destinations` belongs to `forward`, which is not here")]
    DestinationsWithoutScope,
    /// Not a destination's name; there is no star, so that a new destination gets cards from nobody by itself.
    #[error("`destinations` holds what is no destination's name; each is named, \"*\" is not taken")]
    Destination,
    /// A destination twice.
    #[error("`destinations` names a destination twice")]
    RepeatedDestination,
    /// Too many.
    #[error("`destinations` names more than 100 destinations")]
    TooManyDestinations,
    /// Not a pin, or too many.
    #[error("`pins` holds at most 8 texts as `vaultctl pki pin` prints them: sha256/ and 44 characters of base64")]
    Pins,
    /// Outside of its bounds.
    #[error(
        "`reveals_per_minute` is 1 to 100000000, `reveals_per_day` is not smaller and at most 4000000000, \
         `requests_per_second` is 1 to 1000000"
    )]
    QuotaBounds,
}

impl Rules {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`] says where and what; it repeats nothing of the file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > limits::POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge);
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            PolicyError::Syntax { line: 1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() }
        })?;
        if file.version != VERSION {
            return Err(PolicyError::Version);
        }
        if file.identity.len() > limits::IDENTITIES_MAX {
            return Err(PolicyError::TooMany);
        }
        let mut grants = HashMap::with_capacity(file.identity.len());
        for (place, row) in file.identity.into_iter().enumerate() {
            let at = |fault| PolicyError::Identity { number: place + 1, fault };
            let identity = Identity::parse(&row.uri).map_err(|_| at(Fault::Uri))?;
            if grants.insert(identity, Grant::read(row).map_err(at)?).is_some() {
                return Err(at(Fault::RepeatedUri));
            }
        }
        Ok(Self { grants })
    }

    /// Number of identities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.grants.len()
    }

    /// Whether nobody may do anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    pub(super) fn into_grants(self) -> HashMap<Identity, Grant> {
        self.grants
    }
}

impl Tenants {
    pub(super) fn summary(&self) -> String {
        match self {
            Tenants::Any => "all".to_owned(),
            Tenants::Named(names) if names.is_empty() => "none".to_owned(),
            Tenants::Named(names) if names.len() <= 3 => {
                names.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" ")
            }
            Tenants::Named(names) => names.len().to_string(),
        }
    }
}

impl Grant {
    pub(super) fn holds(&self, scope: Scope) -> bool {
        self.scopes & bit(scope) != 0
    }

    pub(super) fn covers(&self, tenant: &TenantId) -> bool {
        match &self.tenants {
            Tenants::Any => true,
            Tenants::Named(names) => names.binary_search(tenant).is_ok(),
        }
    }

    /// Whether every tenant, also one that is registered later, is the identity's.
    pub(super) fn covers_all(&self) -> bool {
        matches!(self.tenants, Tenants::Any)
    }

    /// The tenant of an identity that has exactly one.
    pub(super) fn only_tenant(&self) -> Option<&TenantId> {
        match &self.tenants {
            Tenants::Named(names) => match names.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            Tenants::Any => None,
        }
    }

    /// Whether cards may go there.
    pub(super) fn sends_to(&self, destination: &DestinationName) -> bool {
        self.destinations.binary_search(destination).is_ok()
    }

    /// Whether a certificate with this public key may speak for the identity.
    pub(super) fn admits(&self, key: &[u8; 32]) -> bool {
        self.pins.is_empty() || self.pins.iter().any(|pin| pin.is(key))
    }

    fn read(row: Row) -> Result<Self, Fault> {
        let scopes = read_scopes(&row.scopes)?;
        let tenants = read_tenants(&row.tenants)?;
        let none = matches!(&tenants, Tenants::Named(names) if names.is_empty());
        if none && row.scopes.iter().any(|scope| names_tenant(*scope)) {
            return Err(Fault::NoTenants);
        }
        let destinations = read_destinations(&row.destinations, row.scopes.contains(&Scope::Forward))?;
        let releases = row.scopes.iter().any(|scope| scope.is_release());
        let reveals = match (releases, row.reveals_per_minute, row.reveals_per_day) {
            (true, Some(per_minute), Some(per_day)) => Some(RevealQuota { per_minute, per_day }),
            (true, _, _) => return Err(Fault::NoQuota),
            (false, None, None) => None,
            (false, _, _) => return Err(Fault::QuotaWithoutScope),
        };
        let in_bounds =
            reveals.is_none_or(|quota| {
                (1..=limits::REVEALS_PER_MINUTE_MAX).contains(&quota.per_minute)
                    && (quota.per_minute..=limits::REVEALS_PER_DAY_MAX).contains(&quota.per_day)
            }) && row.requests_per_second.is_none_or(|rate| (1..=limits::REQUESTS_PER_SECOND_MAX).contains(&rate));
        if !in_bounds {
            return Err(Fault::QuotaBounds);
        }
        let pins = read_pins(&row.pins)?;
        Ok(Self { scopes, tenants, destinations, pins, reveals, requests_per_second: row.requests_per_second })
    }
}

fn read_scopes(scopes: &[Scope]) -> Result<u64, Fault> {
    let mut bits = 0;
    for scope in scopes {
        if bits & bit(*scope) != 0 {
            return Err(Fault::RepeatedScope);
        }
        bits |= bit(*scope);
    }
    match (scopes.iter().any(|scope| scope.is_admin()), scopes.iter().all(|scope| scope.is_admin())) {
        _ if scopes.is_empty() => Err(Fault::NoScopes),
        (true, false) => Err(Fault::MixedListeners),
        _ => Ok(bits),
    }
}

fn read_tenants(names: &[String]) -> Result<Tenants, Fault> {
    if names.len() > limits::TENANTS_MAX {
        return Err(Fault::TooManyTenants);
    }
    if names.iter().any(|name| name == "*") {
        return if names.len() == 1 { Ok(Tenants::Any) } else { Err(Fault::StarAndNames) };
    }
    let mut tenants = names.iter().map(|name| name.parse()).collect::<Result<Vec<TenantId>, _>>();
    if let Ok(tenants) = &mut tenants {
        let seen: HashSet<&TenantId> = tenants.iter().collect();
        if seen.len() != names.len() {
            return Err(Fault::RepeatedTenant);
        }
        tenants.sort_unstable();
    }
    tenants.map(Tenants::Named).map_err(|_| Fault::Tenant)
}

fn read_destinations(names: &[String], is_sender: bool) -> Result<Vec<DestinationName>, Fault> {
    match (is_sender, names.is_empty()) {
        (true, true) => return Err(Fault::NoDestinations),
        (false, false) => return Err(Fault::DestinationsWithoutScope),
        _ if names.len() > limits::DESTINATIONS_MAX => return Err(Fault::TooManyDestinations),
        _ => {}
    }
    let mut destinations: Vec<DestinationName> =
        names.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(|_| Fault::Destination)?;
    destinations.sort_unstable();
    destinations.dedup();
    if destinations.len() == names.len() { Ok(destinations) } else { Err(Fault::RepeatedDestination) }
}

/// Registering tenants is not bound to one that exists, but says which one it makes.
fn names_tenant(scope: Scope) -> bool {
    scope.is_tenant_bound() || matches!(scope, Scope::Provision | Scope::Tenants)
}

/// Every scope's number is below 64; a test holds it.
fn bit(scope: Scope) -> u64 {
    1 << scope as u8
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    identity: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    uri: String,
    #[serde(default)]
    tenants: Vec<String>,
    scopes: Vec<Scope>,
    #[serde(default)]
    destinations: Vec<String>,
    reveals_per_minute: Option<u32>,
    reveals_per_day: Option<u32>,
    requests_per_second: Option<u32>,
    #[serde(default)]
    pins: Vec<String>,
}

const VERSION: u32 = 1;

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
