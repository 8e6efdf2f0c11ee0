//! The saved cards of a customer, and the short-lived names under which a browser may choose one.

use strongroom_wire::payment_method::{PaymentMethod, Storage};
use strongroom_wire::{CustomerId, TenantId, limits};

use super::engine::Engine;
use super::fault::Fault;
use crate::ids;
use crate::store::{PaymentToken, SavedUse};

/// A saved card as it is offered to a payer.
pub struct SavedCard {
    /// `token_...`, for one quarter of an hour.
    pub payment_token: String,
    /// The card, masked.
    pub method: PaymentMethod,
    /// What is known about its use.
    pub used: Option<SavedUse>,
    /// Whether it is the customer's default.
    pub is_default: bool,
}

impl Engine {
    /// The customer's kept cards, the one used last first.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a customer nobody knows, [`Fault::VaultUnavailable`], [`Fault::Store`].
    pub async fn saved_cards(&self, merchant: &TenantId, customer: &CustomerId) -> Result<Vec<SavedCard>, Fault> {
        let default = self.store.customer(merchant, customer).await?.ok_or(Fault::NotFound("Customer"))?.default_method;
        let methods = self.vault.list(merchant, customer).await?;
        let mut uses = self.store.saved_uses(merchant, customer).await?;
        let now = self.now_ms();
        let ttl_ms = i64::try_from(limits::PAYMENT_TOKEN_TTL_S).unwrap_or(0) * 1000;
        let mut cards = Vec::new();
        for method in methods.into_iter().filter(|m| m.storage == Storage::LongTerm).take(limits::SAVED_CARDS_MAX) {
            let place = uses.iter().position(|used| used.token == method.payment_method_id);
            let used = place.map(|place| uses.swap_remove(place));
            let is_default = default == Some(method.payment_method_id);
            cards.push(SavedCard { payment_token: ids::fresh("token_", now)?, method, used, is_default });
        }
        cards.sort_by_key(|card| std::cmp::Reverse(card.used.as_ref().map(|used| used.last_used_ms)));
        let tokens: Vec<_> = cards
            .iter()
            .map(|card| PaymentToken {
                payment_token: card.payment_token.clone(),
                merchant_id: merchant.clone(),
                customer_id: customer.clone(),
                token: card.method.payment_method_id,
                expires_ms: now + ttl_ms,
            })
            .collect();
        self.store.add_payment_tokens(&tokens, now).await?;
        Ok(cards)
    }
}
