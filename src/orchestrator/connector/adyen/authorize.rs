//! Authorize, Verify and Complete: one request with the card, and one more with what the browser brought back.

use super::amount;
use super::answer::{Asked, Payment, Said, read};
use super::payer;
use super::reference::Reference;
use super::{account, post};
use crate::connector::{
    Authorize, CaptureMethod, Complete, Credential, Json, MitCategory, PspAnswer, PspRequest, Slot, Step, Unsupported,
};

/// `POST /payments`.
pub(super) fn request(authorize: &Authorize) -> Result<PspRequest, Unsupported> {
    let away = matches!(authorize.credential, Credential::StoredByMerchant { .. });
    let return_url = authorize.return_url.as_deref().filter(|_| !away);
    let body = Json::object([
        ("amount", amount::json(authorize.amount)?),
        ("merchantAccount", account()),
        ("reference", Json::text(Reference::of(authorize).to_string())),
        ("merchantOrderReference", Json::text(authorize.payment_id.as_str())),
        (
            "metadata",
            Json::object([
                ("payment_id", Json::text(authorize.payment_id.as_str())),
                ("attempt_id", Json::text(authorize.attempt_id.as_str())),
            ]),
        ),
        ("paymentMethod", card()),
        ("returnUrl", Json::text(return_url.unwrap_or(NOWHERE))),
        ("authenticationData", authentication(return_url.is_some(), authorize.three_ds)),
    ]);
    let body = with_credential(body, &authorize.credential);
    let body = with_capture(body, authorize);
    let statement = authorize.statement_descriptor.as_deref().map(payer::statement);
    let body = body.with_some("shopperStatement", statement.filter(|text| !text.is_empty()).map(Json::text));
    let body = payer::with_payer(body, &authorize.payer, away);
    Ok(post("/v71/payments".to_owned(), &authorize.idempotency_key, body))
}

/// What the answer to it means.
pub(super) fn outcome(authorize: &Authorize, answer: &PspAnswer) -> Step {
    let reference = Reference::of(authorize);
    let automatic = matches!(reference, Reference::Payment { automatic: true, .. });
    said(&Asked { amount: authorize.amount, automatic, reference: &reference.to_string() }, answer)
}

/// `POST /payments/details`.
pub(super) fn complete_request(complete: &Complete) -> Result<PspRequest, Unsupported> {
    let result = complete.returned.get(REDIRECT_RESULT).filter(|text| !text.is_empty());
    let result = result.ok_or(Unsupported("the browser brought back no redirectResult of Adyen's"))?;
    if result.len() > REDIRECT_RESULT_CHARS_MAX {
        return Err(Unsupported("the browser brought back a redirectResult that is longer than Adyen's are"));
    }
    let body = Json::object([("details", Json::object([(REDIRECT_RESULT, Json::text(result.as_str()))]))]);
    Ok(post("/v71/payments/details".to_owned(), &complete.idempotency_key, body))
}

/// What the answer to it means.
pub(super) fn complete_outcome(complete: &Complete, answer: &PspAnswer) -> Step {
    let automatic = complete.capture == CaptureMethod::Automatic && complete.amount.minor > 0;
    let reference = Reference::Payment { attempt_id: &complete.attempt_id, automatic }.to_string();
    said(&Asked { amount: complete.amount, automatic, reference: &reference }, answer)
}

fn said(asked: &Asked<'_>, answer: &PspAnswer) -> Step {
    match read::<Payment>(answer) {
        Said::Object(payment) => payment.step(asked),
        Said::Problem(status, problem) => Step::Done(problem.outcome(status)),
        Said::Doubt(doubt) => Step::InDoubt(doubt),
    }
}

fn card() -> Json {
    Json::object([
        ("type", Json::text("scheme")),
        ("number", Json::Slot(Slot::Number)),
        ("expiryMonth", Json::Slot(Slot::ExpMonth)),
        ("expiryYear", Json::Slot(Slot::ExpYear)),
        ("cvc", Json::Slot(Slot::Cvc)),
        ("holderName", Json::Slot(Slot::HolderName)),
    ])
}

/// Where there is no way back for the payer, authentication cannot happen, and Adyen must not try it. Else it is always
/// by redirection: the components of the other way run in the shop's page, which this program never sees.
fn authentication(can_redirect: bool, wished: bool) -> Json {
    if !can_redirect {
        return Json::object([("attemptAuthentication", Json::text("never"))]);
    }
    Json::Object(Vec::new())
        .with_some("attemptAuthentication", wished.then(|| Json::text("always")))
        .with("threeDSRequestData", Json::object([("nativeThreeDS", Json::text("disabled"))]))
}

/// The schemes' stored-credential indicators. The card stays in our vault, so Adyen is never asked to store it.
fn with_credential(body: Json, credential: &Credential) -> Json {
    let (interaction, model) = match credential {
        Credential::OneTime => ("Ecommerce", None),
        Credential::FirstToStore { off_session: false } => ("Ecommerce", Some("CardOnFile")),
        Credential::FirstToStore { off_session: true } => ("Ecommerce", Some("UnscheduledCardOnFile")),
        Credential::StoredByPayer { .. } => ("ContAuth", Some("CardOnFile")),
        Credential::StoredByMerchant { category, .. } => ("ContAuth", Some(model(*category))),
    };
    body.with("shopperInteraction", Json::text(interaction))
        .with_some("recurringProcessingModel", model.map(Json::text))
}

fn model(category: MitCategory) -> &'static str {
    match category {
        MitCategory::Recurring | MitCategory::Installment => "Subscription",
        MitCategory::Unscheduled | MitCategory::Resubmission => "UnscheduledCardOnFile",
    }
}

/// When the money is taken is said each time, because the merchant account's own setting would decide otherwise.
fn with_capture(body: Json, authorize: &Authorize) -> Json {
    let mut more = Vec::new();
    let mut add = |name: &str, text: &str| more.push((name.to_owned(), Json::text(text)));
    let automatic = authorize.capture == CaptureMethod::Automatic;
    if !automatic && authorize.amount.minor > 0 {
        add("manualCapture", "true");
    }
    if authorize.incremental {
        add("authorisationType", "PreAuth");
    }
    if let Credential::StoredByMerchant { network_transaction_id: Some(id), .. } = &authorize.credential {
        add("networkTxReference", id);
    }
    body.with_some("captureDelayHours", (automatic && authorize.amount.minor > 0).then_some(Json::Number(0)))
        .with_some("additionalData", (!more.is_empty()).then_some(Json::Object(more)))
}

const REDIRECT_RESULT: &str = "redirectResult";

/// `maxLength` of the specification.
const REDIRECT_RESULT_CHARS_MAX: usize = 20_000;

/// Adyen wants an address to come back to in every payment. Where nobody will be sent away, this one leads nowhere
/// (RFC 2606).
const NOWHERE: &str = "https://return.invalid/";
