//! Why the engine did not do what was asked. Nothing changed unless a variant says otherwise.

use super::payment::IllegalMove;
use super::state::State;
use crate::ids::NoRandomness;
use crate::store::StoreError;
use crate::vault::VaultError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such thing for this merchant.
    #[error("{0} does not exist in our records")]
    NotFound(&'static str),
    /// The id was used before.
    #[error("The {0} with the specified id already exists in our records")]
    Duplicate(&'static str),
    /// The payment is in a state that does not allow it.
    #[error("This Payment could not be {flow} because it has a status of {}. The expected state is {expected}", state.word())]
    BadState {
        /// What was wanted, as a participle.
        flow: &'static str,
        /// Where the payment is.
        state: State,
        /// Where it should be.
        expected: String,
    },
    /// A precondition failed.
    #[error("{0}")]
    Precondition(&'static str),
    /// A field has a value that is not allowed.
    #[error("Invalid value for {field}: {reason}")]
    Invalid {
        /// Path of the field.
        field: &'static str,
        /// What is allowed.
        reason: &'static str,
    },
    /// Fields contradict each other or the payment.
    #[error("Invalid value for {field}: {reason}")]
    Unprocessable {
        /// Path of the field.
        field: &'static str,
        /// What is allowed.
        reason: &'static str,
    },
    /// A field is missing.
    #[error("Missing required param: {0}")]
    Missing(&'static str),
    /// Confirmed without any card.
    #[error("No payment method: send payment_method_data, payment_method_id or payment_token")]
    NoMethod,
    /// The card number cannot be one.
    #[error("Invalid card number: payment_method_data.card.card_number")]
    BadCardNumber,
    /// Expiry or CVC cannot be right.
    #[error("Invalid card detail: {0}")]
    BadCardDetail(&'static str),
    /// No connector account fits.
    #[error("No eligible connector was found for the current payment method configuration")]
    NoConnector,
    /// Every connector account that fits rests after faults of its provider; nothing changed.
    #[error(
        "The payment providers that could take this payment do not work at the moment; nothing was changed. Try again in a minute"
    )]
    Resting,
    /// This orchestrator does not do that.
    #[error("{0}")]
    NotSupported(&'static str),
    /// More than was captured.
    #[error("Refund amount exceeds the payment amount that is left to refund")]
    RefundAboveCaptured,
    /// The default card is not deleted before another one took its place.
    #[error(
        "The default payment method cannot be deleted while the customer has others: make another one the default first"
    )]
    DefaultMethod,
    /// The limit of refunds is reached.
    #[error("Maximum number of refunds already attempted for this payment")]
    TooManyRefunds,
    /// The provider refused a capture, a cancellation or a refund; the payment is as before.
    #[error("{message}")]
    Connector {
        /// What was wanted.
        flow: Flow,
        /// The provider's words.
        message: String,
    },
    /// The provider could not be asked; the payment is as before.
    #[error("The payment provider could not be reached; nothing was changed. Try again")]
    ProviderUnreachable,
    /// Another request changes the same thing now.
    #[error("Another request changes the same resource now. Fetch it and try again")]
    Busy,
    /// The vault does not answer or refuses this orchestrator.
    #[error("The vault is not available. Try again")]
    VaultUnavailable,
    /// The CVC that came through the vault was used or expired.
    #[error("The CVC is no longer available: ask the payer for the card again")]
    CvcGone,
    /// The store does not answer.
    #[error("The store is not available. Fetch the payment before you try again")]
    Store,
    /// A fault of ours.
    #[error("Something went wrong on our side")]
    Internal,
}

/// What was wanted of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Capture.
    Capture,
    /// Raise of what is reserved.
    Increment,
    /// Cancel.
    Cancel,
    /// Refund.
    Refund,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Fault::Busy,
            StoreError::Unreadable => Fault::Internal,
            StoreError::Duplicate | StoreError::Unavailable | StoreError::NewerSchema { .. } | StoreError::InUse => {
                Fault::Store
            }
        }
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NotFound => Fault::NotFound("Payment method"),
            VaultError::InvalidCard { field } => bad_card(field.as_deref()),
            VaultError::InvalidField { .. } => {
                Fault::Invalid { field: "payment_method_data", reason: "the vault refused it" }
            }
            VaultError::CvcGone => Fault::CvcGone,
            VaultError::Refused | VaultError::Unavailable => Fault::VaultUnavailable,
        }
    }
}

impl From<IllegalMove> for Fault {
    fn from(illegal: IllegalMove) -> Self {
        tracing::error!(state = illegal.state.word(), event = ?illegal.event, "a move outside the table was refused");
        Fault::Internal
    }
}

impl From<NoRandomness> for Fault {
    fn from(_: NoRandomness) -> Self {
        Fault::Internal
    }
}

fn bad_card(field: Option<&str>) -> Fault {
    match field {
        Some(field) if field.ends_with("exp_month") => Fault::BadCardDetail("card_exp_month"),
        Some(field) if field.ends_with("exp_year") => Fault::BadCardDetail("card_exp_year"),
        Some(field) if field.ends_with("cvc") => Fault::BadCardDetail("card_cvc"),
        Some(field) if field.ends_with("holder_name") => Fault::BadCardDetail("card_holder_name"),
        _ => Fault::BadCardNumber,
    }
}
