//! Connector accounts and their credentials: tried at the provider, kept in the vault, replaced and forgotten.

use strongroom_wire::{SecretId, TenantId};
use zeroize::Zeroizing;

use super::chores::ChoreError;
use super::credentials::to_secret_text;
use super::engine::{Engine, SharedCredentials};
use super::fault::Fault;
use crate::account::ConnectorAccount;
use crate::connector::Credentials;
use crate::store::{Chore, ChoreKind, NewChore, Record, StoreError};
use crate::transport::{CardPass, Sent};
use crate::vault::VaultError;

/// What a provider says to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// It knows them.
    Accepted,
    /// It does not, or they may not do what is needed.
    Refused,
    /// It could not be asked, or its answer says neither.
    Unknown,
}

impl Engine {
    /// A merchant's connector accounts, oldest first, without deleted ones.
    ///
    /// # Errors
    /// [`Fault::Store`].
    pub async fn accounts(&self, merchant: &TenantId) -> Result<Vec<ConnectorAccount>, Fault> {
        let accounts = self.store.connector_accounts(merchant).await?;
        Ok(accounts.into_iter().filter(|account| account.deleted_ms.is_none()).collect())
    }

    /// Whether the configuration says where this destination is.
    #[must_use]
    pub fn knows(&self, destination: &str) -> bool {
        self.transport.knows(destination)
    }

    /// Asks the provider something harmless under these credentials.
    pub async fn probe(&self, account: &ConnectorAccount, credentials: &Credentials) -> Probed {
        let Some(request) = self.connector(&account.connector).and_then(|connector| connector.probe()) else {
            return Probed::Unknown;
        };
        match self.transport.send(account.destination(), &request, credentials, CardPass::None).await {
            Sent::Answer(answer) => match answer.status {
                200..=299 => Probed::Accepted,
                401 | 403 => Probed::Refused,
                _ => Probed::Unknown,
            },
            Sent::NotSent(_) | Sent::InDoubt(_) => Probed::Unknown,
        }
    }

    /// The credentials of an account.
    ///
    /// # Errors
    /// [`Fault::VaultUnavailable`], [`Fault::Precondition`] if they are stored no longer.
    pub async fn credentials_of(&self, account: &ConnectorAccount) -> Result<SharedCredentials, Fault> {
        self.credentials.of(self, &account.merchant_id, account.secret_id).await.map_err(|error| match error {
            VaultError::NotFound => Fault::Precondition(
                "The stored credentials of this account are gone: send connector_account_details and \
                 connector_webhook_details together",
            ),
            _ => Fault::VaultUnavailable,
        })
    }

    /// Keeps credentials at the vault. Should the account not come to use them, they are deleted there again.
    ///
    /// # Errors
    /// [`Fault::VaultUnavailable`], [`Fault::Store`].
    pub async fn store_credentials(
        &self,
        account: &ConnectorAccount,
        credentials: &Credentials,
    ) -> Result<SecretId, Fault> {
        let text = to_secret_text(credentials);
        let stored = self.vault.store_secret(&account.merchant_id, &account.account_id, &text).await;
        let secret_id = stored.map_err(|_| Fault::VaultUnavailable)?;
        self.retire_secret(account, secret_id, UNUSED_MS).await?;
        Ok(secret_id)
    }

    /// Has a secret deleted after `after_ms` unless its account uses it then.
    ///
    /// # Errors
    /// [`Fault::Store`].
    pub async fn retire_secret(
        &self,
        account: &ConnectorAccount,
        secret_id: SecretId,
        after_ms: i64,
    ) -> Result<(), Fault> {
        let chore = NewChore {
            merchant_id: account.merchant_id.clone(),
            kind: ChoreKind::ForgetSecret,
            record: Record::Secret(secret_id),
            payment_id: account.account_id.clone(),
            // Not before the write that makes it unused, which follows at once.
            due_ms: self.now_ms() + after_ms.max(SWITCH_MS),
        };
        Ok(self.store.add_chore(&chore).await?)
    }

    /// Deletes a secret that no account uses, and its mention in the account that used it.
    pub(super) async fn forget_secret(&self, chore: &Chore, secret_id: SecretId) -> Result<(), ChoreError> {
        let accounts = self.store.connector_accounts(&chore.merchant_id).await?;
        let account = accounts.into_iter().find(|account| account.account_id == chore.payment_id);
        if account.as_ref().is_some_and(|one| one.secret_id == secret_id && one.deleted_ms.is_none()) {
            return Ok(());
        }
        // Credentials that were replaced, or whose account was deleted, soon after they were saved: this is the chore that
        // looked whether they came to be used, and another one ends their overlap.
        let now = self.now_ms();
        let lasts =
            |one: &ConnectorAccount| one.retired.iter().any(|old| old.secret_id == secret_id && now < old.until_ms);
        if account.as_ref().is_some_and(lasts) {
            return Ok(());
        }
        if self.is_merchants_secret(&chore.merchant_id, secret_id).await? {
            return Ok(());
        }
        match self.vault.delete_secret(&chore.merchant_id, secret_id).await {
            Ok(()) | Err(VaultError::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
        let Some(seen) = account.filter(|one| one.retired.iter().any(|old| old.secret_id == secret_id)) else {
            return Ok(());
        };
        let mut account = seen.clone();
        account.retired.retain(|old| old.secret_id != secret_id);
        match self.store.save_connector_account(&account, &seen).await {
            // Somebody changes it now; what is over its time counts no more, and the next change drops it.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

impl Credentials {
    /// The same with another webhook secret.
    #[must_use]
    pub fn with_webhook_secret(&self, secret: Zeroizing<String>) -> Self {
        Self {
            api_key: self.api_key.clone(),
            key1: self.key1.clone(),
            api_secret: self.api_secret.clone(),
            webhook_secret: Some(secret),
        }
    }
}

/// How long new credentials wait for their account to use them, in milliseconds.
const UNUSED_MS: i64 = 600_000;
/// The least time until a secret is deleted, in milliseconds: what makes it unused is stored by then.
const SWITCH_MS: i64 = 30_000;
