//! The routes: who may call, what is parsed, what is answered.

mod challenge;
mod desk;
mod exchange;
mod read;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web;
use strongroom_wire::limits;

use crate::book::Book;
use crate::fault::Faults;
use crate::replay::Keys;

pub(crate) use exchange::Cut;

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Simulator {
    /// The provider's books.
    book: Arc<Mutex<Book>>,
    /// The faults that wait for a request.
    faults: Arc<Mutex<Faults>>,
    /// The idempotency keys.
    keys: Keys,
    /// The secret keys that are accepted.
    api_keys: Arc<[String]>,
}

impl Simulator {
    /// An empty provider that accepts these secret keys.
    pub(crate) fn new(api_keys: Vec<String>) -> Self {
        Self { book: Arc::default(), faults: Arc::default(), keys: Keys::default(), api_keys: api_keys.into() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every route.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(limits::SIMULATOR_BODY_BYTES_MAX))
        .route("/v1/payment_methods", web::post().to(write::create_method))
        .route("/v1/payment_methods/{id}", web::get().to(read::method))
        .route("/v1/payment_intents", web::post().to(write::create_intent))
        .route("/v1/payment_intents", web::get().to(read::intents))
        .route("/v1/payment_intents/{id}", web::get().to(read::intent))
        .route("/v1/payment_intents/{id}/confirm", web::post().to(write::confirm_intent))
        .route("/v1/payment_intents/{id}/capture", web::post().to(write::capture_intent))
        .route("/v1/payment_intents/{id}/cancel", web::post().to(write::cancel_intent))
        .route("/v1/charges/{id}", web::get().to(read::charge))
        .route("/v1/refunds", web::post().to(write::create_refund))
        .route("/v1/refunds", web::get().to(read::refunds))
        .route("/v1/refunds/{id}", web::get().to(read::refund))
        .route("/3ds/{id}", web::get().to(challenge::page))
        .route("/3ds/{id}", web::post().to(challenge::verdict))
        .route("/ledger", web::get().to(desk::ledger))
        .route("/faults", web::get().to(desk::list_faults))
        .route("/faults", web::post().to(desk::arm_fault))
        .route("/faults", web::delete().to(desk::clear_faults))
        .default_service(web::to(exchange::no_route));
}
