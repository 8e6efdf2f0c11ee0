//! What the vault still has to do after an outcome: keep the card that paid, shred the one that did not.

use super::engine::Engine;
use super::payment::backoff_ms;
use crate::store::{Chore, ChoreKind, StoreError};
use crate::vault::VaultError;

impl Engine {
    /// Does what is due; what fails is done later.
    pub(crate) async fn do_due_chores(&self) {
        self.do_chores(|_| true).await;
    }

    /// Does the chores of one payment now, so that the answer to the caller is already true at the vault.
    pub(crate) async fn do_chores_of(&self, payment_id: &str) {
        self.do_chores(|chore| chore.payment_id == payment_id).await;
    }

    async fn do_chores(&self, wanted: impl Fn(&Chore) -> bool) {
        let chores = match self.store.due_chores(self.now_ms(), CHORES_MAX).await {
            Ok(chores) => chores,
            Err(error) => {
                tracing::error!(%error, "chores cannot be read");
                return;
            }
        };
        for chore in chores.into_iter().filter(|chore| wanted(chore)) {
            let stored = match self.do_chore(&chore).await {
                Ok(()) => self.store.finish_chore(chore.id).await,
                Err(error) => {
                    tracing::warn!(payment_id = chore.payment_id.as_str(), %error, "a chore is tried again later");
                    self.store.postpone_chore(chore.id, self.now_ms() + backoff_ms(chore.tries)).await
                }
            };
            if let Err(error) = stored {
                tracing::error!(%error, "a chore's result cannot be stored; it will be repeated");
            }
        }
    }

    async fn do_chore(&self, chore: &Chore) -> Result<(), ChoreError> {
        let done = match chore.kind {
            ChoreKind::Retain => self.vault.retain(&chore.merchant_id, chore.token).await,
            ChoreKind::Shred => {
                // The vault answers one token for the same card of the same customer: another payment may need it.
                if self.store.is_card_in_use(&chore.merchant_id, chore.token, &chore.payment_id).await?
                    || self.is_kept(chore).await?
                {
                    return Ok(());
                }
                self.vault.delete(&chore.merchant_id, chore.token).await
            }
        };
        match done {
            // A short-term card that is gone needs no shredding, and cannot be kept any more.
            Err(VaultError::NotFound) => {
                if chore.kind == ChoreKind::Retain {
                    tracing::error!(payment_id = chore.payment_id.as_str(), "a card expired before it could be kept");
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Whether another payment kept this very card.
    async fn is_kept(&self, chore: &Chore) -> Result<bool, ChoreError> {
        match self.vault.get(&chore.merchant_id, chore.token).await {
            Ok(method) => Ok(method.storage == strongroom_wire::payment_method::Storage::LongTerm),
            Err(VaultError::NotFound) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ChoreError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most chores of one round.
const CHORES_MAX: u32 = 200;
