//! Every limit of the one table holds somewhere and is tried by a test.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{self, Offences, Piece};

const TABLE: &str = "src/wire/limits.rs";

#[test]
fn every_limit_holds_somewhere() {
    let mut offences = Offences::default();
    let used = names_by_place();
    for limit in limits() {
        offences.unless(used.held.contains(&limit), || {
            format!("{limit} stands in {TABLE} and nothing reads it: a limit that is not held is none")
        });
    }
    offences.none();
}

#[test]
fn every_limit_is_tried_by_a_test() {
    let mut offences = Offences::default();
    let used = names_by_place();
    for limit in limits() {
        offences.unless(used.tried.contains(&limit), || {
            format!("no test names {limit}: write one that goes one beyond it")
        });
    }
    offences.none();
}

#[test]
fn every_limit_is_explained_and_ends_in_its_unit() {
    let mut offences = Offences::default();
    let pieces = source::pieces_of(TABLE);
    let mut explained: BTreeMap<String, bool> = BTreeMap::new();
    let mut comment = false;
    for (at, placed) in pieces.iter().enumerate() {
        match &placed.piece {
            Piece::Comment(text) => comment = text.starts_with("///"),
            Piece::Name(name) if name == "const" => {
                if let Some(Piece::Name(limit)) = pieces.get(at + 1).map(|next| &next.piece) {
                    explained.insert(limit.clone(), comment);
                }
                comment = false;
            }
            _ => {}
        }
    }
    for (limit, explained) in explained {
        offences.unless(explained, || format!("{limit} has no comment that says what it bounds and in which unit"));
        let last_two: Vec<&str> = limit.rsplit('_').take(2).collect();
        offences.unless(last_two.iter().any(|word| matches!(*word, "MAX" | "MIN" | "DEFAULT" | "S" | "MS")), || {
            format!("{limit} does not end in what it is: _MAX, _MIN, _DEFAULT or a unit")
        });
    }
    offences.none();
}

/// The names of the constants of the table.
fn limits() -> Vec<String> {
    let pieces = source::pieces_of(TABLE);
    let names: Vec<String> = pieces
        .windows(2)
        .filter_map(|pair| match (&pair[0].piece, &pair[1].piece) {
            (Piece::Name(word), Piece::Name(name)) if word == "const" => Some(name.clone()),
            _ => None,
        })
        .collect();
    assert!(names.len() > 30, "only {} limits were read from {TABLE}", names.len());
    names
}

struct Names {
    held: BTreeSet<String>,
    tried: BTreeSet<String>,
}

/// Names in product code and names in tests, of every Rust file but the table. What follows `#[cfg(test)]` in a file,
/// and every file of a `tests` folder or called `tests.rs`, is test code.
fn names_by_place() -> Names {
    let mut names = Names { held: BTreeSet::new(), tried: BTreeSet::new() };
    for path in source::rust_files().into_iter().filter(|path| path != TABLE) {
        let mut test = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs")
            || path.contains("/conformance/")
            || path.ends_with("conformance.rs");
        let mut previous = String::new();
        for placed in source::pieces_of(&path) {
            let Piece::Name(name) = placed.piece else { continue };
            // `cfg(test)` and then `mod tests` stand last in a file by the house's order.
            test |= previous == "mod" && name.ends_with("tests");
            if test {
                names.tried.insert(name.clone())
            } else {
                names.held.insert(name.clone())
            };
            previous = name;
        }
    }
    names
}
