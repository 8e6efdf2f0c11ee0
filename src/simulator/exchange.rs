//! What every dialect does between a request and its answer: who asks, which fault meets it, and how work and answer go
//! apart when one does.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Fault, Met};
use crate::replay::{Answer, Hold};

/// What work came to.
pub(crate) struct Work {
    /// What to answer.
    pub(crate) answer: Answer,
    /// Whether work began, so that the answer belongs to the idempotency key for good.
    pub(crate) began: bool,
}

/// Does a request that changes something, with the fault that meets it. `broken` is what the dialect answers when
/// something of its own fails (a 500). `work` is told whether the issuer shall decline. `None` means that the connection
/// is to be [`cut`].
pub(crate) async fn perform(
    met: Option<Met>,
    hold: Option<Hold>,
    broken: Answer,
    work: impl FnOnce(bool) -> Work,
) -> Option<Answer> {
    let fault = met.map(|met| met.fault);
    let Work { answer, began } = match fault {
        Some(Fault::DropBefore) => return None,
        Some(Fault::ErrorBefore) => Work { answer: broken, began: true },
        // Work that was done stays done whatever the answer is; only the answer is lost.
        Some(Fault::ErrorAfter) => {
            work(false);
            Work { answer: broken, began: true }
        }
        _ => work(fault == Some(Fault::Decline)),
    };
    if let Some(hold) = hold.as_ref().filter(|_| began) {
        hold.keep(&answer);
    }
    match met {
        Some(Met { fault: Fault::DropAfter, .. }) => return None,
        Some(Met { fault: Fault::Slow, delay_ms }) => tokio::time::sleep(Duration::from_millis(delay_ms)).await,
        _ => {}
    }
    Some(answer)
}

/// Answers a request that changes nothing, with the fault that meets it; see [`perform`].
pub(crate) async fn ask(met: Option<Met>, broken: Answer, look: impl FnOnce() -> Answer) -> Option<Answer> {
    perform(met, None, broken, |_| Work { answer: look(), began: false }).await
}

/// A second handle on a connection's socket, kept so that a fault can cut the connection in the middle of a request.
pub(crate) struct Cut(pub(crate) TcpStream);

/// Cuts the connection. The response that the framework wants is never sent.
pub(crate) fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Cut(socket)) = request.conn_data::<Cut>() {
        // Fails only when the peer was faster; either way the connection is gone.
        let _ = socket.shutdown(Shutdown::Both);
    }
    HttpResponse::InternalServerError().finish()
}

/// What the request presents as its key: the token of `Authorization: Bearer`, or the user name of
/// `Authorization: Basic`. `None` without either; `Some("")` where it cannot be read.
pub(crate) fn presented_key(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let key = match header.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim().to_owned()),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = STANDARD.decode(pair.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            pair.map(|pair| pair.split(':').next().unwrap_or_default().to_owned())
        }
        _ => None,
    };
    Some(key.unwrap_or_default())
}

/// `https://host:port` as the caller named the simulator, so that the certificate fits in a browser too.
pub(crate) fn own_address(request: &HttpRequest) -> String {
    let info = request.connection_info();
    let named = info.host().bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    let host = if named { info.host().to_owned() } else { request.app_config().local_addr().to_string() };
    format!("https://{host}")
}
