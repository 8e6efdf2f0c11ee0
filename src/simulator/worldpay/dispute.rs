//! Disputes on purpose: the desk orders one, and Worldpay's webhook tells it. Its events know a question of the bank
//! (`informationRequested`) and a chargeback (`chargedBack`) alone.

use serde_json::Value;

use super::event::{event, seal};
use super::{NAME, Worldpay};
use crate::desk::{Dispute, DisputeStatus};

/// Opens the dispute of a payment or moves it on, and tells it.
pub(super) fn order(worldpay: &Worldpay, wanted: &Dispute) -> Result<Value, String> {
    let now = worldpay.house.now_s();
    let mut book = worldpay.book();
    let payment = book.newest(&wanted.psp_id).ok_or("psp_id: no such payment")?;
    let amount = wanted.amount.unwrap_or(payment.settled);
    if !(1..=payment.settled).contains(&amount) {
        return Err("amount: from 1 to what the payment has taken".to_owned());
    }
    if wanted.reason.is_some() {
        return Err("reason: Worldpay's events tell none".to_owned());
    }
    let kind = match wanted.status {
        DisputeStatus::Inquiry => "informationRequested",
        DisputeStatus::Opened => "chargedBack",
        _ => return Err("status: Worldpay tells inquiry and opened alone".to_owned()),
    };
    if payment.disputed == Some("chargedBack") || payment.disputed == Some(kind) {
        return Err("the dispute is there already".to_owned());
    }
    payment.disputed = Some(kind);
    let told = event(kind, payment, None, amount, now);
    worldpay.house.bell.ring(NAME, &payment.account, told.clone(), seal);
    Ok(told)
}
