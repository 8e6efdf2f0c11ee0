//! `vaultctl audit stream` and `export`: the log off the machine, promptly and whole (PCI DSS 10.3.3, 10.4.1.1).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_keys::tlog::Frontier;

use super::cursor;
use super::follow::{Follower, Trouble};
use super::sink::{Format, Sink, Target, json};
use super::trust::Trust;
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::progress;
use crate::say::Say;

/// Send the audit log to another machine, entry by entry, and check it on the way
///
/// Nothing is sent before it is shown that it is in a checkpoint that the vault signed, after everything that was sent
/// before: a log that was changed or written anew ends the stream with exit code 1. With --cursor the stream goes on where
/// it was, also after it was killed. An entry is written down as sent after the receiver took it, so that none is lost;
/// those of the last batch may come twice, and each has its index to tell by. (What a TCP receiver had taken and not
/// stored when it died is lost to it: syslog has no acknowledgement.) When the sign key is rotated the stream follows the
/// handover from the key that is named, and goes on.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl audit stream --follow --format syslog --to tls://siem:6514 --to-ca siem-ca.pem \\
      --cursor /var/lib/strongroom/cursor --public-key audit.pub \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key
  vaultctl audit stream --cursor cursor >> audit.jsonl")]
pub(crate) struct Stream {
    /// Go on with new entries as they come, through restarts of the vault and the receiver
    #[arg(long)]
    follow: bool,
    /// How an entry is written
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Where to send it: tls://HOST:PORT, tcp://HOST:PORT or unix:/PATH; standard output if not named
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Target>,
    /// Certificate authority of a receiver that is reached over TLS (PEM)
    #[arg(long, value_name = "FILE")]
    to_ca: Option<PathBuf>,
    /// File that says how far the log was sent; made when absent. Without it the stream begins with the first entry
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
    /// A public key of the log, or a file that holds it; asked of the vault itself if none is named
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Write the whole audit log to a file as JSON Lines, with the checkpoint that covers it
///
/// The log is checked on the way. The checkpoint is written beside the file, with the ending .checkpoint.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl audit export --out audit-2025.jsonl --public-key audit.pub \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Export {
    /// The file; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A public key of the log, or a file that holds it; asked of the vault itself if none is named
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    checkpoint: PathBuf,
    entries: u64,
}

impl Stream {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        converse(async {
            let trust = Trust::new(&client, &self.public_key, say).await?;
            let origin = trust.newest().name().to_owned();
            let tree = match &self.cursor {
                Some(path) => cursor::read(path, &origin)?,
                None => Frontier::new(),
            };
            let mut sink = Sink::new(self.format, &origin, self.to.clone(), self.to_ca.as_deref())?;
            let mut follower = Follower::new(&client, trust, tree);
            let mut said = String::new();
            loop {
                match self.catch_up(&mut follower, &mut sink, &origin).await {
                    Ok(()) if !self.follow => {
                        sink.end();
                        return Ok(());
                    }
                    Ok(()) => said.clear(),
                    Err(Trouble::Later(failure)) if self.follow => {
                        // Each trouble once, and not every two seconds.
                        let words = failure.lines().join("; ");
                        if words != said {
                            say.note(&format!("waiting: {words}"));
                            said = words;
                        }
                    }
                    Err(trouble) => return Err(trouble.into_failure()),
                }
                tokio::time::sleep(POLL).await;
            }
        })
    }

    /// Sends everything up to the newest checkpoint.
    async fn catch_up(&self, follower: &mut Follower<'_>, sink: &mut Sink, origin: &str) -> Result<(), Trouble> {
        let (checkpoint, _) = follower.checkpoint().await?;
        loop {
            let entries = follower.next(&checkpoint).await?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut tries = 0;
            while let Err(error) = sink.write(&entries) {
                let failure = Failure::new(
                    format!("the receiver does not take entries ({})", error.kind()),
                    "check that it runs, and ask again; with --cursor the stream goes on where it was",
                );
                // A pipe that is closed does not open again; a receiver may.
                if !self.follow || self.to.is_none() || tries >= TRIES_MAX {
                    return Err(Trouble::Final(failure));
                }
                tries += 1;
                tokio::time::sleep(POLL).await;
            }
            if let Some(path) = &self.cursor {
                cursor::write(path, origin, follower.tree()).map_err(Trouble::Final)?;
            }
        }
    }
}

impl Export {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let note_file = self.out.with_added_extension("checkpoint");
        file::refuse_existing([&self.out, &note_file])?;
        let client = self.connection.open()?;
        let half = self.out.with_added_extension("half");
        let done = converse(async {
            let trust = Trust::new(&client, &self.public_key, say).await?;
            let mut follower = Follower::new(&client, trust, Frontier::new());
            let (checkpoint, note) = follower.checkpoint().await.map_err(Trouble::into_failure)?;
            let template = "{bar:40} {human_pos}/{human_len} entries, {per_sec}, {eta} left";
            let bar = progress::bar(Some(checkpoint.size), template);
            let mut out = BufWriter::new(File::create(&half).map_err(|e| unwritten(&half, &e))?);
            loop {
                let entries = follower.next(&checkpoint).await.map_err(Trouble::into_failure)?;
                if entries.is_empty() {
                    break;
                }
                for entry in &entries {
                    writeln!(out, "{}", json(entry)).map_err(|e| unwritten(&half, &e))?;
                }
                bar.inc(entries.len() as u64);
            }
            let file = out.into_inner().map_err(|e| unwritten(&half, e.error()))?;
            file.sync_all().map_err(|e| unwritten(&half, &e))?;
            bar.finish_and_clear();
            Ok((checkpoint.size, note))
        });
        let (entries, note) = done.inspect_err(|_| drop(std::fs::remove_file(&half)))?;
        file::create(&note_file, Mode::Public, note.as_bytes())?;
        std::fs::rename(&half, &self.out).map_err(|e| unwritten(&self.out, &e))?;
        let text = format!("{}\n{}\n{entries} entries", self.out.display(), note_file.display());
        say.result(&Exported { file: self.out, checkpoint: note_file, entries }, &text);
        Ok(())
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written ({})", path.display(), error.kind()), "check the folder and its space")
}

const POLL: Duration = Duration::from_secs(2);
/// Tries of one batch at a receiver that does not take it: half an hour.
const TRIES_MAX: u32 = 900;
