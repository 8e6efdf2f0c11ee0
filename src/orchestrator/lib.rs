//! orchestratord: pays by token at payment service providers; holds a card only for one call to a provider.

pub mod clock;
pub mod connector;
pub mod ids;
pub mod money;
pub mod transport;
pub mod vault;
