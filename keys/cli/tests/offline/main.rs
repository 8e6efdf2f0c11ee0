//! vaultctl without a vault: dealing anew, custodians looking after their shares, and ceremonies.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up stops there")]

mod ceremony;
mod shares;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use strongroom_keys::root::Descriptor;
use tempfile::TempDir;

/// A folder in which vaultctl runs.
pub(crate) struct Room {
    folder: TempDir,
}

impl Room {
    /// A folder with the passphrases `p1` to `p6`.
    pub(crate) fn new() -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap() };
        for n in 1..=6 {
            room.secret(&format!("p{n}"), &format!("the passphrase of custodian {n}\n"));
        }
        room
    }

    /// Five shares of which three are needed, in `old`.
    pub(crate) fn founded() -> Self {
        let room = Self::new();
        let people = "--custodian Ada --custodian Ben --custodian Cleo --custodian Dan --custodian Eve";
        let words = passphrases("--passphrase-file", 1..=5);
        room.done(&format!("init --shares 5 --threshold 3 --out old --open-milliseconds 0 {people}{words}"));
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn secret(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub(crate) fn descriptor(&self, name: &str) -> Descriptor {
        Descriptor::parse(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vaultctl"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs what has to succeed; its standard output.
    pub(crate) fn done(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what has to be refused; its standard error.
    pub(crate) fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The flag, once for each number, with its passphrase file.
pub(crate) fn passphrases(flag: &str, numbers: impl IntoIterator<Item = u8>) -> String {
    numbers.into_iter().map(|n| format!(" {flag} p{n}")).collect()
}
