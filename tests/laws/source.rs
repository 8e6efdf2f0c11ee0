//! Reads the repository for the laws: its files, and Rust text split into names, comments, texts and signs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One piece of Rust text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// An identifier or keyword.
    Name(String),
    /// A comment, with its slashes.
    Comment(String),
    /// A string, byte string or character literal, without its quotes.
    Text(String),
    /// Any other sign that is not white space.
    Sign(char),
}

/// A piece and the line it begins on, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) piece: Piece,
    pub(crate) line: usize,
}

/// What breaks a law, gathered so that one run shows every offence.
#[derive(Default)]
pub(crate) struct Offences(Vec<String>);

impl Offences {
    /// Notes the offence unless the law holds.
    pub(crate) fn unless(&mut self, holds: bool, offence: impl FnOnce() -> String) {
        if !holds {
            self.0.push(offence());
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Fails when there is any.
    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "the law is broken {} times:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// The repository's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// Paths, from the root, of the files that are or would be committed.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("the laws need git to know what is committed: install it");
    assert!(listed.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr));
    let files: Vec<String> = String::from_utf8(listed.stdout)
        .expect("paths are UTF-8")
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(files.len() > 20, "git lists only {} files: the laws would judge nothing", files.len());
    files
}

/// Paths of the Rust files.
pub(crate) fn rust_files() -> Vec<String> {
    files().into_iter().filter(|path| has_ending(path, "rs")).collect()
}

/// Whether a path ends in `.ending`.
pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

/// A file's text; `None` where it is not UTF-8 (a picture, a seed of a fuzz target).
pub(crate) fn text(path: &str) -> Option<String> {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"));
    String::from_utf8(bytes).ok()
}

/// A Rust file, split.
pub(crate) fn pieces_of(path: &str) -> Vec<Placed> {
    split(&text(path).unwrap_or_else(|| panic!("{path} is not UTF-8")))
}

/// Splits Rust text. It knows nested comments, raw strings and lifetimes, which is what it takes not to confuse them.
pub(crate) fn split(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let begin = at;
        let piece = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                at = find(&chars, at, |c| c == '\n');
                Some(Piece::Comment(chars[begin..at].iter().collect()))
            }
            '/' if chars.get(at + 1) == Some(&'*') => {
                at = block_end(&chars, at);
                Some(Piece::Comment(chars[begin..at].iter().collect()))
            }
            '"' => {
                at = quote_end(&chars, at);
                Some(Piece::Text(chars[begin + 1..at.saturating_sub(1).max(begin + 1)].iter().collect()))
            }
            '\'' => match char_end(&chars, at) {
                Some(end) => {
                    at = end;
                    Some(Piece::Text(chars[begin + 1..end - 1].iter().collect()))
                }
                None => {
                    // A lifetime is a name of its own, not an identifier.
                    at = find(&chars, at + 1, |c| !is_name(c));
                    None
                }
            },
            c if c.is_alphabetic() || c == '_' => {
                at = find(&chars, at, |c| !is_name(c));
                let name: String = chars[begin..at].iter().collect();
                match raw_end(&chars, at, &name) {
                    Some(end) => {
                        let body = chars[at..end].iter().collect();
                        at = end;
                        Some(Piece::Text(body))
                    }
                    None => Some(Piece::Name(name)),
                }
            }
            c if c.is_ascii_digit() => {
                at = find(&chars, at, |c| !is_name(c));
                None
            }
            c => {
                at += 1;
                (!c.is_whitespace()).then_some(Piece::Sign(c))
            }
        };
        if let Some(piece) = piece {
            out.push(Placed { piece, line });
        }
        line += chars[begin..at].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| stop(chars[*at])).unwrap_or(chars.len())
}

fn block_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quote_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn char_end(chars: &[char], from: usize) -> Option<usize> {
    if chars.get(from + 1) == Some(&'\\') {
        return Some(find(chars, from + 3, |c| c == '\'') + 1);
    }
    (chars.get(from + 2) == Some(&'\'')).then_some(from + 3)
}

/// Where a raw string ends whose prefix (`r`, `br`, `cr`) was just read; `None` when it is a plain name.
fn raw_end(chars: &[char], at: usize, name: &str) -> Option<usize> {
    if !matches!(name, "r" | "br" | "cr") {
        return None;
    }
    let hashes = find(chars, at, |c| c != '#') - at;
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = at + hashes + 1;
    (body..chars.len()).find(|i| chars[*i..].starts_with(&closing)).map(|i| i + closing.len())
}

#[test]
fn comments_texts_and_lifetimes_are_told_apart() {
    let names: Vec<String> = split(
        "fn a<'x>(b: &'x str) { /* c /* d */ e */ let f = \"g \\\" h\"; // i\n let j = r#\"k\"l\"#; let m = '\\''; n('o') }",
    )
    .into_iter()
    .filter_map(|placed| match placed.piece {
        Piece::Name(name) => Some(name),
        _ => None,
    })
    .collect();
    assert_eq!(names, ["fn", "a", "b", "str", "let", "f", "let", "j", "let", "m", "n"]);
}

#[test]
fn lines_are_counted_through_comments_and_texts() {
    let last = split("/* 1\n2 */\n\"3\n4\"\nfive").pop().expect("there is a last piece");
    assert_eq!((last.piece, last.line), (Piece::Name("five".to_owned()), 5));
}
