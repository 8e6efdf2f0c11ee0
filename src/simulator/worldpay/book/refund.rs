//! Refunds, whole and partial.

use serde_json::{Value, json};

use super::{Book, Call, Payment, Returned, fresh_id};
use crate::cards::Behaviour;
use crate::ledger::{Kind, Ledger};
use crate::worldpay::body::{Part, Whole, check_reference};
use crate::worldpay::refusal::Refusal;
use crate::worldpay::shape;

impl Book {
    /// Gives everything back that was settled.
    pub(in crate::worldpay) fn refund(&mut self, link: &str, body: &Whole, call: &Call) -> Result<Value, Refusal> {
        body.reference.as_deref().map_or(Ok(()), check_reference)?;
        let (payment, _) = self.linked(link, call)?;
        if payment.refunded > 0 {
            return Err(Refusal::state("A part of the payment is refunded already"));
        }
        let settled = payment.settled;
        self.give(link, settled, body.reference.as_deref(), call)
    }

    /// Gives a part back.
    pub(in crate::worldpay) fn refund_part(&mut self, link: &str, body: &Part, call: &Call) -> Result<Value, Refusal> {
        check_reference(&body.reference)?;
        body.value.check("$.value")?;
        if body.sequence.is_some() {
            return Err(Refusal::schema("$.sequence"));
        }
        let (payment, _) = self.linked(link, call)?;
        if payment.currency != body.value.currency {
            return Err(Refusal::schema("$.value.currency"));
        }
        self.give(link, body.value.amount, Some(&body.reference), call)
    }

    fn give(&mut self, link: &str, amount: i64, reference: Option<&str>, call: &Call) -> Result<Value, Refusal> {
        let ledger = self.ledger.clone();
        let (payment, _) = self.linked(link, call)?;
        if amount < 1 || amount > payment.settled - payment.refunded {
            return Err(Refusal::state("The amount exceeds what was settled"));
        }
        let command = fresh_id("cmd");
        let whole = amount == payment.settled;
        let more = json!({
            "type": if whole { "fullRefund" } else { "partialRefund" },
            "refundReference": reference,
            "value": payment.value(amount)
        });
        payment.note("refundRequested", &command, more, call.now);
        payment.refunded += amount;
        payment.last_event = "Sent for Refund";
        let mut line = payment.line(Kind::Refund, amount, call.now);
        line.refund = Some(command.clone());
        ledger.write(line);
        let runs = matches!(payment.card.behaviour, Behaviour::RefundPending | Behaviour::RefundFails);
        payment.refunds.push(Returned {
            reference: reference.map(str::to_owned),
            command: command.clone(),
            amount,
            runs,
        });
        let answer = shape::receipt(payment, Some(&command));
        if !runs {
            payment.note("refundRequestSubmitted", &command, Value::Null, call.now);
            let news = payment.news("sentForRefund", reference, amount, call.now);
            self.news.push(news);
        }
        Ok(answer)
    }
}

impl Payment {
    /// Decides the refunds that run, as the card behaves.
    pub(super) fn decide_refunds(&mut self, ledger: &Ledger, news: &mut Vec<(String, Value)>, call: &Call) {
        let fails = self.card.behaviour == Behaviour::RefundFails;
        let mut decided = Vec::new();
        for refund in self.refunds.iter_mut().filter(|refund| refund.runs) {
            refund.runs = false;
            decided.push((refund.command.clone(), refund.reference.clone(), refund.amount));
        }
        for (command, reference, amount) in decided {
            let reference = reference.as_deref();
            if fails {
                self.note("refundFailed", &command, Value::Null, call.now);
                self.refunded -= amount;
                self.last_event = "Refund failed";
                ledger.reverse_refund(super::NAME, &command);
                news.push(self.news("refundFailed", reference, amount, call.now));
            } else {
                self.note("refundRequestSubmitted", &command, Value::Null, call.now);
                news.push(self.news("sentForRefund", reference, amount, call.now));
            }
        }
    }
}
