//! Names of the HTTP headers that Strongroom's own protocols use.

/// Which tenant an identity that may act for several acts for now.
pub const TENANT: &str = "Strongroom-Tenant";
/// Index of the audit entry that an answer rests on.
pub const AUDIT_INDEX: &str = "Audit-Index";
/// One id for each request, on every answer.
pub const REQUEST_ID: &str = "X-Request-Id";
/// Same key and body, same answer.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// `true` on an answer that was kept from an earlier request with the same key.
pub const IDEMPOTENT_REPLAYED: &str = "Idempotent-Replayed";
