//! What a charge of this dialect notes in its payment, and the names that its payments have here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scenario::Ask;
use crate::intent::{DialectName, DoorNote, Fault, Payment};

/// See the module. It never changes once the payment is made: what happens afterwards is the payment's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Note {
    /// What the payer was asked for before the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asks: Option<Ask>,
    /// The customer as the call described them; none where it named one that there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) customer: Option<Map<String, Value>>,
    /// The merchant's name for an agreement with the payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agreement_id: Option<String>,
}

impl Note {
    /// The note of a payment that came through this door.
    pub(super) fn of(payment: &Payment) -> Option<Self> {
        let door = payment.terms.door.as_ref().filter(|door| door.dialect == DialectName::DirectCharges)?;
        serde_json::from_value(Value::Object(door.note.clone())).ok()
    }

    /// As it stands in the payment.
    ///
    /// # Errors
    /// [`Fault::Internal`].
    pub(super) fn into_door(self) -> Result<DoorNote, Fault> {
        match serde_json::to_value(self) {
            Ok(Value::Object(note)) => Ok(DoorNote { dialect: DialectName::DirectCharges, note }),
            _ => Err(Fault::Internal),
        }
    }
}

/// `from` at the front of a name becomes `to`.
pub(super) fn renamed(name: &str, from: &str, to: &str) -> Option<String> {
    name.strip_prefix(from).map(|rest| format!("{to}{rest}"))
}

/// How payments begin inside.
pub(super) const PAYMENT: &str = "pay_";
/// And here.
pub(super) const CHARGE: &str = "chg_";
/// How stored cards begin inside.
pub(super) const TOKEN: &str = "pm_";
/// And here.
pub(super) const METHOD: &str = "pmd_";
