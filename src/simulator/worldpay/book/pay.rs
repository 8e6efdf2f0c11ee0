//! Authorizations, by customer or merchant, and raises of estimated ones.

use serde_json::{Value, json};

use super::{Book, Call, Payment, Standing, fresh_id};
use crate::cards::find;
use crate::house::room;
use crate::ledger::Kind;
use crate::worldpay::body::{Authorization, Increase};
use crate::worldpay::issuer::{CARDS, REFUSED, Word, ask};
use crate::worldpay::refusal::Refusal;
use crate::worldpay::shape;

impl Book {
    /// Asks the issuer, and settles at once where that was ordered.
    pub(in crate::worldpay) fn authorize(
        &mut self,
        body: &Authorization,
        by_customer: bool,
        call: &Call,
    ) -> Result<Value, Refusal> {
        body.check(by_customer)?;
        room(self.payments.len())?;
        let instruction = &body.instruction;
        let instrument = &instruction.payment_instrument;
        let number = "$.instruction.paymentInstrument.cardNumber";
        let card = find(&instrument.card_number, CARDS).map_err(|_| Refusal::schema(number))?;
        let word = match ask(card, instrument.card_holder_name.as_deref(), instrument.expiry_date, call.now) {
            Word::Yes if call.declines => Word::No(REFUSED, None),
            word => word,
        };
        let standing = match word {
            Word::Yes => Standing::Authorized,
            Word::No(code, advice) => Standing::Refused(code, advice),
            Word::Error => Standing::Failed,
        };
        let amount = instruction.value.amount;
        let place = self.payments.len() as u64;
        let mut payment = Payment {
            id: fresh_id("pay"),
            reference: body.transaction_reference.clone(),
            order: body.order_reference.clone(),
            entity: body.merchant.entity.clone(),
            account: call.account.clone(),
            card,
            currency: instruction.value.currency.clone(),
            reserved: vec![amount],
            auto: instruction.request_auto_settlement.enabled,
            estimated: instruction.value.estimated,
            standing,
            settled: 0,
            refunded: 0,
            closed: standing != Standing::Authorized,
            released: false,
            refunds: Vec::new(),
            last_event: "",
            history: Vec::new(),
            scheme: scheme(card.brand, place),
            created: call.now,
            disputed: None,
        };
        let command = fresh_id("cmd");
        self.news.push(payment.news("sentForAuthorization", None, amount, call.now));
        payment.note("authorizationRequested", &command, Value::Null, call.now);
        match standing {
            Standing::Authorized => {
                let done = json!({ "outcome": "authorized" });
                payment.note("authorizationSucceeded", &command, done, call.now);
                payment.last_event = "Authorized";
                self.ledger.write(payment.line(Kind::Authorize, amount, call.now));
                self.news.push(payment.news("authorized", None, amount, call.now));
            }
            Standing::Refused((code, description), _) => {
                let done = json!({ "outcome": "refused", "code": code, "description": description });
                payment.note("authorizationRefused", &command, done, call.now);
                payment.last_event = "Refused";
                self.news.push(payment.news("refused", None, amount, call.now));
            }
            Standing::Failed => {
                payment.note("authorizationFailed", &command, Value::Null, call.now);
                payment.last_event = "Error";
                self.news.push(payment.news("error", None, amount, call.now));
            }
        }
        if payment.auto && standing == Standing::Authorized {
            payment.settle(amount, None, true, &fresh_id("cmd"), call);
            self.ledger.write(payment.line(Kind::Capture, amount, call.now));
            self.news.push(payment.news("sentForSettlement", None, amount, call.now));
        }
        let cvc_given = instrument.cvc.is_some();
        let answer = shape::authorization(&payment, &command, cvc_given);
        self.places.insert(payment.id.clone(), place);
        self.payments.insert(place, payment);
        // What failed on the way to the issuer fails on the way back too.
        if standing == Standing::Failed { Err(Refusal::internal()) } else { Ok(answer) }
    }

    /// Reserves more for an estimate.
    pub(in crate::worldpay) fn increase(&mut self, link: &str, body: &Increase, call: &Call) -> Result<Value, Refusal> {
        body.value.check("$.value")?;
        let ledger = self.ledger.clone();
        let (payment, reserved) = self.linked(link, call)?;
        if !payment.estimated || payment.closed || payment.settled > 0 || payment.total() != reserved {
            return Err(Refusal::state("The authorized amount cannot be increased"));
        }
        if payment.currency != body.value.currency {
            return Err(Refusal::schema("$.value.currency"));
        }
        if call.declines {
            return Ok(shape::no_raise(REFUSED));
        }
        let total = reserved.checked_add(body.value.amount).ok_or_else(|| Refusal::schema("$.value.amount"))?;
        payment.reserved.push(total);
        ledger.write(payment.line(Kind::Increment, body.value.amount, call.now));
        Ok(shape::raise(payment))
    }
}

/// Mastercard's ids have letters, and blanks at their end that belong to them.
fn scheme(brand: &str, place: u64) -> String {
    if brand == "mastercard" { format!("MCS{:010}  ", place + 1) } else { format!("{:015}", place + 1) }
}
