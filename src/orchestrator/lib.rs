//! orchestratord: pays by token at payment service providers; holds a card only for one call to a provider.

pub mod connector;
pub mod money;
