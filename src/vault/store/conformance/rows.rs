//! Rows to test with. The blobs are random: a store must not care.

use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::{CustomerId, SecretId, TenantId, Token};

use crate::store::{AnswerRow, CardContent, CardRow, KeyName, KeyRow, SecretRow, Shredded, Store, TenantRow};

pub(in crate::store) const NOW: u64 = 1_764_000_000_000;

/// The tenant of most tests, registered.
pub(in crate::store) async fn acme(store: &dyn Store) -> TenantId {
    let tenant: TenantId = "acme".parse().unwrap();
    store.insert_tenant(tenant_row(&tenant), Vec::new(), None).await.unwrap();
    tenant
}

pub(in crate::store) fn tenant_row(tenant: &TenantId) -> TenantRow {
    TenantRow { tenant: tenant.clone(), created_ms: NOW, shredded: Shredded::No }
}

pub(in crate::store) fn customer(name: &str) -> Option<CustomerId> {
    Some(name.parse().unwrap())
}

/// Bytes that look like an envelope on a term.
pub(in crate::store) fn envelope(term: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes[0] = 1;
    bytes[1..5].copy_from_slice(&term.to_be_bytes());
    bytes
}

pub(in crate::store) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub(in crate::store) fn content(term: u32) -> CardContent {
    CardContent { envelope: envelope(term, 145), metadata: None, expires_ms: None, binding: random() }
}

pub(in crate::store) fn card(tenant: &TenantId, customer: Option<CustomerId>) -> CardRow {
    CardRow {
        tenant: tenant.clone(),
        token: Token::fresh(),
        customer,
        fingerprint: random(),
        mac_term: 1,
        other_fingerprints: Vec::new(),
        created_ms: NOW,
        content: content(1),
    }
}

pub(in crate::store) fn answer(tenant: &TenantId, name: u8) -> AnswerRow {
    AnswerRow {
        tenant: tenant.clone(),
        name: [name; 32],
        digest: random(),
        mac_term: 1,
        other_names: Vec::new(),
        envelope: envelope(1, 400),
        expires_ms: NOW + 1000,
        card: None,
    }
}

pub(in crate::store) fn secret(tenant: &TenantId) -> SecretRow {
    SecretRow {
        tenant: tenant.clone(),
        id: SecretId::fresh(),
        name: "stripe live".to_owned(),
        created_ms: NOW,
        envelope: envelope(1, 900),
        mac_term: 1,
        binding: random(),
    }
}

pub(in crate::store) fn key(purpose: KeyPurpose, tenant: Option<&TenantId>, term: u32) -> KeyRow {
    KeyRow {
        name: KeyName { purpose, tenant: tenant.cloned(), term },
        state: KeyState::Active,
        wrapped: random::<60>().to_vec(),
        created_ms: NOW,
        wraps: 0,
    }
}
