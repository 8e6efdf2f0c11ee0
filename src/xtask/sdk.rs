//! The browser SDK under test: types, unit tests, and its committed build held against its sources, on a copy under `target/`.
#![expect(clippy::print_stdout, reason = "people read these lines while they wait")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use strongroom_tests::harness::{Fault, Result, because};

use crate::steps::{Steps, must, root, target};

/// Runs all of it; each fault is a step of its own.
pub(crate) fn run_in(steps: &mut Steps) {
    let began = Instant::now();
    let made = make();
    steps.note("SDK environment", began.elapsed(), &made);
    if made.is_err() {
        return;
    }
    for (what, script) in [("SDK types", "types"), ("SDK tests", "test"), ("SDK build and sizes", "check")] {
        let mut npm = Command::new("npm");
        npm.args(["run", "--silent", script, "--prefix"]).arg(folder());
        // The copy has no repository around it.
        npm.env("STRONGROOM_ROOT", root()).env("STRONGROOM_DIST", root().join("src/sdk/dist"));
        steps.run(what, &mut npm);
    }
}

/// The sources as they are now, and the packages in the versions of the lock.
fn make() -> Result<()> {
    let (from, to) = (root().join("src/sdk"), folder());
    fs::create_dir_all(&to).map_err(because(to.display()))?;
    for name in names_in(&to)?.iter().filter(|name| !KEPT.contains(&name.as_str())) {
        let path = to.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(because(path.display()))?;
    }
    for name in names_in(&from)?.iter().filter(|name| !LEFT_OUT.contains(&name.as_str())) {
        copy(&from.join(name), &to.join(name))?;
    }
    let lock = fs::read(from.join(LOCK)).map_err(because(LOCK))?;
    let stamp = to.join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    println!("\n==> SDK environment");
    let mut install = Command::new("npm");
    // No package may run a program of its own while it is installed.
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(&to);
    must("npm ci", &mut install)?;
    fs::write(&stamp, lock).map_err(because(stamp.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop).map_err(because(from.display()));
    }
    fs::create_dir_all(to).map_err(because(to.display()))?;
    for name in names_in(from)?.iter().filter(|name| !LEFT_OUT.contains(&name.as_str())) {
        copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(because(folder.display()))? {
        let name = entry.map_err(because(folder.display()))?.file_name();
        names.push(name.into_string().map_err(|_| Fault::new(format!("{}: a name is not text", folder.display())))?);
    }
    Ok(names)
}

fn folder() -> PathBuf {
    target().join("sdk")
}

const LOCK: &str = "package-lock.json";
const STAMP: &str = "installed.json";
/// What is kept in the copy from run to run.
const KEPT: [&str; 2] = ["node_modules", STAMP];
/// What is made from the sources, wherever somebody made it.
const LEFT_OUT: [&str; 4] = ["node_modules", "dist", "lib", "built"];
