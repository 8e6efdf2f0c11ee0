//! What benches compare the orchestrator with: actix-web and rustls in front, the same two requests to the same provider
//! behind, and nothing between them: no vault, no store, no payment.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use clap::Parser;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use strongroom_tests::harness::{Result, because};

/// Passes payments on to a provider.
#[derive(Parser)]
struct Flags {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The server's certificate.
    #[arg(long)]
    certificate: PathBuf,
    /// The server's key.
    #[arg(long)]
    key: PathBuf,
    /// Who signed the provider's certificate.
    #[arg(long)]
    ca: PathBuf,
    /// The provider's base URL.
    #[arg(long)]
    psp: String,
    /// The secret key there.
    #[arg(long)]
    api_key: String,
    /// Gets the bound address.
    #[arg(long)]
    ready_file: PathBuf,
}

struct Psp {
    base: String,
    api_key: String,
    client: reqwest::Client,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let served = match serve(&Flags::parse()) {
        Ok(server) => server.await.map_err(because("serving")),
        Err(fault) => Err(fault),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bare-proxy: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &Flags) -> Result<actix_web::dev::Server> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(&flags.ca).map_err(because(flags.ca.display()))?;
    roots.add(ca).map_err(because("the provider's CA"))?;
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("TLS versions"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().http1_only().build();
    let psp = Data::new(Psp {
        base: flags.psp.clone(),
        api_key: flags.api_key.clone(),
        client: client.map_err(because("the client"))?,
    });
    let listener = TcpListener::bind(flags.listen).map_err(because("listening"))?;
    let at = listener.local_addr().map_err(because("listening"))?;
    let server = HttpServer::new(move || App::new().app_data(psp.clone()).route("/payments", web::post().to(pay)))
        .keep_alive(Duration::from_secs(75))
        .listen_rustls_0_23(listener, server_tls(flags)?)
        .map_err(because("listening"))?
        .run();
    std::fs::write(&flags.ready_file, at.to_string()).map_err(because(flags.ready_file.display()))?;
    Ok(server)
}

fn server_tls(flags: &Flags) -> Result<ServerConfig> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&flags.certificate)
        .and_then(Iterator::collect)
        .map_err(because(flags.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&flags.key).map_err(because(flags.key.display()))?;
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("TLS versions"))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(because("the certificate"))
}

async fn pay(psp: Data<Psp>, asked: Json<Value>) -> HttpResponse {
    match charge(&psp, &asked).await {
        Some(paid) => HttpResponse::Ok().json(paid),
        None => HttpResponse::BadGateway().finish(),
    }
}

/// The two requests that the orchestrator makes: the card becomes a payment method, and that is charged.
async fn charge(psp: &Psp, asked: &Value) -> Option<Value> {
    let card = "type=card&card%5Bnumber%5D=4242424242424242&card%5Bexp_month%5D=12&card%5Bexp_year%5D=2031";
    let method = send(psp, "/v1/payment_methods", card.to_owned()).await?;
    let (amount, currency) = (asked["amount"].as_u64()?, asked["currency"].as_str()?.to_ascii_lowercase());
    let method = method["id"].as_str()?;
    let body = format!(
        "amount={amount}&currency={currency}&payment_method={method}&payment_method_types%5B0%5D=card&confirm=true"
    );
    let paid = send(psp, "/v1/payment_intents", body).await?;
    (paid["status"] == "succeeded").then(|| json!({"payment_id": paid["id"], "status": "succeeded", "amount": amount}))
}

async fn send(psp: &Psp, path: &str, body: String) -> Option<Value> {
    let request = psp.client.post(format!("{}{path}", psp.base)).bearer_auth(&psp.api_key);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}
