//! orchestratord: start-up and the command line.
#![expect(clippy::print_stdout, reason = "check-config and operator-hash answer on standard output")]

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use strongroom_orchestrator::config::{Config, LogLevel};
use strongroom_orchestrator::{dashboard, harden, start};
use strongroom_wire::limits;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use zeroize::Zeroizing;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// The payment orchestrator: pays by token, holds a card only for one call to a provider.
#[derive(Parser)]
#[command(name = "orchestratord", version)]
struct Line {
    /// The configuration file.
    #[arg(long, global = true, env = "ORCHESTRATORD_CONFIG", default_value = "orchestratord.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads the configuration and every certificate it names, says what is wrong, starts nothing.
    CheckConfig,
    /// Makes the hash of a password for an operator of the dashboard. Asks for the password twice, or reads one line.
    #[command(
        after_help = "Example:\n  orchestratord operator-hash\n\nPut what it answers into the configuration:\n\n  \
        [[dashboard.operators]]\n  name = \"ada\"\n  role = \"editor\"            # or viewer\n  \
        password_hash = \"$argon2id$...\"\n\nWhere no terminal is, one line of standard input is the password:\n\n  \
        orchestratord operator-hash < password.txt"
    )]
    OperatorHash,
}

fn main() -> ExitCode {
    let hardened = harden::harden();
    let line = Line::parse();
    if let Some(Command::OperatorHash) = line.command {
        return match operator_hash() {
            Ok(hash) => {
                println!("{hash}");
                ExitCode::SUCCESS
            }
            Err(reason) => fail(&reason),
        };
    }
    let config = match Config::read(&line.config) {
        Ok(config) => config,
        Err(error) => return fail(&format!("configuration: {error}")),
    };
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Only our own events: what libraries log could quote a request.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("strongroom_orchestrator", level)
        .with_target("orchestratord", level);
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(ours);
    tracing_subscriber::registry().with(lines).init();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return fail("TLS cannot be set up");
    }
    if let Some(Command::CheckConfig) = line.command {
        return match start::check(&config) {
            Ok(()) => {
                println!("{}: good", line.config.display());
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        };
    }
    if !hardened {
        tracing::warn!("the system did not allow to switch off core dumps and debugging");
    }
    let ended = actix_web::rt::System::new().block_on(async move {
        let listening = start::start(config).await.map_err(|error| error.to_string())?;
        listening.server.await.map_err(|error| error.to_string())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The hash of a password that somebody types, or that comes as one line.
fn operator_hash() -> Result<String, String> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let ask = |prompt| {
            rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| "no password was read".to_owned())
        };
        let first = ask("Password (12 characters or more, with a letter and a digit): ")?;
        if *first != *ask("The same again: ")? {
            return Err("the two differ: try again".to_owned());
        }
        first
    } else {
        let mut text = Zeroizing::new(String::with_capacity(2 * limits::PASSPHRASE_BYTES_MAX));
        let most = u64::try_from(limits::PASSPHRASE_BYTES_MAX + 3).unwrap_or(u64::MAX);
        stdin.lock().take(most).read_to_string(&mut text).map_err(|_| "standard input is no text".to_owned())?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned())
    };
    dashboard::password_hash(&password).map_err(|bad| format!("the password: {bad}"))
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("orchestratord: {reason}");
    ExitCode::FAILURE
}
