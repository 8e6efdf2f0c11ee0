//! Disputes on purpose: the desk orders one, and Adyen's webhook tells it.

use serde_json::{Value, json};

use super::Adyen;
use super::book::{Book, Disputed, fresh_reference};
use super::event::Told;
use crate::desk::{Dispute, DisputeStatus};

/// Opens the dispute of a payment or moves it on, and tells it.
pub(super) fn order(adyen: &Adyen, wanted: &Dispute) -> Result<Value, String> {
    let mut book = adyen.book();
    let shown = book.dispute(wanted, adyen.house.now_s())?;
    adyen.ring(&mut book);
    Ok(shown)
}

impl Book {
    /// Opens or moves a dispute.
    fn dispute(&mut self, wanted: &Dispute, now: i64) -> Result<Value, String> {
        let payment = self.payment_mut(&wanted.psp_id).ok_or("psp_id: no such payment")?;
        let amount = wanted.amount.unwrap_or(payment.captured);
        if !(1..=payment.captured).contains(&amount) {
            return Err("amount: from 1 to what the payment has taken".to_owned());
        }
        let reason = wanted.reason.as_deref().unwrap_or("10.4");
        if reason.is_empty() || reason.len() > 40 || !reason.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("reason: a scheme's reason code, such as 10.4".to_owned());
        }
        let (code, is_over) = event_code(wanted.status);
        let dispute = payment.dispute.get_or_insert_with(|| Disputed {
            psp_reference: fresh_reference(),
            amount,
            reason: reason.to_owned(),
            is_over: false,
        });
        if dispute.is_over {
            return Err("the dispute is over".to_owned());
        }
        dispute.is_over = is_over;
        let (psp_reference, amount, reason) = (dispute.psp_reference.clone(), dispute.amount, dispute.reason.clone());
        let merchant_reference = payment.reference.clone();
        let told = Told {
            code,
            psp_reference: &psp_reference,
            merchant_reference: &merchant_reference,
            amount,
            reason: "",
            success: true,
            notes: json!({ "chargebackReasonCode": reason }),
        };
        self.tell(&wanted.psp_id, &told, now);
        Ok(json!({ "pspReference": psp_reference, "eventCode": code, "amount": amount, "reason": reason }))
    }
}

/// The notification that tells it, and whether it is the last one.
fn event_code(status: DisputeStatus) -> (&'static str, bool) {
    match status {
        DisputeStatus::Inquiry => ("REQUEST_FOR_INFORMATION", false),
        DisputeStatus::Opened => ("CHARGEBACK", false),
        DisputeStatus::Challenged => ("INFORMATION_SUPPLIED", false),
        DisputeStatus::Accepted => ("DISPUTE_DEFENSE_PERIOD_ENDED", true),
        DisputeStatus::Cancelled => ("PREARBITRATION_ISSUER_WITHDRAWN", true),
        DisputeStatus::Won => ("CHARGEBACK_REVERSED", true),
        DisputeStatus::Lost => ("SECOND_CHARGEBACK", true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adyen::book::law_tests::paid;

    fn dispute(psp_id: &str, status: DisputeStatus, amount: Option<i64>) -> Dispute {
        Dispute { psp_id: psp_id.to_owned(), status, amount, reason: None }
    }

    #[test]
    fn dispute_keeps_its_reference_moves_and_ends_for_good() {
        let (mut book, id) = paid();
        book.events();
        for status in [DisputeStatus::Inquiry, DisputeStatus::Opened, DisputeStatus::Won] {
            assert!(book.dispute(&dispute(&id, status, Some(700)), 1).is_ok());
        }
        assert!(book.dispute(&dispute(&id, DisputeStatus::Lost, None), 2).is_err());
        let told: Vec<Value> = book.events().into_iter().map(|(_, event)| event).collect();
        let codes: Vec<_> = told.iter().map(|event| event["eventCode"].as_str().unwrap_or_default()).collect();
        assert_eq!(codes, ["REQUEST_FOR_INFORMATION", "CHARGEBACK", "CHARGEBACK_REVERSED"]);
        assert!(told.iter().all(|event| event["pspReference"] == told[0]["pspReference"]));
        assert!(told.iter().all(|event| event["originalReference"] == id && event["amount"]["value"] == 700));
    }

    #[test]
    fn dispute_of_more_than_was_taken_is_refused() {
        let (mut book, id) = paid();
        for amount in [0, 1001] {
            assert!(book.dispute(&dispute(&id, DisputeStatus::Opened, Some(amount)), 1).is_err());
        }
        assert!(book.dispute(&dispute("NONE", DisputeStatus::Opened, None), 1).is_err());
        assert!(book.payment(&id).is_some_and(|payment| payment.dispute.is_none()));
    }
}
