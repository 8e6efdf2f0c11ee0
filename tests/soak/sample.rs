//! What is seen every few seconds: memory and open files of both servers, length of their logs, and times of the answers
//! since the last look.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use super::work::Work;
use crate::harness::{Fault, Result, World, because};

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole payment of a new customer: session, card to the intake, confirmation.
    Payment,
    /// A card that is stored, and an older one that is shredded.
    Tokenize,
    /// A card that is released.
    Reveal,
    /// A card that ends by itself.
    ShortTerm,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Payment, Kind::Tokenize, Kind::Reveal, Kind::ShortTerm];
}

/// One look.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub second: f64,
    /// Resident memory of vaultd, in MiB.
    pub vault_mib: f64,
    /// Resident memory of orchestratord, in MiB.
    pub orchestrator_mib: f64,
    /// Open files of vaultd, where the system lets us count them.
    pub vault_files: Option<usize>,
    /// Write-ahead logs of vaultd, together, in MiB.
    pub logs_mib: f64,
    /// Median and 99th of 100 of the time of each kind since the last look, in milliseconds, and how many there were.
    pub times: BTreeMap<Kind, (f64, f64, usize)>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vault {:.1} MiB, orchestrator {:.1} MiB, logs {:.1} MiB",
            self.vault_mib, self.orchestrator_mib, self.logs_mib
        )?;
        self.times
            .iter()
            .try_for_each(|(kind, (p50, p99, count))| write!(f, ", {count} {kind:?} in {p50:.1} ms (p99 {p99:.0})"))
    }
}

/// Times since the last look.
#[derive(Default)]
pub(super) struct Times(Mutex<BTreeMap<Kind, Vec<f64>>>);

impl Times {
    pub(super) fn note(&self, kind: Kind, took: Duration) {
        if let Ok(mut times) = self.0.lock() {
            times.entry(kind).or_default().push(took.as_secs_f64() * 1000.0);
        }
    }

    fn take(&self) -> BTreeMap<Kind, (f64, f64, usize)> {
        let taken = self.0.lock().map(|mut times| std::mem::take(&mut *times)).unwrap_or_default();
        taken
            .into_iter()
            .map(|(kind, mut times)| {
                times.sort_by(f64::total_cmp);
                let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
                (kind, (at(50), at(99), times.len()))
            })
            .collect()
    }
}

/// Where to look.
pub(super) struct Watch {
    vault: u32,
    orchestrator: u32,
    logs: [PathBuf; 2],
}

impl Watch {
    pub(super) fn of(world: &mut World) -> Result<Self> {
        let log_of = |file: PathBuf| {
            let mut name = file.into_os_string();
            name.push("-wal");
            PathBuf::from(name)
        };
        let logs = [log_of(world.vault.store_file()), log_of(world.vault.audit_file())];
        let orchestrator = world.orchestrator.as_mut().ok_or_else(|| Fault::new("a soak needs an orchestrator"))?;
        let orchestrator = orchestrator.process().id();
        Ok(Self { vault: world.vault.process().id(), orchestrator, logs })
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of one run are far below 2^52")]
    pub(super) fn sample(&mut self, at: Duration, work: &Work) -> Result<Sample> {
        let log_bytes: u64 = self.logs.iter().filter_map(|log| fs::metadata(log).ok()).map(|log| log.len()).sum();
        Ok(Sample {
            second: at.as_secs_f64(),
            vault_mib: resident_mib(self.vault)?,
            orchestrator_mib: resident_mib(self.orchestrator)?,
            // Only root may look at a process that nobody may look into.
            vault_files: fs::read_dir(format!("/proc/{}/fd", self.vault)).ok().map(Iterator::count),
            logs_mib: log_bytes as f64 / f64::from(1 << 20),
            times: work.times().take(),
        })
    }
}

fn resident_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(because(format!("{path}: has the process ended?")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.trim().trim_end_matches(" kB").parse::<f64>();
    kib.map(|kib| kib / 1024.0).map_err(because(format!("{path} has no VmRSS: has the process ended?")))
}
