//! The dialect of Adyen: the Checkout API, version 71, below `/v71`, and its standard webhooks.
//!
//! As with Adyen, nothing can be asked: modifications are `received`, and a webhook tells what became of them. They are
//! carried out at once, so that the ledger is ahead of the webhook and never behind it.
//!
//! A merchant account whose name ends in `_MultipleCaptures` is one that Adyen has switched several captures on for; every
//! other account captures once, and what is left is released.

mod book;
mod cards;
mod challenge;
mod dispute;
mod event;
mod exchange;
mod refusal;
mod request;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{Data, ServiceConfig, get, post};
use serde_json::Value;

use crate::desk::Dispute;
use crate::house::{Dialect, House};
use crate::replay::Keys;
use book::Book;

/// The provider. A clone is another handle on the same one.
#[derive(Clone)]
pub(crate) struct Adyen {
    house: House,
    book: Arc<Mutex<Book>>,
    keys: Keys,
    /// The API keys that are accepted.
    api_keys: Arc<[String]>,
}

impl Adyen {
    /// An empty provider that accepts these API keys.
    pub(crate) fn new(house: House, api_keys: &[String]) -> Self {
        let book = Arc::new(Mutex::new(Book::new(house.ledger.clone())));
        Self { house, book, keys: Keys::default(), api_keys: api_keys.into() }
    }

    /// The books; the ledger may be locked under their lock, never the other way round.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what has happened since the last time.
    fn ring(&self, book: &mut Book) {
        for (account, event) in book.events() {
            self.house.bell.ring(NAME, &account, event, event::seal);
        }
    }
}

impl Dialect for Adyen {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(Data::new(self.clone()))
            .route("/v71/payments", post().to(write::pay))
            .route("/v71/payments/details", post().to(write::details))
            .route("/v71/payments/{id}/captures", post().to(write::capture))
            .route("/v71/payments/{id}/cancels", post().to(write::cancel))
            .route("/v71/payments/{id}/refunds", post().to(write::refund))
            .route("/v71/payments/{id}/amountUpdates", post().to(write::update))
            .route("/v71/cancels", post().to(write::cancel_by_reference))
            .route("/checkoutshopper/threeDS/{id}", get().to(challenge::page))
            .route("/checkoutshopper/threeDS/{id}", post().to(challenge::verdict));
    }

    fn dispute(&self, dispute: &Dispute) -> Result<Value, String> {
        dispute::order(self, dispute)
    }
}

/// In the ledger and at the desk.
const NAME: &str = "adyen";
