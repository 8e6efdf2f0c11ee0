//! `vaultctl shares redeal`: the same Root among other people.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_keys::root;
use strongroom_keys::share::Share;

use crate::deal::{Deal, read_root, read_share};
use crate::failure::Failure;
use crate::passphrase;
use crate::say::Say;

/// Deal the Root anew: other custodians, another number, another threshold
///
/// Custodians of now, as many as are needed to unseal, bring the Root back on this machine for a moment. It is dealt among
/// the custodians of then and forgotten again. The vault takes the new root.json through `vaultctl root change`.
///
/// The shares of before still yield the same Root to whoever gathers enough of them, so destroy them afterwards. Where one
/// was lost or stolen, make another Root instead: `vaultctl init --for root.json`.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl shares redeal --root root.json --share share-1.json --share share-4.json \\
      --share share-5.json --shares 3 --threshold 2 --out next \\
      --custodian Fay --custodian Gus --custodian Hal")]
pub(crate) struct Redeal {
    /// The root.json of now
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// A sealed share of now, once for each custodian who is here
    #[arg(long = "share", value_name = "FILE", required = true)]
    brought: Vec<PathBuf>,
    /// File with the passphrase of such a share, once for each in order; asked for if none is named
    #[arg(long = "share-passphrase-file", value_name = "FILE")]
    brought_passphrase_files: Vec<PathBuf>,
    /// Shares to deal, one for each custodian of then (3 to 16)
    #[arg(long, value_name = "N")]
    shares: u8,
    /// Shares that will be needed to unseal (2 to N)
    #[arg(long, value_name = "K")]
    threshold: u8,
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of a custodian of then, once for each share in order; "custodian 1" and so on if none is named
    #[arg(long = "custodian", value_name = "NAME")]
    custodians: Vec<String>,
    /// File with the passphrase of a new share, once for each in order; asked for if none is named
    #[arg(long = "passphrase-file", value_name = "FILE")]
    passphrase_files: Vec<PathBuf>,
    /// How long opening a share shall take on this machine, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    open_milliseconds: u64,
}

#[derive(Serialize)]
struct Redealt {
    vault_id: String,
    shares: u8,
    threshold: u8,
    files: Vec<PathBuf>,
}

impl Redeal {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let before = read_root(&self.root)?;
        let brought = open_all(&self.brought, &self.brought_passphrase_files)?;
        let brought: Vec<&Share> = brought.iter().collect();
        // The people of now are asked first: if they are too few or bring the wrong shares, nobody chooses in vain.
        root::prove(&before, &brought).map_err(Failure::of)?;
        let Self { shares, threshold, out, custodians, passphrase_files, open_milliseconds, .. } = self;
        let ready = Deal { shares, threshold, out, custodians, passphrase_files, open_milliseconds }.ready()?;
        let (descriptor, dealt) = root::redeal(&before, &brought, shares, threshold).map_err(Failure::of)?;
        let dealt = ready.write(descriptor, &dealt, say)?;
        say.note("reading everything back, each share in turn");
        ready.verify(&dealt).inspect_err(|_| dealt.discard())?;
        let files: Vec<String> = dealt.files.iter().map(|path| format!("  {}", path.display())).collect();
        let text = format!(
            "vault {}, the same Root, dealt anew\n{}\n\
             Give each custodian their own share file and delete it here; name root.json to vaultd ([root.next] file).\n\
             {threshold} of {shares} custodians hand in their shares with `vaultctl root share --share FILE`, then\n\
             `vaultctl root change`. Only when that is done, destroy the shares of before.",
            dealt.descriptor.vault_id(),
            files.join("\n")
        );
        let vault_id = dealt.descriptor.vault_id().to_string();
        say.result(&Redealt { vault_id, shares, threshold, files: dealt.files }, &text);
        Ok(())
    }
}

/// Opens the shares that custodians brought, each with its passphrase.
pub(crate) fn open_all(paths: &[PathBuf], passphrase_files: &[PathBuf]) -> Result<Vec<Share>, Failure> {
    if !passphrase_files.is_empty() && passphrase_files.len() != paths.len() {
        return Err(Failure::new(
            "the passphrase files do not fit the shares that were brought",
            "name --share-passphrase-file once for each --share in order, or not at all",
        ));
    }
    paths
        .iter()
        .enumerate()
        .map(|(at, path)| {
            let sealed = read_share(path)?;
            let passphrase = passphrase::ask(sealed.custodian(), passphrase_files.get(at).map(PathBuf::as_path))?;
            sealed
                .open(&passphrase)
                .map_err(|why| Failure::new(format!("{}: {why}", path.display()), "nothing was written; begin again"))
        })
        .collect()
}
