//! `Principal`: who asks, after TLS or the session's MAC has shown it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_wire::{CustomerId, TenantId};
use uuid::Uuid;

use super::Identity;

/// Who asks. Only [`Principal::Identity`] is looked up in the policy file; what the other two may do is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The holder of a client certificate.
    Identity(Identity),
    /// A browser with a client session: it may tokenize for the session's tenant until the session ends.
    Session(Arc<SessionClaims>),
    /// The vault itself: it may go on with a rotation that somebody started.
    Vault,
}

/// What a client session says about itself, once its MAC has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClaims {
    /// The session's own id; it is not a secret.
    pub id: Uuid,
    /// Cards go to this tenant.
    pub tenant: TenantId,
    /// Cards belong to this customer.
    pub customer: Option<CustomerId>,
    /// Origins from which a browser may use it.
    pub origins: Vec<String>,
    /// When it ends, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
}

/// What the part of a client session says that may stand in an address: the session without its customer. It authorizes
/// nothing but the document of the card fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameClaims {
    /// The session's own id.
    pub id: Uuid,
    /// The tenant, whose key the MAC is under.
    pub tenant: TenantId,
    /// Origins of pages that may embed the document.
    pub origins: Vec<String>,
    /// When it ends, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
}

impl SessionClaims {
    /// The session without its customer.
    #[must_use]
    pub fn frame(&self) -> FrameClaims {
        FrameClaims {
            id: self.id,
            tenant: self.tenant.clone(),
            origins: self.origins.clone(),
            expires_ms: self.expires_ms,
        }
    }
}

impl Principal {
    /// The text in the audit log: the URI, `session:` and 32 hexadecimal digits, or nothing for the vault itself.
    #[must_use]
    pub fn who(&self) -> String {
        match self {
            Principal::Identity(identity) => identity.as_str().to_owned(),
            Principal::Session(claims) => format!("session:{}", claims.id.simple()),
            Principal::Vault => String::new(),
        }
    }
}

impl From<Identity> for Principal {
    fn from(identity: Identity) -> Self {
        Principal::Identity(identity)
    }
}

impl From<SessionClaims> for Principal {
    fn from(claims: SessionClaims) -> Self {
        Principal::Session(Arc::new(claims))
    }
}
