//! `vaultctl ceremony`: a reviewed file says what will be done, the tool does exactly that, and a transcript says what was.

mod plan;
mod room;
mod run;
mod transcript;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::say::Say;
use plan::Plan;

#[derive(Subcommand)]
pub(crate) enum Ceremony {
    Check(Check),
    Run(run::Run),
}

/// Read a ceremony's file and say what would be done
///
/// Nothing is asked, written or changed. Have the file reviewed with this before people meet.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl ceremony check keys/ceremonies/founding.toml")]
pub(crate) struct Check {
    /// The ceremony's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Ceremony {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Ceremony::Check(check) => {
                let plan = Plan::read(&check.file)?;
                say.result(&plan.summary(), &plan.describe());
                Ok(())
            }
            Ceremony::Run(run) => run.run(say),
        }
    }
}
