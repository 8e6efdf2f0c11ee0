//! Webhooks: what merchants are told, on its way from the outbox to them, and what providers tell.

mod address;
mod deliver;
mod news;
mod receive;
mod secrets;
mod sender;
mod sign;
mod voice;

pub use address::Reach;
pub use deliver::{Chance, Courier, system_chance};
pub use news::EventType;
pub(crate) use news::tell;
pub use receive::Door;
pub(crate) use receive::{Receipt, seen};
pub use sender::{HttpSender, Letter, NotDelivered, Sender, SenderSettings, callable};
pub(crate) use voice::natively;
pub use voice::{Headers, Native, Sign, Spoken, Voice};

#[cfg(test)]
mod deliver_tests;

#[cfg(test)]
mod news_tests;
