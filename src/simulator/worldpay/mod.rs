//! The dialect of Worldpay: Card Payments v7 below `/cardPayments` and `/payments`, and Payment Queries v1.
//!
//! The user name of Basic authentication is one of the API keys; the password may be anything but empty. As at Worldpay
//! itself, no key makes a request idempotent: whoever sends an authorization twice reserves twice, and the ledger shows it.
//! Settlements, refunds and cancellations are answered with a receipt and carried out at once.

mod body;
mod book;
mod dispute;
mod event;
mod exchange;
mod issuer;
mod link;
mod read;
mod refusal;
mod shape;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{Data, ServiceConfig, get, post};
use serde_json::Value;

use crate::desk::Dispute;
use crate::house::{Dialect, House};
use book::Book;

/// The provider. A clone is another handle on the same one.
#[derive(Clone)]
pub(crate) struct Worldpay {
    house: House,
    book: Arc<Mutex<Book>>,
    /// The user names that are accepted.
    users: Arc<[String]>,
}

impl Worldpay {
    /// An empty provider that accepts these user names.
    pub(crate) fn new(house: House, users: &[String]) -> Self {
        let book = Arc::new(Mutex::new(Book::new(house.ledger.clone())));
        Self { house, book, users: users.into() }
    }

    /// The books; the ledger may be locked under their lock, never the other way round.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells by webhook what the books have to tell.
    fn tell(&self, book: &mut Book) {
        for (account, event) in book.news() {
            self.house.bell.ring(NAME, &account, event, event::seal);
        }
    }
}

impl Dialect for Worldpay {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(Data::new(self.clone()))
            .route("/cardPayments/customerInitiatedTransactions", post().to(write::by_customer))
            .route("/cardPayments/merchantInitiatedTransactions", post().to(write::by_merchant))
            .route("/payments/settlements/full/{link}", post().to(write::settle))
            .route("/payments/settlements/partials/{link}", post().to(write::settle_part))
            .route("/payments/settlements/refunds/full/{link}", post().to(write::refund))
            .route("/payments/settlements/refunds/partials/{link}", post().to(write::refund_part))
            .route("/payments/authorizations/cancellations/{link}", post().to(write::cancel))
            .route("/payments/authorizations/incrementalAuthorizations/{link}", post().to(write::increase))
            .route("/payments/sales/reversals/{link}", post().to(write::reverse))
            .route("/payments/events", get().to(read::recovery))
            .route("/payments/events/{link}", get().to(read::last_event))
            .route("/paymentQueries/payments", get().to(read::search))
            .route("/paymentQueries/payments/{id}", get().to(read::payment));
    }

    fn dispute(&self, dispute: &Dispute) -> Result<Value, String> {
        dispute::order(self, dispute)
    }
}

/// In the ledger and at the desk.
const NAME: &str = "worldpay";
