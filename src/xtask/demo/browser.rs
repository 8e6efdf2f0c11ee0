//! A browser window for the demo: an installed Chromium with a profile of its own, which trusts the demo's certificate and
//! nothing more than others do.

use std::process::{Child, Command, Stdio};

use strongroom_tests::harness::{Fault, Result, World};

/// A running browser. Dropping it closes it.
pub(super) struct Window(Child);

/// Opens an address.
///
/// # Errors
/// When no Chromium is installed.
pub(super) fn start(world: &World, address: &str) -> Result<Window> {
    let pin = world.pki.pin(&world.pki.server("server")?)?;
    let key = pin.strip_prefix("sha256/").ok_or_else(|| Fault::new("a pin of an unknown kind"))?;
    let mut tried = Vec::new();
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command
            .arg(format!("--user-data-dir={}", world.path().join("browser").display()))
            // One key, for this profile alone: every other certificate is judged as ever.
            .arg(format!("--ignore-certificate-errors-spki-list={key}"))
            .args(["--no-first-run", "--no-default-browser-check", "--disable-sync", "--new-window"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            // Chromium's own sandbox refuses root.
            command.arg("--no-sandbox");
        }
        match command.arg(address).spawn() {
            Ok(child) => return Ok(Window(child)),
            Err(error) => tried.push(format!("{program}: {error}")),
        }
    }
    Err(Fault::new(format!("`--open` needs an installed Chromium ({})", tried.join("; "))))
}

impl Drop for Window {
    fn drop(&mut self) {
        // It may have been closed by hand; then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The names that distributions give it.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
