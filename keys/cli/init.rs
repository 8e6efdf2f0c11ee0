//! `vaultctl init`: a new Root, dealt among custodians, in an HSM or KMS, or in a file for development.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_keys::root::{self, Descriptor, dev};
use strongroom_keys::share::{Hardness, Passphrase, SealedShare, Share, custodian_is_sound, division_is_sound};
use strongroom_wire::limits;
use uuid::Uuid;

use crate::elsewhere::Elsewhere;
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::passphrase;
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
    /// root.json of a vault that is there already and shall get this Root: its id is kept
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
            return self.elsewhere.run(vault_id(self.for_vault.as_deref())?, &self.out, say);
        }
        let made = match (self.dev, self.shares, self.threshold) {
            (false, Some(shares), Some(threshold)) => self.deal(shares, threshold, say)?,
            _ => self.dev(say)?,
        };
        let files: Vec<String> = made.files.iter().map(|path| format!("  {}", path.display())).collect();
        let next = if self.dev {
            "Start vaultd with them ([root] file and dev_key).".to_owned()
        } else {
            format!(
                "Give each custodian their own share file and delete it here; keep root.json beside vaultd.\n\
                 {} of {} custodians open the vault, each with `vaultctl unseal --share FILE`.",
                made.threshold, made.shares
            )
        };
        say.result(&made, &format!("vault {}\n{}\n{next}", made.vault_id, files.join("\n")));
        Ok(())
    }

    fn deal(&self, shares: u8, threshold: u8, say: &Say) -> Result<Made, Failure> {
        self.check(shares, threshold)?;
        let root_file = self.out.join("root.json");
        let share_files: Vec<PathBuf> = (1..=shares).map(|n| self.out.join(format!("share-{n}.json"))).collect();
        file::refuse_existing(share_files.iter().chain([&root_file]))?;
        let custodians: Vec<String> = if self.custodians.is_empty() {
            (1..=shares).map(|n| format!("custodian {n}")).collect()
        } else {
            self.custodians.clone()
        };
        // Every passphrase first: one that is refused stops the ceremony before anything exists.
        let passphrases: Vec<Passphrase> = custodians
            .iter()
            .enumerate()
            .map(|(at, name)| passphrase::choose(name, self.passphrase_files.get(at).map(PathBuf::as_path)))
            .collect::<Result<_, _>>()?;
        let hardness = Hardness::calibrate(Duration::from_millis(self.open_milliseconds)).map_err(Failure::of)?;
        let (descriptor, dealt) =
            root::found_for(vault_id(self.for_vault.as_deref())?, shares, threshold).map_err(Failure::of)?;
        file::folder(&self.out)?;
        let mut written = Written::default();
        for (at, share) in dealt.iter().enumerate() {
            say.note(&format!("sealing and proving the share of {}", custodians[at]));
            let sealed = SealedShare::seal(share, &custodians[at], &passphrases[at], hardness).map_err(Failure::of)?;
            written.create(&share_files[at], Mode::Secret, sealed.to_json().as_bytes())?;
            prove(&share_files[at], &passphrases[at], share)?;
        }
        // Last, so that a root.json says that all of its shares exist.
        written.create(&root_file, Mode::Public, descriptor.to_json().as_bytes())?;
        Ok(Made { vault_id: descriptor.vault_id().to_string(), shares, threshold, files: written.keep() })
    }

    fn check(&self, shares: u8, threshold: u8) -> Result<(), Failure> {
        if !division_is_sound(shares, threshold) {
            return Err(Failure::new(
                "a Root is not dealt this way: two halves, or one person alone, must not be enough (PCI DSS 3.6.1.2)",
                format!("take 3 to {} shares and a threshold of 2 to all of them", limits::SHARES_MAX),
            ));
        }
        let mut names = self.custodians.clone();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() && names.len() != usize::from(shares) {
            return Err(Failure::new(
                "the custodians do not fit the shares",
                "name --custodian once for each share, each with another name, or not at all",
            ));
        }
        if !names.iter().all(|name| custodian_is_sound(name)) {
            return Err(Failure::of(strongroom_keys::share::ShareError::Custodian));
        }
        if !self.passphrase_files.is_empty() && self.passphrase_files.len() != usize::from(shares) {
            return Err(Failure::new(
                "the passphrase files do not fit the shares",
                "name --passphrase-file once for each share in order, or not at all",
            ));
        }
        Ok(())
    }

    fn dev(&self, say: &Say) -> Result<Made, Failure> {
        let (key_file, root_file) = (self.out.join("dev-root.key"), self.out.join("root.json"));
        file::refuse_existing([&key_file, &root_file])?;
        let (text, descriptor) = dev::make_for(vault_id(self.for_vault.as_deref())?).map_err(Failure::of)?;
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

/// The id of a new vault, or of the one whose Root is replaced.
fn vault_id(for_vault: Option<&Path>) -> Result<Uuid, Failure> {
    let Some(path) = for_vault else { return root::fresh_vault_id().map_err(Failure::of) };
    let json = file::read(path, limits::ROOT_FILE_BYTES_MAX)?;
    let known = Descriptor::parse(&json).map_err(|_| {
        Failure::new(format!("{} is not a root.json", path.display()), "name the one that vaultd uses now")
    })?;
    Ok(known.vault_id())
}

/// Reads back what was written and opens it, while a mistake costs nothing yet.
fn prove(path: &Path, passphrase: &Passphrase, share: &Share) -> Result<(), Failure> {
    let again = SealedShare::parse(&file::read(path, limits::SHARE_FILE_BYTES_MAX)?)
        .and_then(|sealed| sealed.open(passphrase))
        .map_err(Failure::of)?;
    if again.commitment() == share.commitment() {
        return Ok(());
    }
    Err(Failure::new(format!("{} does not hold what was written", path.display()), "check the disk, then begin again"))
}

/// Files of a ceremony that is not over: removed again unless it ends well.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn create(&mut self, path: &Path, mode: Mode, bytes: &[u8]) -> Result<(), Failure> {
        file::create(path, mode, bytes)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            let _gone = std::fs::remove_file(path);
        }
    }
}
