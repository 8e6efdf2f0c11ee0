//! Cards as the vault holds them: parsed once, wiped when dropped, never printed, copied or serialized.

pub mod batch;
pub mod body;
pub mod cvc;
mod cvc_body;
pub mod expiry;
pub mod export;
pub mod fields;
pub mod glance;
pub mod holder;
pub mod incoming;
pub mod locker;
pub mod metadata;
mod node;
pub mod pan;
pub mod record;
pub mod reveal;
pub mod sealed;
pub mod secret;
pub mod text;
pub mod update;

pub use batch::{BatchBody, refuse_cvc};
pub use body::{BodyError, Lifetime, TokenizeBody};
pub use cvc::Cvc;
pub use cvc_body::{CvcBody, IncomingCvc};
pub use expiry::Expiry;
pub use export::export_line;
pub use fields::{FieldsBody, PinBody};
pub use glance::Glance;
pub use holder::HolderName;
pub use incoming::{Incoming, SealedBody};
pub use pan::{Exposed, Pan};
pub use record::{BadRecord, Card};
pub use reveal::reveal_json;
pub use sealed::{Sealable, SealedPart};
pub use secret::SecretBody;
pub use update::UpdateBody;

use std::fmt;

/// Why a part of a card is not one. It names the rule and never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardError {
    /// Something else than digits, single spaces and single hyphens.
    NumberForm,
    /// Fewer than 12 or more than 19 digits, or a length that its scheme does not use.
    NumberLength,
    /// The check digit does not fit.
    NumberCheck,
    /// Not 3 digits (4 for American Express).
    Cvc,
    /// Not a month.
    Month,
    /// Not a year that a card can expire in.
    Year,
    /// The card's last month is over.
    Expired,
    /// Empty, too long, or with control characters.
    HolderName,
    /// What looks like a card number stands in the name.
    CardInHolderName,
}

impl CardError {
    /// What is wrong and what would be right.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            CardError::NumberForm => "a card number is digits; single spaces or hyphens may stand between them",
            CardError::NumberLength => {
                "the card number has a length that its scheme does not use; check for missing or extra digits"
            }
            CardError::NumberCheck => "the card number's check digit does not fit; check for a mistyped digit",
            CardError::Cvc => "a CVC is 3 digits, 4 for American Express",
            CardError::Month => "exp_month is a whole number from 1 to 12",
            CardError::Year => "exp_year is a year in four digits, at most 50 years ahead",
            CardError::Expired => "the card has expired",
            CardError::HolderName => "holder_name is 1 to 96 bytes of text without control characters",
            CardError::CardInHolderName => {
                "holder_name contains what looks like a card number; send it in card.number alone"
            }
        }
    }
}

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

impl std::error::Error for CardError {}
