//! `vaultctl shares`: what custodians do with their shares on a machine without a network.

mod passphrase;
mod redeal;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Shares {
    Redeal(redeal::Redeal),
    Verify(verify::Verify),
    Passphrase(passphrase::Change),
}

impl Shares {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Shares::Redeal(redeal) => redeal.run(say),
            Shares::Verify(verify) => verify.run(say),
            Shares::Passphrase(change) => change.run(say),
        }
    }
}
