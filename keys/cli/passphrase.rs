//! Passphrases: from a file that a test or an automaton names, otherwise from the terminal without an echo.

use std::io::IsTerminal;
use std::path::Path;

use strongroom_keys::share::Passphrase;
use strongroom_wire::limits;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::file;

/// A new passphrase: from the file, or typed twice.
pub(crate) fn choose(custodian: &str, from: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(path) = from {
        return read(path);
    }
    let first = prompt(&format!(
        "{custodian}, choose a passphrase ({} characters or more, not shown): ",
        limits::PASSPHRASE_CHARS_MIN
    ))?;
    let again = prompt(&format!("{custodian}, the same passphrase again: "))?;
    if first.is_same(&again) {
        return Ok(first);
    }
    Err(Failure::new("the two passphrases differ; nothing was written", "begin again"))
}

/// The passphrase of a share: from the file, or typed.
pub(crate) fn ask(custodian: &str, from: Option<&Path>) -> Result<Passphrase, Failure> {
    match from {
        Some(path) => read(path),
        None => prompt(&format!("{custodian}, your passphrase (not shown): ")),
    }
}

/// The first line is the passphrase; a file that others may read is refused.
fn read(path: &Path) -> Result<Passphrase, Failure> {
    // Two bytes more than a passphrase, for the end of its line.
    let text = file::read_text(path, limits::PASSPHRASE_BYTES_MAX + 2)?;
    file::owner_only(path)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Failure::new(
            format!("{} has more than one line", path.display()),
            "a passphrase file has the passphrase as its only line",
        ));
    }
    Passphrase::new(Zeroizing::new(line.to_owned())).map_err(Failure::of)
}

fn prompt(question: &str) -> Result<Passphrase, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            "a passphrase is needed and there is no terminal to ask at",
            "run it in a terminal, or name a file with --passphrase-file",
        ));
    }
    let config = rpassword::ConfigBuilder::new().password_feedback_hide().build();
    let text = rpassword::prompt_password_with_config(question, config)
        .map_err(|e| Failure::new(format!("the terminal cannot be read ({})", e.kind()), "try another terminal"))?;
    Passphrase::new(Zeroizing::new(text)).map_err(Failure::of)
}
