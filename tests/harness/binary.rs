//! Where the programs under test are: beside the running test, as one `cargo build` leaves them.

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{Fault, Result, because};

/// A program of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// The vault.
    Vaultd,
    /// The security team's tool.
    Vaultctl,
    /// The payment engine.
    Orchestratord,
    /// The PSP of demos and tests.
    Simulator,
    /// The endpoint without a vault that benches compare with.
    BareEndpoint,
    /// The proxy without an orchestrator that benches compare with.
    BareProxy,
    /// The load generator of the benches.
    Load,
}

impl Binary {
    /// Every program.
    pub const ALL: [Binary; 7] = [
        Binary::Vaultd,
        Binary::Vaultctl,
        Binary::Orchestratord,
        Binary::Simulator,
        Binary::BareEndpoint,
        Binary::BareProxy,
        Binary::Load,
    ];

    /// Its file name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Binary::Vaultd => "vaultd",
            Binary::Vaultctl => "vaultctl",
            Binary::Orchestratord => "orchestratord",
            Binary::Simulator => "psp-simulator",
            Binary::BareEndpoint => "bare-endpoint",
            Binary::BareProxy => "bare-proxy",
            Binary::Load => "load",
        }
    }
}

/// The program's path.
///
/// # Errors
/// When it was not built; the fault says how to build it.
pub fn path_of(binary: Binary) -> Result<PathBuf> {
    let path = folder()?.join(binary.name());
    if path.is_file() {
        return Ok(path);
    }
    Err(Fault::new(format!(
        "{} is not built; run `cargo build --workspace --bins`, or `cargo xtask test`, which does",
        binary.name()
    )))
}

/// From now on programs are taken from this folder; the first call counts. Benches run what was optimized.
pub fn take_from(folder: PathBuf) {
    let _ = CHOSEN.set(folder);
}

/// The folder of the programs: the chosen one, or the folder that the running program was built into.
///
/// # Errors
/// When the running program cannot be found.
fn folder() -> Result<PathBuf> {
    if let Some(chosen) = CHOSEN.get() {
        return Ok(chosen.clone());
    }
    let running = env::current_exe().map_err(because("cannot tell where this program is"))?;
    let mut folder = running.parent().unwrap_or(&running).to_path_buf();
    if folder.ends_with("deps") {
        folder.pop();
    }
    Ok(folder)
}

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();
