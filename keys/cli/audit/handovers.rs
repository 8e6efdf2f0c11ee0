//! `vaultctl audit handovers`: the notes in which each Sign key names the next.

use std::path::PathBuf;

use clap::Args;
use strongroom_wire::admin::HandoverList;

use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Fetch the notes in which each sign key names the next
///
/// They lead from a public key that was kept to the newest, so that no key has to be taken from the vault's own word.
/// Commands that talk to the vault ask for them by themselves; those that do not follow the file that --handovers names.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit handovers --out handovers --url https://vault:8402 --ca ca.pem \\
      --cert ada.pem --key ada.key")]
pub(crate) struct Fetch {
    /// Where to keep them; an older file is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Fetch {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: HandoverList = converse(client.get("/v1/audit/handovers"))?;
        let text = list.handovers.concat();
        if let Some(path) = &self.out {
            file::replace(path, Mode::Public, text.as_bytes())?;
        }
        let said = if text.is_empty() { "the sign key was never rotated" } else { text.trim_end() };
        say.result(&list, said);
        Ok(())
    }
}
