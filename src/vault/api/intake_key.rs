//! The public half of the intake key, for everybody who seals a card before it is sent. It may be cached.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use strongroom_wire::Kind;

use super::call::Call;
use super::connection::Peer;
use super::problem::Refusal;
use super::state::State;
use crate::flow::intake;

/// `GET /v1/intake-key` on the intake: any page may ask, without a session.
pub(super) async fn of_intake(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Refusal> {
    if let Some(ip) = request.conn_data::<Peer>().map(Peer::ip)
        && let Err(seconds) = state.intake_rate.count(ip, state.vault.now_ms())
    {
        let detail = "this address sent as many requests as it may in a minute";
        return Err(Refusal::new(Kind::RateLimited, detail).retry_after(seconds));
    }
    let mut answer = answer(&state)?;
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(answer)
}

/// `GET /v1/intake-key` on the release listener: for any client certificate with a name; it takes no scope.
pub(super) async fn of_release(call: Call) -> Result<HttpResponse, Refusal> {
    answer(&call.state)
}

fn answer(state: &State) -> Result<HttpResponse, Refusal> {
    let public = intake::public(&state.vault)?;
    let json =
        serde_json::to_vec(&public.key).map_err(|_| Refusal::new(Kind::Internal, "the answer could not be written"))?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", public.max_age_s)))
        .body(json))
}
