//! Tenants: each has keys of its own, made when it is registered.

use strongroom_wire::TenantId;
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::entry::{OwnAct, Subject};
use strongroom_wire::payment_method::Tenant;

use super::{Asker, FlowError, Vault, keyring};
use crate::audit::{Own, Warrant};
use crate::policy::{Action, ManageTenants, Note, Provision};
use crate::store::{Shredded, TenantRow};

/// Every tenant.
#[derive(Debug, serde::Serialize)]
pub struct TenantList {
    /// Oldest first.
    pub tenants: Vec<Tenant>,
}

/// Registers a tenant, asked by an orchestrator.
///
/// # Errors
/// Every [`FlowError`]; then the tenant is as it was.
pub async fn provision(vault: &Vault, asker: &Asker, tenant: TenantId) -> Result<Tenant, FlowError> {
    let permit = vault.permit_unsealed::<Provision>(asker, (), Note::words("tenant").and(&tenant)).await?;
    let warrant = vault.warrant(permit).await?;
    register(vault, &warrant, tenant).await
}

/// Registers a tenant, asked by the security team.
///
/// # Errors
/// As [`provision`].
pub async fn add(vault: &Vault, asker: &Asker, tenant: TenantId) -> Result<Tenant, FlowError> {
    let permit = vault.permit_unsealed::<ManageTenants>(asker, (), Note::words("tenant").and(&tenant)).await?;
    let warrant = vault.warrant(permit).await?;
    register(vault, &warrant, tenant).await
}

/// Every tenant, oldest first.
///
/// # Errors
/// Those of policy, the audit log and the store.
pub async fn list(vault: &Vault, asker: &Asker) -> Result<TenantList, FlowError> {
    let permit = vault.permit_unsealed::<ManageTenants>(asker, (), Note::words("list")).await?;
    let _read = vault.warrant(permit).await?;
    Ok(TenantList { tenants: vault.store.tenants().await?.into_iter().map(view).collect() })
}

/// The Warrant is of one of the two acts above; which does not matter here.
async fn register<A: Action>(vault: &Vault, _: &Warrant<A>, tenant: TenantId) -> Result<Tenant, FlowError> {
    if let Some(known) = find(vault, &tenant).await? {
        return known_everywhere(vault, known).await;
    }
    let root = vault.root.get().await?;
    let created_ms = vault.now_ms();
    let (rows, keys) = keyring::make_tenant(&root, &tenant, created_ms).await?;
    // Held to the end, so that the store and the keyring change in the same order.
    let changing = vault.root.still(&root).await?;
    if let Some(known) = find(vault, &tenant).await? {
        drop(changing);
        return known_everywhere(vault, known).await;
    }
    let note = Note::words("kek, fingerprint, session: term 1");
    let about = Own { tenant: Some(tenant.clone()), subject: Subject::None, note };
    vault.audit.record_own(OwnAct::KeyMade, about).await?;
    let row = TenantRow { tenant: tenant.clone(), created_ms, shredded: Shredded::No };
    if !vault.store.insert_tenant(row.clone(), rows, Some(root.descriptor().sum())).await? {
        drop(changing);
        let known = find(vault, &tenant).await?.ok_or(FlowError::NotFound)?;
        return known_everywhere(vault, known).await;
    }
    vault.barrier.update(|ring| ring.add_tenant(tenant, keys))?;
    drop(changing);
    known_everywhere(vault, row).await
}

/// Whoever hears that a tenant is there may ask any node for it.
async fn known_everywhere(vault: &Vault, known: TenantRow) -> Result<Tenant, FlowError> {
    let tenant = again(known)?;
    vault.known().await?;
    vault.taken().await?;
    Ok(tenant)
}

async fn find(vault: &Vault, tenant: &TenantId) -> Result<Option<TenantRow>, FlowError> {
    Ok(vault.store.tenants().await?.into_iter().find(|known| known.tenant == *tenant))
}

/// A name that was shredded is nobody's again, so that no merchant is taken for another one.
fn again(known: TenantRow) -> Result<Tenant, FlowError> {
    match known.shredded {
        Shredded::No => Ok(view(known)),
        Shredded::Keys | Shredded::All => Err(FlowError::Conflict(
            "a tenant of this name was shredded, and the name is not given again; choose another one",
        )),
    }
}

fn view(row: TenantRow) -> Tenant {
    Tenant { tenant: row.tenant, created_at: rfc3339_ms(row.created_ms), shredded: row.shredded != Shredded::No }
}
