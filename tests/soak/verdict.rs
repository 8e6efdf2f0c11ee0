//! Whether something grew: the last quarter of a soak beside its second quarter. The first quarter fills caches and pools.

use serde::Serialize;

use super::sample::{Kind, Sample};

/// One figure, early and late, and its bound.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What it is, with its unit.
    pub what: String,
    /// In the second quarter.
    pub early: f64,
    /// In the last quarter.
    pub late: f64,
    /// Most that it may be in the last quarter.
    pub at_most: f64,
    /// Whether it is.
    pub met: bool,
}

impl Line {
    fn new(what: impl Into<String>, early: f64, late: f64, at_most: f64) -> Self {
        Self { what: what.into(), early, late, at_most, met: late.is_finite() && late <= at_most }
    }
}

/// Holds samples against the bounds.
#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
pub(super) fn judge(samples: &[Sample], faults: usize, rotations: u64) -> Vec<Line> {
    let quarter = samples.len() / 4;
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let mut lines = vec![
        Line::new("requests that failed", 0.0, faults as f64, 0.0),
        Line::new("rotations that are missing", 0.0, f64::from(u8::from(rotations == 0)), 0.0),
    ];
    if quarter == 0 {
        lines.push(Line::new("samples that are missing for a verdict", 0.0, 4.0 - samples.len() as f64, 0.0));
        return lines;
    }
    let of = |part: &[Sample], what: fn(&Sample) -> f64| median(part.iter().map(what).collect());
    for (what, figure) in [
        ("memory of vaultd, MiB", (|sample| sample.vault_mib) as fn(&Sample) -> f64),
        ("memory of orchestratord, MiB", |sample| sample.orchestrator_mib),
    ] {
        let before = of(early, figure);
        lines.push(Line::new(what, before, of(late, figure), before * MEMORY_TIMES + MEMORY_MIB));
    }
    let files = |part: &[Sample]| part.iter().filter_map(|sample| sample.vault_files).max();
    if let (Some(before), Some(after)) = (files(early), files(late)) {
        lines.push(Line::new("open files of vaultd", before as f64, after as f64, before as f64 + FILES));
    }
    let longest = |part: &[Sample]| part.iter().map(|sample| sample.logs_mib).fold(0.0, f64::max);
    lines.push(Line::new("write-ahead logs of vaultd, MiB", longest(early), longest(late), LOGS_MIB));
    for kind in Kind::ALL {
        // The quietest looks: what else the machine did in the others does not count, and what grows is in all of them.
        let time = |part: &[Sample], pick: fn(&(f64, f64, usize)) -> f64| {
            quiet(part.iter().filter_map(|sample| sample.times.get(&kind)).map(pick).collect())
        };
        for (name, pick, slack_ms) in [
            ("p50", (|times| times.0) as fn(&(f64, f64, usize)) -> f64, SLACK_P50_MS),
            ("p99", |times| times.1, SLACK_P99_MS),
        ] {
            let before = time(early, pick);
            let what = format!("{kind:?} {name}, ms");
            lines.push(Line::new(what, before, time(late, pick), before * TIMES + slack_ms));
        }
    }
    lines
}

fn median(values: Vec<f64>) -> f64 {
    ranked(values, 2)
}

/// A tenth of the values is smaller.
fn quiet(values: Vec<f64>) -> f64 {
    ranked(values, 10)
}

fn ranked(mut values: Vec<f64>, part: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    // Nothing of a kind in a whole quarter is no time at all: it would meet any bound, so it is one that meets none.
    values.get(values.len() / part).copied().unwrap_or(f64::INFINITY)
}

/// Memory may be a tenth larger and 12 MiB: pages of databases that are read for the first time.
const MEMORY_TIMES: f64 = 1.10;
const MEMORY_MIB: f64 = 12.0;
const FILES: f64 = 16.0;
/// A log is folded in at 40 MB and cut back to 64 MiB.
const LOGS_MIB: f64 = 160.0;
/// Times may double and a bit: other programs use the machine as well.
const TIMES: f64 = 2.0;
const SLACK_P50_MS: f64 = 10.0;
const SLACK_P99_MS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(vault_mib: impl Fn(usize) -> f64, p50: impl Fn(usize) -> f64) -> Vec<Sample> {
        (0..40)
            .map(|nth| Sample {
                second: nth as f64,
                vault_mib: vault_mib(nth),
                orchestrator_mib: 30.0,
                vault_files: Some(60),
                logs_mib: 40.0,
                times: Kind::ALL.iter().map(|kind| (*kind, (p50(nth), 3.0 * p50(nth), 100))).collect(),
            })
            .collect()
    }

    fn broken(samples: &[Sample], faults: usize) -> Vec<String> {
        judge(samples, faults, 1).into_iter().filter(|line| !line.met).map(|line| line.what).collect()
    }

    #[test]
    fn what_is_flat_is_met_and_what_grows_is_not() {
        let flat = samples(|nth| if nth < 10 { 20.0 } else { 80.0 }, |_| 5.0);
        assert_eq!(broken(&flat, 0), Vec::<String>::new());
        assert_eq!(broken(&flat, 1), ["requests that failed"]);
        assert_eq!(broken(&samples(|nth| 80.0 + 2.0 * nth as f64, |_| 5.0), 0), ["memory of vaultd, MiB"]);
        let slower = broken(&samples(|_| 80.0, |nth| 5.0 + 2.0 * nth as f64), 0);
        assert!(slower.contains(&"Reveal p50, ms".to_owned()), "{slower:?}");
    }

    #[test]
    fn a_kind_that_was_not_seen_or_a_soak_that_was_too_short_is_not_met() {
        let mut without = samples(|_| 80.0, |_| 5.0);
        for sample in &mut without {
            sample.times.remove(&Kind::Payment);
        }
        assert_eq!(broken(&without, 0), ["Payment p50, ms", "Payment p99, ms"]);
        assert_eq!(broken(&without[..3], 0), ["samples that are missing for a verdict"]);
    }
}
