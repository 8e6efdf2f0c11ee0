//! `vaultctl shares verify`: one custodian looks after their own share.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::deal::{read_root, read_share};
use crate::failure::Failure;
use crate::passphrase;
use crate::say::Say;

/// Check that your share opens and belongs to this root.json
///
/// Nothing is sent and nothing is written. It says nothing about the shares of others; an unseal drill does
/// (`vaultctl ceremony run`).
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl shares verify --root root.json --share share-2.json")]
pub(crate) struct Verify {
    /// The root.json that the share was dealt with
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Your sealed share
    #[arg(long, value_name = "FILE")]
    share: PathBuf,
    /// File with your passphrase as its only line; asked for if none is named
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Verified {
    vault_id: String,
    custodian: String,
    index: u8,
    threshold: u8,
    shares: u8,
}

impl Verify {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let descriptor = read_root(&self.root)?;
        let sealed = read_share(&self.share)?;
        if sealed.vault_id() != descriptor.vault_id() {
            return Err(Failure::new(
                "the share belongs to another vault than root.json",
                "name the two files that were dealt together",
            ));
        }
        let passphrase = passphrase::ask(sealed.custodian(), self.passphrase_file.as_deref())?;
        let share = sealed.open(&passphrase).map_err(Failure::of)?;
        if !descriptor.commits_to(&share) {
            return Err(Failure::new(
                "the share opens, and root.json does not know it: it is of another division of the Root",
                "take the share that was dealt with this root.json; destroy this one if the Root was dealt anew",
            ));
        }
        let verified = Verified {
            vault_id: descriptor.vault_id().to_string(),
            custodian: sealed.custodian().to_owned(),
            index: sealed.index(),
            threshold: descriptor.threshold(),
            shares: descriptor.shares(),
        };
        let text = format!(
            "share {} of {} opens and belongs to vault {}; {} of {} are needed",
            verified.index, verified.custodian, verified.vault_id, verified.threshold, verified.shares
        );
        say.result(&verified, &text);
        Ok(())
    }
}
