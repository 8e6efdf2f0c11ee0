//! Connector credentials in memory: fetched from the vault, kept for a few minutes, wiped afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use strongroom_wire::{SecretId, TenantId};
use zeroize::Zeroizing;

use super::engine::{Engine, SharedCredentials};
use crate::connector::Credentials;
use crate::vault::{SecretText, VaultError};

/// Credentials by the secret that they are kept as at the vault. A secret never changes, so an account that is switched to
/// another one has its new credentials with the next call.
#[derive(Default)]
pub(crate) struct CredentialCache(Mutex<HashMap<SecretId, (SharedCredentials, i64)>>);

impl CredentialCache {
    /// The credentials of a secret, from memory or from the vault.
    pub(crate) async fn of(
        &self,
        engine: &Engine,
        merchant: &TenantId,
        secret_id: SecretId,
    ) -> Result<SharedCredentials, VaultError> {
        let now = engine.now_ms();
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|_, (_, until)| *until > now);
            if let Some((credentials, _)) = kept.get(&secret_id) {
                return Ok(credentials.clone());
            }
        }
        let text = engine.vault.reveal_secret(merchant, secret_id).await?;
        let credentials = Arc::new(parse(&text).ok_or(VaultError::Unavailable)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(secret_id, (credentials.clone(), now + KEEP_MS));
        Ok(credentials)
    }

    /// Forgets what is too old; called by the background loop so that idle credentials do not stay.
    pub(crate) fn forget_old(&self, now_ms: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (_, until)| *until > now_ms);
    }
}

/// The form in which credentials are kept as a secret of the vault: a JSON object with `api_key`, `key1`, `api_secret`,
/// `webhook_secret`.
#[must_use]
pub fn to_secret_text(credentials: &Credentials) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(strongroom_wire::limits::SECRET_BYTES_MAX));
    text.push('{');
    let parts = [
        ("api_key", Some(&credentials.api_key)),
        ("key1", credentials.key1.as_ref()),
        ("api_secret", credentials.api_secret.as_ref()),
        ("webhook_secret", credentials.webhook_secret.as_ref()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&format!("\"{name}\":\""));
            // Printable ASCII without quote or backslash (checked when the account is made) needs no escapes.
            text.push_str(value);
            text.push('"');
        }
    }
    text.push('}');
    text
}

fn parse(text: &str) -> Option<Credentials> {
    let stored: StoredCredentials = serde_json::from_str(text).ok()?;
    Some(Credentials {
        api_key: stored.api_key.into_inner(),
        key1: stored.key1.map(SecretText::into_inner),
        api_secret: stored.api_secret.map(SecretText::into_inner),
        webhook_secret: stored.webhook_secret.map(SecretText::into_inner),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCredentials {
    api_key: SecretText,
    #[serde(default)]
    key1: Option<SecretText>,
    #[serde(default)]
    api_secret: Option<SecretText>,
    #[serde(default)]
    webhook_secret: Option<SecretText>,
}

/// How long a credential stays in memory, in milliseconds.
const KEEP_MS: i64 = 180_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_back_as_they_went() {
        let credentials = Credentials {
            api_key: Zeroizing::new("sk_test_1".into()),
            key1: None,
            api_secret: Some(Zeroizing::new("x y".into())),
            webhook_secret: None,
        };
        let back = parse(&to_secret_text(&credentials)).unwrap();
        assert_eq!(*back.api_key, "sk_test_1");
        assert!(back.key1.is_none());
        assert_eq!(*back.api_secret.unwrap(), "x y");
    }
}
