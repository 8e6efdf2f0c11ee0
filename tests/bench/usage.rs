//! What a process has used of the machine, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Fault, Result, because};

/// Processor time that a process has used so far, in user and kernel, its ended children left out.
///
/// # Errors
/// When there is no such process.
pub(super) fn cpu_of(process: u32) -> Result<Duration> {
    cpu(Path::new(&format!("/proc/{process}/stat")), UTIME)
}

/// The same of all children of this process that have ended and were waited for.
///
/// # Errors
/// When the system does not say.
pub(super) fn cpu_of_ended_children() -> Result<Duration> {
    cpu(Path::new("/proc/self/stat"), UTIME + 2)
}

/// Memory that a process holds: `VmRSS`, in MiB.
///
/// # Errors
/// When there is no such process.
pub(super) fn resident_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(because(&path))?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kib: f64 = kib.and_then(|kib| kib.trim().parse().ok()).ok_or_else(|| Fault::new("VmRSS is not there"))?;
    Ok(kib / 1024.0)
}

fn cpu(stat: &Path, place: usize) -> Result<Duration> {
    let text = fs::read_to_string(stat).map_err(because(stat.display()))?;
    let ticks = ticks(&text, place).ok_or_else(|| Fault::new(format!("{} is not what it was", stat.display())))?;
    Ok(Duration::from_millis(ticks * TICK_MS))
}

/// The sum of two neighbouring fields, counted from 1. The program's name, the second, may hold spaces and parentheses.
fn ticks(stat: &str, place: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(place - 3).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// The field `utime` of `/proc/PID/stat`; `stime` follows, then the two of ended children.
const UTIME: usize = 14;
/// Linux counts in hundredths of a second here, whatever the kernel's own timer does.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1";
        assert_eq!((ticks(stat, UTIME), ticks(stat, UTIME + 2)), (Some(120), Some(7)));
        assert_eq!(ticks("7 (a) R 1", UTIME), None);
    }

    #[test]
    fn a_process_that_runs_has_memory() {
        assert!(resident_mib(std::process::id()).unwrap() > 1.0);
        assert!(cpu_of(std::process::id()).is_ok() && cpu_of_ended_children().is_ok());
        assert!(resident_mib(u32::MAX).is_err());
    }
}
