//! `vaultctl init`: a new Root, dealt among custodians, in an HSM or KMS, or in a file for development.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_keys::root::{self, dev};

use crate::deal::{Deal, Written, read_root};
use crate::elsewhere::Elsewhere;
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Make a new Root and deal it among custodians, or keep it in an HSM or KMS
///
/// Writes root.json, which is public, and one sealed share for each custodian. The Root itself is never shown or kept:
/// any THRESHOLD custodians bring it back with `vaultctl unseal`. With --pkcs11 or --kms there are no shares: the key is in
/// the HSM or KMS, which proves it, and the vault opens by itself.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl init --shares 5 --threshold 3 --out ceremony --custodian Ada --custodian Ben \\
      --custodian Cleo --custodian Dan --custodian Eve
  vaultctl init --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token vault --pin-file hsm.pin --out hsm
  vaultctl init --kms alias/strongroom --region eu-central-1 --out kms
  vaultctl init --for root.json --shares 3 --threshold 2 --out next
  vaultctl init --dev --out dev      one file, for development on loopback only")]
pub(crate) struct Init {
    /// Shares to deal, one for each custodian (3 to 16)
    #[arg(long, value_name = "N", required_unless_present_any = ["dev", "pkcs11", "kms"])]
    shares: Option<u8>,
    /// Shares needed to unseal (2 to N)
    #[arg(long, value_name = "K", required_unless_present_any = ["dev", "pkcs11", "kms"])]
    threshold: Option<u8>,
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of a custodian, once for each share in order; "custodian 1" and so on if none is named
    #[arg(long = "custodian", value_name = "NAME")]
    custodians: Vec<String>,
    /// File with a custodian's passphrase as its only line, once for each share in order; asked for if none is named
    #[arg(long = "passphrase-file", value_name = "FILE")]
    passphrase_files: Vec<PathBuf>,
    /// How long opening a share shall take on this machine, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    open_milliseconds: u64,
    /// Make a development Root: one file that opens the vault by itself
    #[arg(long, conflicts_with_all = ["shares", "threshold", "custodians", "passphrase_files", "open_milliseconds"])]
    dev: bool,
    /// root.json of a vault that is there already and shall change to this Root, with `vaultctl root change`: its id is kept
    #[arg(long = "for", value_name = "FILE")]
    for_vault: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

#[derive(Serialize)]
struct Made {
    vault_id: String,
    shares: u8,
    threshold: u8,
    files: Vec<PathBuf>,
}

impl Init {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        if self.elsewhere.is_wanted() {
            let before = self.for_vault.as_deref().map(read_root).transpose()?;
            let vault_id =
                before.map_or_else(root::fresh_vault_id, |before| Ok(before.vault_id())).map_err(Failure::of)?;
            return self.elsewhere.run(vault_id, &self.out, say);
        }
        let (is_dev, is_next) = (self.dev, self.for_vault.is_some());
        let made = match (self.dev, self.shares, self.threshold) {
            (false, Some(shares), Some(threshold)) => self.deal(shares, threshold, say)?,
            _ => self.dev(say)?,
        };
        let files: Vec<String> = made.files.iter().map(|path| format!("  {}", path.display())).collect();
        let next = match (is_dev, is_next) {
            (true, false) => "Start vaultd with them ([root] file and dev_key).".to_owned(),
            (true, true) => {
                "Name them to vaultd ([root.next] file and dev_key), then `vaultctl root change`.".to_owned()
            }
            (false, false) => format!(
                "Give each custodian their own share file and delete it here; keep root.json beside vaultd.\n\
                 {} of {} custodians open the vault, each with `vaultctl unseal --share FILE`.",
                made.threshold, made.shares
            ),
            (false, true) => format!(
                "Give each custodian their own share file and delete it here; name root.json to vaultd ([root.next] file).\n\
                 {} of {} custodians hand in their shares with `vaultctl root share --share FILE`, then `vaultctl root change`.",
                made.threshold, made.shares
            ),
        };
        say.result(&made, &format!("vault {}\n{}\n{next}", made.vault_id, files.join("\n")));
        Ok(())
    }

    fn deal(self, shares: u8, threshold: u8, say: &Say) -> Result<Made, Failure> {
        let before = self.for_vault.as_deref().map(read_root).transpose()?;
        let Self { out, custodians, passphrase_files, open_milliseconds, .. } = self;
        // Every passphrase first: one that is refused stops the ceremony before anything exists.
        let ready = Deal { shares, threshold, out, custodians, passphrase_files, open_milliseconds }.ready()?;
        let (descriptor, dealt) = match before {
            Some(before) => root::found_for(before.vault_id(), shares, threshold),
            None => root::found(shares, threshold),
        }
        .map_err(Failure::of)?;
        let dealt = ready.write(descriptor, &dealt, say)?;
        Ok(Made { vault_id: dealt.descriptor.vault_id().to_string(), shares, threshold, files: dealt.files })
    }

    fn dev(&self, say: &Say) -> Result<Made, Failure> {
        let (key_file, root_file) = (self.out.join("dev-root.key"), self.out.join("root.json"));
        let before = self.for_vault.as_deref().map(read_root).transpose()?;
        file::refuse_existing([&key_file, &root_file])?;
        let (text, descriptor) = match before {
            Some(before) => dev::make_for(before.vault_id()),
            None => dev::make(),
        }
        .map_err(Failure::of)?;
        file::folder(&self.out)?;
        let mut written = Written::default();
        written.create(&key_file, Mode::Secret, text.as_bytes())?;
        dev::read(&key_file, &descriptor).map_err(Failure::of)?;
        written.create(&root_file, Mode::Public, descriptor.to_json().as_bytes())?;
        say.note(
            "WARNING: this is a DEVELOPMENT root. Whoever reads dev-root.key reads every card.\n\
             vaultd takes it on loopback only. Never put a real card into this vault.",
        );
        Ok(Made { vault_id: descriptor.vault_id().to_string(), shares: 0, threshold: 0, files: written.keep() })
    }
}
