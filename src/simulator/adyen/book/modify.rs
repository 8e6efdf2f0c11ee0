//! Capture, cancel, change of amount, refund: `received` first, and what became of it by webhook. What the payment does not
//! allow is `received`, too; its webhook says no.

use serde_json::{Value, json};

use super::{Book, Call, State, fresh_reference, no_notes};
use crate::adyen::NAME;
use crate::adyen::event::Told;
use crate::adyen::refusal::Refusal;
use crate::adyen::request::{Cancel, Modify};
use crate::cards::Behaviour;
use crate::ledger::Kind;

impl Book {
    /// `POST /payments/{id}/captures`.
    pub(in crate::adyen) fn capture(&mut self, id: &str, body: &Modify, call: &Call) -> Result<Value, Refusal> {
        body.amount.check(1)?;
        let payment = self.of(id, &body.merchant_account)?;
        let amount = body.amount.value;
        let fits = payment.currency == body.amount.currency && payment.state == State::Authorised;
        let no = match () {
            () if !fits => "Transaction is not authorised, capture not possible",
            () if amount > payment.capturable => "Insufficient balance on payment",
            () => "",
        };
        if no.is_empty() {
            self.take(id, amount, call);
        }
        Ok(self.received(id, "CAPTURE", body.reference.as_deref(), amount, no, call, true))
    }

    /// Takes money; what an account without several captures leaves is released.
    pub(super) fn take(&mut self, id: &str, amount: i64, call: &Call) {
        let Some(payment) = self.payments.get_mut(id) else { return };
        payment.captured += amount;
        payment.capturable -= amount;
        let released = if payment.captures_often() { 0 } else { payment.capturable };
        payment.capturable -= released;
        self.enter(Kind::Capture, id, amount, released, None, call);
    }

    /// `POST /payments/{id}/cancels`.
    pub(in crate::adyen) fn cancel(&mut self, id: &str, body: &Cancel, call: &Call) -> Result<Value, Refusal> {
        if body.payment_reference.is_some() {
            return Err(Refusal::structure());
        }
        self.of(id, &body.merchant_account)?;
        let no = self.release(id, call);
        Ok(self.received(id, "CANCELLATION", body.reference.as_deref(), self.amount(id), no, call, false))
    }

    /// `POST /cancels`: the payment is named by the merchant's reference.
    pub(in crate::adyen) fn cancel_by_reference(&mut self, body: &Cancel, call: &Call) -> Result<Value, Refusal> {
        let wanted = body.payment_reference.clone().ok_or(Refusal::structure())?;
        let place = (body.merchant_account.clone(), wanted.clone());
        let id = self.references.get(&place).cloned().ok_or(Refusal::no_payment())?;
        let no = self.release(&id, call);
        let amount = self.amount(&id);
        // Unlike other modifications it is told under the payment's reference.
        let mut shown = self.received(&id, "TECHNICAL_CANCEL", Some(&wanted), amount, no, call, false);
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("paymentPspReference");
        }
        shown["paymentReference"] = json!(wanted);
        shown["reference"] = json!(body.reference);
        Ok(shown)
    }

    /// Releases what is reserved; why not, where nothing can be.
    fn release(&mut self, id: &str, call: &Call) -> &'static str {
        let Some(payment) = self.payments.get_mut(id) else { return "Original not found" };
        let left = payment.capturable;
        match payment.state {
            State::Waiting => {
                payment.state = State::Cancelled;
                return "";
            }
            // A verification reserves nothing, and can be given up.
            State::Authorised if left > 0 || payment.amount == 0 => {}
            State::Authorised => return "Transaction has been captured, cancel not possible",
            State::Refused => return "Transaction is not authorised, cancel not possible",
            State::Cancelled => return "Transaction has been cancelled",
        }
        payment.capturable = 0;
        if payment.captured == 0 {
            payment.state = State::Cancelled;
        }
        if left > 0 {
            self.enter(Kind::Cancel, id, left, 0, None, call);
        }
        ""
    }

    /// `POST /payments/{id}/amountUpdates`: the amount is the new whole.
    pub(in crate::adyen) fn update(&mut self, id: &str, body: &Modify, call: &Call) -> Result<Value, Refusal> {
        body.amount.check(1)?;
        let payment = self.of(id, &body.merchant_account)?;
        let total = body.amount.value;
        let reserved = payment.state == State::Authorised && payment.captured == 0 && payment.capturable > 0;
        let no = match () {
            () if !reserved || payment.currency != body.amount.currency => "Transaction is not authorised",
            () if !payment.adjustable => "Transaction is no pre-authorisation",
            () if call.declines => "Refused",
            () => "",
        };
        if no.is_empty() {
            let more = total - payment.amount;
            payment.amount = total;
            payment.capturable = total;
            match more {
                1.. => self.enter(Kind::Increment, id, more, 0, None, call),
                0 => {}
                _ => self.enter(Kind::Cancel, id, -more, 0, None, call),
            }
        }
        Ok(self.received(id, "AUTHORISATION_ADJUSTMENT", body.reference.as_deref(), total, no, call, true))
    }

    /// `POST /payments/{id}/refunds`.
    pub(in crate::adyen) fn refund(&mut self, id: &str, body: &Modify, call: &Call) -> Result<Value, Refusal> {
        body.amount.check(1)?;
        let payment = self.of(id, &body.merchant_account)?;
        let amount = body.amount.value;
        let no = match () {
            () if payment.captured == 0 => "Transaction hasn't been captured, refund not possible",
            () if payment.currency != body.amount.currency || amount > payment.captured - payment.refunded => {
                "Insufficient balance on payment"
            }
            () => "",
        };
        let fails = payment.card.behaviour == Behaviour::RefundFails;
        if no.is_empty() && !fails {
            payment.refunded += amount;
        }
        let shown = self.received(id, "REFUND", body.reference.as_deref(), amount, no, call, true);
        let refund = shown["pspReference"].as_str().unwrap_or_default().to_owned();
        if no.is_empty() {
            self.enter(Kind::Refund, id, amount, 0, Some(&refund), call);
        }
        // The bank sends the money back after Adyen has said that the refund was done.
        if no.is_empty() && fails {
            self.ledger.reverse_refund(NAME, &refund);
            let told = Told {
                code: "REFUND_FAILED",
                psp_reference: &refund,
                merchant_reference: body.reference.as_deref().unwrap_or_default(),
                amount,
                reason: "Refund Failed",
                success: true,
                notes: no_notes(),
            };
            self.tell(id, &told, call.now);
        }
        Ok(shown)
    }

    fn amount(&self, id: &str) -> i64 {
        self.payments.get(id).map_or(0, |payment| payment.amount)
    }

    /// Answers `received` and tells what became of it: `no` says why not, and is empty where it was done.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the answer and of the event")]
    fn received(
        &mut self,
        id: &str,
        code: &'static str,
        reference: Option<&str>,
        amount: i64,
        no: &str,
        call: &Call,
        with_amount: bool,
    ) -> Value {
        let Some(payment) = self.payments.get(id) else { return Value::Null };
        let modification = fresh_reference();
        // A modification without a reference of its own is told under the payment's.
        let merchant_reference = reference.unwrap_or(&payment.reference).to_owned();
        let mut shown = json!({
            "merchantAccount": payment.merchant_account,
            "paymentPspReference": id,
            "pspReference": modification,
            "status": "received",
        });
        if let Some(reference) = reference {
            shown["reference"] = json!(reference);
        }
        if with_amount {
            shown["amount"] = json!({ "value": amount, "currency": payment.currency });
        }
        let told = Told {
            code,
            psp_reference: &modification,
            merchant_reference: &merchant_reference,
            amount,
            reason: no,
            success: no.is_empty(),
            notes: no_notes(),
        };
        self.tell(id, &told, call.now);
        shown
    }
}
