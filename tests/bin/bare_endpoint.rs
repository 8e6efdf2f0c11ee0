//! What benches compare the vault with: actix-web and rustls with client certificates, the same JSON in and out, and
//! nothing behind it: no policy, no audit log, no cryptography, no store.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Json, Path};
use actix_web::{App, HttpResponse, HttpServer};
use clap::Parser;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use strongroom_tests::harness::{Result, because};
use strongroom_wire::payment_method::RevealRequest;
use strongroom_wire::{RequestId, Token, header};

/// Answers what a vault would, from nothing.
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
    /// Who signs clients.
    #[arg(long)]
    client_ca: PathBuf,
    /// Gets the bound address.
    #[arg(long)]
    ready_file: PathBuf,
}

#[derive(Deserialize)]
struct Tokenize {
    #[serde(rename = "type")]
    kind: String,
    card: Card,
}

#[derive(Serialize, Deserialize)]
struct Card {
    number: String,
    exp_month: u8,
    exp_year: u16,
}

#[derive(Serialize)]
struct Revealed<'a> {
    payment_method_id: Token,
    #[serde(rename = "type")]
    kind: &'a str,
    card: Card,
}

#[derive(Serialize)]
struct Stored<'a> {
    payment_method_id: Token,
    #[serde(rename = "type")]
    kind: &'a str,
    card: Masked<'a>,
    storage: &'a str,
    customer_id: Option<&'a str>,
    created_at: &'a str,
    expires_at: Option<&'a str>,
}

#[derive(Serialize)]
struct Masked<'a> {
    brand: &'a str,
    bin: &'a str,
    last4: &'a str,
    exp_month: u8,
    exp_year: u16,
    fingerprint: &'a str,
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
            eprintln!("bare-endpoint: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &Flags) -> Result<actix_web::dev::Server> {
    let listener = TcpListener::bind(flags.listen).map_err(because("listening"))?;
    let at = listener.local_addr().map_err(because("listening"))?;
    let server = HttpServer::new(|| {
        App::new()
            .route("/v1/payment_methods", web::post().to(tokenize))
            .route("/v1/payment_methods/{id}/reveal", web::post().to(reveal))
    })
    .keep_alive(Duration::from_secs(75))
    .listen_rustls_0_23(listener, tls(flags)?)
    .map_err(because("listening"))?
    .run();
    std::fs::write(&flags.ready_file, at.to_string()).map_err(because(flags.ready_file.display()))?;
    Ok(server)
}

fn tls(flags: &Flags) -> Result<ServerConfig> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(&flags.client_ca).map_err(because(flags.client_ca.display()))?;
    roots.add(ca).map_err(because("the client CA"))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(because("the client CA"))?;
    let chain: Vec<_> = CertificateDer::pem_file_iter(&flags.certificate)
        .and_then(Iterator::collect)
        .map_err(because(flags.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&flags.key).map_err(because(flags.key.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(because("TLS versions"))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(because("the certificate"))?;
    // As the vault: no session is resumed. A ticket would also hold up the first answer until its acknowledgement.
    config.send_tls13_tickets = 0;
    Ok(config)
}

async fn tokenize(body: Json<Tokenize>) -> HttpResponse {
    let (kind, card) = (&body.kind, &body.card);
    let masked = Masked {
        brand: "visa",
        bin: card.number.get(..8).unwrap_or_default(),
        last4: card.number.get(12..).unwrap_or_default(),
        exp_month: card.exp_month,
        exp_year: card.exp_year,
        fingerprint: "AAAAAAAAAAAAAAAAAAAAAA",
    };
    answer(HttpResponse::Created()).json(Stored {
        payment_method_id: Token::fresh(),
        kind,
        card: masked,
        storage: "long_term",
        customer_id: None,
        created_at: "2026-01-01T00:00:00.000Z",
        expires_at: None,
    })
}

async fn reveal(id: Path<Token>, body: Json<RevealRequest>) -> HttpResponse {
    // The fields are read as the vault reads them, so that both pay for the same parsing.
    let _ = (body.purpose, &body.reference);
    let card = Card { number: NUMBER.to_owned(), exp_month: 12, exp_year: 2030 };
    answer(HttpResponse::Ok()).json(Revealed { payment_method_id: *id, kind: "card", card })
}

fn answer(mut answer: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    answer
        .insert_header((header::REQUEST_ID, RequestId::fresh().to_string()))
        .insert_header((header::AUDIT_INDEX, "0"));
    answer
}

const NUMBER: &str = "4242424242424242";
