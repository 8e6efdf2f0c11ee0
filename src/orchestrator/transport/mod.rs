//! The only I/O to payment service providers: fills slots, sends, and says truthfully whether a request may have arrived.

mod fill;
mod fill_json;
mod forward;
mod http;
mod render;

pub use forward::ForwardTransport;
pub use http::{Destination, HttpTransport};
pub use render::Rendered;

use async_trait::async_trait;
use strongroom_wire::{TenantId, Token};

use crate::connector::{Credentials, Doubt, PspAnswer, PspRequest};
use crate::vault::{Card, SecretText, VaultError};

/// Sends requests to providers.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` to a destination (the connector's name, or `connector-name`). When the request has slots, `card` says how to fill them.
    async fn send(
        &self,
        destination: &str,
        request: &PspRequest,
        credentials: &Credentials,
        card: CardPass<'_>,
    ) -> Sent;

    /// Whether the configuration says where this destination is.
    fn knows(&self, _destination: &str) -> bool {
        true
    }

    /// Whether this process has to hold the card to fill slots. `false`: the vault fills them, and a card is never released.
    fn needs_card(&self) -> bool {
        true
    }
}

/// How the slots of a request get a card.
#[derive(Clone, Copy)]
pub enum CardPass<'a> {
    /// Not at all: the request has none.
    None,
    /// From a card that the vault has released.
    Released(&'a Card),
    /// In the vault.
    ByVault(&'a Handover),
}

/// What the vault needs to fill in a card itself.
pub struct Handover {
    /// Whose card.
    pub tenant: TenantId,
    /// Which.
    pub token: Token,
    /// The sealed CVC, where this payment brought one.
    pub cvc_token: Option<SecretText>,
    /// What for (the payment id); stands in the vault's audit log.
    pub reference: String,
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// The vault, which should have filled and sent it, did not.
    #[error(transparent)]
    Vault(VaultError),
}

#[cfg(test)]
mod tests;
