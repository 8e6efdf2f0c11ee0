//! `/payments` and `/payments/details`: a card is tried, at once or after the payer has authenticated.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Book, Call, Payment, State, fresh_reference, no_notes};
use crate::adyen::cards::{CARDS, NOT_AUTHENTICATED, Refused, asked_by_code, asked_by_name, refused};
use crate::adyen::event::Told;
use crate::adyen::refusal::Refusal;
use crate::adyen::request::{Attempt, Method, Native, Pay};
use crate::cards::{Behaviour, Reason, TestCard, find};
use crate::house::room;
use crate::ledger::Kind;
use crate::page::{Verdict, is_web_address};

impl Book {
    /// Tries a payment; answers what Adyen does.
    pub(in crate::adyen) fn pay(&mut self, pay: &Pay, call: &Call) -> Result<Value, Refusal> {
        let card = check(pay, call.now)?;
        room(self.payments.len())?;
        let never = pay.authentication.attempt_authentication == Some(Attempt::Never);
        let shown = match card.behaviour {
            Behaviour::Authenticate(_) => true,
            Behaviour::AuthenticateWhenAsked => pay.authentication.attempt_authentication == Some(Attempt::Always),
            _ => false,
        };
        let payment = Payment {
            psp_reference: fresh_reference(),
            account: call.account.clone(),
            merchant_account: pay.merchant_account.clone(),
            reference: pay.reference.clone(),
            currency: pay.amount.currency.clone(),
            amount: pay.amount.value,
            capturable: 0,
            captured: 0,
            refunded: 0,
            state: State::Waiting,
            automatic: pay.notes.get("manualCapture").is_none_or(|text| text != "true"),
            adjustable: pay.notes.get("authorisationType").is_some_and(|text| text == "PreAuth"),
            card,
            answer: issuer(pay, card, call),
            network_id: format!("{:015}", self.payments.len() + 1),
            return_url: pay.return_url.clone(),
            verdict: None,
            metadata: pay.metadata.clone(),
            dispute: None,
        };
        let id = payment.psp_reference.clone();
        let place = (payment.merchant_account.clone(), payment.reference.clone());
        self.references.insert(place, id.clone());
        self.payments.insert(id.clone(), payment);
        match (shown, never) {
            (false, _) => Ok(self.decide(&id, None, call)),
            (true, true) => Ok(self.decide(&id, Some(refused(Reason::AuthenticationRequired)), call)),
            (true, false) => Ok(self.challenge(&id, call)),
        }
    }

    /// Goes on with what the browser brought back.
    pub(in crate::adyen) fn details(&mut self, result: &str, call: &Call) -> Result<Value, Refusal> {
        let known = self.results.get(result).and_then(|id| self.payments.get(id));
        let payment = known.ok_or(Refusal::invalid("000", "The redirectResult is none of Adyen's"))?;
        let (id, verdict) = (payment.psp_reference.clone(), payment.verdict);
        if payment.account != call.account {
            return Err(Refusal::account());
        }
        match payment.state {
            State::Waiting => {
                let failed = (verdict != Some(Verdict::Approve)).then_some(NOT_AUTHENTICATED);
                let declined = call.declines.then(|| refused(Reason::Generic));
                Ok(self.decide(&id, failed.or(declined), call))
            }
            // Handed over once before, under another key; or given up in between.
            State::Authorised | State::Refused | State::Cancelled => Err(Refusal::in_progress()),
        }
    }

    /// Sends the payer to a page. As with Adyen, the payment has no reference for the merchant until it is over.
    fn challenge(&mut self, id: &str, call: &Call) -> Value {
        let challenge = fresh_reference();
        self.challenges.insert(challenge.clone(), id.to_owned());
        let url = format!("{}/checkoutshopper/threeDS/{challenge}", call.base_url);
        json!({
            "resultCode": "RedirectShopper",
            "action": { "type": "redirect", "method": "GET", "paymentMethodType": "scheme", "url": url },
        })
    }

    /// Asks the issuer. `no` outweighs what it would say.
    fn decide(&mut self, id: &str, no: Option<Refused>, call: &Call) -> Value {
        let Some(payment) = self.payments.get_mut(id) else { return Value::Null };
        let answer = no.or(payment.answer);
        let (amount, automatic) = (payment.amount, payment.automatic);
        payment.state = if answer.is_some() { State::Refused } else { State::Authorised };
        if answer.is_none() {
            payment.capturable = amount;
        }
        // A verification reserves nothing, so it leaves no line.
        if answer.is_none() && amount > 0 {
            self.enter(Kind::Authorize, id, amount, 0, None, call);
            if automatic {
                self.take(id, amount, call);
            }
        }
        let Some(payment) = self.payments.get(id) else { return Value::Null };
        let notes = if answer.is_none() { json!({ "networkTxReference": payment.network_id }) } else { no_notes() };
        let shown = shown(payment, answer, &notes);
        let reference = payment.reference.clone();
        let told = Told {
            code: "AUTHORISATION",
            psp_reference: id,
            merchant_reference: &reference,
            amount,
            reason: answer.map_or("", |refused| refused.reason),
            success: answer.is_none(),
            notes,
        };
        self.tell(id, &told, call.now);
        shown
    }
}

fn shown(payment: &Payment, answer: Option<Refused>, notes: &Value) -> Value {
    let mut shown = json!({
        "pspReference": payment.psp_reference,
        "resultCode": answer.map_or("Authorised", |refused| refused.result),
        "merchantReference": payment.reference,
        "amount": { "value": payment.amount, "currency": payment.currency },
        "additionalData": notes,
    });
    if let Some(refused) = answer {
        shown["refusalReason"] = json!(refused.reason);
        shown["refusalReasonCode"] = json!(refused.code);
    } else {
        shown["paymentMethod"] = json!({ "type": "scheme", "brand": payment.variant() });
    }
    shown
}

/// What the issuer will say: what a fault, the cardholder's name or a code in the request asks for, else what the card
/// stands for.
fn issuer(pay: &Pay, card: &TestCard, call: &Call) -> Option<Refused> {
    if call.declines {
        return Some(refused(Reason::Generic));
    }
    let name = pay.payment_method.holder_name.as_ref().and_then(|name| asked_by_name(name));
    let code = pay.notes.get("RequestedTestAcquirerResponseCode").and_then(|code| asked_by_code(code));
    name.or(code).or_else(|| match card.behaviour {
        Behaviour::Decline(reason) | Behaviour::Authenticate(Some(reason)) => Some(refused(reason)),
        _ if is_past(&pay.payment_method, call.now) => Some(refused(Reason::Expired)),
        _ => None,
    })
}

/// Whether the request is one that Adyen would try, and with which card.
fn check(pay: &Pay, now: i64) -> Result<&'static TestCard, Refusal> {
    pay.amount.check(0)?;
    if pay.merchant_account.is_empty() {
        return Err(Refusal::account());
    }
    if !(1..=80).contains(&pay.reference.chars().count()) {
        return Err(Refusal::invalid("130", "Required field 'reference' is not provided."));
    }
    if !is_web_address(&pay.return_url) {
        return Err(Refusal::invalid("14_030", "Return URL is missing."));
    }
    if pay.authentication.request.native == Some(Native::Preferred) {
        return Err(Refusal::invalid("000", "The simulator redirects; it has no native 3-D Secure"));
    }
    if pay.capture_delay_hours.is_some_and(|hours| hours > 0) {
        return Err(Refusal::invalid("000", "The simulator captures at once or on request"));
    }
    let method = &pay.payment_method;
    if method.kind != "scheme" {
        return Err(Refusal::invalid("14_004", "Missing payment method details"));
    }
    if pay.metadata.len() > 20 {
        return Err(Refusal::invalid("177", "Metadata size exceeds limit"));
    }
    let card = find(&method.number, CARDS)?;
    let (month, year) = expiry(method).ok_or(Refusal::invalid("129", "Expiry Date Invalid"))?;
    let this_year = i64::from(today(now).year());
    if !(1..=12).contains(&month) || !(this_year - 20..=this_year + 50).contains(&year) {
        return Err(Refusal::invalid("129", "Expiry Date Invalid"));
    }
    let digits = if card.brand == "amex" { 4 } else { 3 };
    let right = |cvc: &str| cvc.len() == digits && cvc.bytes().all(|byte| byte.is_ascii_digit());
    if method.cvc.as_ref().is_some_and(|cvc| !right(cvc)) {
        return Err(Refusal::invalid("103", "CVC is not the right length"));
    }
    Ok(card)
}

fn expiry(method: &Method) -> Option<(i64, i64)> {
    Some((method.expiry_month.parse().ok()?, method.expiry_year.parse().ok()?))
}

fn is_past(method: &Method, now: i64) -> bool {
    let today = today(now);
    let this_month = (i64::from(today.year()), i64::from(today.month()));
    expiry(method).is_none_or(|(month, year)| (year, month) < this_month)
}

fn today(now: i64) -> jiff::civil::Date {
    Timestamp::from_second(now).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}
