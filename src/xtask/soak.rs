//! `cargo xtask soak`: the loops that are short in `test`, for as long as you like: kills, leaks, fuzzing.

use std::time::Instant;

use clap::Args;
use strongroom_tests::harness::Result;

use crate::fuzz::Fuzz;
use crate::steps::{Steps, cargo, must};

/// Run kills, leak searches and fuzzing for many minutes
#[derive(Args)]
pub(crate) struct Soak {
    /// Minutes in all
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

impl Soak {
    /// Runs each loop for its share of the time.
    pub(crate) fn run(&self) -> Result<()> {
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
