//! `vaultctl shares passphrase`: the same share under another passphrase.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_keys::share::{Hardness, SealedShare};

use crate::deal::{prove, read_share};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::passphrase;
use crate::say::Say;

/// Change the passphrase of your own share
///
/// The file is replaced in one step. A copy of the old file still opens with the old passphrase: destroy every copy, and if
/// the passphrase was seen by somebody, have the Root replaced.
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl shares passphrase --share share-2.json")]
pub(crate) struct Change {
    /// Your sealed share, which is replaced
    #[arg(long, value_name = "FILE")]
    share: PathBuf,
    /// File with your passphrase of now as its only line; asked for if none is named
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File with the new passphrase as its only line; asked for if none is named
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// How long opening the share shall take on this machine, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    open_milliseconds: u64,
}

#[derive(Serialize)]
struct Changed {
    custodian: String,
    index: u8,
    file: PathBuf,
}

impl Change {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let sealed = read_share(&self.share)?;
        let old = passphrase::ask(sealed.custodian(), self.passphrase_file.as_deref())?;
        let share = sealed.open(&old).map_err(Failure::of)?;
        let new = passphrase::choose(sealed.custodian(), self.new_passphrase_file.as_deref())?;
        if new.is_same(&old) {
            return Err(Failure::new("the new passphrase is the old one; nothing was written", "choose another one"));
        }
        let hardness = Hardness::calibrate(Duration::from_millis(self.open_milliseconds)).map_err(Failure::of)?;
        let again = SealedShare::seal(&share, sealed.custodian(), &new, hardness).map_err(Failure::of)?;
        // Proved beside the old file before it takes its place: a share that does not open is a share lost.
        let beside = self.share.with_added_extension("changed");
        file::create(&beside, Mode::Secret, again.to_json().as_bytes())?;
        let put = prove(&beside, &new, &share).and_then(|()| {
            std::fs::rename(&beside, &self.share).map_err(|e| {
                Failure::new(format!("{} cannot be replaced ({})", self.share.display(), e.kind()), "check its folder")
            })
        });
        if put.is_err() {
            let _gone = std::fs::remove_file(&beside);
        }
        put?;
        let changed = Changed { custodian: sealed.custodian().to_owned(), index: sealed.index(), file: self.share };
        let text = format!(
            "share {} of {} has its new passphrase; destroy every copy of the old file",
            changed.index, changed.custodian
        );
        say.result(&changed, &text);
        Ok(())
    }
}
