//! orchestratord: start-up and the command line.
#![expect(clippy::print_stdout, reason = "check-config answers on standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use strongroom_orchestrator::config::{Config, LogLevel};
use strongroom_orchestrator::{harden, start};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

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
}

fn main() -> ExitCode {
    let hardened = harden::harden();
    let line = Line::parse();
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

fn fail(reason: &str) -> ExitCode {
    eprintln!("orchestratord: {reason}");
    ExitCode::FAILURE
}
