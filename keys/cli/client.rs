//! The admin listener of a vault, over TLS 1.3 with a client certificate and no certificate authority but the one named.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use reqwest::{Method, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_wire::Problem;

use crate::failure::Failure;
use crate::file;

/// Where the vault is and who asks.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Address of the admin listener, https://HOST:PORT
    #[arg(long, env = "STRONGROOM_ADMIN_URL", hide_env_values = true)]
    url: String,
    /// Certificate authority that signed the vault's certificate (PEM)
    #[arg(long, value_name = "FILE", env = "STRONGROOM_CA", hide_env_values = true)]
    ca: PathBuf,
    /// Your client certificate (PEM)
    #[arg(long, value_name = "FILE", env = "STRONGROOM_CERT", hide_env_values = true)]
    cert: PathBuf,
    /// Its private key (PEM, readable by you alone)
    #[arg(long, value_name = "FILE", env = "STRONGROOM_KEY", hide_env_values = true)]
    key: PathBuf,
}

/// A connection to one vault.
#[derive(Clone)]
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Connection {
    /// A connection that is named by another command's own flags.
    pub(crate) fn to(url: &str, ca: &Path, cert: &Path, key: &Path) -> Self {
        Self { url: url.to_owned(), ca: ca.to_owned(), cert: cert.to_owned(), key: key.to_owned() }
    }

    /// Reads the certificates; nothing is sent yet.
    pub(crate) fn open(&self) -> Result<Client, Failure> {
        let base =
            Url::parse(&self.url).ok().filter(|url| url.scheme() == "https" && url.has_host()).ok_or_else(|| {
                Failure::new(
                    "the vault's address is not one of TLS",
                    "name it as https://HOST:PORT, with --url or STRONGROOM_ADMIN_URL",
                )
            })?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .build()
            .map_err(|_| Failure::new("the connection cannot be prepared", "check the certificates that are named"))?;
        Ok(Client { base, http })
    }

    fn tls(&self) -> Result<ClientConfig, Failure> {
        let mut roots = RootCertStore::empty();
        for ca in certificates(&self.ca, "--ca")? {
            roots.add(ca).map_err(|_| unusable(&self.ca, "--ca"))?;
        }
        file::owner_only(&self.key)?;
        let chain = certificates(&self.cert, "--cert")?;
        let key = file::read(&self.key, PEM_BYTES_MAX)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| unusable(&self.key, "--key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| Failure::of("this build of vaultctl does not speak TLS 1.3"))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|_| {
                Failure::new(
                    "the client certificate and the private key do not belong together",
                    "name the pair that was issued together, with --cert and --key",
                )
            })
    }
}

impl Client {
    /// `GET` of a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(&self.send(Method::GET, path, None).await?)
    }

    /// `GET` of a text.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, Failure> {
        String::from_utf8(self.send(Method::GET, path, None).await?).map_err(|_| not_a_vault())
    }

    /// `POST` of a JSON document.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        // Every request is a struct of texts and numbers, which always has a JSON form.
        json(&self.send(Method::POST, path, Some(serde_json::to_vec(body).unwrap_or_default())).await?)
    }

    /// `PUT` of a JSON document.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        json(&self.send(Method::PUT, path, Some(serde_json::to_vec(body).unwrap_or_default())).await?)
    }

    /// `POST` of a body that is JSON already.
    pub(crate) async fn post_text<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T, Failure> {
        json(&self.send(Method::POST, path, Some(body.as_bytes().to_vec())).await?)
    }

    /// `POST` of a body that is JSON already, with headers beside it.
    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<T, Failure> {
        json(&self.send_within(Method::POST, path, headers, Some(body.to_vec()), ANSWER_MAX).await?)
    }

    /// `POST` of an act that may take as long as the store is large.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T, Failure> {
        json(&self.send_within(Method::POST, path, &[], Some(body.as_bytes().to_vec()), PATIENCE).await?)
    }

    /// `GET` of a body of any length into a file; says how long it was. One that breaks off is a failure.
    pub(crate) async fn download(&self, path: &str, to: &mut File, bar: &ProgressBar) -> Result<u64, Failure> {
        let url = self.base.join(path).map_err(|_| not_a_vault())?;
        let request = self.http.request(Method::GET, url).timeout(DOWNLOAD_MAX);
        let mut answer = request.send().await.map_err(|e| unreachable(&e))?;
        if !answer.status().is_success() {
            let bytes = answer.bytes().await.map_err(|e| unreachable(&e))?;
            return Err(serde_json::from_slice::<Problem>(&bytes).map_or_else(|_| not_a_vault(), Failure::problem));
        }
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(&e))? {
            to.write_all(&chunk).map_err(|e| {
                Failure::new(format!("the file cannot be written ({})", e.kind()), "free space there and try again")
            })?;
            length += chunk.len() as u64;
            bar.set_position(length);
        }
        bar.finish_and_clear();
        Ok(length)
    }

    /// `DELETE`.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(&self.send(Method::DELETE, path, None).await?)
    }

    /// `DELETE` that answers nothing.
    pub(crate) async fn delete_silent(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Vec<u8>, Failure> {
        self.send_within(method, path, &[], body, ANSWER_MAX).await
    }

    async fn send_within(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let url = self.base.join(path).map_err(|_| not_a_vault())?;
        let mut request = self.http.request(method, url).timeout(within);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(|e| unreachable(&e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(&e))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::new("the answer is too large", "ask for fewer entries, with --limit"));
            }
            bytes.extend_from_slice(&chunk);
        }
        if answer.status().is_success() {
            return Ok(bytes);
        }
        Err(serde_json::from_slice::<Problem>(&bytes).map_or_else(|_| not_a_vault(), Failure::problem))
    }
}

/// Runs one command's conversation. One thread is enough for it.
pub(crate) fn converse<T>(conversation: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Failure::of("the system gives no thread or socket to talk with"))?
        .block_on(conversation)
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|_| not_a_vault())
}

/// The certificates of a PEM file that a flag names.
pub(crate) fn certificates(path: &Path, flag: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = file::read(path, PEM_BYTES_MAX)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| unusable(path, flag))?;
    if chain.is_empty() { Err(unusable(path, flag)) } else { Ok(chain) }
}

fn unusable(path: &Path, flag: &str) -> Failure {
    Failure::new(format!("{} holds no usable PEM", path.display()), format!("name a PEM file with {flag}"))
}

fn not_a_vault() -> Failure {
    Failure::new(
        "the answer is not one of this version's vault",
        "check that --url names the admin listener, and that vaultctl and vaultd have the same version",
    )
}

/// The innermost cause says what happened (refused, unknown certificate, timed out); the layers around it do not.
fn unreachable(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::new("the vault did not answer in time", "check that vaultd runs and is not overloaded")
            .unheard();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::new(
        format!("the vault cannot be talked to: {cause}"),
        "check that vaultd runs, that --url is its admin listener, and that --ca, --cert and --key are meant for it",
    )
    .unheard()
}

const CONNECT_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// For what copies a whole store.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// An act is good for a day.
const DOWNLOAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// A full page of audit entries is about one MiB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
const PEM_BYTES_MAX: usize = 256 * 1024;
