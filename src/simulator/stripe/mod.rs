//! The dialect of Stripe: payment methods, payment intents, setup intents, charges, refunds and disputes below `/v1`.

mod book;
mod challenge;
mod decline;
mod dispute;
mod event;
mod exchange;
mod form;
mod read;
mod refusal;
mod shape;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{Data, ServiceConfig, get, post};
use serde_json::Value;

use crate::desk::Dispute;
use crate::house::{Dialect, House};
use crate::replay::Keys;
use book::{Book, Happened};

pub(crate) use exchange::no_route;

/// The provider. A clone is another handle on the same one.
#[derive(Clone)]
pub(crate) struct Stripe {
    house: House,
    book: Arc<Mutex<Book>>,
    keys: Keys,
    /// The secret keys that are accepted.
    api_keys: Arc<[String]>,
}

impl Stripe {
    /// An empty provider that accepts these secret keys.
    pub(crate) fn new(house: House, api_keys: &[String]) -> Self {
        let book = Arc::new(Mutex::new(Book::new(house.ledger.clone())));
        Self { house, book, keys: Keys::default(), api_keys: api_keys.into() }
    }

    /// Works on the books, and tells by webhook what happened in them.
    fn with_book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book();
        book.listened = self.house.bell.is_heard(NAME);
        let done = act(&mut book);
        // Under the lock, so that events leave in the order in which they happened.
        for Happened { kind, account, object } in book.happened() {
            let event = event::event(kind, object, self.house.now_s());
            self.house.bell.ring(NAME, &account, event, event::seal);
        }
        done
    }

    /// The books; the ledger may be locked under their lock, never the other way round.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dialect for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(Data::new(self.clone()))
            .route("/v1/payment_methods", post().to(write::create_method))
            .route("/v1/payment_methods/{id}", get().to(read::method))
            .route("/v1/payment_intents", post().to(write::create_intent))
            .route("/v1/payment_intents", get().to(read::intents))
            .route("/v1/payment_intents/{id}", get().to(read::intent))
            .route("/v1/payment_intents/{id}/confirm", post().to(write::confirm_intent))
            .route("/v1/payment_intents/{id}/increment_authorization", post().to(write::increment_intent))
            .route("/v1/payment_intents/{id}/capture", post().to(write::capture_intent))
            .route("/v1/payment_intents/{id}/cancel", post().to(write::cancel_intent))
            .route("/v1/setup_intents", post().to(write::create_setup))
            .route("/v1/setup_intents", get().to(read::setups))
            .route("/v1/setup_intents/{id}", get().to(read::setup))
            .route("/v1/setup_intents/{id}/cancel", post().to(write::cancel_setup))
            .route("/v1/charges/{id}", get().to(read::charge))
            .route("/v1/refunds", post().to(write::create_refund))
            .route("/v1/refunds", get().to(read::refunds))
            .route("/v1/refunds/{id}", get().to(read::refund))
            .route("/3ds/{id}", get().to(challenge::page))
            .route("/3ds/{id}", post().to(challenge::verdict));
    }

    fn dispute(&self, dispute: &Dispute) -> Result<Value, String> {
        dispute::order(self, dispute)
    }
}

/// In the ledger and at the desk.
const NAME: &str = "stripe";
