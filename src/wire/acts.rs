//! Acts that need two people: what is asked for, and how far it is.

use serde::{Deserialize, Serialize};

use crate::admin::KeyPurpose;
use crate::custody::ChangeRootRequest;
use crate::export::ExportOrder;
use crate::{ActId, Scope, TenantId};

/// What two people are needed for, with everything that it says. The words in JSON are `kind` and `detail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum ActKind {
    /// Destroy a retired term of a key.
    DestroyKey(DestroyKey),
    /// Shred a tenant: its keys at once, its rows afterwards.
    ShredTenant(ShredTenant),
    /// Keep a tenant's cards for a shorter time.
    SetRetention(SetRetention),
    /// Put another policy file in force.
    ChangePolicy(ChangePolicy),
    /// Send cards to another party, encrypted to its public key.
    Export(ExportOrder),
    /// Put another Root, or another division of it, in force.
    ChangeRoot(ChangeRootRequest),
}

impl ActKind {
    /// The scope that both people need.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            ActKind::DestroyKey(_) | ActKind::ShredTenant(_) => Scope::Destroy,
            ActKind::SetRetention(_) => Scope::Retention,
            ActKind::ChangePolicy(_) => Scope::Reload,
            ActKind::Export(_) => Scope::Export,
            ActKind::ChangeRoot(_) => Scope::RootChange,
        }
    }

    /// The tenant that both must be allowed to act for; none for an act on the vault as a whole.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            ActKind::DestroyKey(key) => key.tenant.as_ref(),
            ActKind::ShredTenant(ShredTenant { tenant }) | ActKind::SetRetention(SetRetention { tenant, .. }) => {
                Some(tenant)
            }
            ActKind::ChangePolicy(_) => None,
            ActKind::Export(order) => order.tenant.as_ref(),
            ActKind::ChangeRoot(_) => None,
        }
    }
}

/// `POST /v1/keys/destroy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyKey {
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// Whose it is; absent for the vault's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Which version, from 1.
    pub term: u32,
}

/// `DELETE /v1/tenants/{tenant}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShredTenant {
    /// Whose cards, secrets and keys.
    pub tenant: TenantId,
}

/// `PUT /v1/tenants/{tenant}/retention`, where it keeps cards for a shorter time than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRetention {
    /// Whose cards.
    pub tenant: TenantId,
    /// Cards older than so many days are shredded; null for no rule.
    pub days: Option<u32>,
}

/// `POST /v1/reload`, where the policy file is not the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePolicy {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of the text that it takes the place of.
    pub instead_of: String,
    /// What it changes, a line for each identity.
    pub changes: Vec<String>,
}

/// How far an act that needs two people is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActState {
    /// One person asked for it.
    Pending,
    /// A second person approved it, and it is not done: it runs, or a fault stopped it. It goes on at the next unseal or
    /// when it is approved again.
    Approved,
    /// Done.
    Done,
    /// Taken back by the one who asked, or refused by another.
    Withdrawn,
    /// Nobody approved it, or it did not come to its end, in time.
    Expired,
}

/// An act that needs two people, as `GET /v1/acts` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAct {
    /// Its name.
    pub act_id: ActId,
    /// What is asked for: `kind` and `detail`.
    #[serde(flatten)]
    pub what: ActKind,
    /// The scope that both people need.
    pub scope: Scope,
    /// Who asked.
    pub requested_by: String,
    /// RFC 3339, UTC.
    pub requested_at: String,
    /// When it ends by itself. RFC 3339, UTC.
    pub expires_at: String,
    /// How far it is.
    pub state: ActState,
    /// Who approved it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// What stopped it after it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What came of it, where it leaves something to keep, such as a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// `GET /v1/acts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActList {
    /// Newest first; those that are over stay for 30 days.
    pub acts: Vec<PendingAct>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_reads_as_it_is_documented() {
        let key = DestroyKey { purpose: KeyPurpose::Kek, tenant: Some("acme".parse().unwrap()), term: 1 };
        let act = PendingAct {
            act_id: ActId::fresh(),
            what: ActKind::DestroyKey(key),
            scope: Scope::Destroy,
            requested_by: "spiffe://strongroom/security/alice".to_owned(),
            requested_at: "2025-11-24T16:00:00.123Z".to_owned(),
            expires_at: "2025-11-25T16:00:00.123Z".to_owned(),
            state: ActState::Pending,
            approved_by: None,
            fault: None,
            result: None,
        };
        let json = serde_json::to_value(&act).unwrap();
        assert_eq!(json["kind"], "destroy_key");
        assert_eq!(json["detail"], serde_json::json!({ "purpose": "kek", "tenant": "acme", "term": 1 }));
        assert_eq!(serde_json::from_value::<PendingAct>(json).unwrap(), act);
    }
}
