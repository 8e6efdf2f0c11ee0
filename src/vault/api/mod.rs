//! The listeners: TLS, who asks, bodies, answers. A handler parses, calls one flow and answers; it decides nothing.

mod acts;
mod admin;
mod admission;
mod answer;
mod batch;
mod body;
mod call;
mod certificate;
mod chunked;
pub mod clients;
mod connection;
mod custody;
mod forward;
mod head;
mod health;
mod intake;
mod intake_key;
mod inventory;
pub mod listener;
pub mod problem;
mod rate;
mod release;
mod reports;
pub mod routes;
mod sdk;
pub mod state;
pub mod tls;
mod whole;

pub use admission::Gates;
pub use listener::{Addresses, Bound, ListenError};
pub use rate::Rate;
pub use state::State;
pub use tls::{Certificates, TlsError};
