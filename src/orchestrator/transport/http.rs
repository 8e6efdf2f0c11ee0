//! [`Transport`] over HTTPS.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Client;
use reqwest::header::{HeaderName, HeaderValue};
use strongroom_wire::limits;
use zeroize::Zeroizing;

use super::{CardPass, NotSent, Rendered, Sent, Transport};
use crate::connector::{Credentials, Doubt, Method, PspAnswer, PspRequest};
use crate::vault::Card;

/// Where a connector's requests go.
pub struct Destination {
    /// `https://host[:port]`, without a trailing slash.
    pub base_url: String,
    /// TLS when the provider's certificate is not from a public authority; `None` trusts the system's authorities.
    pub tls: Option<rustls::ClientConfig>,
    /// Time limit for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Time limit for a whole request.
    pub total_timeout: Duration,
}

/// Sends over HTTPS.
pub struct HttpTransport {
    destinations: BTreeMap<String, Peer>,
}

struct Peer {
    base_url: String,
    pooled: Client,
    /// For requests that carry a card: the connection closes afterwards, so that no idle buffer keeps a number.
    single_use: Client,
}

impl HttpTransport {
    /// A transport to these destinations, by connector name.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(destinations: BTreeMap<String, Destination>) -> Result<Self, reqwest::Error> {
        let mut peers = BTreeMap::new();
        for (name, destination) in destinations {
            peers.insert(name, Peer::new(destination)?);
        }
        Ok(Self { destinations: peers })
    }
}

impl Peer {
    fn new(destination: Destination) -> Result<Self, reqwest::Error> {
        let builder = || {
            let builder = Client::builder()
                .https_only(true)
                .no_proxy()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                // A request that moves money is never repeated below the engine's eyes.
                .retry(reqwest::retry::never())
                .connect_timeout(destination.connect_timeout)
                .timeout(destination.total_timeout);
            match &destination.tls {
                Some(tls) => builder.tls_backend_preconfigured(tls.clone()),
                None => builder,
            }
        };
        Ok(Self {
            base_url: destination.base_url.clone(),
            pooled: builder().pool_idle_timeout(POOL_IDLE).build()?,
            single_use: builder().pool_max_idle_per_host(0).build()?,
        })
    }

    fn build(
        &self,
        request: &PspRequest,
        credentials: &Credentials,
        card: Option<&Card>,
    ) -> Option<(Client, reqwest::Request)> {
        let client = if request.wants_card() { &self.single_use } else { &self.pooled };
        let rendered = Rendered::of(request, credentials, card)?;
        let url = reqwest::Url::parse(&format!("{}{}", self.base_url, rendered.target)).ok()?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut built = client.request(method, url);
        for (name, value) in &rendered.headers {
            built = built.header(HeaderName::from_bytes(name.as_bytes()).ok()?, secret_header(value)?);
        }
        if let Some(body) = rendered.body {
            built = built.body(Bytes::from_owner(Wiped(body)));
        }
        Some((client.clone(), built.build().ok()?))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn knows(&self, destination: &str) -> bool {
        self.destinations.contains_key(destination)
    }

    async fn send(&self, connector: &str, request: &PspRequest, credentials: &Credentials, card: CardPass<'_>) -> Sent {
        let card = match card {
            CardPass::Released(card) => Some(card),
            CardPass::None | CardPass::ByVault(_) => None,
        };
        let Some(peer) = self.destinations.get(connector) else {
            return Sent::NotSent(NotSent::NoDestination);
        };
        let Some((client, built)) = peer.build(request, credentials, card) else {
            return Sent::NotSent(NotSent::Unbuildable);
        };
        match client.execute(built).await {
            Ok(response) => read_limited(response).await,
            // Asked first: a connection that times out is both, and then nothing was sent.
            Err(error) if error.is_connect() => Sent::NotSent(NotSent::Unreachable),
            Err(error) if error.is_timeout() => Sent::InDoubt(Doubt::TimedOut),
            Err(_) => Sent::InDoubt(Doubt::ConnectionLost),
        }
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn read_limited(mut response: reqwest::Response) -> Sent {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Sent::Answer(PspAnswer { status, body }),
            Ok(Some(chunk)) if body.len() + chunk.len() > limits::PSP_ANSWER_BYTES_MAX => {
                return Sent::InDoubt(Doubt::Unreadable);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) if error.is_timeout() => return Sent::InDoubt(Doubt::TimedOut),
            Err(_) => return Sent::InDoubt(Doubt::ConnectionLost),
        }
    }
}

/// Shorter than the five seconds after which many servers close an idle connection: a request on a connection that the
/// provider is just closing is in doubt for nothing.
const POOL_IDLE: Duration = Duration::from_secs(3);
