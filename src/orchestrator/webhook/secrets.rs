//! Webhook secrets in memory: fetched from the vault, kept for a few minutes, wiped afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_wire::{SecretId, TenantId};
use zeroize::Zeroizing;

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

/// How long a secret stays in memory, in milliseconds.
const KEEP_MS: i64 = 180_000;
