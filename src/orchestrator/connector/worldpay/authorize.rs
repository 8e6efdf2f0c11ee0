//! Authorize: one request with the card, initiated by the customer or by the merchant.

use super::answer::{Ending, Payment, Said, read, risky};
use super::{CUSTOMER_PATH, MERCHANT_PATH, post, value};
use crate::connector::{
    AccountPart, Address, Authorize, CaptureMethod, Credential, Doubt, Json, MitCategory, Outcome, PspAnswer,
    PspRequest, Slot, Step, Unsupported,
};

pub(super) fn request(authorize: &Authorize) -> Result<PspRequest, Unsupported> {
    let by_merchant = matches!(authorize.credential, Credential::StoredByMerchant { .. });
    if authorize.three_ds && !by_merchant {
        return Err(Unsupported(
            "Worldpay's card payments take no authentication pages here; ask for authentication_type no_three_ds",
        ));
    }
    if authorize.incremental && (by_merchant || authorize.capture == CaptureMethod::Automatic) {
        return Err(Unsupported(
            "Worldpay raises only what a customer authorized and what is captured later, not at once",
        ));
    }
    let body = Json::object([
        ("transactionReference", Json::text(&*authorize.attempt_id)),
        ("orderReference", Json::text(&*authorize.payment_id)),
        ("merchant", Json::object([("entity", Json::Account(AccountPart::ApiSecret))])),
        ("instruction", instruction(authorize, by_merchant)?),
    ]);
    if by_merchant {
        return Ok(post(MERCHANT_PATH, Some(body)));
    }
    let body = body.with("channel", Json::text("ecom")).with_some("customer", customer(authorize));
    Ok(post(CUSTOMER_PATH, Some(body)))
}

pub(super) fn outcome(authorize: &Authorize, answer: &PspAnswer) -> Step {
    let payment = match read::<Payment>(answer, 201) {
        Said::Object(payment) => payment,
        Said::Problem(_, refusal) => return Step::Done(Outcome::Refused(refusal)),
        Said::Doubt(doubt) => return Step::InDoubt(doubt),
    };
    // A part of the amount was never asked for, so an answer that names another amount is none of ours.
    if payment.reserved().is_some_and(|reserved| reserved != Some(authorize.amount)) {
        return Step::InDoubt(Doubt::Unreadable);
    }
    let psp_id = authorize.attempt_id.clone();
    let at_once = authorize.capture == CaptureMethod::Automatic;
    let (handles, network_transaction_id) = (payment.handles(), payment.network_transaction_id());
    match payment.ending().flatten() {
        Some(Ending::Authorized) if !at_once => {
            Step::Done(Outcome::Authorized { psp_id, network_transaction_id, handles })
        }
        // It is to be settled on its own and is not yet.
        Some(Ending::Authorized) => Step::Done(Outcome::Pending { psp_id, handles }),
        Some(Ending::SentForSettlement) if at_once => {
            let amount_minor = authorize.amount.minor;
            Step::Done(Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles })
        }
        Some(Ending::Refused) => Step::Done(Outcome::Declined(payment.decline(&psp_id))),
        Some(Ending::FraudHighRisk) => Step::Done(Outcome::Declined(risky(&psp_id))),
        _ => Step::InDoubt(Doubt::Unreadable),
    }
}

fn instruction(authorize: &Authorize, by_merchant: bool) -> Result<Json, Unsupported> {
    let at_once = authorize.capture == CaptureMethod::Automatic;
    let mut amount = value(authorize.amount)?;
    if authorize.incremental {
        amount = amount.with("estimated", Json::Bool(true));
    }
    let instruction = Json::object([
        ("requestAutoSettlement", Json::object([("enabled", Json::Bool(at_once))])),
        ("narrative", Json::object([("line1", Json::text(narrative(authorize)))])),
        ("value", amount),
        ("paymentInstrument", card(authorize, by_merchant)),
    ]);
    Ok(instruction.with_some("customerAgreement", agreement(&authorize.credential)))
}

/// The plain card. A payment that the merchant makes has no place for a security code.
fn card(authorize: &Authorize, by_merchant: bool) -> Json {
    let expiry = Json::object([("month", Json::Slot(Slot::ExpMonthNumber)), ("year", Json::Slot(Slot::ExpYearNumber))]);
    Json::object([
        ("type", Json::text("card/plain")),
        ("cardNumber", Json::Slot(Slot::Number)),
        ("cardHolderName", Json::Slot(Slot::HolderName)),
        ("expiryDate", expiry),
    ])
    .with_some("cvc", (!by_merchant).then_some(Json::Slot(Slot::Cvc)))
    .with_some("billingAddress", authorize.payer.billing.as_ref().and_then(billing))
}

/// Worldpay wants the postal code and the country, and street and town together or neither.
fn billing(address: &Address) -> Option<Json> {
    let text = |part: &Option<String>| part.as_deref().map(Json::text);
    let billing = Json::object([("postalCode", text(&address.zip)?), ("countryCode", text(&address.country)?)]);
    let (Some(street), Some(city)) = (text(&address.line1), text(&address.city)) else { return Some(billing) };
    let state = address.state.as_ref().filter(|state| state.chars().count() <= STATE_CHARS_MAX);
    Some(
        billing
            .with("address1", street)
            .with_some("address2", text(&address.line2))
            .with("city", city)
            .with_some("state", state.map(|state| Json::text(&**state))),
    )
}

/// What is known about the payer and fits into Worldpay's fields.
fn customer(authorize: &Authorize) -> Option<Json> {
    let payer = &authorize.payer;
    let fits = |part: &Option<String>, chars_max: usize| {
        part.as_deref().filter(|text| text.len() <= chars_max && text.is_ascii()).map(Json::text)
    };
    let customer = Json::object([])
        .with_some("reference", fits(&payer.customer_id, CUSTOMER_CHARS_MAX))
        .with_some("ipAddress", fits(&payer.ip, IP_CHARS_MAX))
        .with_some("emailAddress", fits(&payer.email, EMAIL_CHARS_MAX));
    (customer != Json::object([])).then_some(customer)
}

fn agreement(credential: &Credential) -> Option<Json> {
    let kind = |name: &str| Json::object([("type", Json::text(name))]);
    let used = |usage: &str| kind("cardOnFile").with("storedCardUsage", Json::text(usage));
    match credential {
        Credential::OneTime => None,
        Credential::FirstToStore { .. } => Some(used("first")),
        Credential::StoredByPayer { .. } => Some(used("subsequent")),
        Credential::StoredByMerchant { network_transaction_id, category } => {
            let agreement = match category {
                MitCategory::Recurring => kind("subscription"),
                MitCategory::Installment => kind("installment").with("installmentType", Json::text("merchant")),
                MitCategory::Unscheduled => kind("unscheduled"),
                MitCategory::Resubmission => kind("resubmission").with("storedCardUsage", Json::text("subsequent")),
            };
            Some(agreement.with_some("schemeReference", network_transaction_id.as_deref().map(Json::text)))
        }
    }
}

/// What the payer reads on the statement; Worldpay demands it. Where the merchant gave none, the payment's own id stands
/// there, by which it can be asked about.
fn narrative(authorize: &Authorize) -> String {
    let words = authorize.statement_descriptor.as_deref().filter(|words| !words.trim().is_empty());
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " _!@#$%()*=.:;?[]{}~/+-,`^&".contains(letter);
    let text = words.unwrap_or(&authorize.payment_id).chars().take(NARRATIVE_CHARS_MAX);
    text.map(|letter| if plain(letter) { letter } else { ' ' }).collect()
}

const NARRATIVE_CHARS_MAX: usize = 24;
const STATE_CHARS_MAX: usize = 3;
const CUSTOMER_CHARS_MAX: usize = 17;
const IP_CHARS_MAX: usize = 50;
const EMAIL_CHARS_MAX: usize = 128;
