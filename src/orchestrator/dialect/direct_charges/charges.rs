//! Charges: made with a new card or a kept one, shown, and continued with what the payer was asked for.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use sha2::{Digest as _, Sha256};
use strongroom_wire::{CustomerId, TenantId};

use super::DirectChargesConfig;
use super::answer::{Said, kept, reply};
use super::body::{DirectBody, RecurringBody};
use super::note::{CHARGE, METHOD, Note, PAYMENT, TOKEN, renamed};
use super::onward::ContinueBody;
use super::scenario::Scenario;
use super::show;
use crate::api::answer::{Answer, Refusal};
use crate::api::body::{self, Bounded};
use crate::api::once::{Named, Subject, digest, once_named};
use crate::api::payment_body::PaymentBody;
use crate::api::{Api, who};
use crate::ids;
use crate::intent::{Asker, CvcInput, Event, Fault, MethodInput, NewPayment, Payment, State};
use crate::vault::SecretText;
use crate::view;

type Body = Result<Bounded, Refusal>;

/// `POST /orchestration/direct-charges`.
pub(super) async fn direct(
    api: Data<Api>,
    config: Data<DirectChargesConfig>,
    request: HttpRequest,
    body: Body,
) -> HttpResponse {
    reply(&request, begin(&api, &config, &request, body).await)
}

async fn begin(api: &Api, config: &DirectChargesConfig, request: &HttpRequest, body: Body) -> Result<Said, Refusal> {
    let merchant = server(api, request).await?;
    let scenario = Scenario::of(request, config.scenarios)?;
    let bytes = body?.0;
    let asked: DirectBody = body::read(&bytes)?;
    let (payment_id, customer) = (fresh(api, PAYMENT)?, fresh(api, CUSTOMER)?);
    let asked = asked.read(&payment_id, &customer, scenario, config.three_ds)?;
    let customer: CustomerId = customer.parse().map_err(|_| Fault::Internal)?;
    // The fields are ciphertext by now, and nobody can search a digest of it without both the merchant's key and the nonce.
    let digest = hash(&format!("{} {scenario:?}", digest(&bytes)));
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let stored = asked.card.tokenize(&engine, &tenant, &customer).await?;
        let at_once = asked.ask.is_none();
        // A CVC may lie nowhere while the payer is asked for something else, so that such a charge is made without it.
        let cvc = stored.cvc_token.filter(|_| at_once).map_or(CvcInput::None, |t| CvcInput::Sealed(SecretText::new(t)));
        let method = MethodInput::Stored(stored.payment_method_id, cvc);
        Ok(Answer::ok(&view::payment(&engine.create(&tenant, asked.new, Some(method), at_once).await?)))
    };
    let named = Named { header: KEY, request, digest };
    let answered = once_named(api, named, &merchant, Subject::Payment(payment_id), work).await?;
    told(api, &merchant, answered, 201, "Charge created").await
}

/// `POST /charges`.
pub(super) async fn again(api: Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    reply(&request, recur(&api, &request, body).await)
}

async fn recur(api: &Api, request: &HttpRequest, body: Body) -> Result<Said, Refusal> {
    let merchant = server(api, request).await?;
    let bytes = body?.0;
    let asked: RecurringBody = body::read(&bytes)?;
    let token = renamed(&asked.payment_method_id, METHOD, TOKEN).and_then(|token| token.parse().ok());
    let token = token.ok_or(Fault::NotFound("Payment method"))?;
    let payment_id = fresh(api, PAYMENT)?;
    let new: NewPayment = asked.read(&payment_id)?;
    let (engine, tenant) = (api.engine.clone(), merchant.clone());
    let work = async move {
        let method = MethodInput::Recurring(token);
        Ok(Answer::ok(&view::payment(&engine.create(&tenant, new, Some(method), true).await?)))
    };
    let named = Named { header: KEY, request, digest: digest(&bytes) };
    let answered = once_named(api, named, &merchant, Subject::Payment(payment_id), work).await?;
    told(api, &merchant, answered, 201, "Charge created").await
}

/// `GET /charges/{id}`.
pub(super) async fn retrieve(api: Data<Api>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    reply(&request, verify(&api, &request, &id).await)
}

async fn verify(api: &Api, request: &HttpRequest, id: &str) -> Result<Said, Refusal> {
    let merchant = server(api, request).await?;
    let (mut payment, note) = charge(api, &merchant, id).await?;
    if payment.may_have_changed() {
        payment = api.engine.resolve(&merchant, &payment.payment_id, true).await?;
    }
    Ok(Said { status: 200, message: "Charge fetched", data: show::charge(&view::payment(&payment), &note) })
}

/// `PUT /charges/{id}`.
pub(super) async fn proceed(api: Data<Api>, request: HttpRequest, id: Path<String>, body: Body) -> HttpResponse {
    reply(&request, onward(&api, &request, &id, body).await)
}

async fn onward(api: &Api, request: &HttpRequest, id: &str, body: Body) -> Result<Said, Refusal> {
    let merchant = server(api, request).await?;
    let bytes = body?.0;
    let asked: ContinueBody = body::read(&bytes)?;
    let (payment, note) = charge(api, &merchant, id).await?;
    let brought = asked.read(note.asks)?;
    let digest = hash(&brought.named());
    let (engine, tenant, name) = (api.engine.clone(), merchant.clone(), payment.payment_id.clone());
    let work = async move {
        let is_open = |payment: &Payment| payment.state.after(Event::Confirm).is_some();
        let ended = |payment: &Payment| {
            let expected = State::that_allow(Event::Confirm);
            Refusal::from(Fault::BadState { flow: "continued", state: payment.state, expected })
        };
        // Before the vault is asked: nobody may try PINs at a charge that is over.
        let (payment, _) = engine.payment(&tenant, &name).await?;
        if !is_open(&payment) {
            return Err(ended(&payment));
        }
        let billing = brought.settle(&engine, &tenant).await?;
        let change = PaymentBody { billing, ..PaymentBody::default() };
        let apply = move |terms: &mut _| change.apply(terms, Asker::Merchant);
        match engine.update(&tenant, &name, Asker::Merchant, apply, None, true).await {
            Ok(payment) => Ok(Answer::ok(&view::payment(&payment))),
            // Somebody else was first: the state says so better than "busy".
            Err(Fault::Busy) => {
                let (payment, _) = engine.payment(&tenant, &name).await?;
                Err(if is_open(&payment) { Fault::Busy.into() } else { ended(&payment) })
            }
            Err(fault) => Err(fault.into()),
        }
    };
    let named = Named { header: KEY, request, digest };
    let answered = once_named(api, named, &merchant, Subject::Change("confirm", payment.payment_id), work).await?;
    told(api, &merchant, answered, 200, "Charge updated").await
}

/// The merchant whose server calls. Pages may not: they can keep no API key.
pub(super) async fn server(api: &Api, request: &HttpRequest) -> Result<TenantId, Refusal> {
    if request.headers().contains_key("origin") {
        return Err(Refusal::new(
            403,
            "IR_22",
            "A server's API key does not work in a page, where everybody can read it",
        ));
    }
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let key = header.and_then(|value| value.split_once(' ')).filter(|(word, _)| word.eq_ignore_ascii_case("bearer"));
    let key = key.map(|(_, key)| key.trim()).filter(|key| KEY_CHARS.contains(&key.len()));
    who::server_of(api, key.ok_or_else(Refusal::unauthorized)?).await
}

/// The payment behind a charge's name, if it came through this door.
async fn charge(api: &Api, merchant: &TenantId, id: &str) -> Result<(Payment, Note), Refusal> {
    let id = renamed(id, CHARGE, PAYMENT).filter(|id| ids::is_allowed(id));
    let id = id.ok_or(Fault::NotFound("Charge"))?;
    let (payment, _) = api.engine.payment(merchant, &id).await.map_err(|fault| match fault {
        Fault::NotFound(_) => Fault::NotFound("Charge"),
        other => other,
    })?;
    let note = Note::of(&payment).ok_or(Fault::NotFound("Charge"))?;
    Ok((payment, note))
}

/// A native answer, in the words of this dialect. It may have been kept from an earlier request under the same key.
async fn told(
    api: &Api,
    merchant: &TenantId,
    answer: Answer,
    status: u16,
    message: &'static str,
) -> Result<Said, Refusal> {
    let native = kept(answer)?;
    let id = native["payment_id"].as_str().unwrap_or_default();
    let (payment, _) = api.engine.payment(merchant, id).await?;
    let note = Note::of(&payment).ok_or(Fault::Internal)?;
    Ok(Said { status, message, data: show::charge(&native, &note) })
}

fn fresh(api: &Api, prefix: &str) -> Result<String, Fault> {
    Ok(ids::fresh(prefix, api.engine.now_ms())?)
}

fn hash(text: &str) -> String {
    who::to_hex(&Sha256::digest(text.as_bytes()))
}

/// The header under which a request is done once.
pub(super) const KEY: &str = "X-Idempotency-Key";
const CUSTOMER: &str = "cus_";
/// Lengths of API keys, in characters.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
