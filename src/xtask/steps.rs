//! Steps: programs run in the repository's root with their output shown, timed, and summed up at the end.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use strongroom_tests::harness::{Fault, Result, because, take_binaries_from};

use crate::failures;

/// What was run and how it went.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, bool)>,
    /// What failed tests said, to be said again at the end.
    reports: Vec<String>,
}

impl Steps {
    /// Runs a program. A failure is noted and the next step runs all the same, so that one run shows every fault.
    pub(crate) fn run(&mut self, what: &str, command: &mut Command) -> bool {
        println!("\n==> {what}");
        let began = Instant::now();
        let passed = match command.current_dir(root()).status() {
            Ok(status) => status.success(),
            Err(error) => {
                println!("{}: {error}", command.get_program().to_string_lossy());
                false
            }
        };
        self.done.push((what.to_owned(), began.elapsed(), passed));
        passed
    }

    /// Runs tests as a step, and keeps what those that failed say for the end.
    pub(crate) fn run_tests(&mut self, what: &str, command: &mut Command) {
        println!("\n==> {what}");
        let began = Instant::now();
        let watched = failures::watch(command.current_dir(root()));
        let result = watched.and_then(|(passed, seen)| {
            self.reports.extend(seen.reports());
            if passed { Ok(()) } else { Err(Fault::new("at least one failed; the end says which")) }
        });
        self.note(what, began.elapsed(), &result);
    }

    /// Notes a step that was done without a program of its own.
    pub(crate) fn note(&mut self, what: &str, took: Duration, result: &Result<()>) {
        if let Err(fault) = result {
            println!("{what}: {fault}");
        }
        self.done.push((what.to_owned(), took, result.is_ok()));
    }

    /// Prints every step with its time, and what failed tests said.
    ///
    /// # Errors
    /// When any step failed; the fault names them.
    pub(crate) fn summary(self) -> Result<()> {
        println!("\n{:<44} {:>8}", "step", "seconds");
        for (what, took, passed) in &self.done {
            println!("{what:<44} {:>8.1}  {}", took.as_secs_f64(), if *passed { "passed" } else { "FAILED" });
        }
        if !self.reports.is_empty() {
            println!("\nwhat the failed tests said:\n\n{}", self.reports.join("\n\n"));
        }
        let failed: Vec<&str> =
            self.done.iter().filter(|(_, _, passed)| !passed).map(|(what, _, _)| what.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err(Fault::new(format!("failed: {}", failed.join(", ")))) }
    }
}

/// Runs a program and fails with it.
pub(crate) fn must(what: &str, command: &mut Command) -> Result<()> {
    let status = command.current_dir(root()).status().map_err(because(what))?;
    if status.success() { Ok(()) } else { Err(Fault::new(format!("{what} ended with {status}"))) }
}

/// Builds every program with this profile, and has the harness start those.
pub(crate) fn build_programs(profile: &str) -> Result<()> {
    must("building", cargo().args(["build", "--workspace", "--bins", "--locked", "--profile", profile]))?;
    take_binaries_from(target().join(if profile == "dev" { "debug" } else { profile }));
    Ok(())
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
