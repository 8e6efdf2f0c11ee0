//! Rules of retention: how long a tenant's cards are kept, and which are older.

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// `PUT /v1/tenants/{tenant}/retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRequest {
    /// Cards older than so many days are shredded; null for no rule. It must be said: what is left out is no rule.
    #[serde(deserialize_with = "Option::deserialize")]
    pub days: Option<u32>,
}

/// A tenant's rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Whose.
    pub tenant: TenantId,
    /// Cards older than so many days are shredded; null for no rule.
    pub days: Option<u32>,
    /// RFC 3339, UTC.
    pub set_at: String,
}

/// `GET /v1/retention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionList {
    /// By tenant.
    pub rules: Vec<RetentionRule>,
}

/// `GET /v1/retention/report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverAgeReport {
    /// When it was counted. RFC 3339, UTC.
    pub at: String,
    /// Every tenant with a rule.
    pub tenants: Vec<OverAgeLine>,
}

/// One tenant of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverAgeLine {
    /// Whose.
    pub tenant: TenantId,
    /// The rule, in days.
    pub days: u32,
    /// Cards that are older and not shredded yet.
    pub over_age: u64,
    /// When the oldest of them was stored. RFC 3339, UTC.
    pub oldest_created_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_says_nothing_is_refused() {
        let read = |json: &str| serde_json::from_str::<RetentionRequest>(json).ok().map(|asked| asked.days);
        assert_eq!(read(r#"{"days":null}"#), Some(None));
        assert_eq!(read(r#"{"days":30}"#), Some(Some(30)));
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"days":30,"unused_days":3}"#), None);
    }
}
