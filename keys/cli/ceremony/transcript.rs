//! The transcript: what was done, by whom, when, with which tool, and the SHA-256 of everything that was written. Never a
//! secret: a sealed share stands in it by its hash.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sha2::{Digest, Sha256};
use strongroom_wire::admin::rfc3339_ms;
use strongroom_wire::hex::hex;
use strongroom_wire::limits;

use crate::failure::Failure;
use crate::file;
use crate::say::Say;

/// Its name in the folder of the ceremony.
pub(crate) const FILE: &str = "transcript.txt";

/// A file that was written, by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Output {
    pub(crate) file: String,
    pub(crate) sha256: String,
}

/// Lines that are said as they come and kept.
pub(crate) struct Transcript<'a> {
    say: &'a Say,
    lines: Vec<String>,
    steps: u32,
}

impl<'a> Transcript<'a> {
    pub(crate) fn begin(say: &'a Say) -> Self {
        let mut transcript = Self { say, lines: Vec::new(), steps: 0 };
        transcript.line("strongroom-ceremony-transcript/1".to_owned());
        transcript.fact("tool", &format!("vaultctl {}", env!("CARGO_PKG_VERSION")));
        transcript.fact("begun", &now());
        transcript
    }

    /// A line with a label.
    pub(crate) fn fact(&mut self, label: &str, text: &str) {
        self.line(format!("{label:<13}{text}"));
    }

    /// Something that was done, with its number and time.
    pub(crate) fn step(&mut self, text: &str) {
        self.steps += 1;
        let label = format!("step {}", self.steps);
        self.fact(&label, &format!("{}  {text}", now()));
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    fn line(&mut self, line: String) {
        self.say.note(&line);
        self.lines.push(line);
    }
}

/// A file's name and SHA-256.
pub(crate) fn output(path: &Path) -> Result<Output, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Output { file: name, sha256: sha256(path)? })
}

/// SHA-256 of a file of a ceremony, 64 hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> Result<String, Failure> {
    let bytes = file::read(path, limits::CEREMONY_BYTES_MAX)?;
    Ok(hex(&Sha256::digest(&bytes[..])))
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Milliseconds fit 64 bits for longer than anybody will ask.
    rfc3339_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
