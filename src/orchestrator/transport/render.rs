//! A request as it goes over the wire: slots filled, credentials in place. Wiped when dropped, never printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{fill, fill_json};
use crate::connector::{Auth, Body, Credentials, PspRequest};
use crate::vault::Card;

/// See the module.
pub struct Rendered {
    /// Path and query, percent-encoded; begins with `/`.
    pub target: String,
    /// Every header of the request, among them `authorization`, `content-type` and `idempotency-key` where it has them.
    pub headers: Vec<(String, Zeroizing<String>)>,
    /// The body.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl Rendered {
    /// Fills a request. `None`: a slot without a card, or an account part that the credentials lack.
    #[must_use]
    pub fn of(request: &PspRequest, credentials: &Credentials, card: Option<&Card>) -> Option<Self> {
        let mut target = request.path.clone();
        if !request.query.is_empty() {
            target.push('?');
            target.push_str(&serde_urlencoded::to_string(&request.query).ok()?);
        }
        let mut headers: Vec<(String, Zeroizing<String>)> = Vec::new();
        let mut add = |name: &str, value: Zeroizing<String>| headers.push((name.to_ascii_lowercase(), value));
        for (name, value) in &request.headers {
            add(name, Zeroizing::new(value.clone()));
        }
        if let Some(key) = &request.idempotency_key {
            add("idempotency-key", Zeroizing::new(key.clone()));
        }
        match request.auth {
            Auth::Bearer => add("authorization", behind("Bearer ", &credentials.api_key)),
            Auth::Header(name) => add(name, credentials.api_key.clone()),
            Auth::Basic => {
                let password = credentials.key1.as_ref().map_or("", |key1| key1.as_str());
                let mut pair = Zeroizing::new(String::with_capacity(credentials.api_key.len() + password.len() + 1));
                pair.push_str(&credentials.api_key);
                pair.push(':');
                pair.push_str(password);
                let mut text = Zeroizing::new(String::with_capacity(pair.len().div_ceil(3) * 4));
                STANDARD.encode_string(pair.as_bytes(), &mut text);
                add("authorization", behind("Basic ", &text));
            }
        }
        let kind = |name: &str| Zeroizing::new(name.to_owned());
        let body = match &request.body {
            Body::Empty => None,
            Body::Form(pairs) => {
                add("content-type", kind("application/x-www-form-urlencoded"));
                Some(fill::form(pairs, card)?)
            }
            Body::Json(json) => {
                if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                    add("content-type", kind("application/json"));
                }
                Some(fill_json::json(json, card, credentials)?)
            }
        };
        Some(Self { target, headers, body })
    }
}

/// The two texts behind each other, in a buffer that does not grow.
fn behind(word: &str, secret: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(word.len() + secret.len()));
    text.push_str(word);
    text.push_str(secret);
    text
}
