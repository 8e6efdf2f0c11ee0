//! The figures of one run, as a table for people and as JSON for machines.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::harness::{Result, because};

/// Everything that one run measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One figure each.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The same of the bare endpoint, in the same run.
    pub baseline: Option<f64>,
    /// Value over baseline.
    pub ratio: Option<f64>,
    /// What the ratio should reach (or the value stay under, where there is no baseline).
    pub target: Option<f64>,
    /// Whether it does.
    pub met: Option<bool>,
}

impl Row {
    /// A figure beside the bare endpoint's; more is better.
    #[must_use]
    pub fn beside(name: String, value: f64, unit: &'static str, baseline: f64, target: f64) -> Self {
        let ratio = if baseline > 0.0 { value / baseline } else { 0.0 };
        Self {
            name,
            value,
            unit,
            baseline: Some(baseline),
            ratio: Some(ratio),
            target: Some(target),
            met: Some(ratio >= target),
        }
    }

    /// A figure beside its baseline, without a bound.
    #[must_use]
    pub fn compared(name: String, value: f64, unit: &'static str, baseline: f64) -> Self {
        let ratio = (baseline > 0.0).then(|| value / baseline);
        Self { name, value, unit, baseline: Some(baseline), ratio, target: None, met: None }
    }

    /// A figure that should stay under a bound, where there is one.
    #[must_use]
    pub fn alone(name: String, value: f64, unit: &'static str, at_most: Option<f64>) -> Self {
        Self { name, value, unit, baseline: None, ratio: None, target: at_most, met: at_most.map(|most| value <= most) }
    }
}

impl Report {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(because(folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self).map_err(because("the report"))?;
        fs::write(path, text).map_err(because(path.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        writeln!(
            f,
            "{:<34} {:>10} {:<6} {:>10} {:>6} {:>7}  met",
            "figure", "value", "unit", "bare", "ratio", "target"
        )?;
        for row in &self.rows {
            let met = row.met.map_or("-", |met| if met { "yes" } else { "no" });
            let (bare, ratio, target) = (part(row.baseline, 0), part(row.ratio, 2), part(row.target, 2));
            writeln!(
                f,
                "{:<34} {:>10.2} {:<6} {bare:>10} {ratio:>6} {target:>7}  {met}",
                row.name, row.value, row.unit
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_below_its_target_is_not_met() {
        let row = Row::beside("x".to_owned(), 30.0, "1/s", 100.0, 0.4);
        assert_eq!((row.ratio, row.met), (Some(0.3), Some(false)));
        assert_eq!(Row::alone("y".to_owned(), 230.0, "B", Some(230.0)).met, Some(true));
        assert_eq!(Row::alone("z".to_owned(), 1.0, "s", None).met, None);
    }
}
