//! Keys on their way between the store, where they lie wrapped under the Root, and the barrier's keyring.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use strongroom_keys::context::Purpose;
use strongroom_keys::intake::IntakeKey;
use strongroom_keys::node::Voice;
use strongroom_keys::root::Root;
use strongroom_keys::{Context, IntakeRole, Kek, Key, Mac, NoRandomness, Role, SignRole};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::{NodeName, TenantId};
use uuid::Uuid;

use super::FlowError;
use crate::barrier::{KekTerm, KeyFacts, Keyring, KeyringError, MacTerm, MacTerms, Newcomers, TenantKeys};
use crate::store::{KeyName, KeyRow, StagedKey};

/// A fresh key and the row that keeps it.
pub(super) struct Made<R: Role> {
    pub(super) row: KeyRow,
    pub(super) key: Key<R>,
}

impl<R: Role> Made<R> {
    pub(super) fn facts(&self) -> KeyFacts {
        facts(&self.row)
    }
}

/// Makes an active key and wraps it under the Root, bound to its purpose, tenant and term (PCI DSS 3.7.7: a wrapped key
/// put in another's place does not open).
pub(super) async fn make<R: Role>(
    root: &Root,
    purpose: KeyPurpose,
    tenant: Option<&TenantId>,
    term: u32,
    now_ms: u64,
) -> Result<Made<R>, FlowError> {
    let key = Key::<R>::generate()?;
    let wrapped = root.wrap(&place::<R>(purpose, tenant), term, &key).await?;
    let name = KeyName { purpose, tenant: tenant.cloned(), term };
    Ok(Made { row: KeyRow { name, state: KeyState::Active, wrapped, created_ms: now_ms, wraps: 0 }, key })
}

/// A new tenant's three keys, as rows and as the keyring takes them.
pub(super) async fn make_tenant(
    root: &Root,
    tenant: &TenantId,
    now_ms: u64,
) -> Result<(Vec<KeyRow>, TenantKeys), FlowError> {
    let kek = make::<Kek>(root, KeyPurpose::Kek, Some(tenant), 1, now_ms).await?;
    let fingerprint = make::<Mac>(root, KeyPurpose::Fingerprint, Some(tenant), 1, now_ms).await?;
    let session = make::<Mac>(root, KeyPurpose::Session, Some(tenant), 1, now_ms).await?;
    let rows = vec![kek.row.clone(), fingerprint.row.clone(), session.row.clone()];
    let keks = vec![KekTerm::new(kek.facts(), &kek.key)];
    let first = |made: Made<Mac>| MacTerms::new(vec![MacTerm::new(made.facts(), made.key)]);
    let keys = TenantKeys::new(keks, first(fingerprint)?, first(session)?)?;
    Ok((rows, keys))
}

/// The keyring that the rows hold.
///
/// # Errors
/// [`FlowError::Tampered`] if a row does not open under the Root in its place: nothing is unsealed by halves.
/// [`FlowError::Root`] if the Root was away before all were open.
pub(super) async fn open(root: &Arc<Root>, rows: Vec<KeyRow>, node: Option<&NodeName>) -> Result<Keyring, FlowError> {
    let vault_id = root.descriptor().vault_id();
    let living = rows.into_iter().filter(|row| row.state != KeyState::Destroyed);
    // Several at a time, because each may be a journey to a KMS and back.
    let mut opened = stream::iter(living.map(|row| unwrap(Arc::clone(root), row))).buffer_unordered(AT_ONCE);
    let mut builder = Keyring::builder();
    while let Some((row, key)) = opened.try_next().await? {
        let facts = facts(&row);
        builder = match (row.name.tenant, key) {
            (Some(tenant), Opened::Kek(key)) => builder.kek(&tenant, facts, &key),
            (Some(tenant), Opened::Fingerprint(key)) => builder.fingerprint(&tenant, facts, key),
            (Some(tenant), Opened::Session(key)) => builder.session(&tenant, facts, key),
            (None, Opened::Sign(key)) => builder.signer(facts, voice(vault_id, node, key)?),
            (None, Opened::Intake(key)) => builder.intake(facts, IntakeKey::new(&key)),
            _ => return Err(FlowError::Tampered),
        };
    }
    Ok(builder.build()?)
}

/// A key as its row's purpose says.
pub(super) enum Opened {
    Kek(Key<Kek>),
    Fingerprint(Key<Mac>),
    Session(Key<Mac>),
    Sign(Key<SignRole>),
    Intake(Key<IntakeRole>),
}

/// A row and the key that it holds.
///
/// # Errors
/// As [`open`].
pub(super) async fn unwrap(root: Arc<Root>, row: KeyRow) -> Result<(KeyRow, Opened), FlowError> {
    let opened = match row.name.purpose {
        KeyPurpose::Kek => Opened::Kek(unwrap_as(&root, &row).await?),
        KeyPurpose::Fingerprint => Opened::Fingerprint(unwrap_as(&root, &row).await?),
        KeyPurpose::Session => Opened::Session(unwrap_as(&root, &row).await?),
        KeyPurpose::Sign => Opened::Sign(unwrap_as(&root, &row).await?),
        KeyPurpose::Intake => Opened::Intake(unwrap_as(&root, &row).await?),
    };
    Ok((row, opened))
}

/// Brings a key to those that a keyring may lack. A Sign key comes back: it needs a handover.
pub(super) fn newcomer(new: &mut Newcomers, row: &KeyRow, key: Opened) -> Option<Key<SignRole>> {
    let facts = facts(row);
    match (row.name.tenant.clone(), key) {
        (Some(tenant), Opened::Kek(key)) => new.kek(tenant, KekTerm::new(facts, &key)),
        (Some(tenant), Opened::Fingerprint(key)) => new.fingerprint(tenant, MacTerm::new(facts, key)),
        (Some(tenant), Opened::Session(key)) => new.session(tenant, MacTerm::new(facts, key)),
        (None, Opened::Intake(key)) => new.intake(facts, IntakeKey::new(&key)),
        (_, Opened::Sign(key)) => return Some(key),
        // A key that is in a wrong place was opened for that place, and belongs to nobody.
        (Some(_), Opened::Intake(_)) | (None, Opened::Kek(_) | Opened::Fingerprint(_) | Opened::Session(_)) => {}
    }
    None
}

/// A key of the Root in force, wrapped by the Root to come as well.
pub(super) async fn rewrap(root: Arc<Root>, next: Arc<Root>, row: KeyRow) -> Result<StagedKey, FlowError> {
    let wrapped = match row.name.purpose {
        KeyPurpose::Kek => rewrap_as::<Kek>(&root, &next, &row).await?,
        KeyPurpose::Fingerprint | KeyPurpose::Session => rewrap_as::<Mac>(&root, &next, &row).await?,
        KeyPurpose::Sign => rewrap_as::<SignRole>(&root, &next, &row).await?,
        KeyPurpose::Intake => rewrap_as::<IntakeRole>(&root, &next, &row).await?,
    };
    Ok(StagedKey { name: row.name, instead_of: row.wrapped, wrapped })
}

async fn rewrap_as<R: Role>(root: &Root, next: &Root, row: &KeyRow) -> Result<Vec<u8>, FlowError> {
    let place = place::<R>(row.name.purpose, row.name.tenant.as_ref());
    Ok(root.rewrap::<R>(next, &place, row.name.term, &row.wrapped).await?)
}

/// The key that a row holds.
///
/// # Errors
/// Why it does not open under the Root in its place.
pub(super) async fn unwrap_as<R: Role>(root: &Root, row: &KeyRow) -> Result<Key<R>, FlowError> {
    let place = place::<R>(row.name.purpose, row.name.tenant.as_ref());
    Ok(root.unwrap_key(&place, row.name.term, &row.wrapped).await?)
}

/// What signs here under a term of the Sign key: the key itself, or the one that a node derives from it.
pub(super) fn voice(vault_id: Uuid, node: Option<&NodeName>, key: Key<SignRole>) -> Result<Voice, FlowError> {
    let vault_id = vault_id.to_string();
    let voice = match node {
        None => Voice::alone(&vault_id, &key),
        Some(node) => Voice::of_node(&vault_id, node, key),
    };
    // A vault's id is a UUID, which fits a signer's name beside a node's.
    voice.map_err(|_| FlowError::Crypto("the vault's id cannot name a signer"))
}

fn place<R: Role>(purpose: KeyPurpose, tenant: Option<&TenantId>) -> Context<'_> {
    let record: &[u8] = match purpose {
        KeyPurpose::Kek => b"kek",
        KeyPurpose::Fingerprint => b"fingerprint",
        KeyPurpose::Session => b"session",
        KeyPurpose::Sign => b"sign",
        KeyPurpose::Intake => b"intake",
    };
    Context { tenant: tenant.map_or("", TenantId::as_str), record, purpose: Purpose::Key(R::NAME) }
}

/// What is known of a key besides its bytes.
pub(super) fn facts(row: &KeyRow) -> KeyFacts {
    KeyFacts { term: row.name.term, state: row.state, created_ms: row.created_ms, wraps: row.wraps }
}

/// Keys that are unwrapped at a time.
const AT_ONCE: usize = 16;

impl From<NoRandomness> for FlowError {
    fn from(_: NoRandomness) -> Self {
        FlowError::Crypto("the operating system gave no random numbers")
    }
}

impl From<KeyringError> for FlowError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Sealed => FlowError::Sealed,
            KeyringError::AlreadyUnsealed => FlowError::Conflict("the vault is unsealed already"),
            KeyringError::NoSigner
            | KeyringError::Incomplete
            | KeyringError::TwoActive
            | KeyringError::Exists
            | KeyringError::Missing
            | KeyringError::Active
            | KeyringError::Facts => {
                FlowError::Crypto("the keys in the store are not complete; restore it from a backup")
            }
        }
    }
}
