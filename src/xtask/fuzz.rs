//! `cargo xtask fuzz`: builds the fuzz targets with the toolchain that is there and runs each for a while.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use strongroom_tests::harness::{Fault, Result, because};

use crate::steps::{Steps, cargo, must, root, target};

/// Fuzz every target for a few seconds, from its seeds and what earlier runs found
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Seconds for each target
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// One target alone
    #[arg(long)]
    pub(crate) only: Option<String>,
}

impl Fuzz {
    /// Builds and runs.
    pub(crate) fn run(&self) -> Result<()> {
        let mut steps = Steps::default();
        self.run_in(&mut steps)?;
        steps.summary()
    }

    /// Builds, then runs each target as a step.
    pub(crate) fn run_in(&self, steps: &mut Steps) -> Result<()> {
        println!("\n==> building the fuzz targets");
        must("building the fuzz targets", &mut build())?;
        let targets = targets()?;
        if let Some(only) = &self.only
            && !targets.contains(only)
        {
            return Err(Fault::new(format!("there is no target `{only}`; there are {}", targets.join(", "))));
        }
        for name in targets.iter().filter(|name| self.only.as_ref().is_none_or(|only| only == *name)) {
            let corpus = target().join("fuzz-corpus").join(name);
            fs::create_dir_all(&corpus).map_err(because(corpus.display()))?;
            let seconds = format!("-max_total_time={}", self.seconds);
            let artifacts = format!("-artifact_prefix={}/", corpus.display());
            let mut command = Command::new(folder().join(name));
            command.args([&seconds, &artifacts]).args(LIMITS).arg(&corpus).arg(root().join("fuzz/seeds").join(name));
            steps.run(&format!("fuzz {name}"), &mut command);
        }
        Ok(())
    }
}

/// The names of the targets, which are the files of `fuzz/targets`.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/targets");
    let entries = fs::read_dir(&folder).map_err(because(folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// `cargo build` with LLVM's coverage instrumentation, as cargo-fuzz does it but without a sanitizer, which this safe code
/// needs least and which takes a nightly toolchain. `--target` keeps build scripts and macros out of it.
fn build() -> Command {
    let mut command = cargo();
    command
        .args([
            "build",
            "--release",
            "--bins",
            "--target",
            TRIPLE,
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
        ])
        .arg(target_folder())
        .env("RUSTFLAGS", INSTRUMENTED.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn target_folder() -> PathBuf {
    target().join("fuzz")
}

fn folder() -> PathBuf {
    target_folder().join(Path::new(TRIPLE)).join("release")
}

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

const INSTRUMENTED: [&str; 7] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=4",
];

/// An input of 16 KiB is beyond every body limit; no input may take seconds or 2 GiB.
const LIMITS: [&str; 5] =
    ["-max_len=20000", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"];
