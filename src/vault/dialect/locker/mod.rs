//! The card-vault dialect: how an open-source payments switch calls the locker that it brings along. A body is a JWS inside a
//! JWE, a card is named by a `card_reference`, which here is the card's token. `README.md` says what is translated how.

mod answer;
mod door;
mod fault;
mod receive;
mod routes;
mod seen;
mod work;

use actix_web::web;

use crate::api::Dialect;

pub use door::{Door, DoorError};

/// What the listener needs to speak it.
#[must_use]
pub fn dialect(door: Door) -> Dialect {
    let client_certificates = door.client_certificates;
    let door = web::Data::new(door);
    Dialect { routes: Box::new(move |of| routes::register(&door, of)), refuse: fault::refuse, client_certificates }
}
