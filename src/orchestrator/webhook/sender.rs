//! Carries one webhook to its receiver. The only place of the product that calls addresses which merchants name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Client, Url};
use strongroom_wire::limits;

use super::address::Reach;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The receiver: an `https` address.
    pub url: String,
    /// Headers beside those of every letter, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON.
    pub body: String,
}

/// Carries webhooks.
#[async_trait]
pub trait Sender: Send + Sync {
    /// The status that the receiver answered; only 200 to 299 means that it took the letter. No redirect is followed.
    ///
    /// # Errors
    /// [`NotDelivered`].
    async fn send(&self, letter: &Letter) -> Result<u16, NotDelivered>;
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// The address is no `https` address that may be called.
    #[error("the address may not be called")]
    Forbidden,
    /// No connection, or no TLS session on it. A name that leads to no public address alone counts as this, too.
    #[error("the receiver cannot be reached")]
    Unreachable,
    /// No answer within the time limit.
    #[error("the receiver did not answer in time")]
    TimedOut,
    /// The connection ended before the answer.
    #[error("the receiver hung up")]
    HungUp,
}

/// How to send.
pub struct SenderSettings {
    /// Which addresses may be called.
    pub reach: Reach,
    /// TLS when receivers' certificates are not from public authorities; `None` trusts the system's authorities.
    pub tls: Option<rustls::ClientConfig>,
    /// Time limit for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Time limit for a whole request.
    pub total_timeout: Duration,
}

/// Sends over HTTPS.
pub struct HttpSender {
    client: Client,
    reach: Reach,
}

impl HttpSender {
    /// A sender.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(settings: SenderSettings) -> Result<Self, reqwest::Error> {
        let reach = settings.reach;
        let builder = Client::builder()
            .https_only(true)
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(Arc::new(PublicNames(reach)))
            .pool_idle_timeout(POOL_IDLE)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.total_timeout);
        let builder = match settings.tls {
            Some(tls) => builder.tls_backend_preconfigured(tls),
            None => builder,
        };
        Ok(Self { client: builder.build()?, reach })
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, letter: &Letter) -> Result<u16, NotDelivered> {
        let url = callable(&letter.url, self.reach).ok_or(NotDelivered::Forbidden)?;
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "strongroom")
            .body(letter.body.clone());
        for (name, value) in &letter.headers {
            request = request.header(*name, HeaderValue::from_str(value).map_err(|_| NotDelivered::Forbidden)?);
        }
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                drain(response).await;
                Ok(status)
            }
            // Asked first: a connection that times out is both.
            Err(error) if error.is_connect() => Err(NotDelivered::Unreachable),
            Err(error) if error.is_timeout() => Err(NotDelivered::TimedOut),
            Err(_) => Err(NotDelivered::HungUp),
        }
    }
}

/// The address, if a webhook may go there as far as can be said before its name is resolved: `https`, no user name, no
/// fragment, no address of a kind that may not be called.
#[must_use]
pub fn callable(url: &str, reach: Reach) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let allowed = host.parse::<IpAddr>().map_or(true, |address| reach.allows(address));
    (url.scheme() == "https" && plain && allowed).then_some(url)
}

/// Resolves names to addresses that may be called. The connection is made to these very addresses, so a name that leads
/// elsewhere a moment later gains nothing.
struct PublicNames(Reach);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows(at.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to no address that may be called".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Reads a short answer to its end, so that the connection can be used again; gives a long one up.
async fn drain(mut response: reqwest::Response) {
    let mut left = limits::WEBHOOK_ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

const POOL_IDLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls_peer::{Act, TlsPeer};

    fn letter(url: &str) -> Letter {
        let headers = vec![("strongroom-signature", "t=1,v1=00".to_owned())];
        Letter { url: url.to_owned(), headers, body: r#"{"event_id":"evt_1"}"#.to_owned() }
    }

    fn sender(peer: &TlsPeer, reach: Reach) -> HttpSender {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        HttpSender::new(SenderSettings {
            reach,
            tls: Some(peer.trusted()),
            connect_timeout: Duration::from_millis(500),
            total_timeout: Duration::from_millis(500),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn letter_arrives_with_its_headers_and_the_status_comes_back() {
        for status in [200, 204, 400, 500] {
            let peer = TlsPeer::start(move |_| Act::Answer(status, "ok".into())).await;
            let sent = sender(&peer, Reach::Anywhere).send(&letter(&format!("{}/hook?a=b", peer.url))).await;
            assert_eq!(sent, Ok(status));
            let request = &peer.requests()[0];
            assert!(request.starts_with("POST /hook?a=b HTTP/1.1"));
            assert!(request.contains("strongroom-signature: t=1,v1=00") && request.contains("application/json"));
            assert!(request.ends_with(r#"{"event_id":"evt_1"}"#));
        }
    }

    #[tokio::test]
    async fn redirect_is_an_answer_and_not_followed() {
        let peer = TlsPeer::start(|_| Act::Answer(302, String::new())).await;
        let sent = sender(&peer, Reach::Anywhere).send(&letter(&peer.url)).await;
        assert_eq!((sent, peer.requests().len()), (Ok(302), 1));
    }

    #[tokio::test]
    async fn answer_without_end_is_given_up_at_its_limit() {
        let bytes = 64 * limits::WEBHOOK_ANSWER_BYTES_MAX;
        for act in [Act::Announced as fn(usize) -> Act, Act::Chunked] {
            let peer = TlsPeer::start(move |_| act(bytes)).await;
            let sender = sender(&peer, Reach::Anywhere);
            let sent = tokio::time::timeout(Duration::from_millis(400), sender.send(&letter(&peer.url))).await;
            assert_eq!(sent, Ok(Ok(200)), "the status counts, not the body");
        }
    }

    #[tokio::test]
    async fn silence_hanging_up_and_strange_certificates_are_no_delivery() {
        let silent = TlsPeer::start(|_| Act::Silence).await;
        let gone = TlsPeer::start(|_| Act::HangUp).await;
        let sent = sender(&silent, Reach::Anywhere).send(&letter(&silent.url)).await;
        assert_eq!(sent, Err(NotDelivered::TimedOut));
        let sent = sender(&gone, Reach::Anywhere).send(&letter(&gone.url)).await;
        assert_eq!(sent, Err(NotDelivered::HungUp));
        let sent = sender(&silent, Reach::Anywhere).send(&letter(&gone.url)).await;
        assert_eq!(sent, Err(NotDelivered::Unreachable), "a certificate that nobody trusts");
    }

    #[tokio::test]
    async fn private_addresses_are_not_called_by_number_or_by_name() {
        let peer = TlsPeer::start(|_| Act::Answer(200, String::new())).await;
        let port = peer.url.rsplit(':').next().unwrap().to_owned();
        let public = sender(&peer, Reach::Public);
        for (host, expected) in [
            ("127.0.0.1", NotDelivered::Forbidden),
            ("2130706433", NotDelivered::Forbidden),
            ("0x7f.1", NotDelivered::Forbidden),
            ("[::1]", NotDelivered::Forbidden),
            ("[::ffff:127.0.0.1]", NotDelivered::Forbidden),
            ("localhost", NotDelivered::Unreachable),
        ] {
            let sent = public.send(&letter(&format!("https://{host}:{port}/"))).await;
            assert_eq!(sent, Err(expected), "{host}");
        }
        assert!(peer.requests().is_empty());
    }

    #[test]
    fn addresses_without_tls_or_with_more_than_a_place_in_them_are_not_callable() {
        for bad in ["http://shop.test/", "ftp://shop.test/", "https://u@shop.test/", "https://u:p@shop.test/", "shop"] {
            assert_eq!(callable(bad, Reach::Anywhere), None, "{bad}");
        }
        assert_eq!(callable("https://shop.test/#here", Reach::Anywhere), None);
        assert!(callable("https://shop.test:8443/hook?x=1", Reach::Public).is_some());
    }
}
