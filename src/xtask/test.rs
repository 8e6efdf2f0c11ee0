//! `cargo xtask test`: everything that the tests need, then all of them.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use strongroom_tests::harness::{Fault, Result, because};

use crate::fuzz::Fuzz;
use crate::sdk;
use crate::steps::{Steps, cargo, must, root, target};

/// The browser SDK, format, lints, unit tests, laws, end to end, access, faults, load, several nodes, leaks, documentation tests,
/// builds that leave Roots out, the demo, fuzzing
#[derive(Args)]
pub(crate) struct Test {
    /// Run only the tests whose name contains this, without format, lints and fuzzing
    #[arg(long)]
    filter: Option<String>,
    /// Seconds for each fuzz target
    #[arg(long, default_value_t = 5)]
    fuzz_seconds: u64,
}

impl Test {
    /// Runs everything, then says what failed.
    pub(crate) fn run(&self) -> Result<()> {
        check_tools()?;
        let mut steps = Steps::default();
        let began = Instant::now();
        let python = make_python();
        steps.note("Python environment", began.elapsed(), &python);
        let began = Instant::now();
        let node = make_node("tests/specs", "node").and_then(|()| make_node("tests/browser", "node/browser"));
        steps.note("Node environment", began.elapsed(), &node);
        if self.filter.is_none() {
            // First, because vaultd compiles in what is built from it.
            sdk::run_in(&mut steps);
            steps.run("format", cargo().args(["fmt", "--all", "--check"]));
            let mut lints = cargo();
            lints.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
            steps.run("lints", &mut lints);
        }
        // The programs under test; a test that starts an old one would judge the past.
        if !steps.run("programs", cargo().args(["build", "--workspace", "--bins", "--locked"])) {
            return steps.summary();
        }
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        if let Some(filter) = &self.filter {
            tests.arg(filter);
        }
        let measured = target().join("browser/measured.txt");
        // What an earlier run measured is no news of this one.
        let _ = std::fs::remove_file(&measured);
        steps.run_tests("tests", tests.env("STRONGROOM_PYTHON", python_program()));
        if let Ok(text) = std::fs::read_to_string(&measured) {
            println!("\nmeasured in browsers, not judged:\n{text}");
        }
        if self.filter.is_none() {
            // With the workspace, so that what comes from outside has nearly all the features that it was built with before.
            let without = ["--workspace", "--no-default-features", "--locked"];
            let mut programs = cargo();
            programs.arg("check").args(without).args(["--bin", "vaultd", "--bin", "vaultctl"]);
            steps.run("programs without HSM and KMS", &mut programs);
            steps.run("refusals without HSM and KMS", cargo().arg("test").args(without).args(["--test", "left_out"]));
            // The newcomer's other command: it ends well only if every step did what it should.
            steps.run("demo", cargo().args(["run", "--quiet", "--package", "xtask", "--", "demo"]));
            let began = Instant::now();
            let fuzzed = Fuzz { seconds: self.fuzz_seconds, only: None }.run_in(&mut steps);
            steps.note("fuzz targets", began.elapsed(), &fuzzed);
        }
        steps.summary()
    }
}

/// Programs that the build or a test calls, and the Debian package that has each.
const TOOLS: [(&str, &str); 11] = [
    ("cc", "build-essential"),
    ("c++", "build-essential"),
    ("git", "git"),
    ("python3", "python3 and python3-venv"),
    ("node", "nodejs (18.20.1 or later)"),
    ("npm", "npm"),
    ("softhsm2-util", "softhsm2"),
    ("chromium", "chromium"),
    ("firefox-esr", "firefox-esr"),
    ("patroni", "patroni"),
    ("etcd", "etcd-server"),
];

fn check_tools() -> Result<()> {
    for (tool, package) in TOOLS {
        let mut asked = Command::new(tool);
        let found = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !found {
            return Err(Fault::new(format!(
                "`{tool}` is missing; install {package} (Debian) or your system's like of it"
            )));
        }
    }
    // Debian keeps the server's programs out of the search path, where each version has a folder, and PgBouncer where only
    // administrators look.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.extend(std::env::split_paths(&searched).chain([Path::new("/usr/sbin").to_owned()]));
    for (tool, package) in [("initdb", "postgresql"), ("pgbouncer", "pgbouncer")] {
        if !folders.iter().any(|folder| folder.join(tool).exists()) {
            return Err(Fault::new(format!(
                "`{tool}` is missing; install {package} (Debian) or your system's like of it"
            )));
        }
    }
    Ok(())
}

/// A virtual environment under `target/` with the packages that the end-to-end tests name; made once.
fn make_python() -> Result<()> {
    let folder = target().join("python");
    let wanted = root().join("tests/e2e/requirements.txt");
    let stamp = folder.join("requirements.txt");
    let read = |path: &Path| std::fs::read(path).ok();
    if read(&stamp).is_some() && read(&stamp) == read(&wanted) {
        return Ok(());
    }
    println!("\n==> Python environment");
    must("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(folder.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    must("pip install", &mut install)?;
    std::fs::copy(&wanted, &stamp).map(drop).map_err(|error| Fault::new(format!("{}: {error}", stamp.display())))
}

/// What tests call by Node, under `target/`, in the versions of the lock that lies in the `wanted` folder; made once.
fn make_node(wanted: &str, folder: &str) -> Result<()> {
    let folder = target().join(folder);
    let wanted = root().join(wanted);
    let stamp = folder.join("installed.json");
    let read = |path: &Path| std::fs::read(path).ok();
    let lock = read(&wanted.join("package-lock.json"));
    if lock.is_some() && lock == read(&stamp) {
        return Ok(());
    }
    println!("\n==> Node environment of {}", wanted.display());
    std::fs::create_dir_all(&folder).map_err(because(folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        let copied = std::fs::copy(wanted.join(name), folder.join(name));
        copied.map_err(because(folder.join(name).display()))?;
    }
    let mut install = Command::new("npm");
    // No package may run a program of its own while it is installed.
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(&folder);
    must("npm ci", &mut install)?;
    std::fs::copy(wanted.join("package-lock.json"), &stamp).map(drop).map_err(because(stamp.display()))
}

fn python_program() -> std::path::PathBuf {
    target().join("python/bin/python")
}
