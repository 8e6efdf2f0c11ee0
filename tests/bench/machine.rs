//! What the figures were measured on: cores, processor, memory, system, and how long the disk takes to make 4 KiB durable.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::harness::{Result, because};

/// A machine.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// What else wanted the processor when the run began: the load average of the last minute.
    pub load_before: f64,
    /// 4 KiB appended and synced (`fdatasync`), half of the tries in at most so many milliseconds.
    pub durable_write_p50_ms: f64,
    /// 99 of 100.
    pub durable_write_p99_ms: f64,
}

impl Machine {
    /// Looks at this machine; the disk that is tried is the one of `folder`.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn look(folder: &Path, tries: usize) -> Result<Self> {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line_of = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory_kib = line_of(&text("/proc/meminfo"), "MemTotal").replace("kB", "");
        let load = text("/proc/loadavg");
        let (p50, p99) = durable_write(folder, tries)?;
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: line_of(&text("/proc/cpuinfo"), "model name"),
            memory_mib: memory_kib.trim().parse::<u64>().unwrap_or(0) / 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0),
            durable_write_p50_ms: ms(p50),
            durable_write_p99_ms: ms(p99),
        })
    }
}

/// Median and 99th percentile of 4 KiB written over what a file holds already and synced, as a write-ahead log that has been
/// as long before is written.
///
/// # Errors
/// When the disk cannot be written.
pub(super) fn durable_write(folder: &Path, tries: usize) -> Result<(Duration, Duration)> {
    let path = folder.join("durable");
    let open = OpenOptions::new().create(true).truncate(true).write(true).open(&path);
    let mut file = open.map_err(because(path.display()))?;
    let page = [0x5a_u8; 4096];
    let mut write = |times: &mut Vec<Duration>| -> std::io::Result<()> {
        use std::io::Seek as _;
        file.rewind()?;
        for _ in 0..tries {
            let began = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            times.push(began.elapsed());
        }
        Ok(())
    };
    // The first round makes the file as long as it will be.
    let mut times = Vec::with_capacity(tries);
    write(&mut times).map_err(because("a durable write"))?;
    times.clear();
    write(&mut times).map_err(because("a durable write"))?;
    fs::remove_file(&path).map_err(because(path.display()))?;
    times.sort_unstable();
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

/// Milliseconds.
#[must_use]
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_memory_and_a_disk_that_takes_time() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::look(folder.path(), 5).unwrap();
        assert!(machine.cores > 0 && machine.memory_mib > 0 && !machine.kernel.is_empty());
        assert!(machine.durable_write_p50_ms > 0.0 && machine.durable_write_p99_ms >= machine.durable_write_p50_ms);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
