//! vaultctl: the security team's tool. It makes and opens custodians' shares, talks to the admin listener of a vault and
//! verifies its audit log. Of all its commands `import` alone sees cards.

mod acts;
mod audit;
mod backup;
mod ceremony;
mod certs;
mod client;
mod custodian;
mod deal;
mod elsewhere;
mod export;
mod failure;
mod file;
mod import;
mod init;
mod inventory;
mod keys;
mod note_file;
mod passphrase;
mod pki;
mod progress;
mod proof;
mod retention;
mod root;
mod rotate;
mod say;
mod scan;
mod seal;
mod shares;
mod store;
mod tenants;
mod watch;

use std::alloc::System;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroizing_alloc::ZeroAlloc;

use failure::Failure;
use say::Say;

/// Wipes what is freed, because request buffers and dealers of shares do not wipe themselves.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Keys, custody and audit of a Strongroom vault.
///
/// Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong, 3 done in part.
#[derive(Parser)]
#[command(name = "vaultctl", version, max_term_width = 100)]
struct Arguments {
    /// Answer in JSON on standard output; failures in JSON on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Unseal(seal::Unseal),
    Seal(seal::Seal),
    Status(seal::Status),
    Reload(seal::Reload),
    /// See which Root is in force, and change it or its division
    #[command(subcommand)]
    Root(root::Root),
    /// The duty of a custodian, and who acknowledged it
    #[command(subcommand)]
    Custodian(custodian::Custodian),
    /// Check, re-deal and re-lock custodians' shares, offline
    #[command(subcommand)]
    Shares(shares::Shares),
    /// Perform a reviewed ceremony, offline
    #[command(subcommand)]
    Ceremony(ceremony::Ceremony),
    /// List keys and rotate them
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List and register tenants
    #[command(subcommand)]
    Tenants(tenants::Tenants),
    /// List, approve and withdraw what needs two people
    #[command(subcommand)]
    Acts(acts::Acts),
    /// How long cards are kept
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Verify what the vault signed
    #[command(subcommand)]
    Proof(proof::Proof),
    Import(import::Import),
    Export(export::Export),
    /// Read and verify the audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make a copy of store and log, and check one
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Move the store into a PostgreSQL database
    #[command(subcommand)]
    Store(store::Store),
    Certs(certs::Certs),
    Inventory(inventory::Inventory),
    Scan(scan::Scan),
    /// A certificate authority for development
    #[command(subcommand)]
    Pki(pki::Pki),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let say = Say::new(arguments.json);
    // Shares pass through this process: no core file, no debugger of the same user. A system that refuses either (some
    // containers do) is no reason to leave a vault sealed.
    let core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if core.is_err() || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        say.note("this system does not let vaultctl rule out core files; rule them out yourself (ulimit -c 0)");
    }
    match run(arguments.command, &say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command, say: &Say) -> Result<(), Failure> {
    match command {
        Command::Init(init) => init.run(say),
        Command::Unseal(unseal) => unseal.run(say),
        Command::Seal(seal) => seal.run(say),
        Command::Status(status) => status.run(say),
        Command::Reload(reload) => reload.run(say),
        Command::Root(root) => root.run(say),
        Command::Custodian(custodian) => custodian.run(say),
        Command::Shares(shares) => shares.run(say),
        Command::Ceremony(ceremony) => ceremony.run(say),
        Command::Keys(keys) => keys.run(say),
        Command::Tenants(tenants) => tenants.run(say),
        Command::Acts(acts) => acts.run(say),
        Command::Retention(retention) => retention.run(say),
        Command::Proof(proof) => proof.run(say),
        Command::Import(import) => import.run(say),
        Command::Export(export) => export.run(say),
        Command::Audit(audit) => audit.run(say),
        Command::Backup(backup) => backup.run(say),
        Command::Store(store) => store.run(say),
        Command::Inventory(inventory) => inventory.run(say),
        Command::Certs(certs) => certs.run(say),
        Command::Scan(scan) => scan.run(say),
        Command::Pki(pki) => pki.run(say),
    }
}
