//! What merchant and payer agreed about a payment.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use strongroom_wire::{CustomerId, limits};

use super::fault::Fault;
use crate::connector::MitCategory;
use crate::money::Currency;

/// What merchant and payer agreed; changes until confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// How much, in minor units.
    pub amount_minor: u64,
    /// In which currency.
    pub currency: Currency,
    /// When money is taken. Stored as `true` (at once) or `false` (by one capture) before there were more ways.
    #[serde(rename = "capture", alias = "automatic_capture", deserialize_with = "capture_plan")]
    pub capture: CapturePlan,
    /// When to capture by ourselves, milliseconds since 1970; a scheduled payment has one.
    #[serde(default)]
    pub capture_on_ms: Option<i64>,
    /// How much to capture, in minor units, where the merchant said so beforehand.
    #[serde(default)]
    pub amount_to_capture_minor: Option<u64>,
    /// Whether what is reserved may be raised later.
    #[serde(default)]
    pub incremental: bool,
    /// Payment, or proof of a card without one.
    #[serde(default)]
    pub kind: PaymentKind,
    /// Why the merchant charges without the payer.
    #[serde(default)]
    pub mit_category: MitCategory,
    /// The scheme's id of a payment at another provider, by which the payer agreed to this one.
    #[serde(default)]
    pub network_transaction_id: Option<String>,
    /// Whether authentication is wished.
    pub three_ds: bool,
    /// Who pays.
    pub customer_id: Option<CustomerId>,
    /// What for.
    pub description: Option<String>,
    /// For the payer's statement.
    pub statement_descriptor: Option<String>,
    /// Where the payer ends.
    pub return_url: Option<String>,
    /// Whether and how the card is kept after success.
    pub setup_future_usage: Option<FutureUsage>,
    /// The merchant initiates, the payer is away.
    pub off_session: bool,
    /// The merchant's notes.
    pub metadata: Map<String, Value>,
    /// Free-form parts that are kept and given back (`billing`, `shipping`, ...).
    pub extra: Map<String, Value>,
    /// Only these connectors may be used, where named.
    pub connectors: Vec<String>,
    /// Connector accounts (ids or labels) to try in this order, where the merchant chose for this payment.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// By which other front door the payment came, and what that door needs to answer in its own words.
    #[serde(default)]
    pub door: Option<DoorNote>,
}

/// What a dialect notes in a payment that came through it. The engine keeps it and never reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoorNote {
    /// Which dialect.
    pub dialect: DialectName,
    /// Its notes; no card number, no CVC, no key. At most [`limits::DOOR_NOTE_BYTES_MAX`] bytes of JSON.
    pub note: Map<String, Value>,
}

/// A front door beside the native one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialectName {
    /// One call makes customer, payment method and charge.
    DirectCharges,
    /// Charges at an account that the call names.
    GatewayAccounts,
    /// Invoices that are authorized and captured.
    Invoices,
}

impl Terms {
    /// Whether the terms make sense together.
    ///
    /// # Errors
    /// Which field does not fit, and what to do.
    pub fn check(&self, now_ms: i64) -> Result<(), Fault> {
        if self.amount_minor == 0 {
            self.check_zero()?;
        } else if self.kind == PaymentKind::SetupMandate {
            return Err(Fault::Invalid { field: "payment_type", reason: "setup_mandate goes with amount 0 alone" });
        }
        let is_long = |door: &DoorNote| Value::from(door.note.clone()).to_string().len() > limits::DOOR_NOTE_BYTES_MAX;
        if self.door.as_ref().is_some_and(is_long) {
            return Err(Fault::Invalid {
                field: "body",
                reason: "what is kept of it is longer than 16384 bytes of JSON",
            });
        }
        if self.amount_minor > limits::AMOUNT_MINOR_MAX {
            return Err(Fault::Invalid { field: "amount", reason: "at most 999999999999 minor units" });
        }
        let part = self.to_capture_minor();
        if part.is_some_and(|part| part == 0 || part > self.amount_minor) {
            return Err(Fault::Unprocessable {
                field: "amount_to_capture at create",
                reason: "at least 1 and at most the amount",
            });
        }
        // Whoever asks for a part to be taken must not be charged the whole.
        if self.capture == CapturePlan::Automatic && part.is_some_and(|part| part != self.amount_minor) {
            return Err(Fault::Precondition(
                "amount_to_capture must be equal to amount when capture_method is automatic",
            ));
        }
        match (self.capture, self.capture_on_ms) {
            (CapturePlan::Scheduled, None) => Err(Fault::Missing("capture_on")),
            (CapturePlan::Scheduled, Some(at)) if at <= now_ms => {
                Err(Fault::Invalid { field: "capture_on", reason: "a time in the future" })
            }
            (CapturePlan::Scheduled, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => Err(Fault::Invalid { field: "capture_on", reason: "only with capture_method scheduled" }),
        }
    }

    /// Nothing is charged, so that the only purpose left is to prove a card and to keep it for payments without the payer.
    fn check_zero(&self) -> Result<(), Fault> {
        if self.setup_future_usage != Some(FutureUsage::OffSession) {
            return Err(Fault::Invalid {
                field: "amount",
                reason: "at least 1 minor unit; 0 only with setup_future_usage off_session, to set a card up",
            });
        }
        if self.capture != CapturePlan::Automatic || self.incremental || self.off_session {
            return Err(Fault::Invalid {
                field: "amount",
                reason: "a card is set up with the payer there, and nothing is captured or raised later",
            });
        }
        Ok(())
    }

    /// What a confirmation needs beyond that.
    ///
    /// # Errors
    /// Which field is missing, and what to do.
    pub fn check_confirm(&self) -> Result<(), Fault> {
        if self.amount_minor > 0 {
            return Ok(());
        }
        if self.kind != PaymentKind::SetupMandate {
            return Err(Fault::Precondition("A payment of amount 0 is confirmed with payment_type: setup_mandate"));
        }
        if self.customer_id.is_none() {
            return Err(Fault::Missing("customer_id"));
        }
        if !self.extra.contains_key("customer_acceptance") {
            return Err(Fault::Missing("customer_acceptance"));
        }
        Ok(())
    }

    /// Whether a capture that is set for a time can happen while an authorization of so many days lasts.
    ///
    /// # Errors
    /// The time is too late.
    pub fn check_hold(&self, now_ms: i64, authorization_days: u16) -> Result<(), Fault> {
        let until = now_ms + i64::from(authorization_days) * DAY_MS;
        if self.capture_on_ms.is_some_and(|at| at >= until) {
            return Err(Fault::Invalid {
                field: "capture_on",
                reason: "before the authorization ends at this connector",
            });
        }
        Ok(())
    }

    /// How much the merchant said beforehand that it will take, in minor units. The first version kept it among `extra`.
    #[must_use]
    pub fn to_capture_minor(&self) -> Option<u64> {
        self.amount_to_capture_minor.or_else(|| self.extra.get("amount_to_capture").and_then(Value::as_u64))
    }
}

/// How a kept card will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FutureUsage {
    /// With the payer.
    OnSession,
    /// Without the payer.
    OffSession,
}

/// When money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturePlan {
    /// At once.
    Automatic,
    /// By one capture of the merchant, which may be for a part; the rest is released then.
    Manual,
    /// By several captures of the merchant, until all is taken or the rest is released.
    ManualMultiple,
    /// By a capture of ours at a set time.
    Scheduled,
}

impl CapturePlan {
    /// The word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            CapturePlan::Automatic => "automatic",
            CapturePlan::Manual => "manual",
            CapturePlan::ManualMultiple => "manual_multiple",
            CapturePlan::Scheduled => "scheduled",
        }
    }
}

/// Payment, or proof of a card without one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Money moves.
    #[default]
    Normal,
    /// The amount is zero: the card is proven good and kept for payments without the payer.
    SetupMandate,
}

fn capture_plan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CapturePlan, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Plan(CapturePlan),
        IsAutomatic(bool),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Plan(plan) => plan,
        Either::IsAutomatic(true) => CapturePlan::Automatic,
        Either::IsAutomatic(false) => CapturePlan::Manual,
    })
}

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_plans_are_read_in_the_form_of_the_first_version_too() {
        let old = |capture: &str| {
            format!(
                r#"{{"amount_minor":1,"currency":"USD","automatic_capture":{capture},"three_ds":false,"customer_id":null,
                "description":null,"statement_descriptor":null,"return_url":null,"setup_future_usage":null,
                "off_session":false,"metadata":{{}},"extra":{{}},"connectors":[]}}"#
            )
        };
        for (text, plan) in [("true", CapturePlan::Automatic), ("false", CapturePlan::Manual)] {
            let terms: Terms = serde_json::from_str(&old(text)).unwrap();
            assert_eq!(terms.capture, plan);
            let again: Terms = serde_json::from_str(&serde_json::to_string(&terms).unwrap()).unwrap();
            assert_eq!(again, terms);
        }
    }

    #[test]
    fn what_another_door_notes_has_a_limit() {
        let noting = |bytes: usize| {
            let mut terms = crate::intent::rig::new_payment(|_| ()).terms;
            let note = Map::from_iter([("a".to_owned(), Value::from("x".repeat(bytes)))]);
            terms.door = Some(DoorNote { dialect: DialectName::Invoices, note });
            terms.check(0)
        };
        let around = r#"{"a":""}"#.len();
        assert!(noting(limits::DOOR_NOTE_BYTES_MAX - around).is_ok());
        assert!(noting(limits::DOOR_NOTE_BYTES_MAX - around + 1).is_err());
    }
}
