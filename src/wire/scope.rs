//! What an identity may be allowed to do: the words of the policy file and of the audit log.

use serde::{Deserialize, Serialize};

/// One permission. Each belongs to one listener; an identity may hold scopes of one listener only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Scope {
    /// Release, intake: store a card and get its token. Release: the same for a card in fields that a merchant's page
    /// encrypted under a secret of the tenant, and trying whether a PIN in such a field is one.
    Tokenize = 1,
    /// Release: the masked view of one card or a list of them.
    ReadMasked = 2,
    /// Release: the whole card, for a purpose.
    Reveal = 3,
    /// Release: make a short-term card long-term.
    Retain = 4,
    /// Release: change expiry, holder name, metadata.
    Update = 5,
    /// Release: shred a card.
    Delete = 6,
    /// Release: make a client session for a browser.
    Sessions = 7,
    /// Release: store a secret (a connector's credentials), delete it.
    SecretsWrite = 8,
    /// Release: read a secret back.
    SecretsReveal = 9,
    /// Release: register a tenant and make its keys.
    Provision = 10,
    /// Release: have a card filled into a request to a named destination.
    Forward = 11,
    /// Admin: hand in one custodian's share.
    Unseal = 20,
    /// Admin: forget every key until the next unseal.
    Seal = 21,
    /// Admin: see seal phase, versions, limits.
    Status = 22,
    /// Admin: list keys, their terms and ages.
    KeysRead = 23,
    /// Admin: start the rotation of a tenant's Kek and watch it.
    Rotate = 24,
    /// Admin: read audit entries, checkpoints and proofs.
    AuditRead = 25,
    /// Admin: scrape metrics.
    Metrics = 26,
    /// Admin: reload certificates and policy.
    Reload = 27,
    /// Admin: register tenants.
    Tenants = 28,
    /// Admin: destroy keys that nothing needs any more, or a tenant's, which shreds it. Two people.
    Destroy = 29,
    /// Admin: put another Root, or another division of it, in the place of the one there is. Two people.
    RootChange = 30,
    /// Admin: have a tenant's cards sealed to another party's public key. Two people.
    Export = 31,
    /// Admin: set how long a tenant's cards are kept, and see which are older.
    Retention = 32,
    /// Admin: copy the store while it is in use.
    Backup = 33,
    /// Admin: move the store into another database.
    Migrate = 34,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 26] = [
        Scope::Tokenize,
        Scope::ReadMasked,
        Scope::Reveal,
        Scope::Retain,
        Scope::Update,
        Scope::Delete,
        Scope::Sessions,
        Scope::SecretsWrite,
        Scope::SecretsReveal,
        Scope::Provision,
        Scope::Forward,
        Scope::Unseal,
        Scope::Seal,
        Scope::Status,
        Scope::KeysRead,
        Scope::Rotate,
        Scope::AuditRead,
        Scope::Metrics,
        Scope::Reload,
        Scope::Tenants,
        Scope::Destroy,
        Scope::RootChange,
        Scope::Export,
        Scope::Retention,
        Scope::Backup,
        Scope::Migrate,
    ];

    /// The word in the policy file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Tokenize => "tokenize",
            Scope::ReadMasked => "read-masked",
            Scope::Reveal => "reveal",
            Scope::Retain => "retain",
            Scope::Update => "update",
            Scope::Delete => "delete",
            Scope::Sessions => "sessions",
            Scope::SecretsWrite => "secrets-write",
            Scope::SecretsReveal => "secrets-reveal",
            Scope::Provision => "provision",
            Scope::Forward => "forward",
            Scope::Unseal => "unseal",
            Scope::Seal => "seal",
            Scope::Status => "status",
            Scope::KeysRead => "keys-read",
            Scope::Rotate => "rotate",
            Scope::AuditRead => "audit-read",
            Scope::Metrics => "metrics",
            Scope::Reload => "reload",
            Scope::Tenants => "tenants",
            Scope::Destroy => "destroy",
            Scope::RootChange => "root-change",
            Scope::Export => "export",
            Scope::Retention => "retention",
            Scope::Backup => "backup",
            Scope::Migrate => "migrate",
        }
    }

    /// Whether the scope belongs to the admin listener (the others belong to the release listener).
    #[must_use]
    pub fn is_admin(self) -> bool {
        self as u8 >= Scope::Unseal as u8
    }

    /// Whether the scope lets cards or secrets out in clear, so that quotas count each use.
    #[must_use]
    pub fn is_release(self) -> bool {
        matches!(self, Scope::Reveal | Scope::SecretsReveal | Scope::Forward)
    }

    /// Whether the scope acts on one tenant, so that the request must say on which.
    #[must_use]
    pub fn is_tenant_bound(self) -> bool {
        !self.is_admin() && self != Scope::Provision || matches!(self, Scope::Rotate | Scope::Export)
    }

    /// The scope with this number in an audit entry.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| *scope as u8 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_its_own_number_and_word() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_number(scope as u8), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert_eq!(Scope::from_number(0), None);
    }
}
