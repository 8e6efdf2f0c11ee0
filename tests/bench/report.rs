//! The figures of one run: a table for people, JSON for machines, plots.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::machine::Machine;
use super::plot::Bars;
use crate::harness::{Result, because};

/// Everything that one run measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// Who sent the load.
    pub generator: String,
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
    /// What it is held against, measured in the same run.
    pub baseline: Option<f64>,
    /// Value over baseline.
    pub ratio: Option<f64>,
    /// What the ratio should reach or stay under (or the value stay under, where there is no baseline).
    pub target: Option<f64>,
    /// Whether it does.
    pub met: Option<bool>,
}

impl Row {
    /// A figure beside its baseline; more is better.
    #[must_use]
    pub fn beside(name: String, value: f64, unit: &'static str, baseline: f64, target: f64) -> Self {
        let row = Self::compared(name, value, unit, baseline);
        Self { target: Some(target), met: Some(row.ratio.is_some_and(|ratio| ratio >= target)), ..row }
    }

    /// A figure beside its baseline; less is better.
    #[must_use]
    pub fn at_most(name: String, value: f64, unit: &'static str, baseline: f64, target: f64) -> Self {
        let row = Self::compared(name, value, unit, baseline);
        Self { target: Some(target), met: Some(row.ratio.is_some_and(|ratio| ratio <= target)), ..row }
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
    /// Writes `report.json`, `report.md` and a plot for each series of connections into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(because(folder.display()))?;
        let put = |name: &str, text: String| fs::write(folder.join(name), text).map_err(because(name));
        put("report.json", serde_json::to_string_pretty(self).map_err(because("the report"))?)?;
        put("report.md", self.markdown())?;
        for (file, title, figure, unit) in PLOTS {
            let groups = self.series(title, figure);
            if !groups.is_empty() {
                let title = format!("{title}{}", if figure.is_empty() { ", answers" } else { figure });
                put(file, Bars { title: &title, unit, legend: &["baseline", "vaultd"], groups }.svg())?;
            }
        }
        Ok(())
    }

    /// Baseline and figure of every `TITLE, N connectionsFIGURE`, in the order of the report.
    fn series(&self, title: &str, figure: &str) -> Vec<(String, Vec<f64>)> {
        let of = |row: &Row| {
            let rest = row.name.strip_prefix(title)?.strip_prefix(", ")?;
            let connections = rest.strip_suffix(figure)?.strip_suffix(" connections")?;
            connections.bytes().all(|byte| byte.is_ascii_digit()).then(|| connections.to_owned())
        };
        let bars = |row: &Row| vec![row.baseline.unwrap_or(0.0), row.value];
        self.rows.iter().filter_map(|row| of(row).map(|connections| (connections, bars(row)))).collect()
    }

    /// The table, as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let mut out = format!(
            "# What was measured\n\n{} cores ({}), {} MiB, Linux {}, load before the run {:.2}; a durable write of 4 KiB takes \
             {:.3} ms (p50), {:.3} ms (p99). Load: {}.\n\n| figure | value | unit | baseline | ratio | target | met |\n\
             |---|---:|---|---:|---:|---:|---|\n",
            machine.cores,
            machine.processor,
            machine.memory_mib,
            machine.kernel,
            machine.load_before,
            machine.durable_write_p50_ms,
            machine.durable_write_p99_ms,
            self.generator,
        );
        for row in &self.rows {
            let [value, baseline, ratio, target, met] = row.cells();
            let _ =
                writeln!(out, "| {} | {value} | {} | {baseline} | {ratio} | {target} | {met} |", row.name, row.unit);
        }
        out
    }
}

impl Row {
    fn cells(&self) -> [String; 5] {
        let part = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let met = self.met.map_or("-", |met| if met { "yes" } else { "no" });
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        [figure(self.value), part(self.baseline), ratio, part(self.target), met.to_owned()]
    }
}

/// With as many decimals as mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        writeln!(
            f,
            "{:<widest$} {:>10} {:<8} {:>10} {:>6} {:>7}  met",
            "figure", "value", "unit", "baseline", "ratio", "target"
        )?;
        for row in &self.rows {
            let [value, baseline, ratio, target, met] = row.cells();
            writeln!(
                f,
                "{:<widest$} {value:>10} {:<8} {baseline:>10} {ratio:>6} {target:>7}  {met}",
                row.name, row.unit
            )?;
        }
        Ok(())
    }
}

/// File, series, figure after the connections, unit.
const PLOTS: [(&str, &str, &str, &str); 6] = [
    ("reveal.svg", "reveal", "", "1/s"),
    ("tokenize.svg", "tokenize", "", "1/s"),
    ("reveal-p99.svg", "reveal", ", p99", "ms"),
    ("tokenize-p99.svg", "tokenize", ", p99", "ms"),
    ("reveal-cpu.svg", "reveal", ", processor time of the server", "us a request"),
    ("tokenize-cpu.svg", "tokenize", ", processor time of the server", "us a request"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_on_the_wrong_side_of_its_target_is_not_met() {
        let row = Row::beside("x".to_owned(), 30.0, "1/s", 100.0, 0.4);
        assert_eq!((row.ratio, row.met), (Some(0.3), Some(false)));
        assert_eq!(Row::beside("x".to_owned(), 30.0, "1/s", 0.0, 0.4).met, Some(false));
        assert_eq!(Row::at_most("x".to_owned(), 3.0, "ms", 1.0, 2.0).met, Some(false));
        assert_eq!(Row::at_most("x".to_owned(), 2.0, "ms", 1.0, 2.0).met, Some(true));
        assert_eq!(Row::alone("y".to_owned(), 230.0, "B", Some(230.0)).met, Some(true));
        assert_eq!(Row::alone("z".to_owned(), 1.0, "s", None).met, None);
    }

    #[test]
    fn the_files_hold_every_row_and_the_plots_every_series() {
        let name = |connections: u32| format!("reveal, {connections} connections");
        let rows = vec![
            Row::compared(name(1), 1000.0, "1/s", 2000.0),
            Row::compared(name(64), 40_000.0, "1/s", 90_000.0),
            Row::alone("bytes for each stored card".to_owned(), 218.0, "bytes", Some(230.0)),
        ];
        let report = Report { machine: Machine::default(), generator: "oha 1.16.0".to_owned(), rows };
        let folder = tempfile::tempdir().unwrap();
        report.write(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
        assert_eq!((&json["rows"][0]["ratio"], json["rows"].as_array().unwrap().len()), (&0.5.into(), 3));
        assert!(read("report.md").contains("| bytes for each stored card | 218.0 | bytes | - | - | 230.0 | yes |"));
        let plot = read("reveal.svg");
        assert!(plot.contains(">64<") && plot.contains(">40k<") && plot.contains(">2000<"));
        assert!(!folder.path().join("tokenize.svg").exists());
    }
}
