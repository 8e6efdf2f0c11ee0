//! Settlements, cancellations and reversals.

use serde_json::{Value, json};

use super::{Book, Call, Payment, fresh_id};
use crate::ledger::Kind;
use crate::worldpay::body::{Part, Whole, check_reference};
use crate::worldpay::refusal::Refusal;
use crate::worldpay::shape;

impl Book {
    /// Settles all that was reserved when the link was given.
    pub(in crate::worldpay) fn settle(&mut self, link: &str, body: &Whole, call: &Call) -> Result<Value, Refusal> {
        body.reference.as_deref().map_or(Ok(()), check_reference)?;
        let reserved = self.open(link, call)?;
        let (payment, _) = self.linked(link, call)?;
        if payment.settled > 0 {
            return Err(Refusal::state("A part of the payment is settled already"));
        }
        self.take(link, reserved, body.reference.as_deref(), true, call)
    }

    /// Settles a part. The last of a sequence releases the rest.
    pub(in crate::worldpay) fn settle_part(&mut self, link: &str, body: &Part, call: &Call) -> Result<Value, Refusal> {
        check_reference(&body.reference)?;
        body.value.check("$.value")?;
        let is_last = match &body.sequence {
            Some(sequence) if sequence.number == 0 || sequence.number > sequence.total => {
                return Err(Refusal::schema("$.sequence"));
            }
            Some(sequence) => sequence.number == sequence.total,
            None => false,
        };
        let reserved = self.open(link, call)?;
        let (payment, _) = self.linked(link, call)?;
        if payment.currency != body.value.currency {
            return Err(Refusal::schema("$.value.currency"));
        }
        if body.value.amount > reserved - payment.settled {
            return Err(Refusal::state("The amount exceeds what is left of the authorization"));
        }
        self.take(link, body.value.amount, Some(&body.reference), is_last, call)
    }

    /// Releases what is not settled.
    pub(in crate::worldpay) fn cancel(&mut self, link: &str, call: &Call) -> Result<Value, Refusal> {
        self.open(link, call)?;
        let ledger = self.ledger.clone();
        let (payment, _) = self.linked(link, call)?;
        let rest = payment.total() - payment.settled;
        let command = fresh_id("cmd");
        payment.note("cancellationRequested", &command, Value::Null, call.now);
        payment.note("cancellationRequestSubmitted", &command, Value::Null, call.now);
        payment.closed = true;
        payment.released = payment.settled == 0;
        payment.last_event = "Sent for Cancellation";
        ledger.write(payment.line(Kind::Cancel, rest, call.now));
        let (answer, news) = (shape::receipt(payment, None), payment.news("cancelled", None, rest, call.now));
        self.news.push(news);
        Ok(answer)
    }

    /// Undoes a payment that was settled on its own: the money goes back.
    pub(in crate::worldpay) fn reverse(&mut self, link: &str, call: &Call) -> Result<Value, Refusal> {
        let ledger = self.ledger.clone();
        let (payment, _) = self.linked(link, call)?;
        if !payment.auto || payment.settled == 0 || payment.refunded > 0 || payment.released {
            return Err(Refusal::state("The payment cannot be reversed"));
        }
        let (amount, command) = (payment.settled, fresh_id("cmd"));
        payment.note("reversalRequested", &command, json!({ "value": payment.value(amount) }), call.now);
        payment.note("reversalRequestSubmitted", &command, Value::Null, call.now);
        payment.refunded = amount;
        payment.released = true;
        payment.last_event = "Sent for Cancellation";
        let mut line = payment.line(Kind::Refund, amount, call.now);
        line.refund = Some(command);
        ledger.write(line);
        let (answer, news) = (shape::receipt(payment, None), payment.news("cancelled", None, amount, call.now));
        self.news.push(news);
        Ok(answer)
    }

    /// What was reserved when the link of a payment that can still be settled was given.
    fn open(&mut self, link: &str, call: &Call) -> Result<i64, Refusal> {
        let (payment, reserved) = self.linked(link, call)?;
        if payment.closed { Err(Refusal::state("The payment is not authorized")) } else { Ok(reserved) }
    }

    fn take(
        &mut self,
        link: &str,
        amount: i64,
        reference: Option<&str>,
        is_last: bool,
        call: &Call,
    ) -> Result<Value, Refusal> {
        let ledger = self.ledger.clone();
        let (payment, _) = self.linked(link, call)?;
        let command = fresh_id("cmd");
        payment.settle(amount, reference, is_last, &command, call);
        let mut line = payment.line(Kind::Capture, amount, call.now);
        line.released = if payment.closed { payment.total() - payment.settled } else { 0 };
        ledger.write(line);
        let news = payment.news("sentForSettlement", reference, amount, call.now);
        let answer = shape::receipt(payment, Some(&command));
        self.news.push(news);
        Ok(answer)
    }
}

impl Payment {
    /// Notes a settlement and that it was sent.
    pub(super) fn settle(&mut self, amount: i64, reference: Option<&str>, is_last: bool, command: &str, call: &Call) {
        let whole = amount == self.total();
        let more = json!({
            "type": if whole { "fullSettlement" } else { "partialSettlement" },
            "settlementReference": reference,
            "value": self.value(amount)
        });
        self.note("settlementRequested", command, more, call.now);
        self.note("settlementRequestSubmitted", command, Value::Null, call.now);
        self.settled += amount;
        self.closed = is_last || self.settled == self.total();
        self.last_event = "Sent for Settlement";
    }
}
