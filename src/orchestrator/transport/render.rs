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
        let mut query: Vec<(&str, &str)> = request.query.iter().map(|(name, text)| (&**name, &**text)).collect();
        if let Auth::BasicWithQuery(name, part) = request.auth {
            query.push((name, fill_json::account(credentials, part)?));
        }
        if !query.is_empty() {
            target.push('?');
            target.push_str(&serde_urlencoded::to_string(&query).ok()?);
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
            Auth::Basic | Auth::BasicWithQuery(..) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{AccountPart, Method};

    fn rendered(query: &[(&str, &str)], auth: Auth, api_secret: Option<&str>) -> Option<Rendered> {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let credentials = Credentials {
            api_key: text("user"),
            key1: Some(text("pass")),
            api_secret: api_secret.map(text),
            webhook_secret: None,
        };
        let request = PspRequest {
            method: Method::Get,
            path: "/events".into(),
            query: query.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            auth,
            headers: Vec::new(),
            idempotency_key: None,
            body: Body::Empty,
            moves_money: false,
        };
        Rendered::of(&request, &credentials, None)
    }

    #[test]
    fn merchants_name_stands_behind_the_query_and_is_encoded() {
        let auth = Auth::BasicWithQuery("entity", AccountPart::ApiSecret);
        let made = rendered(&[("ref", "a&b")], auth, Some("PO 1")).unwrap();
        assert_eq!(made.target, "/events?ref=a%26b&entity=PO+1");
        assert_eq!(rendered(&[], auth, Some("default")).unwrap().target, "/events?entity=default");
        let basic = ("authorization".to_owned(), Zeroizing::new("Basic dXNlcjpwYXNz".to_owned()));
        assert_eq!(made.headers, [basic]);
        assert_eq!(rendered(&[], Auth::Basic, None).unwrap().target, "/events");
        assert!(rendered(&[], auth, None).is_none(), "credentials without the part build nothing");
    }
}
