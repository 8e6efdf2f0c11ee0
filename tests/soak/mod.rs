//! The soak: payments, cards that are stored, revealed and shredded, and rotations at once, at a steady pace for many minutes.
//! Memory, open files, logs and times must not grow.

mod plot;
mod sample;
mod verdict;
mod work;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

pub use sample::{Kind, Sample};
pub use verdict::Line;

use crate::harness::{Result, VaultPlan, World, WorldPlan, because};
use sample::Watch;
use work::Work;

/// What a soak showed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Requests that were answered as they should, and those that were not.
    pub answered: u64,
    /// Each with its reason, the first few of them.
    pub faults: Vec<String>,
    /// Rotations that ended.
    pub rotations: u64,
    /// Payments whose provider's answer was lost or late, and that the orchestrator resolved by itself.
    pub in_doubt: u64,
    /// What was seen, every few seconds.
    pub samples: Vec<Sample>,
    /// What was held against which bound.
    pub lines: Vec<Line>,
}

/// Runs the load for so long. `tell` gets a line now and then.
///
/// # Errors
/// When something does not start or ends before its time. What grows is no error here; see [`Report::is_flat`].
pub async fn run(lasting: Duration, mut tell: impl FnMut(&str)) -> Result<Report> {
    let vault = VaultPlan { intake_requests_per_minute: 1_000_000, ..VaultPlan::default() };
    let mut world = World::start(WorldPlan { payments: true, vault, ..WorldPlan::default() }).await?;
    let over = Arc::new(AtomicBool::new(false));
    let work = Work::begin(&world, &over).await?;
    let mut watch = Watch::of(&mut world)?;
    let every = (lasting / SAMPLES).clamp(Duration::from_secs(1), Duration::from_secs(10));
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < lasting {
        tokio::time::sleep(every).await;
        let sample = watch.sample(began.elapsed(), &work)?;
        tell(&sample.to_string());
        samples.push(sample);
    }
    over.store(true, Ordering::Relaxed);
    let done = work.end().await?;
    let lines = verdict::judge(&samples, done.faults.len(), done.rotations);
    Ok(Report {
        seconds: began.elapsed().as_secs(),
        answered: done.answered,
        faults: done.faults.into_iter().take(FAULTS_SHOWN).collect(),
        rotations: done.rotations,
        in_doubt: done.in_doubt,
        samples,
        lines,
    })
}

impl Report {
    /// Whether nothing grew beyond its bound and nothing failed.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.lines.iter().all(|line| line.met)
    }

    /// Writes `report.json`, `report.md` and `plot.svg` into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(because(folder.display()))?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(because(path.display()))
        };
        write("report.json", serde_json::to_string_pretty(self).map_err(because("the report"))?)?;
        write("report.md", self.to_string())?;
        write("plot.svg", plot::svg(&self.samples))
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} requests were answered in {} minutes, {} rotations ended, {} payments were in doubt for a while, {} faults.\n",
            self.answered,
            self.seconds / 60,
            self.rotations,
            self.in_doubt,
            self.faults.len()
        )?;
        writeln!(f, "| what | early | late | at most | met |\n|---|---|---|---|---|")?;
        for line in &self.lines {
            let met = if line.met { "yes" } else { "**no**" };
            writeln!(f, "| {} | {:.1} | {:.1} | {:.1} | {met} |", line.what, line.early, line.late, line.at_most)?;
        }
        self.faults.iter().try_for_each(|fault| writeln!(f, "\nfault: {fault}"))
    }
}

/// About so many samples; one is at most ten seconds.
const SAMPLES: u32 = 120;
const FAULTS_SHOWN: usize = 20;
