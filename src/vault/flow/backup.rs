//! Backup: a copy of store and log that is consistent in itself, made while the vault works.
//!
//! The store is copied first and the log last. Every effect in the store has its entry in the log before it happens, so
//! whatever the copy of the store holds is in the copy of the log, too: never an effect without an entry. What the log's
//! copy has beyond that are entries whose effect came after the copy of the store.
//!
//! Everything is written into a folder of another name, made durable, and put in its place by one rename: under a
//! backup's name there is a whole one or none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::backup::{BackupFile, BackupMade};
use tokio::sync::Mutex;

use super::reveal::failed;
use super::{Asker, FlowError, Vault};
use crate::policy::{Backup, Note};
use crate::store::StoreError;
use crate::telemetry::log;

/// Where backups go, and the turn of the one that runs.
#[derive(Default)]
pub struct Backups {
    plan: OnceLock<Plan>,
    turn: Mutex<()>,
}

/// What the configuration says of backups.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder of all of them.
    pub folder: PathBuf,
    /// How many are kept.
    pub keep: u32,
}

impl Backups {
    /// Says where they go; once, at the start.
    pub fn plan(&self, plan: Plan) {
        // A second call would be a fault of the start; the first stays.
        let _ = self.plan.set(plan);
    }
}

/// Makes a backup and removes those beyond the number that is kept.
///
/// # Errors
/// [`FlowError::Conflict`] if none is configured or one runs already; [`FlowError::Backup`] if it could not be written:
/// then nothing is left of it, and older ones are as they were.
pub async fn make(vault: &Arc<Vault>, asker: &Asker) -> Result<BackupMade, FlowError> {
    let permit = vault.permit_unsealed::<Backup>(asker, (), Note::words("make")).await?;
    let plan = vault.backups.plan.get().cloned().ok_or(FlowError::Conflict(
        "no backup folder is configured; name one as [backup] folder in vaultd.toml and start vaultd again",
    ))?;
    let _turn =
        vault.backups.turn.try_lock().map_err(|_| FlowError::Conflict("a backup is being made; ask again later"))?;
    let warrant = vault.warrant(permit).await?;
    let trace = warrant.trace();
    match write(vault, plan).await {
        Ok(made) => {
            let bytes: u64 = made.files.iter().map(|file| file.bytes).sum();
            let removed = made.removed.len() as u64;
            let note = Note::words("made: bytes").and(&bytes).and(&"removed").and(&removed);
            vault.audit.record_end(trace, note).await?;
            Ok(made)
        }
        Err(error) => {
            log::error("the backup failed", &[("request", &asker.request)]);
            Err(failed(vault, trace, error).await)
        }
    }
}

async fn write(vault: &Vault, plan: Plan) -> Result<BackupMade, FlowError> {
    let created_at = rfc3339_ms(vault.now_ms());
    let stamp: String = created_at.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("{NAME}{stamp}");
    let part = Part::make(&plan.folder, &name).map_err(unwritten)?;
    vault.store.copy_to(&part.0.join(STORE)).await.map_err(|error| match error {
        StoreError::NoCopy => AT_THE_SERVER,
        _ => UNWRITTEN,
    })?;
    // Signed now, so that the copy of the log holds a checkpoint over everything up to here.
    let checkpoint = vault.audit.checkpoint().await?;
    vault.audit.copy_to(&part.0.join(LOG)).await.map_err(|_| UNWRITTEN)?;
    let made = BackupMade {
        name,
        created_at,
        vault_id: vault.root.descriptor().vault_id().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: vault.store.schema(),
        files: Vec::new(),
        checkpoint,
        removed: Vec::new(),
    };
    let finishing = tokio::task::spawn_blocking(move || finish(part, &plan, made));
    finishing.await.map_err(|_| UNWRITTEN)?.map_err(unwritten)
}

/// The folder that a backup is written into. It goes with everything in it unless it became a backup.
struct Part(PathBuf);

impl Part {
    fn make(folder: &Path, name: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // What an earlier process left when it was killed is no backup.
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PART) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let part = folder.join(format!("{PART}{name}"));
        DirBuilder::new().mode(0o700).create(&part)?;
        Ok(Self(part))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Not there any more where it was renamed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn finish(part: Part, plan: &Plan, mut made: BackupMade) -> io::Result<BackupMade> {
    for name in [STORE, LOG] {
        made.files.push(described(&part.0, name)?);
    }
    let mut manifest =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(part.0.join("manifest.json"))?;
    manifest.write_all(&serde_json::to_vec_pretty(&made).map_err(io::Error::other)?)?;
    manifest.sync_all()?;
    File::open(&part.0)?.sync_all()?;
    let place = plan.folder.join(&made.name);
    if place.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(&part.0, place)?;
    File::open(&plan.folder)?.sync_all()?;
    made.removed = remove_oldest(&plan.folder, plan.keep);
    Ok(made)
}

fn described(folder: &Path, name: &str) -> io::Result<BackupFile> {
    let mut file = File::open(folder.join(name))?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
        bytes += count as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(BackupFile { name: name.to_owned(), bytes, sha256 })
}

/// Removes the oldest beyond `keep`; names are in the order of time. One that cannot be removed is tried again the next time.
fn remove_oldest(folder: &Path, keep: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(NAME)).collect();
    names.sort_unstable();
    let beyond = names.len().saturating_sub(keep as usize);
    names.truncate(beyond);
    names.retain(|name| {
        let is_removed = fs::remove_dir_all(folder.join(name)).is_ok();
        if !is_removed {
            log::warn("an old backup could not be removed", &[]);
        }
        is_removed
    });
    names
}

fn unwritten(_: io::Error) -> FlowError {
    UNWRITTEN
}

const UNWRITTEN: FlowError = FlowError::Backup(
    "the backup could not be written: see to the space and the owner of the backup folder. Nothing of it is left, and \
     older backups are as they were",
);
const AT_THE_SERVER: FlowError = FlowError::Backup(
    "the store lies in a PostgreSQL server and is backed up there: pg_basebackup with WAL archiving, or pg_dump. Back up the \
     log of each node beside it, later than the database",
);
const NAME: &str = "backup-";
const PART: &str = ".part-";
const STORE: &str = "vault.db";
const LOG: &str = "audit.db";
const PIECE_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(STORE), "x").unwrap();
        }
        folder
    }

    #[test]
    fn the_oldest_go_and_nothing_else() {
        let folder =
            folder_with(&["backup-20250101T000000000Z", "backup-20260101T000000000Z", "keep-me", "backup-2027"]);
        assert_eq!(remove_oldest(folder.path(), 2), ["backup-20250101T000000000Z"]);
        assert_eq!(remove_oldest(folder.path(), 2), Vec::<String>::new());
        assert!(folder.path().join("keep-me").exists() && folder.path().join("backup-2027").exists());
    }

    #[test]
    fn what_a_killed_process_left_is_no_backup_and_goes_with_the_next() {
        let folder = folder_with(&[".part-backup-1", "backup-1"]);
        let part = Part::make(folder.path(), "backup-2").unwrap();
        assert!(!folder.path().join(".part-backup-1").exists() && folder.path().join("backup-1").exists());
        let path = part.0.clone();
        assert!(path.exists());
        drop(part);
        assert!(!path.exists());
    }
}
