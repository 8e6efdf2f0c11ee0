//! Rows that belong to no aggregate: chores, tokens, kept answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strongroom_wire::{BadId, CustomerId, SecretId, TenantId, Token};

use super::{NewEvent, SeenEvent};

/// What a change to a payment brings with it, stored in the same transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Things to do at the vault afterwards.
    pub chores: Vec<NewChore>,
    /// A kept card was used.
    pub used: Option<SavedUse>,
    /// What the merchant is told.
    pub events: Vec<NewEvent>,
    /// The provider's event that this change answers: one that was answered before changes nothing.
    pub seen: Option<SeenEvent>,
    /// The idempotency key under which the change is made: one that another run took over changes nothing.
    pub claim: Option<Claim>,
}

/// A chore that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChore {
    /// For whom.
    pub merchant_id: TenantId,
    /// What.
    pub kind: ChoreKind,
    /// With what.
    pub record: Record,
    /// After which payment; of a secret: of which connector account.
    pub payment_id: String,
    /// Not before, milliseconds since 1970.
    pub due_ms: i64,
}

/// Something to do at the vault; survives a crash and is repeated until the vault has done it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chore {
    /// The row.
    pub id: i64,
    /// For whom.
    pub merchant_id: TenantId,
    /// What.
    pub kind: ChoreKind,
    /// With what.
    pub record: Record,
    /// After which payment; of a secret: of which connector account.
    pub payment_id: String,
    /// How often it was tried.
    pub tries: u32,
}

/// What a chore is done with at the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A card.
    Card(Token),
    /// Credentials of a connector account.
    Secret(SecretId),
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Card(token) => token.fmt(f),
            Record::Secret(id) => id.fmt(f),
        }
    }
}

impl FromStr for Record {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Record::Card).or_else(|_| text.parse().map(Record::Secret))
    }
}

/// See [`Chore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoreKind {
    /// Make the card long-term.
    Retain,
    /// Shred the card, which this payment needs no longer.
    Shred,
    /// Shred the card if no payment, this one included, came to use it.
    ShredStray,
    /// Delete credentials that their account uses no longer.
    ForgetSecret,
}

/// When a kept card was last used, and the scheme's id of the payment that first kept it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedUse {
    /// Whose.
    pub merchant_id: TenantId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Which card.
    pub token: Token,
    /// Milliseconds since 1970.
    pub last_used_ms: i64,
    /// Kept from the first payment; a later one does not replace it.
    pub network_transaction_id: Option<String>,
    /// Whether the payer agreed to payments without them.
    pub off_session: bool,
}

/// A short-lived name under which a browser may choose a kept card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentToken {
    /// `token_...`.
    pub payment_token: String,
    /// Whose.
    pub merchant_id: TenantId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Which card.
    pub token: Token,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

/// A reserved idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Who works under it.
    pub claim: Claim,
    /// Digest of the request, in which no card number has a part.
    pub digest: String,
    /// The payment or refund that the request makes or changes.
    pub subject: String,
    /// Until when other runs leave it alone, milliseconds since 1970.
    pub lease_ms: i64,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

/// An idempotency key and who works under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose key.
    pub merchant_id: TenantId,
    /// Route and key.
    pub key: String,
    /// Which run of the process.
    pub run: String,
}

/// What is known under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptState {
    /// Nothing; it is the caller's now.
    Fresh,
    /// A request with another body used it.
    OtherBody,
    /// A request at another run works under it.
    Running,
    /// A request that ended or overran its lease was not answered. The key is the caller's now.
    Unanswered {
        /// What it was about.
        subject: String,
        /// Whether it stored a change.
        begun: bool,
    },
    /// It was answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Vec<u8>,
    },
}
