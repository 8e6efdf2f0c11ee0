//! vaultd: the card vault.
#![expect(clippy::print_stdout, reason = "check-config answers on standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use strongroom_vault::config::Config;
use strongroom_vault::start::{Checked, StartError};
use strongroom_vault::{harden, start};

/// Wipes every block of memory when it is freed, so that what was in it does not wait for the next user.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// The card vault: stores cards under envelope-encrypted keys and releases them over mutual TLS as policy allows.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  vaultd --config /etc/strongroom/vaultd.toml")]
struct Arguments {
    /// The configuration file; every key is documented in vaultd.example.toml.
    #[arg(long, global = true, value_name = "FILE", default_value = "vaultd.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Read configuration, certificates, policy and root.json, ask the database where there is one, say what is wrong with
    /// them, and change nothing.
    #[command(after_help = "Example:\n  vaultd check-config --config /etc/strongroom/vaultd.toml")]
    CheckConfig {
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let hardened = harden::harden();
    let arguments = Arguments::parse();
    let checked = Config::read(&arguments.config).map_err(StartError::from).and_then(Checked::read);
    match (arguments.command, checked) {
        (Some(Command::CheckConfig { json }), Ok(checked)) => {
            answer(json, actix_web::rt::System::new().block_on(checked.reach_store()).err())
        }
        (Some(Command::CheckConfig { json }), Err(error)) => answer(json, Some(error)),
        (None, Ok(checked)) => match actix_web::rt::System::new().block_on(start::run(checked, hardened)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        (None, Err(error)) => fail(&error),
    }
}

fn answer(json: bool, error: Option<StartError>) -> ExitCode {
    match (json, error) {
        (true, error) => {
            let error = error.map(|error| error.to_string());
            println!("{}", serde_json::json!({ "ok": error.is_none(), "error": error }));
            if error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        (false, None) => {
            println!("the configuration can be used");
            ExitCode::SUCCESS
        }
        (false, Some(error)) => fail(&error),
    }
}

/// The reason is for the person at the terminal: it names files and keys, never their content.
fn fail(error: &StartError) -> ExitCode {
    eprintln!("vaultd: {error}");
    ExitCode::FAILURE
}
