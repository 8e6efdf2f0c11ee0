//! Webhook secrets in memory: fetched from the vault, kept for a few minutes, wiped afterwards; and their end at the vault.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_wire::{SecretId, TenantId};
use zeroize::Zeroizing;

use crate::intent::Engine;
use crate::store::{ChoreKind, NewChore, Record, StoreError};
use crate::vault::{Vault, VaultError};

/// A secret, wiped with the last user.
pub(crate) type SharedSecret = Arc<Zeroizing<String>>;

/// Secrets by their name in the vault.
#[derive(Default)]
pub(crate) struct SecretCache(Mutex<HashMap<SecretId, (SharedSecret, i64)>>);

impl SecretCache {
    /// The secret, from memory or from the vault.
    pub(crate) async fn of(
        &self,
        vault: &dyn Vault,
        merchant: &TenantId,
        id: SecretId,
        now_ms: i64,
    ) -> Result<SharedSecret, VaultError> {
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|_, (_, until)| *until > now_ms);
            if let Some((secret, _)) = kept.get(&id) {
                return Ok(secret.clone());
            }
        }
        let secret = Arc::new(vault.reveal_secret(merchant, id).await?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(id, (secret.clone(), now_ms + KEEP_MS));
        Ok(secret)
    }

    /// Forgets what is too old; called by the delivery loop so that idle secrets do not stay.
    pub(crate) fn forget_old(&self, now_ms: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (_, until)| *until > now_ms);
    }
}

impl Engine {
    /// Has a webhook secret, or a key of card fields, deleted at the vault some time after `at_ms`, unless it is valid then.
    pub(crate) async fn forget_webhook_secret(
        &self,
        merchant: &TenantId,
        secret_id: SecretId,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let chore = NewChore {
            merchant_id: merchant.clone(),
            kind: ChoreKind::ForgetSecret,
            record: Record::Secret(secret_id),
            payment_id: NO_ACCOUNT.to_owned(),
            due_ms: at_ms + SWITCH_MS,
        };
        self.store.add_chore(&chore).await
    }

    /// Whether this secret signs the merchant's webhooks, or opens its card fields, now.
    pub(crate) async fn is_merchants_secret(
        &self,
        merchant: &TenantId,
        secret_id: SecretId,
    ) -> Result<bool, StoreError> {
        let now = self.now_ms();
        let merchant = self.store.merchant(merchant).await?;
        Ok(merchant.is_some_and(|merchant| {
            merchant.webhooks.valid(now).any(|secret| secret.secret_id == secret_id)
                || merchant.encryption.valid(now).any(|key| key == secret_id)
        }))
    }
}

/// The id of no connector account.
const NO_ACCOUNT: &str = "webhook";
/// What makes a secret unused is stored by then, and no letter is signed with it any more, in milliseconds.
const SWITCH_MS: i64 = 30_000;
/// How long a secret stays in memory, in milliseconds.
const KEEP_MS: i64 = 180_000;
