//! What the tool says: results on standard output, everything else on standard error. The one place that prints.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Says results as text or JSON.
pub(crate) struct Say {
    json: bool,
}

impl Say {
    /// With `json`, results and failures are one JSON document each.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A result: the value in JSON, or the text.
    pub(crate) fn result(&self, value: &impl Serialize, text: &str) {
        if self.json {
            // Every value is a struct of texts and numbers, which always has a JSON form.
            write(&mut io::stdout(), &serde_json::to_string(value).unwrap_or_default());
        } else {
            write(&mut io::stdout(), &printable(text));
        }
    }

    /// Something that a person should know, on standard error.
    #[expect(clippy::unused_self, reason = "whoever speaks holds a Say")]
    pub(crate) fn note(&self, text: &str) {
        write(&mut io::stderr(), &printable(text));
    }

    /// Why it failed, on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            write(&mut io::stderr(), &serde_json::to_string(failure).unwrap_or_default());
        } else {
            write(&mut io::stderr(), &printable(&failure.lines().join("\n")));
        }
    }
}

/// Rows under a head, each column as wide as its widest cell.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(body).collect::<Vec<_>>().join("\n")
}

/// Names and notes come from other people: what could steer a terminal is shown as a mark.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A reader that went away (`| head`) is no failure of the command.
fn write(to: &mut impl Write, text: &str) {
    let _gone = writeln!(to, "{text}").and_then(|()| to.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\rc\nd"), "a\u{fffd}[2Jb\u{fffd}c\nd");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME    N\na       1\nlonger  22");
    }
}
