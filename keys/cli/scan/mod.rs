//! `vaultctl scan`: card numbers where they should not be, in files of any kind (PCI DSS 12.10.7).

mod finder;
mod search;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_wire::limits;

use self::finder::Found;
use self::search::Search;
use crate::failure::Failure;
use crate::say::Say;

/// Search files and folders for card numbers
///
/// Every byte of every file is read: text in one byte or UTF-16, content of .gz files, databases. What counts is 13 to 19
/// digits of a known brand with a right check digit, in one piece or in groups. Numbers are shown masked. Symbolic links
/// within a folder are not followed; they, and what cannot be read or unpacked, are named in the report.
///
/// Exit code 1 if a number was found, or something could not be searched.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl scan /var/log dump.sql
  vaultctl --json scan --allow-test-numbers export.csv.gz > report.json")]
pub(crate) struct Scan {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Pass over numbers that card schemes and providers publish for tests
    #[arg(long)]
    allow_test_numbers: bool,
    /// Find numbers inside of longer runs of digits too, as fixed-width records have them; more false alarms. SQLite files are
    /// always searched so
    #[arg(long)]
    within: bool,
}

/// What a search found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Numbers, in the order of their files.
    findings: Vec<Finding>,
    /// Numbers found beyond those that are listed.
    more_findings: u64,
    /// What could not be searched.
    unsearched: Vec<Unsearched>,
    /// Symbolic links, which are not followed.
    links: Vec<PathBuf>,
    /// Files that were read to their end.
    files: u64,
    /// Bytes that were looked at, unpacked ones among them.
    bytes: u64,
}

/// A number and its file.
#[derive(Debug, Serialize)]
struct Finding {
    path: PathBuf,
    /// The offset and line are those of the unpacked content.
    unpacked: bool,
    #[serde(flatten)]
    found: Found,
}

/// Something that was not searched, or not to its end.
#[derive(Debug, Serialize)]
struct Unsearched {
    path: PathBuf,
    why: String,
}

impl Scan {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let mut search = Search::new(self.within, self.allow_test_numbers);
        search.run(&self.paths);
        let report = search.report();
        say.result(&report, &describe(&report));
        let found = report.findings.len() as u64 + report.more_findings;
        match (found, report.unsearched.len()) {
            (0, 0) => Ok(()),
            (0, left) => Err(Failure::new(
                format!("{} could not be searched", count(left as u64, "path", "paths")),
                "read the report, see to each, and search again: what was not read may hold anything",
            )),
            (found, _) => Err(Failure::new(
                format!("{} found", count(found, "card number was", "card numbers were")),
                "find out how each came there, remove it beyond recovery, and treat it as an incident (PCI DSS 12.10.7)",
            )),
        }
    }
}

impl Report {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < limits::SCAN_FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }
}

fn describe(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|Finding { path, unpacked, found }| {
            let brand = serde_json::to_value(found.brand).unwrap_or_default();
            let masked = format!("{}{}{}", found.bin, "*".repeat(found.digits - 10), found.last4);
            let width = if found.width == 2 { ", UTF-16" } else { "" };
            let inside = if *unpacked { ", unpacked" } else { "" };
            format!(
                "{}:{}: {} {masked} at byte {}{width}{inside}",
                path.display(),
                found.line,
                brand.as_str().unwrap_or_default(),
                found.offset
            )
        })
        .collect();
    if report.more_findings > 0 {
        lines.push(format!("and {} more, which are not listed", report.more_findings));
    }
    lines.extend(report.unsearched.iter().map(|one| format!("{}: NOT SEARCHED: {}", one.path.display(), one.why)));
    lines.extend(report.links.iter().map(|path| format!("{}: a symbolic link, not followed", path.display())));
    lines.push(format!(
        "{} in {}, {} bytes",
        count(report.findings.len() as u64 + report.more_findings, "card number", "card numbers"),
        count(report.files, "file", "files"),
        report.bytes
    ));
    lines.join("\n")
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_does_not_grow_without_end() {
        let mut report = Report::default();
        let found = Found {
            offset: 0,
            line: 1,
            brand: strongroom_wire::payment_method::Brand::Visa,
            digits: 16,
            bin: "424242".to_owned(),
            last4: "4242".to_owned(),
            width: 1,
        };
        for _ in 0..limits::SCAN_FINDINGS_MAX + 3 {
            report.add(Finding { path: PathBuf::from("x"), unpacked: false, found: found.clone() });
        }
        assert_eq!((report.findings.len(), report.more_findings), (limits::SCAN_FINDINGS_MAX, 3));
        assert!(describe(&report).contains("and 3 more"));
    }
}
