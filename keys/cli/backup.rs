//! `vaultctl backup`: have the vault make a copy of store and log, check a copy offline, and have a vault that runs on a
//! restored one open a sample.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rusqlite::{Connection as Db, OpenFlags};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use strongroom_wire::backup::{BackupFile, BackupMade, Verified, VerifyRequest};
use strongroom_wire::hex::hex;
use strongroom_wire::limits;

use crate::audit;
use crate::audit::log::FaultKind;
use crate::audit::trust::{self, Named};
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::file;
use crate::progress;
use crate::say::Say;

#[derive(Subcommand)]
pub(crate) enum Backup {
    Make(Make),
    Verify(Verify),
    Sample(Sample),
}

/// Have the vault copy its store and its log into the folder of its configuration
///
/// The vault goes on serving. The copy is consistent in itself and holds ciphertext alone; without the Root it opens
/// nothing. root.json, configuration, policy and certificates are not part of it: keep them with it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl backup make --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct Make {
    #[command(flatten)]
    connection: Connection,
}

/// Check a backup offline: its files, its store, its audit log
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl backup verify backups/backup-20251124T160000123Z --public-key audit.pub

To restore: copy vault.db and audit.db to where vaultd.toml names them, start vaultd, unseal, and run
  vaultctl backup sample")]
pub(crate) struct Verify {
    /// The backup's folder
    folder: PathBuf,
    #[command(flatten)]
    named: Named,
}

/// Have a running vault open a sample of its cards, and count
///
/// For a vault that was started on a restored backup. Nothing of a card leaves the vault.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl backup sample --cards 1000 --url https://vault:8402 --ca ca.pem \\
      --cert ada.pem --key ada.key")]
pub(crate) struct Sample {
    /// How many cards to try, at most
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::VERIFY_SAMPLE_MAX)))]
    cards: u32,
    #[command(flatten)]
    connection: Connection,
}

/// What the check of a backup found.
#[derive(Serialize)]
struct Checked {
    name: String,
    created_at: String,
    cards: u64,
    entries: u64,
    covered: u64,
}

impl Backup {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Backup::Make(make) => make.run(say),
            Backup::Verify(verify) => verify.run(say),
            Backup::Sample(sample) => sample.run(say),
        }
    }
}

impl Make {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let bar = progress::spinner();
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar.set_message("the vault copies its store and its log");
        let made: Result<BackupMade, Failure> = converse(client.post_patiently("/v1/backups", "{}"));
        bar.finish_and_clear();
        let made = made?;
        let mut lines = vec![made.name.clone()];
        lines.extend(made.files.iter().map(|file| format!("{}  {} bytes  {}", file.name, file.bytes, file.sha256)));
        lines.extend(made.removed.iter().map(|name| format!("{name} was removed")));
        say.result(&made, &lines.join("\n"));
        Ok(())
    }
}

impl Verify {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let key = self.named.read()?.keys;
        let manifest = file::read_text(&self.folder.join("manifest.json"), limits::NOTE_BYTES_MAX)?;
        let made: BackupMade = serde_json::from_str(&manifest)
            .map_err(|_| broken("manifest.json is not one of a backup", "name the folder of one backup"))?;
        for file in &made.files {
            check_file(&self.folder, file)?;
        }
        let cards = check_store(&self.folder.join("vault.db"), &made)?;
        let checkpoint =
            key.open(&made.checkpoint).map_err(|bad| trust::unbelieved("the checkpoint of the backup", bad))?;
        let log = audit::log::open(&self.folder.join("audit.db"))?;
        let findings = audit::log::read(&log, &key, Some(checkpoint))?;
        if let Some(fault) = findings.faults.first() {
            let next = if fault.kind == FaultKind::UnknownKey { trust::FETCH } else { "take another backup" };
            return Err(broken(&format!("its audit log does not hold: {}", fault.what), next));
        }
        let (entries, covered) = (findings.entries, findings.covered);
        let checked = Checked { name: made.name, created_at: made.created_at, cards, entries, covered };
        let text = format!(
            "{} of {} holds: {cards} cards, {entries} audit entries, {covered} of them under a signed checkpoint",
            checked.name, checked.created_at
        );
        say.result(&checked, &text);
        Ok(())
    }
}

impl Sample {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let request = VerifyRequest { sample: self.cards };
        let verified: Verified = converse(client.post("/v1/store/verify", &request))?;
        let Verified { cards, opened, failed } = verified;
        say.result(&verified, &format!("{opened} of {cards} cards opened"));
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::new(
            format!("{failed} cards did not open"),
            "each is named in the audit log (tamper-found); restore another backup beside this one and compare",
        ))
    }
}

fn check_file(folder: &Path, file: &BackupFile) -> Result<(), Failure> {
    // The manifest names files of its own folder, and no others.
    if !["vault.db", "audit.db"].contains(&file.name.as_str()) {
        return Err(broken("manifest.json names a file that is part of no backup", "take another backup"));
    }
    let path = folder.join(&file.name);
    let absent = |e: io::Error| broken(&format!("{} cannot be read ({})", file.name, e.kind()), "copy it again");
    let mut open = File::open(&path).map_err(absent)?;
    let bar = progress::bar(Some(file.bytes), progress::BYTES);
    let (mut hash, mut bytes) = (Sha256::new(), 0u64);
    let mut piece = vec![0; 256 * 1024];
    loop {
        let count = open.read(&mut piece).map_err(absent)?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
        bytes += count as u64;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    let sha256: String = hex(&hash.finalize());
    if bytes == file.bytes && sha256 == file.sha256 {
        return Ok(());
    }
    Err(broken(&format!("{} is not what was written", file.name), "copy it again, or take another backup"))
}

/// Pages, schema and whose store it is; answers the number of cards.
fn check_store(path: &Path, made: &BackupMade) -> Result<u64, Failure> {
    let path =
        fs::canonicalize(path).map_err(|e| broken(&format!("vault.db is gone ({})", e.kind()), "copy it again"))?;
    // Immutable: nothing is written beside a backup, and it may lie where nobody may write.
    let name = format!("file:{}?mode=ro&immutable=1", audit::log::escape(&path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let unreadable = |_: rusqlite::Error| broken("vault.db is not a store", "take another backup");
    let store = Db::open_with_flags(name, flags).map_err(unreadable)?;
    let sound: String = store.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
    if sound != "ok" {
        return Err(broken("vault.db is damaged", "take another backup"));
    }
    let schema: u32 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(unreadable)?;
    let owner = "SELECT value FROM settings WHERE name = 'vault'";
    let vault: Vec<u8> = store.query_row(owner, [], |row| row.get(0)).map_err(unreadable)?;
    if schema != made.schema || vault != made.vault_id.as_bytes() {
        return Err(broken("vault.db is not the store that the manifest speaks of", "take another backup"));
    }
    let cards: i64 = store.query_row("SELECT count(*) FROM cards", [], |row| row.get(0)).map_err(unreadable)?;
    Ok(cards.unsigned_abs())
}

fn broken(what: &str, next: &str) -> Failure {
    Failure::new(format!("the backup does not hold: {what}"), next)
}
