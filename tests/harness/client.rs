//! An HTTPS client of one listener, with or without a certificate of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use strongroom_wire::header;

use super::{Credentials, Fault, Pki, Result, because};

/// Speaks to one address. Cloning shares the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(&'static str, String)>,
}

impl Client {
    /// A client that trusts the PKI's CA and shows `who`'s certificate, if any.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn new(pki: &Pki, at: SocketAddr, who: Option<&Credentials>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(pki, who)?)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            // Sooner than the servers, so that no request is sent into the end of a connection.
            .pool_idle_timeout(IDLE_FOR)
            .build()
            .map_err(because("an HTTP client"))?;
        Ok(Self { http, base: format!("https://localhost:{}", at.port()), headers: Vec::new() })
    }

    /// The same client with a header on every request.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same client, acting for a tenant.
    #[must_use]
    pub fn tenant(self, tenant: &str) -> Self {
        self.with(header::TENANT, tenant)
    }

    /// The base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET`.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None, &[]).await
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    /// Any method, with more headers.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        more: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let during = || format!("{method} {path}");
        let answer = request.send().await.map_err(|error| no_answer(&error).during(during()))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| no_answer(&error).during(during()))?;
        Ok(Answer { asked: during(), status, headers, body: body.to_vec() })
    }

    /// `POST` with a body of any kind, for requests that are wrong on purpose.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: Vec<u8>) -> Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.base)).header("Content-Type", content_type);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| no_answer(&error).during(path))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| no_answer(&error).during(path))?;
        Ok(Answer { asked: format!("POST {path}"), status, headers, body: body.to_vec() })
    }
}

/// What a server answered.
pub struct Answer {
    asked: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whatever it is.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .map_err(because(format!("{} answered {} without JSON", self.asked, self.status)))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body without names and times, in which any few digits stand by chance.
    #[must_use]
    pub fn said(&self) -> String {
        without_names(&self.text())
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The JSON of an answer that must have this status.
    ///
    /// # Errors
    /// When the status is another one; the fault quotes an error body, never a body of success.
    pub fn expect(self, status: u16) -> Result<Value> {
        self.must_be(status)?;
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    /// Checks the status alone.
    ///
    /// # Errors
    /// When the status is another one.
    pub fn must_be(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        let said = if self.status >= 400 { self.text() } else { "a success that was not expected".to_owned() };
        Err(Fault::new(format!("{} answered {} instead of {status}: {said}", self.asked, self.status)))
    }

    /// The problem's kind, as the last part of its type URI; empty when the body is no problem document.
    #[must_use]
    pub fn problem(&self) -> String {
        let uri = self.json().ok().and_then(|body| body["type"].as_str().map(str::to_owned)).unwrap_or_default();
        uri.strip_prefix("urn:strongroom:problem:").unwrap_or_default().to_owned()
    }
}

/// A text without its long words (identifiers, signatures, sealed texts) and without the ends of times: what is left holds three
/// or four given digits only if somebody put them there.
#[must_use]
pub fn without_names(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/');
    let is_random = |word: &&str| word.len() > LONGEST_NUMBER || word.ends_with('Z');
    text.split(|c| !is_part(c)).filter(|word| !is_random(word)).collect::<Vec<_>>().join(" ")
}

/// Digits of the longest card number.
const LONGEST_NUMBER: usize = 19;

/// The rustls configuration of a client that trusts the PKI's CA alone.
///
/// # Errors
/// When a certificate cannot be read.
pub fn tls(pki: &Pki, who: Option<&Credentials>) -> Result<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(pki.ca()).map_err(because(pki.ca().display()))?;
    roots.add(ca).map_err(because("the CA certificate"))?;
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("TLS versions"))?
        .with_root_certificates(roots);
    let Some(who) = who else { return Ok(builder.with_no_client_auth()) };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&who.certificate)
        .and_then(Iterator::collect)
        .map_err(because(who.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&who.key).map_err(because(who.key.display()))?;
    builder.with_client_auth_cert(chain, key).map_err(because("the client certificate"))
}

/// The whole chain of reasons: reqwest's first line alone says little.
fn no_answer(error: &reqwest::Error) -> Fault {
    let mut text = "no answer".to_owned();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(reason) = next {
        text.push_str(": ");
        text.push_str(&reason.to_string());
        next = reason.source();
    }
    Fault::new(text)
}

const IDLE_FOR: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
