//! `cargo xtask`: the commands that people run in this repository.

mod bench;
mod demo;
mod failures;
mod fuzz;
mod sdk;
mod soak;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Shows, tests and measures Strongroom. Everything stays on loopback and in fresh folders.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Test(test::Test),
    Bench(bench::Bench),
    Soak(soak::Soak),
    Fuzz(fuzz::Fuzz),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Flags::parse().command {
        Command::Demo(demo) => demo.run().await,
        Command::Test(test) => test.run(),
        Command::Bench(bench) => bench.run().await,
        Command::Soak(soak) => soak.run().await,
        Command::Fuzz(fuzz) => fuzz.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("\nxtask: {fault}");
            ExitCode::FAILURE
        }
    }
}
