//! `cargo xtask bench`: the vault beside a bare endpoint, in one run, so that the ratio means something.
#![expect(clippy::print_stdout, reason = "people read the table")]

use std::time::Instant;

use clap::Args;
use strongroom_tests::bench;
use strongroom_tests::harness::{Result, take_binaries_from};

use crate::steps::{cargo, must, target};

/// Measure tokenize and reveal over mutual TLS beside a bare actix-web + rustls endpoint
#[derive(Args)]
pub(crate) struct Bench {
    /// Few cards and few seconds: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Cargo profile of the programs; figures of `dev` say nothing, but the bench itself can be tried with it
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Bench {
    /// Builds everything with optimization, measures, prints a table and writes `target/bench/report.json`.
    pub(crate) async fn run(&self) -> Result<()> {
        let mut build = cargo();
        build.args(["build", "--workspace", "--bins", "--locked", "--profile", &self.profile]);
        must("building", &mut build)?;
        let folder = if self.profile == "dev" { "debug" } else { &self.profile };
        take_binaries_from(target().join(folder));
        let began = Instant::now();
        let tell = |what: &str| println!("{:>6.1} s  {what}", began.elapsed().as_secs_f64());
        let report = bench::run(self.quick, tell).await?;
        let file = target().join("bench/report.json");
        report.write(&file)?;
        println!("\n{report}\nwritten to {}", file.display());
        Ok(())
    }
}
