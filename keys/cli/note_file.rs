//! Signed notes in files: the one that is in a text as a screen showed it, and one kept as it is.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use strongroom_keys::completion::Completion;
use strongroom_keys::destruction::{Destruction, Shredding};
use strongroom_keys::export::ExportNote;
use strongroom_keys::lineage::Handover;
use strongroom_keys::note::Statement as _;
use strongroom_keys::reroot::Reroot;

use crate::failure::Failure;
use crate::file::{self, Mode};

/// Finds the one note in a text: from the first line of a known kind to the last signature line. What stands before and
/// behind it is passed over, and the end of the last line is added where copying lost it; nothing else is mended.
pub(crate) fn find(text: &str) -> Result<Cow<'_, str>, Failure> {
    let lines: Vec<(usize, &str)> = lines(text).collect();
    let begins = |line: &str| HEADS.contains(&line.trim_end_matches('\n'));
    let heads = lines.iter().filter(|(_, line)| begins(line)).count();
    let Some(first) = lines.iter().position(|(_, line)| begins(line)) else {
        return Err(Failure::new(
            "this is not a signed note of the form that is expected here: no line begins a statement of the vault",
            "name a file that holds one note of the vault, from its first line to its signature",
        ));
    };
    let after_text = lines[first..].iter().position(|(_, line)| *line == "\n").map(|place| first + place + 1);
    let signatures = after_text.map_or(0, |from| lines[from..].iter().take_while(|(_, line)| signs(line)).count());
    let end = after_text.map_or(lines.len(), |from| from + signatures);
    // Another statement or signature beside it, even of a kind that is not known here, leaves open which one is meant.
    let others = lines[..first].iter().chain(&lines[end..]).filter(|(_, line)| signs(line)).count();
    if heads > 1 || others > 0 {
        return Err(Failure::new(
            format!("there is more than one note in this file ({heads} begin there)"),
            "put each into a file of its own; --proof-out writes a single note",
        ));
    }
    let cut = lines.get(end).map_or(text.len(), |(at, _)| *at);
    let note = &text[lines[first].0..cut];
    Ok(if note.ends_with('\n') { Cow::Borrowed(note) } else { Cow::Owned(format!("{note}\n")) })
}

/// Refuses to begin what cannot be kept in the end.
pub(crate) fn refuse_taken(path: Option<&PathBuf>) -> Result<(), Failure> {
    match path.filter(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(Failure::new(
            format!("{} exists already; nothing was asked for", path.display()),
            "name another file with --proof-out",
        )),
    }
}

/// Keeps a note in a file of its own. That there is none, or no room for it, leaves the act done and its note missing.
pub(crate) fn keep(path: &Path, note: Option<&String>) -> Result<(), Failure> {
    let Some(note) = note.filter(|text| find(text).is_ok()) else {
        return Err(Failure::new(
            format!("it came without a note, and {} was not written", path.display()),
            "ask again when it is done; not every act ends in a note",
        )
        .in_part());
    };
    file::create(path, Mode::Public, note.as_bytes())
        .map_err(|failure| failure.and("it is done; copy the note from what this command said").in_part())
}

/// Each line with its end, and where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let begin = *at;
        *at += line.len();
        Some((begin, line))
    })
}

/// An em dash and a space begin a signature line.
fn signs(line: &str) -> bool {
    line.starts_with("\u{2014} ")
}

/// The first line of each kind of note.
const HEADS: [&str; 6] =
    [Completion::HEAD, Handover::HEAD, Destruction::HEAD, Shredding::HEAD, ExportNote::HEAD, Reroot::HEAD];

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_keys::sign::Signer;

    use super::*;

    fn note() -> String {
        let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
        Shredding { tenant: "acme".parse().unwrap(), keys: 4, at_ms: 1_764_000_000_123 }.sign(&signer)
    }

    #[test]
    fn the_note_is_found_among_what_a_screen_shows() {
        let note = note();
        for text in [
            note.clone(),
            format!("{note}\n"),
            format!("shred tenant acme: done\n\n{note}\n"),
            format!("\n\n{note}\n\n$ exit\n"),
            format!("acme is on term 2\n\n{}", note.trim_end()),
        ] {
            assert_eq!(find(&text).unwrap(), note, "{text}");
        }
    }

    #[test]
    fn the_note_itself_is_not_mended() {
        let note = note();
        for text in [note.replace('\n', "\r\n"), note.replace("acme", "ac\nme"), note[..note.len() - 2].to_owned()] {
            assert!(find(&text).map_or(true, |found| found != note), "{text}");
        }
        // What is added to its text stays in it, for the signature to refuse.
        assert!(find(&note.replace("\n\n", "\nmore\n\n")).unwrap().contains("more"));
    }

    #[test]
    fn two_notes_or_a_second_signature_elsewhere_are_refused() {
        let note = note();
        let signature = note.lines().last().unwrap();
        for text in [
            format!("{note}{note}"),
            format!("{note}\nacme: done\n\n{note}"),
            format!("{}\n{note}", Shredding::HEAD),
            format!("strongroom-invention/1\n\n{signature}\n{note}"),
            format!("{note}\nstrongroom-invention/1\n\n{signature}\n"),
        ] {
            let why = find(&text).unwrap_err().lines().join("\n");
            assert!(why.contains("more than one note"), "{text}: {why}");
        }
        assert!(find("strongroom-invention/1\n").is_err());
    }

    #[test]
    fn a_note_that_is_missing_or_in_the_way_is_said_and_the_act_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        assert_eq!(keep(&path, None).unwrap_err().code(), 3);
        assert_eq!(keep(&path, Some(&"pending".to_owned())).unwrap_err().code(), 3);
        assert!(refuse_taken(Some(&path)).is_ok() && !path.exists());
        keep(&path, Some(&note())).unwrap();
        assert!(refuse_taken(Some(&path)).is_err());
        assert_eq!(keep(&path, Some(&note())).unwrap_err().code(), 3);
    }
}
