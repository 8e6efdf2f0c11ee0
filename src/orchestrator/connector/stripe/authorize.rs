//! Authorize in two steps: the card becomes a payment method, then a payment intent is made and confirmed with it.

use super::amount::to_stripe;
use super::answer::{Intent, Named, Said, is_id, read, refusal};
use super::{Form, id_in_path};
use crate::connector::{
    Authorize, CaptureMethod, Credential, Doubt, Outcome, Progress, PspAnswer, PspRequest, Slot, Step, Unsupported,
};

pub(super) fn request(authorize: &Authorize, progress: &Progress) -> Result<PspRequest, Unsupported> {
    match progress.values.get(PAYMENT_METHOD) {
        None => Ok(card()),
        Some(method) => payment(authorize, id_in_path(method)?),
    }
}

pub(super) fn outcome(authorize: &Authorize, progress: &Progress, answer: &PspAnswer) -> Step {
    if progress.values.contains_key(PAYMENT_METHOD) { paid(authorize, answer) } else { carded(progress, answer) }
}

/// The first request has no idempotency key on purpose: a second payment method costs nothing, while a second body under
/// the same key (without the security code, which lives for one payment only) would be refused.
fn card() -> PspRequest {
    Form::default()
        .text("type", "card")
        .slot("card[number]", Slot::Number)
        .slot("card[exp_month]", Slot::ExpMonth)
        .slot("card[exp_year]", Slot::ExpYear)
        .slot("card[cvc]", Slot::Cvc)
        .slot("billing_details[name]", Slot::HolderName)
        .post("/v1/payment_methods", None)
}

fn payment(authorize: &Authorize, method: &str) -> Result<PspRequest, Unsupported> {
    let capture = match authorize.capture {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::Manual => "manual",
        CaptureMethod::ManualMultiple => return Err(Unsupported("Stripe captures once")),
    };
    let mut form = Form::default()
        .text("amount", to_stripe(authorize.amount)?.to_string())
        .text("currency", authorize.amount.currency.as_str().to_ascii_lowercase())
        .text("payment_method", method)
        .text("payment_method_types[0]", "card")
        .text("capture_method", capture)
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
    form = match authorize.credential {
        // Says to the issuer that the merchant will come back without the payer. A payer who is there each time needs no
        // such word: every payment authenticates on its own.
        Credential::FirstToStore { off_session: true } => form.text("setup_future_usage", "off_session"),
        Credential::StoredByMerchant { .. } => form.text("off_session", "true"),
        _ => form,
    };
    Ok(form.post("/v1/payment_intents", Some(format!("{}-pi", authorize.idempotency_key))))
}

/// No answer to the first request can mean that money moved, so none leaves doubt.
fn carded(progress: &Progress, answer: &PspAnswer) -> Step {
    let unavailable = |message| Step::Done(Outcome::Refused(refusal("provider_unavailable", message)));
    match read::<Named>(answer) {
        Said::Object(method) if is_id(&method.id) => {
            let mut values = progress.values.clone();
            values.insert(PAYMENT_METHOD.to_owned(), method.id);
            Step::Next(Progress { step: progress.step.saturating_add(1), values })
        }
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(None))),
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Object(_) | Said::Doubt(_) => unavailable("Stripe did not take the card; no payment was tried."),
    }
}

fn paid(authorize: &Authorize, answer: &PspAnswer) -> Step {
    match read::<Intent>(answer) {
        Said::Object(intent) if intent.is_for(authorize.amount) => intent.step(),
        Said::Object(_) => Step::InDoubt(Doubt::Unreadable),
        Said::Problem(402, problem) => Step::Done(Outcome::Declined(problem.decline(problem.psp_id()))),
        Said::Problem(_, problem) if problem.is("payment_intent_authentication_failure") => {
            Step::Done(Outcome::Declined(problem.decline(problem.psp_id())))
        }
        Said::Problem(status, problem) => Step::Done(Outcome::Refused(problem.refusal(status))),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

/// In the progress: the id of the payment method that the first step made.
const PAYMENT_METHOD: &str = "payment_method";
