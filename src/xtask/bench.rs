//! `cargo xtask bench`: the vault beside what it can be held against, in one run, so that a ratio means something.
#![expect(clippy::print_stdout, reason = "people read the table")]

use std::time::Instant;

use clap::{Args, ValueEnum};
use strongroom_tests::bench::{self, Generator, Plan, Section};
use strongroom_tests::harness::{Fault, Result};

use crate::steps::{build_programs, target};

/// Measure the vault beside a bare actix-web + rustls endpoint, raw inserts and updates, and AES-256-GCM alone
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask bench --quick\n  cargo xtask bench --only growth --cards 10000000\n\n\
    It writes report.json, report.md and plots into target/bench. `oha` sends the load: cargo install oha --locked"
)]
pub(crate) struct Bench {
    /// Few cards and few seconds: whether it works and about how fast it is
    #[arg(long)]
    quick: bool,
    /// Only these parts: requests, handshakes, storage, cipher, rotation, growth, unseal, postgres, payments
    #[arg(long, value_delimiter = ',', value_parser = section)]
    only: Vec<Section>,
    /// Cards in the large store that is held against one of 10,000 [default: 1000000, or 50000 with --quick]
    #[arg(long)]
    cards: Option<u64>,
    /// Who sends the load
    #[arg(long, value_enum, default_value = "oha")]
    client: ClientName,
    /// Cargo profile of the programs; figures of `dev` say nothing, but the bench itself can be tried with it
    #[arg(long, default_value = "release")]
    profile: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClientName {
    /// The load generator of that name, which must be installed
    Oha,
    /// The bench's own closed loop
    Own,
}

impl Bench {
    /// Builds everything with optimization, measures, prints a table and writes `target/bench`.
    pub(crate) async fn run(&self) -> Result<()> {
        build_programs(&self.profile)?;
        let began = Instant::now();
        let tell = |what: &str| println!("{:>6.1} s  {what}", began.elapsed().as_secs_f64());
        let report = bench::run(&self.plan(), tell).await?;
        let folder = target().join("bench");
        report.write(&folder)?;
        println!("\n{report}\nwritten to {}", folder.display());
        Ok(())
    }

    fn plan(&self) -> Plan {
        let all = || Section::ALL.into_iter().map(|(_, section)| section).collect();
        Plan {
            quick: self.quick,
            generator: match self.client {
                ClientName::Oha => Generator::Oha,
                ClientName::Own => Generator::Own,
            },
            grown: self.cards.unwrap_or(if self.quick { 50_000 } else { 1_000_000 }),
            sections: if self.only.is_empty() { all() } else { self.only.clone() },
        }
    }
}

fn section(name: &str) -> Result<Section> {
    let found = Section::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, section)| section);
    found.ok_or_else(|| {
        let known: Vec<&str> = Section::ALL.iter().map(|(known, _)| *known).collect();
        Fault::new(format!("there are {}", known.join(", ")))
    })
}
