//! Load from `oha`, a generator of others (crates.io), so that nobody has to take our own client's word for a figure.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::load::Measured;
use super::usage;
use crate::harness::{Credentials, Fault, Result, because};

/// The program, once it is known to be there.
pub(super) struct Oha {
    ca: PathBuf,
    who: Credentials,
    header: String,
}

/// What one run of it is to send.
pub(super) struct Shot<'a> {
    /// Where to.
    pub(super) at: SocketAddr,
    /// Paths, of which each request takes one at random.
    pub(super) paths: &'a [String],
    /// A file of bodies, one a line, of which each request takes one at random; or one body for all.
    pub(super) bodies: Bodies<'a>,
    /// Connections that stay open.
    pub(super) connections: usize,
    /// For how long, in seconds.
    pub(super) seconds: u64,
    /// The status that every answer must have.
    pub(super) status: u16,
}

/// See [`Shot::bodies`].
pub(super) enum Bodies<'a> {
    One(&'a str),
    Lines(&'a Path),
}

impl Oha {
    /// Looks for the program.
    ///
    /// # Errors
    /// When it is not there; the fault says how to get it.
    pub(super) fn find(ca: &Path, who: Credentials, header: String) -> Result<Self> {
        let told = Command::new(PROGRAM).arg("--version").output();
        match told {
            Ok(told) if told.status.success() => Ok(Self { ca: ca.to_owned(), who, header }),
            _ => Err(Fault::new(
                "oha is not installed: run `cargo install oha --locked` (a few minutes), or take \
                                 `--client own` for the bench's own load generator",
            )),
        }
    }

    /// Its name and version, for the report.
    pub(super) fn version() -> String {
        let told = Command::new(PROGRAM).arg("--version").output();
        told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()).unwrap_or_default()
    }

    /// Sends the load, and answers what came of it and what processor time the program itself took.
    ///
    /// # Errors
    /// When an answer has another status, or a connection broke.
    pub(super) fn fire(&self, shot: &Shot<'_>, folder: &Path) -> Result<(Measured, std::time::Duration)> {
        let urls = folder.join("urls.txt");
        let port = shot.at.port();
        let lines: String = shot.paths.iter().map(|path| format!("https://localhost:{port}{path}\n")).collect();
        fs::write(&urls, lines).map_err(because(urls.display()))?;
        let mut command = Command::new(PROGRAM);
        command.args(["--no-tui", "--output-format", "json", "--ipv4", "--redirect", "0", "-m", "POST"]);
        command.args(["-T", "application/json", "-H", &self.header]);
        command.args(["-c", &shot.connections.to_string(), "-z", &format!("{}s", shot.seconds)]);
        command.arg("--cacert").arg(&self.ca).arg("--cert").arg(&self.who.certificate).arg("--key").arg(&self.who.key);
        match shot.bodies {
            Bodies::One(text) => command.args(["-d", text]),
            Bodies::Lines(file) => command.arg("-Z").arg(file),
        };
        command.arg("--urls-from-file").arg(&urls);
        let before = usage::cpu_of_ended_children()?;
        let done = command.output().map_err(because(PROGRAM))?;
        let cpu = usage::cpu_of_ended_children()?.saturating_sub(before);
        if !done.status.success() {
            return Err(Fault::new(format!("oha: {}", String::from_utf8_lossy(&done.stderr))));
        }
        let said: Value = serde_json::from_slice(&done.stdout).map_err(because("oha's answer"))?;
        let measured = read(&said, shot.status)?;
        if measured.failed > 0 || measured.answered == 0 {
            return Err(Fault::new(format!(
                "of {} answers {} had another status than {}, or their connection broke: {}",
                measured.answered + measured.failed,
                measured.failed,
                shot.status,
                said["errorDistribution"]
            )));
        }
        Ok((measured, cpu))
    }
}

/// The figures in its JSON. Requests that were under way when the time was over are neither answers nor failures.
fn read(said: &Value, status: u16) -> Result<Measured> {
    let missing = |what: &str| Fault::new(format!("oha's answer has no {what}; this was written for oha 1.16"));
    let number = |value: &Value, what: &str| value.as_f64().ok_or_else(|| missing(what));
    let codes = said["statusCodeDistribution"].as_object().ok_or_else(|| missing("statusCodeDistribution"))?;
    let count = |code: &str| codes.get(code).and_then(Value::as_u64).unwrap_or(0);
    let answered = count(&status.to_string());
    let others: u64 = codes.values().filter_map(Value::as_u64).sum::<u64>() - answered;
    let broken = said["errorDistribution"].as_object().map_or(0, |errors| {
        errors.iter().filter(|(why, _)| !why.contains("deadline")).filter_map(|(_, count)| count.as_u64()).sum()
    });
    let percentile = |name: &str| Ok::<f64, Fault>(number(&said["latencyPercentiles"][name], name)? * 1000.0);
    Ok(Measured {
        answered,
        failed: others + broken,
        reconnected: 0,
        per_second: number(&said["summary"]["requestsPerSec"], "requestsPerSec")?,
        p50_ms: percentile("p50")?,
        p99_ms: percentile("p99")?,
        p999_ms: percentile("p99.9")?,
        max_ms: number(&said["summary"]["slowest"], "slowest")? * 1000.0,
    })
}

const PROGRAM: &str = "oha";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(codes: Value, errors: Value) -> Value {
        json!({
            "summary": { "requestsPerSec": 123.5, "slowest": 0.5 },
            "latencyPercentiles": { "p50": 0.001, "p99": 0.002, "p99.9": 0.25 },
            "statusCodeDistribution": codes,
            "errorDistribution": errors,
        })
    }

    #[test]
    fn an_answer_that_was_cut_off_at_the_end_is_no_failure() {
        let measured = read(&said(json!({"200": 40}), json!({"aborted due to deadline": 64})), 200).unwrap();
        assert_eq!((measured.answered, measured.failed), (40, 0));
        assert!((measured.p999_ms - 250.0).abs() < 1e-9 && (measured.per_second - 123.5).abs() < 1e-9);
    }

    #[test]
    fn another_status_or_a_broken_connection_is_a_failure() {
        let errors = json!({"connection closed before message completed": 2});
        assert_eq!(read(&said(json!({"200": 40, "429": 3}), errors), 200).unwrap().failed, 5);
        assert!(read(&json!({}), 200).is_err());
    }
}
