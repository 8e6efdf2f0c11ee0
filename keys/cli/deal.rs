//! Dealing: shares are sealed under their custodians' passphrases, written, read back and proved, and only then is there
//! a root.json.

use std::path::{Path, PathBuf};
use std::time::Duration;

use strongroom_keys::root::{self, Descriptor};
use strongroom_keys::share::{Hardness, Passphrase, SealedShare, Share, custodian_is_sound, division_is_sound};
use strongroom_wire::limits;

use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::passphrase;
use crate::say::Say;

/// Who gets shares, and where they are written.
pub(crate) struct Deal {
    pub(crate) shares: u8,
    pub(crate) threshold: u8,
    pub(crate) out: PathBuf,
    /// One for each share in order.
    pub(crate) custodians: Vec<String>,
    pub(crate) passphrase_files: Vec<PathBuf>,
    pub(crate) open_milliseconds: u64,
}

/// What was dealt and proved.
pub(crate) struct Dealt {
    pub(crate) descriptor: Descriptor,
    /// The share files in order, then root.json.
    pub(crate) files: Vec<PathBuf>,
}

impl Dealt {
    /// Removes what was written, where it turned out not to hold.
    pub(crate) fn discard(&self) {
        for path in &self.files {
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// A [`Deal`] that was checked and whose custodians gave their passphrases: from here on nothing that a person types can
/// be refused.
pub(crate) struct Ready {
    deal: Deal,
    passphrases: Vec<Passphrase>,
    hardness: Hardness,
}

impl Deal {
    /// Checks the division, the names and that no file is there already, and asks for the passphrases. Custodians without
    /// names are called by their numbers.
    pub(crate) fn ready(mut self) -> Result<Ready, Failure> {
        self.check()?;
        file::refuse_existing(&self.files())?;
        if self.custodians.is_empty() {
            self.custodians = (1..=self.shares).map(|n| format!("custodian {n}")).collect();
        }
        let from = |at: usize| self.passphrase_files.get(at).map(PathBuf::as_path);
        let passphrases: Vec<Passphrase> = self
            .custodians
            .iter()
            .enumerate()
            .map(|(at, name)| passphrase::choose(name, from(at)))
            .collect::<Result<_, _>>()?;
        let hardness = Hardness::calibrate(Duration::from_millis(self.open_milliseconds)).map_err(Failure::of)?;
        Ok(Ready { deal: self, passphrases, hardness })
    }

    fn check(&self) -> Result<(), Failure> {
        let Self { shares, threshold, .. } = *self;
        if !division_is_sound(shares, threshold) {
            return Err(Failure::new(
                "a Root is not dealt this way: two halves, or one person alone, must not be enough (PCI DSS 3.6.1.2)",
                format!("take 3 to {} shares and a threshold of 2 to all of them", limits::SHARES_MAX),
            ));
        }
        let mut names = self.custodians.clone();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() && (names.len(), self.custodians.len()) != (usize::from(shares), usize::from(shares)) {
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

    /// The share files in order, then root.json.
    fn files(&self) -> Vec<PathBuf> {
        let shares = (1..=self.shares).map(|n| self.out.join(format!("share-{n}.json")));
        shares.chain([self.out.join("root.json")]).collect()
    }
}

impl Ready {
    /// Writes what was dealt. If anything fails, nothing that was written stays.
    pub(crate) fn write(&self, descriptor: Descriptor, dealt: &[Share], say: &Say) -> Result<Dealt, Failure> {
        let Deal { out, custodians, .. } = &self.deal;
        let files = self.deal.files();
        file::folder(out)?;
        let mut written = Written::default();
        for (at, share) in dealt.iter().enumerate() {
            say.note(&format!("sealing and proving the share of {}", custodians[at]));
            let sealed = SealedShare::seal(share, &custodians[at], &self.passphrases[at], self.hardness);
            written.create(&files[at], Mode::Secret, sealed.map_err(Failure::of)?.to_json().as_bytes())?;
            prove(&files[at], &self.passphrases[at], share)?;
        }
        let Some(root_file) = files.last() else { return Err(Failure::of("there is nothing to write")) };
        // Last, so that a root.json says that all of its shares exist.
        written.create(root_file, Mode::Public, descriptor.to_json().as_bytes())?;
        Ok(Dealt { descriptor, files: written.keep() })
    }

    /// Reads everything back from the disk once more and lets each share take part in bringing the Root back.
    ///
    /// # Errors
    /// Whatever of it does not hold.
    pub(crate) fn verify(&self, dealt: &Dealt) -> Result<(), Failure> {
        let Some((root_file, share_files)) = dealt.files.split_last() else {
            return Err(Failure::of("there is nothing to verify"));
        };
        let descriptor = read_root(root_file)?;
        if descriptor != dealt.descriptor {
            return Err(not_as_written(root_file));
        }
        let mut shares = Vec::with_capacity(share_files.len());
        for (path, passphrase) in share_files.iter().zip(&self.passphrases) {
            shares.push(read_share(path)?.open(passphrase).map_err(Failure::of)?);
        }
        let needed = usize::from(descriptor.threshold());
        for first in 0..shares.len() {
            let some: Vec<&Share> = shares.iter().cycle().skip(first).take(needed).collect();
            root::prove(&descriptor, &some).map_err(Failure::of)?;
        }
        Ok(())
    }
}

/// Reads a root.json.
pub(crate) fn read_root(path: &Path) -> Result<Descriptor, Failure> {
    let json = file::read(path, limits::ROOT_FILE_BYTES_MAX)?;
    Descriptor::parse(&json)
        .map_err(|bad| Failure::new(format!("{}: {bad}", path.display()), "name the root.json that is meant"))
}

/// Reads a sealed share.
pub(crate) fn read_share(path: &Path) -> Result<SealedShare, Failure> {
    let json = file::read(path, limits::SHARE_FILE_BYTES_MAX)?;
    SealedShare::parse(&json)
        .map_err(|bad| Failure::new(format!("{}: {bad}", path.display()), "name the share-N.json that is meant"))
}

/// Reads back what was written and opens it, while a mistake costs nothing yet.
pub(crate) fn prove(path: &Path, passphrase: &Passphrase, share: &Share) -> Result<(), Failure> {
    let again = read_share(path)?.open(passphrase).map_err(Failure::of)?;
    if again.commitment() == share.commitment() { Ok(()) } else { Err(not_as_written(path)) }
}

fn not_as_written(path: &Path) -> Failure {
    Failure::new(format!("{} does not hold what was written", path.display()), "check the disk, then begin again")
}

/// Files of a ceremony that is not over: removed again unless it ends well.
#[derive(Default)]
pub(crate) struct Written(Vec<PathBuf>);

impl Written {
    pub(crate) fn create(&mut self, path: &Path, mode: Mode, bytes: &[u8]) -> Result<(), Failure> {
        file::create(path, mode, bytes)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    pub(crate) fn keep(mut self) -> Vec<PathBuf> {
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
