//! Which payments a list shows, and the columns that they are found by.

use strongroom_wire::CustomerId;

use super::StoreError;
use crate::intent::{Payment, State};
use crate::money::Currency;

/// Which payments a list shows; what is empty or absent lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// In one of these states.
    pub status: Vec<State>,
    /// Whose last attempt was at one of these connectors.
    pub connector: Vec<String>,
    /// In one of these currencies.
    pub currency: Vec<Currency>,
    /// Made then or later, milliseconds since 1970.
    pub created_from_ms: Option<i64>,
    /// Made then or earlier, milliseconds since 1970.
    pub created_until_ms: Option<i64>,
    /// At least so much, in minor units.
    pub amount_from_minor: Option<u64>,
    /// At most so much, in minor units.
    pub amount_until_minor: Option<u64>,
    /// Behind this one: `created_ms` and id of the last payment that was shown.
    pub before: Option<(i64, String)>,
}

/// A payment as the stores keep it: the document, and beside it what is searched.
pub(super) struct PaymentRow {
    pub(super) merchant: String,
    pub(super) id: String,
    pub(super) due_ms: Option<i64>,
    pub(super) token: Option<String>,
    pub(super) live: bool,
    pub(super) created_ms: i64,
    pub(super) customer: Option<String>,
    pub(super) state: &'static str,
    pub(super) amount_minor: i64,
    pub(super) currency: &'static str,
    pub(super) connector: Option<String>,
    /// Id and time of each refund.
    pub(super) refunds: Vec<(String, i64)>,
    /// Account and the provider's id of each attempt that has one.
    pub(super) psp_ids: Vec<(String, String)>,
    pub(super) body: String,
}

impl PaymentRow {
    pub(super) fn of(payment: &Payment) -> Result<Self, StoreError> {
        let psp_ids = payment.attempts.iter().filter_map(|a| Some((a.account_id.clone(), a.psp_id.clone()?)));
        // No database keeps a NUL in a text, and no provider has one in an id.
        let psp_ids = psp_ids.filter(|(_, psp_id)| !psp_id.contains('\0'));
        Ok(Self {
            merchant: payment.merchant_id.to_string(),
            id: payment.payment_id.clone(),
            due_ms: payment.due_ms(),
            token: payment.method.as_ref().map(|m| m.token.to_string()),
            live: !payment.state.is_terminal(),
            created_ms: payment.created_ms,
            customer: payment.terms.customer_id.as_ref().map(ToString::to_string),
            state: payment.state.word(),
            amount_minor: to_signed(payment.terms.amount_minor),
            currency: payment.terms.currency.as_str(),
            connector: payment.last_attempt().map(|attempt| attempt.connector.clone()),
            refunds: payment.refunds.iter().map(|r| (r.refund_id.clone(), r.created_ms)).collect(),
            psp_ids: psp_ids.collect(),
            body: serde_json::to_string(payment).map_err(|_| StoreError::Unreadable)?,
        })
    }
}

/// Amounts are far below 2^63; a filter beyond lets through what the greatest amount would.
pub(super) fn to_signed(minor: u64) -> i64 {
    i64::try_from(minor).unwrap_or(i64::MAX)
}

/// The state of a word in the store.
pub(super) fn known_state(word: &str) -> Result<State, StoreError> {
    State::ALL.into_iter().find(|state| state.word() == word).ok_or(StoreError::Unreadable)
}
