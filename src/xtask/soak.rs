//! `cargo xtask soak`: a steady load for many minutes under which nothing may grow; and, where asked for, the loops that are
//! short in `test`, for as long again: kills, leaks, fuzzing.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::time::{Duration, Instant};

use clap::Args;
use strongroom_tests::harness::{Fault, Result};
use strongroom_tests::soak;

use crate::fuzz::Fuzz;
use crate::steps::{Steps, build_programs, cargo, must, target};

/// Payments, cards and rotations at once for many minutes; fails if memory or times grow
#[derive(Args)]
pub(crate) struct Soak {
    /// Minutes of steady load
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Cargo profile of the programs
    #[arg(long, default_value = "release")]
    profile: String,
    /// Afterwards kills under load, leak searches and fuzzing, for as long again
    #[arg(long)]
    hard: bool,
}

impl Soak {
    /// Runs the load, prints what grew, and writes `target/soak/report.json`, `report.md` and `plot.svg`.
    pub(crate) async fn run(&self) -> Result<()> {
        build_programs(&self.profile)?;
        let began = Instant::now();
        let tell = |what: &str| println!("{:>6.0} s  {what}", began.elapsed().as_secs_f64());
        let report = soak::run(Duration::from_secs(self.minutes.max(1) * 60), tell).await?;
        let folder = target().join("soak");
        report.write(&folder)?;
        println!("\n{report}\nwritten to {}", folder.display());
        if !report.is_flat() {
            return Err(Fault::new("something grew or failed under a steady load"));
        }
        if self.hard { self.loops() } else { Ok(()) }
    }

    /// Runs each loop for its share of the time.
    fn loops(&self) -> Result<()> {
        must("building", cargo().args(["build", "--workspace", "--bins"]))?;
        let mut steps = Steps::default();
        let third = self.minutes.max(3) * 60 / 3;
        let mut kills = cargo();
        kills.args(["test", "--package", "strongroom-tests", "--test", "faults"]);
        kills.env("STRONGROOM_SOAK_SECONDS", third.to_string());
        // A kill with its restart and the questions after it takes about three seconds.
        kills.env("STRONGROOM_SOAK_KILLS", (third / 3).to_string());
        steps.run("kill -9 under load", &mut kills);
        let began = Instant::now();
        while began.elapsed().as_secs() < third {
            steps.run("leak searches", cargo().args(["test", "--package", "strongroom-tests", "--test", "leaks"]));
        }
        // Seven targets share what is left.
        Fuzz { seconds: (third / 7).max(1), only: None }.run_in(&mut steps)?;
        steps.summary()
    }
}
