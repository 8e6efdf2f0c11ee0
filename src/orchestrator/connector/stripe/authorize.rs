//! Authorize and verify in two steps: the card becomes a payment method, then a payment intent (or, without money, a setup
//! intent) is made and confirmed with it.
//!
//! A payment of the merchant with the scheme's id of an earlier one takes a third step where the account may not send that
//! id: Stripe refuses the parameter as unknown, has done nothing, and is asked again without it under another key.

use super::amount::to_stripe;
use super::answer::{Problem, Said, is_id, read, refusal};
use super::object::{Found, Intent, Named, SetupIntent};
use super::{Form, id_in_path};
use crate::connector::{
    Authorize, CaptureMethod, Credential, Doubt, Outcome, Progress, PspAnswer, PspRequest, Slot, Step, Unsupported,
};

pub(super) fn request(authorize: &Authorize, progress: &Progress) -> Result<PspRequest, Unsupported> {
    match progress.values.get(PAYMENT_METHOD) {
        None => Ok(card(authorize)),
        Some(method) => payment(authorize, id_in_path(method)?, progress),
    }
}

pub(super) fn outcome(authorize: &Authorize, progress: &Progress, answer: &PspAnswer) -> Step {
    if progress.values.contains_key(PAYMENT_METHOD) {
        paid(authorize, progress, answer)
    } else {
        carded(progress, answer)
    }
}

/// As [`request`], for a card that is proven good without money.
pub(super) fn verify_request(verify: &Authorize, progress: &Progress) -> Result<PspRequest, Unsupported> {
    match progress.values.get(PAYMENT_METHOD) {
        None => Ok(card(verify)),
        Some(method) => setup(verify, id_in_path(method)?),
    }
}

/// As [`outcome`], for a card that is proven good without money.
pub(super) fn verify_outcome(progress: &Progress, answer: &PspAnswer) -> Step {
    if !progress.values.contains_key(PAYMENT_METHOD) {
        return carded(progress, answer);
    }
    match read::<SetupIntent>(answer) {
        Said::Object(intent) => intent.step(),
        Said::Problem(status, problem) => Step::Done(refused(status, &problem)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// The first request has no idempotency key on purpose: a second payment method costs nothing, while a second body under
/// the same key (without the security code, which lives for one payment only) would be refused.
fn card(authorize: &Authorize) -> PspRequest {
    let mut form = Form::default()
        .text("type", "card")
        .slot("card[number]", Slot::Number)
        .slot("card[exp_month]", Slot::ExpMonth)
        .slot("card[exp_year]", Slot::ExpYear)
        .slot("card[cvc]", Slot::Cvc)
        .slot("billing_details[name]", Slot::HolderName)
        .text_if_any("billing_details[email]", authorize.payer.email.as_ref());
    if let Some(billing) = &authorize.payer.billing {
        form = form
            .text_if_any("billing_details[address][line1]", billing.line1.as_ref())
            .text_if_any("billing_details[address][line2]", billing.line2.as_ref())
            .text_if_any("billing_details[address][city]", billing.city.as_ref())
            .text_if_any("billing_details[address][state]", billing.state.as_ref())
            .text_if_any("billing_details[address][postal_code]", billing.zip.as_ref())
            .text_if_any("billing_details[address][country]", billing.country.as_ref());
    }
    form.post("/v1/payment_methods", None)
}

fn payment(authorize: &Authorize, method: &str, progress: &Progress) -> Result<PspRequest, Unsupported> {
    let mut form = Form::default()
        .text("amount", to_stripe(authorize.amount)?.to_string())
        .text("currency", authorize.amount.currency.as_str().to_ascii_lowercase())
        .text("payment_method", method)
        .text("payment_method_types[0]", "card")
        .text("capture_method", if authorize.capture == CaptureMethod::Automatic { "automatic" } else { "manual" })
        .text("confirm", "true")
        .text("metadata[payment_id]", authorize.payment_id.as_str())
        .text("metadata[attempt_id]", authorize.attempt_id.as_str())
        .text_if_any("return_url", authorize.return_url.as_ref())
        .text_if_any("description", authorize.description.as_ref())
        // Stripe refuses a whole descriptor of ours for cards; the suffix stands behind the account's own name.
        .text_if_any("statement_descriptor_suffix", authorize.statement_descriptor.as_ref());
    if authorize.three_ds {
        form = form.text("payment_method_options[card][request_three_d_secure]", "any");
    }
    if authorize.capture == CaptureMethod::ManualMultiple {
        form = form.text("payment_method_options[card][request_multicapture]", "if_available");
    }
    if authorize.incremental {
        form = form.text("payment_method_options[card][request_incremental_authorization]", "if_available");
    }
    form = match &authorize.credential {
        // Says to the issuer that the merchant will come back without the payer. A payer who is there each time needs no
        // such word: every payment authenticates on its own.
        Credential::FirstToStore { off_session: true } => form.text("setup_future_usage", "off_session"),
        Credential::StoredByMerchant { .. } => form.text("off_session", "true"),
        _ => form,
    };
    let mut key = format!("{}-pi", authorize.idempotency_key);
    match network_id(authorize) {
        Some(_) if progress.values.contains_key(NETWORK_ID_REFUSED) => key.push_str("-plain"),
        Some(id) => form = form.text(&format!("{MIT_EXEMPTION}[network_transaction_id]"), id),
        None => {}
    }
    Ok(form.expanded("latest_charge").post("/v1/payment_intents", Some(key)))
}

fn setup(verify: &Authorize, method: &str) -> Result<PspRequest, Unsupported> {
    if verify.amount.minor > 0 {
        return Err(Unsupported("a card is verified without money: the amount must be 0"));
    }
    let on_session = matches!(verify.credential, Credential::FirstToStore { off_session: false });
    let mut form = Form::default()
        .text("payment_method", method)
        .text("payment_method_types[0]", "card")
        .text("usage", if on_session { "on_session" } else { "off_session" })
        .text("confirm", "true")
        .text("metadata[payment_id]", verify.payment_id.as_str())
        .text("metadata[attempt_id]", verify.attempt_id.as_str())
        .text_if_any("return_url", verify.return_url.as_ref())
        .text_if_any("description", verify.description.as_ref());
    if verify.three_ds {
        form = form.text("payment_method_options[card][request_three_d_secure]", "any");
    }
    // It takes no money, but the issuer is asked; so a lost answer is looked up rather than forgotten.
    Ok(form.post("/v1/setup_intents", Some(format!("{}-si", verify.idempotency_key))))
}

/// No answer to the first request can mean that money moved, so none leaves doubt.
fn carded(progress: &Progress, answer: &PspAnswer) -> Step {
    let unavailable = |message| Step::Done(Outcome::Refused(refusal("provider_unavailable", message)));
    match read::<Named>(answer) {
        Said::Object(method) if is_id(&method.id) => next(progress, PAYMENT_METHOD, &method.id),
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(None))),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Object(_) | Said::Doubt(_) => unavailable("Stripe did not take the card; no payment was tried."),
    }
}

fn paid(authorize: &Authorize, progress: &Progress, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) if intent.is_for(authorize.amount) => intent.step(),
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(400, problem)
            if network_id(authorize).is_some()
                && !progress.values.contains_key(NETWORK_ID_REFUSED)
                && problem.knows_not(MIT_EXEMPTION) =>
        {
            next(progress, NETWORK_ID_REFUSED, "yes")
        }
        Said::Problem(status, problem) => Step::Done(refused(status, &problem)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

fn refused(status: u16, problem: &Problem) -> Outcome {
    let failed = ["payment_intent_authentication_failure", "setup_intent_authentication_failure"];
    if status == 402 || failed.iter().any(|code| problem.is(code)) {
        Outcome::Declined(problem.decline(problem.psp_id()))
    } else {
        Outcome::Refused(problem.refusal(status))
    }
}

fn next(progress: &Progress, name: &str, value: &str) -> Step {
    let mut values = progress.values.clone();
    values.insert(name.to_owned(), value.to_owned());
    Step::Next(Progress { step: progress.step.saturating_add(1), values })
}

/// The scheme's id of the payment that this one follows, of a payment that the merchant makes.
fn network_id(authorize: &Authorize) -> Option<&str> {
    match &authorize.credential {
        Credential::StoredByMerchant { network_transaction_id, .. } => network_transaction_id.as_deref(),
        _ => None,
    }
}

/// In the progress: the id of the payment method that the first step made.
const PAYMENT_METHOD: &str = "payment_method";

/// In the progress: Stripe does not let this account send the scheme's id.
const NETWORK_ID_REFUSED: &str = "network_id_refused";

/// Where the scheme's id goes. Stripe opens this parameter to an account on request; its specification does not list it.
const MIT_EXEMPTION: &str = "payment_method_options[card][mit_exemption]";
