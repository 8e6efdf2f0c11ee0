//! What the vault still has to do after an outcome: keep the card that paid, shred the one that did not.

use strongroom_wire::{TenantId, Token};

use super::call::backoff_ms;
use super::engine::Engine;
use super::payment::Payment;
use crate::store::{Chore, ChoreKind, Effects, NewChore, Record, StoreError};
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

    /// Has a card shredded that came with a request which no payment took. If the store cannot take the chore either,
    /// the card goes when its short term at the vault ends.
    pub(crate) async fn leave_stray(&self, payment: &Payment, token: Token) {
        if let Err(error) = self.store.add_chore(&self.stray(payment, token)).await {
            tracing::error!(payment_id = payment.payment_id.as_str(), %error, "a card stays until its short term ends");
        }
    }

    /// The chore that shreds this card unless a payment uses it.
    pub(crate) fn stray(&self, payment: &Payment, token: Token) -> NewChore {
        NewChore {
            merchant_id: payment.merchant_id.clone(),
            kind: ChoreKind::ShredStray,
            record: Record::Card(token),
            payment_id: payment.payment_id.clone(),
            due_ms: self.now_ms() + STRAY_MS,
        }
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
        match chore.record {
            Record::Card(token) => self.do_chore_of_card(chore, token).await,
            Record::Secret(secret_id) => self.forget_secret(chore, secret_id).await,
        }
    }

    async fn do_chore_of_card(&self, chore: &Chore, token: Token) -> Result<(), ChoreError> {
        let done = match chore.kind {
            ChoreKind::Retain => self.vault.retain(&chore.merchant_id, token).await,
            // No chore of a card is of this kind, and none may shred a card by mistake.
            ChoreKind::ForgetSecret => return Ok(()),
            ChoreKind::Shred | ChoreKind::ShredStray => {
                let except = if chore.kind == ChoreKind::Shred { chore.payment_id.as_str() } else { NO_PAYMENT };
                // The vault answers one token for the same card of the same customer: another payment may need it.
                if self.store.is_card_in_use(&chore.merchant_id, token, except).await?
                    || self.is_kept(&chore.merchant_id, token).await?
                {
                    return Ok(());
                }
                self.vault.delete(&chore.merchant_id, token).await
            }
        };
        match done {
            // A short-term card that is gone needs no shredding, and cannot be kept any more.
            Err(VaultError::NotFound) => {
                if chore.kind == ChoreKind::Retain {
                    tracing::error!(payment_id = chore.payment_id.as_str(), "a card expired before it could be kept");
                    self.unkeep(chore).await?;
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// The payment names no card that nobody can use any more.
    async fn unkeep(&self, chore: &Chore) -> Result<(), ChoreError> {
        let Some((mut payment, version)) = self.store.payment(&chore.merchant_id, &chore.payment_id).await? else {
            return Ok(());
        };
        if let Some(method) = payment.method.as_mut() {
            method.kept = false;
        }
        self.store_payment(&mut payment, Some(version), &Effects::default()).await?;
        Ok(())
    }

    /// Whether another payment kept this very card.
    async fn is_kept(&self, merchant: &TenantId, token: Token) -> Result<bool, ChoreError> {
        match self.vault.get(merchant, token).await {
            Ok(method) => Ok(method.storage == strongroom_wire::payment_method::Storage::LongTerm),
            Err(VaultError::NotFound) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ChoreError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The id of no payment.
const NO_PAYMENT: &str = "";
/// How long a stray card waits, so that a request that was given the same token can store that it uses it, in
/// milliseconds.
const STRAY_MS: i64 = 30_000;
/// Most chores of one round.
const CHORES_MAX: u32 = 200;
