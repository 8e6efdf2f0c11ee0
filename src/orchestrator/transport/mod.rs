//! The only I/O to payment service providers: fills slots, sends, and says truthfully whether a request may have arrived.

mod fill;
mod fill_json;
mod http;
mod render;

pub use http::{Destination, HttpTransport};
pub use render::Rendered;

use async_trait::async_trait;

use crate::connector::{Credentials, Doubt, PspAnswer, PspRequest};
use crate::vault::Card;

/// Sends requests to providers.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` to the destination of this connector. `card` is needed when the request has slots.
    async fn send(&self, connector: &str, request: &PspRequest, credentials: &Credentials, card: Option<&Card>)
    -> Sent;
}

/// What became of a request.
pub enum Sent {
    /// A complete answer.
    Answer(PspAnswer),
    /// Proven: not one byte of the request left this process.
    NotSent(NotSent),
    /// It may have arrived.
    InDoubt(Doubt),
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// No connection, or no TLS session on it, within the time limit.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// The configuration names no destination for this connector.
    #[error("no destination is configured for this connector")]
    NoDestination,
    /// A slot without a card, or text that no header can carry.
    #[error("the request cannot be built")]
    Unbuildable,
}

#[cfg(test)]
mod tests;
