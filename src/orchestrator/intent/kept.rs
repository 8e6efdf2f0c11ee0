//! Housekeeping of kept cards: looked at, made a customer's default, deleted.

use strongroom_wire::payment_method::{PaymentMethod, Storage};
use strongroom_wire::{CustomerId, TenantId, Token};

use super::engine::Engine;
use super::fault::Fault;
use crate::account::Customer;
use crate::store::{SavedUse, StoreError};
use crate::vault::{CardInput, VaultError};

/// A kept card as its merchant sees it.
pub struct KeptCard {
    /// The card, masked.
    pub method: PaymentMethod,
    /// What is known about its use.
    pub used: Option<SavedUse>,
    /// Whether it is its customer's default.
    pub is_default: bool,
}

impl Engine {
    /// A kept card of the merchant.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a card that is none of the merchant's or not kept, [`Fault::VaultUnavailable`],
    /// [`Fault::Store`].
    pub async fn kept_card(&self, merchant: &TenantId, token: Token) -> Result<KeptCard, Fault> {
        let method = self.vault.get(merchant, token).await?;
        if method.storage != Storage::LongTerm {
            return Err(Fault::NotFound("Payment method"));
        }
        let (mut used, mut is_default) = (None, false);
        if let Some(customer) = &method.customer_id {
            let uses = self.store.saved_uses(merchant, customer).await?;
            used = uses.into_iter().find(|used| used.token == token);
            let customer = self.store.customer(merchant, customer).await?;
            is_default = customer.is_some_and(|customer| customer.default_method == Some(token));
        }
        Ok(KeptCard { method, used, is_default })
    }

    /// Keeps a card of no customer, without its CVC, until somebody deletes it. Should this end in between, the vault has a
    /// short-term card that ends by itself.
    ///
    /// # Errors
    /// [`Fault::BadCardNumber`], [`Fault::BadCardDetail`], [`Fault::VaultUnavailable`].
    pub async fn keep_card(&self, merchant: &TenantId, card: CardInput) -> Result<PaymentMethod, Fault> {
        let card = CardInput { cvc: None, ..card };
        let method = self.vault.tokenize(merchant, &card, None).await?;
        self.vault.retain(merchant, method.payment_method_id).await?;
        Ok(method)
    }

    /// Makes a kept card the one that is offered first.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::Busy`], [`Fault::VaultUnavailable`], [`Fault::Store`].
    pub async fn set_default_card(
        &self,
        merchant: &TenantId,
        customer: &CustomerId,
        token: Token,
    ) -> Result<Customer, Fault> {
        let seen = self.store.customer(merchant, customer).await?.ok_or(Fault::NotFound("Customer"))?;
        let card = self.kept_card(merchant, token).await?;
        if card.method.customer_id.as_ref() != Some(customer) {
            return Err(Fault::NotFound("Payment method"));
        }
        let changed = Customer { default_method: Some(token), ..seen.clone() };
        self.store.save_customer(&changed, &seen).await?;
        Ok(changed)
    }

    /// Shreds a kept card and forgets what is known about its use. `customer`: whose it must be.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::DefaultMethod`] for the default while there are others, [`Fault::Busy`],
    /// [`Fault::VaultUnavailable`], [`Fault::Store`]. A fault of the store may strike after the card is gone; asking again
    /// then forgets what is left.
    pub async fn delete_card(
        &self,
        merchant: &TenantId,
        customer: Option<&CustomerId>,
        token: Token,
    ) -> Result<(), Fault> {
        let found = match self.vault.get(merchant, token).await {
            Ok(method) => Some(method),
            Err(VaultError::NotFound) => None,
            Err(other) => return Err(other.into()),
        };
        let Some(method) = found.filter(|method| method.storage == Storage::LongTerm) else {
            // An earlier request may have come as far as shredding it.
            if let Some(customer) = customer {
                self.forget_card(merchant, customer, token).await?;
            }
            return Err(Fault::NotFound("Payment method"));
        };
        if customer.is_some() && method.customer_id.as_ref() != customer {
            return Err(Fault::NotFound("Payment method"));
        }
        if let Some(of) = &method.customer_id {
            let is_default =
                self.store.customer(merchant, of).await?.is_some_and(|one| one.default_method == Some(token));
            if is_default && self.vault.list(merchant, of).await?.len() > 1 {
                return Err(Fault::DefaultMethod);
            }
        }
        match self.vault.delete(merchant, token).await {
            Ok(()) | Err(VaultError::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
        match &method.customer_id {
            Some(of) => self.forget_card(merchant, of, token).await,
            None => Ok(()),
        }
    }

    async fn forget_card(&self, merchant: &TenantId, customer: &CustomerId, token: Token) -> Result<(), Fault> {
        self.store.forget_saved_use(merchant, customer, token).await?;
        for _ in 0..SAVES_MAX {
            let seen = self.store.customer(merchant, customer).await?;
            let Some(seen) = seen.filter(|customer| customer.default_method == Some(token)) else {
                return Ok(());
            };
            let changed = Customer { default_method: None, ..seen.clone() };
            match self.store.save_customer(&changed, &seen).await {
                Err(StoreError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Err(Fault::Busy)
    }
}

/// How often a customer that somebody else changes at the same time is read again.
const SAVES_MAX: u32 = 5;
