//! `psp-simulator`: a payment service provider for demos and tests, on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_simulator::{Config, Webhook, start};
use zeroize::Zeroizing;

/// A payment service provider for demos and tests. It speaks subsets of the APIs of Stripe, Adyen and Worldpay over
/// TLS on loopback, takes published test cards alone, and moves no money.
///
/// Faults on purpose: POST /faults, metadata[simulator_fault]=NAME (or OPERATION:NAME), or an authorization of 9900.01
/// (slow, 5 s), 9900.02 (drop_after), 9900.03 (error_after), 9900.04 (error_before), 9900.05 (drop_before).
/// What was charged: GET /ledger. Where webhooks go: POST /webhooks. Disputes on purpose: POST /disputes.
#[derive(Parser)]
#[command(
    name = "psp-simulator",
    version,
    after_help = "Example: psp-simulator --listen 127.0.0.1:8443 --cert psp.pem --key psp-key.pem --api-key sk_test_demo"
)]
struct Flags {
    /// Where to listen; a loopback address. Port 0 takes a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The TLS certificate chain (PEM).
    #[arg(long)]
    cert: PathBuf,
    /// The certificate's private key (PEM).
    #[arg(long)]
    key: PathBuf,
    /// A secret key that every dialect and the desk accept (Worldpay's takes it as the user name); may be given several times.
    #[arg(long = "api-key", env = "PSP_SIMULATOR_API_KEY", hide_env_values = true, required = true)]
    api_keys: Vec<String>,
    /// Where Stripe's webhooks go: an address on this machine.
    #[arg(long, requires = "stripe_webhook_secret")]
    stripe_webhook_url: Option<String>,
    /// What Stripe's webhooks are signed with.
    #[arg(long, env = "PSP_SIMULATOR_STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    stripe_webhook_secret: Option<String>,
    /// Where Adyen's webhooks go: an address on this machine.
    #[arg(long, requires = "adyen_webhook_key")]
    adyen_webhook_url: Option<String>,
    /// The HMAC key (hexadecimal digits) that Adyen's webhooks are signed with.
    #[arg(long, env = "PSP_SIMULATOR_ADYEN_WEBHOOK_KEY", hide_env_values = true)]
    adyen_webhook_key: Option<String>,
    /// Where Worldpay's webhooks go: an address on this machine.
    #[arg(long, requires = "worldpay_webhook_secret")]
    worldpay_webhook_url: Option<String>,
    /// What Worldpay's webhooks are signed with.
    #[arg(long, env = "PSP_SIMULATOR_WORLDPAY_WEBHOOK_SECRET", hide_env_values = true)]
    worldpay_webhook_secret: Option<String>,
    /// The authorities (PEM) that signed the certificates of webhook addresses.
    #[arg(long)]
    webhook_ca: Option<PathBuf>,
    /// A file that gets the bound address once requests are answered.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let webhooks = [
        ("stripe", flags.stripe_webhook_url, flags.stripe_webhook_secret),
        ("adyen", flags.adyen_webhook_url, flags.adyen_webhook_key),
        ("worldpay", flags.worldpay_webhook_url, flags.worldpay_webhook_secret),
    ];
    let webhooks = webhooks
        .into_iter()
        .filter_map(|(provider, url, secret)| Some(Webhook { provider, url: url?, secret: Zeroizing::new(secret?) }));
    let config = Config {
        listen: flags.listen,
        cert: flags.cert,
        key: flags.key,
        api_keys: flags.api_keys,
        webhooks: webhooks.collect(),
        webhook_ca: flags.webhook_ca,
        ready_file: flags.ready_file,
    };
    let running = match start(&config) {
        Ok(running) => running,
        Err(error) => {
            eprintln!("psp-simulator: {error}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("{BANNER}");
    eprintln!("psp-simulator: listening on https://{}", running.address);
    match running.ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("psp-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

const BANNER: &str = "\
*******************************************************************************
*  PSP SIMULATOR, FOR DEMOS AND TESTS ONLY. No money moves. Published test    *
*  cards alone are taken; never send it a real card.                          *
*******************************************************************************";
