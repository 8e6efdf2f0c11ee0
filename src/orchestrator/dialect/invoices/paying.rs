//! Authorize and capture. A card token pays once: the first invoice (or customer) that uses it has it for good, which stands
//! where idempotency keys stand, so that two requests at once, also at two nodes, cannot both have it.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_wire::payment_method::Storage;
use strongroom_wire::{TenantId, limits};

use super::names::{self, Source};
use super::order::check_capture_at;
use super::orders::{find, once};
use super::wrong::{Body, Wrong, read, ready};
use super::{amount, auth, words};
use crate::api::Api;
use crate::api::answer::Answer;
use crate::api::body::TimeBody;
use crate::api::once::Subject;
use crate::api::who::to_hex;
use crate::ids;
use crate::intent::{
    Asker, CapturePlan, CvcInput, Engine, Event, Fault, FutureUsage, MethodInput, NewCapture, Payment, State,
};
use crate::store::{Claim, Kept, KeptState};
use crate::vault::{SecretText, VaultError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizeBody {
    source: SecretText,
    save_source: Option<bool>,
    incremental: Option<bool>,
    auto_capture_at: Option<TimeBody>,
}

/// `POST /invoices/{id}/authorize`: by a page for a payment that the payer begins, by the server for any.
pub(super) async fn authorize(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    let caller = auth::caller(&api, &request).await?;
    let asked: AuthorizeBody = read(&bytes)?;
    let payment = find(&api, &caller.merchant, &names::payment_of(&id, "iv_", "invoice")?, "invoice").await?;
    let save = asked.save_source.unwrap_or(false);
    if caller.asker == Asker::Browser {
        if is_merchant_initiated(&payment) || save || asked.incremental.is_some() || asked.auto_capture_at.is_some() {
            return Err(Wrong::new(
                403,
                "request.authorization.forbidden",
                "Only the merchant's server authorizes a merchant-initiated payment, saves a source, asks for increments or \
                    says when to capture",
            ));
        }
        if payment.expires_ms <= api.engine.now_ms() {
            return Err(Wrong::new(400, "invoice.expired", "A page can pay an invoice for 24 hours: make a new one"));
        }
    }
    if save && payment.terms.customer_id.is_none() {
        return Err(Wrong::invalid("save_source", "the invoice names no customer for whom the card could be kept"));
    }
    let source = Source::read(asked.source.expose())?;
    let capture_on_ms = asked.auto_capture_at.map(|at| at.read("auto_capture_at")).transpose()?;
    let mut parts = vec![source.name(), save.to_string(), format!("{:?}", asked.incremental)];
    parts.extend(capture_on_ms.map(|at| at.to_string()));
    let digest = digest(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let wish = Wish { save, incremental: asked.incremental, capture_on_ms, at_once: false };
    pay(&api, &request, payment, source, wish, digest).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaptureBody {
    source: Option<SecretText>,
    capture_amount: Option<String>,
    capture_type: Option<CaptureType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CaptureType {
    Final,
    NonFinal,
}

/// `POST /invoices/{id}/capture`: what was authorized; or straight away with a customer's token, if the merchant begins.
pub(super) async fn capture(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    Body(bytes): Body,
) -> Result<HttpResponse, Wrong> {
    let merchant = auth::server(&api, &request).await?;
    let asked: CaptureBody = read(&bytes)?;
    let payment = find(&api, &merchant, &names::payment_of(&id, "iv_", "invoice")?, "invoice").await?;
    if asked.capture_type == Some(CaptureType::NonFinal) {
        return Err(Wrong::invalid("capture_type", "an invoice has one capture, so it is final; the rest is released"));
    }
    let part =
        asked.capture_amount.as_deref().map(|text| amount::minor("capture_amount", text, payment.terms.currency));
    let part = part.transpose()?;
    if part.is_some_and(|part| part == 0 || part > payment.terms.amount_minor) {
        return Err(Wrong::invalid("capture_amount", "more than zero and at most what was authorized"));
    }
    let source = asked.source.as_ref().map(|text| Source::read(text.expose())).transpose()?;
    let name = source.as_ref().map(Source::name).unwrap_or_default();
    let digest = digest(&["capture", &name, &format!("{part:?} {:?}", asked.capture_type)]);
    if payment.state.after(Event::Confirm).is_some() {
        if !is_merchant_initiated(&payment) {
            let message = "A payment that the payer begins is authorized first, by the payer's page";
            return Err(Wrong::new(400, "transaction.invalid-state", message));
        }
        let source = source.ok_or_else(|| Wrong::invalid("source", "a customer's token, tok_..."))?;
        if part.is_some_and(|part| part < payment.terms.amount_minor) {
            let reason = "nothing is authorized yet, so the whole amount is taken: make the invoice of so much, or \
                authorize it and capture a part";
            return Err(Wrong::invalid("capture_amount", reason));
        }
        return pay(&api, &request, payment, source, Wish { at_once: true, ..Wish::default() }, digest).await;
    }
    let capture_id = ids::fresh("cap_", api.engine.now_ms()).map_err(Fault::from)?;
    let subject = Subject::Capture(payment.payment_id.clone(), capture_id.clone());
    let new = NewCapture { capture_id: Some(capture_id), amount_minor: part, release_rest: true };
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move { Ok(Answer::ok(&words::native(&engine.capture(&tenant, &payment.payment_id, new).await?))) };
    told(&once(&api, &request, &merchant, digest, subject, work).await?)
}

/// What is wanted beside the authorization.
#[derive(Clone, Copy, Default)]
struct Wish {
    /// Keep the card for the invoice's customer.
    save: bool,
    /// Whether it may be raised later, where that was said.
    incremental: Option<bool>,
    /// When to take it, in place of the invoice's time, in milliseconds since 1970.
    capture_on_ms: Option<i64>,
    /// Take it at once.
    at_once: bool,
}

async fn pay(
    api: &Api,
    request: &HttpRequest,
    payment: Payment,
    source: Source,
    wish: Wish,
    digest: String,
) -> Result<HttpResponse, Wrong> {
    let merchant = payment.merchant_id.clone();
    let off_session = is_merchant_initiated(&payment);
    // Under a key that was used before, the kept answer counts and not what became of the source since.
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let subject = Subject::Change("confirm", payment.payment_id.clone());
    let work = async move {
        let payment_id = payment.payment_id.clone();
        let (now, _) = engine.payment(&tenant, &payment_id).await?;
        if now.state.after(Event::Confirm).is_none() {
            let expected = State::that_allow(Event::Confirm);
            return Err(Fault::BadState { flow: "authorized", state: now.state, expected }.into());
        }
        wish.capture_on_ms.map_or(Ok(()), |at| check_capture_at(at, engine.now_ms()))?;
        let method = match source {
            Source::Once(..) if off_session => return Err(Fault::NotFound("Payment method").into()),
            Source::Once(token, sealed) => {
                take(&engine, &tenant, &names::card(token), &payment_id).await?;
                let stored = engine.vault.get(&tenant, token).await.map_err(unusable)?;
                if stored.storage == Storage::LongTerm {
                    return Err(Fault::NotFound("Payment method").into());
                }
                MethodInput::Stored(token, sealed.map_or(CvcInput::None, CvcInput::Sealed))
            }
            Source::Kept(token) => {
                let customer = now.terms.customer_id.as_ref().ok_or(Fault::NotFound("Payment method"))?;
                let uses = engine.store().saved_uses(&tenant, customer).await?;
                if !uses.iter().any(|used| used.token == token && used.off_session) {
                    return Err(Fault::NotFound("Payment method").into());
                }
                if off_session { MethodInput::Recurring(token) } else { MethodInput::Stored(token, CvcInput::None) }
            }
        };
        let now_ms = engine.now_ms();
        let change = move |terms: &mut crate::intent::Terms| {
            terms.off_session = off_session;
            if wish.save {
                terms.setup_future_usage = Some(FutureUsage::OffSession);
            }
            terms.incremental = wish.incremental.unwrap_or(terms.incremental);
            if let Some(at) = wish.capture_on_ms {
                terms.capture = CapturePlan::Scheduled;
                terms.capture_on_ms = Some(at);
            }
            // A payer who comes after the time that was set pays at once.
            if wish.at_once || terms.capture_on_ms.is_some_and(|at| at <= now_ms) {
                terms.capture = CapturePlan::Automatic;
                terms.capture_on_ms = None;
            }
            Ok(())
        };
        // The source was proven to be this customer's above, so the engine need not know that a page asks.
        let paid = engine.update(&tenant, &payment_id, Asker::Merchant, change, Some(method), true).await?;
        Ok(Answer::ok(&words::native(&paid)))
    };
    told(&once(api, request, &merchant, digest, subject, work).await?)
}

fn told(native: &Value) -> Result<HttpResponse, Wrong> {
    if let Some(failed) = words::failed(native) {
        return Err(failed);
    }
    let mut body = json!({"success": true, "transaction": words::transaction(native)});
    if let Some(url) = native["next_action"]["redirect_to_url"].as_str() {
        body["customer_action"] = json!({"type": "url", "value": url});
    }
    Ok(ready(HttpResponse::Ok(), &body))
}

/// Gives a card token to the first that uses it: an invoice or a customer.
///
/// # Errors
/// [`Fault::NotFound`] for everybody else.
pub(super) async fn take(engine: &Engine, merchant: &TenantId, card: &str, user: &str) -> Result<(), Fault> {
    let now = engine.now_ms();
    let claim = Claim { merchant_id: merchant.clone(), key: format!("one-off {card}"), run: engine.run().to_owned() };
    let kept = Kept {
        claim: claim.clone(),
        digest: digest(&[user]),
        subject: format!("{ONE_OFF} {user}"),
        lease_ms: now,
        expires_ms: now + i64::try_from(limits::SHORT_TERM_TTL_MAX_S).unwrap_or(0) * 1000,
    };
    match engine.store().begin_kept(&kept, now).await? {
        KeptState::Fresh => Ok(engine.store().finish_kept(&claim, 200, b"{}").await?),
        // The same user again: how far it came, its own state says.
        KeptState::Answered { .. } | KeptState::Unanswered { .. } | KeptState::Running => Ok(()),
        KeptState::OtherBody => Err(Fault::NotFound("Payment method")),
    }
}

/// What the vault does not have was shredded after use, has expired or never was.
fn unusable(error: VaultError) -> Fault {
    match error {
        VaultError::NotFound => Fault::NotFound("Payment method"),
        other => other.into(),
    }
}

fn is_merchant_initiated(payment: &Payment) -> bool {
    super::orders::note(payment).get("initiation_type").is_some_and(|word| word == "mit")
}

/// SHA-256 of these parts, in which no card has a part.
pub(super) fn digest(parts: &[&str]) -> String {
    to_hex(&Sha256::digest(json!(parts).to_string().as_bytes()))
}

/// The first word of what is stored beside a card token that was used.
const ONE_OFF: &str = "card";
