//! The walls between the rooms of the vault, from the paths that its sources name.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{self, Offences, Piece, Placed};

/// What each room may name, itself always. `src/ARCHITECTURE.md` shows the same table to people.
const ROOMS: [(&str, &[&str]); 10] = [
    ("card", &[]),
    ("policy", &[]),
    ("audit", &["policy", "telemetry"]),
    ("barrier", &["card", "policy", "audit"]),
    ("store", &["telemetry"]),
    ("egress", &["card"]),
    ("flow", &["card", "policy", "audit", "barrier", "store", "egress", "telemetry"]),
    ("api", &["flow", "card", "policy", "audit", "telemetry"]),
    ("dialect", &["api", "flow", "card", "policy"]),
    ("telemetry", &[]),
];

/// Rooms that may name `strongroom_keys`: where a key is used, and where a ceremony brings it in. A dialect opens and seals
/// messages with keys of its own, and has none of the vault's.
const NEAR_KEYS: [&str; 4] = ["audit", "barrier", "dialect", "flow"];

/// The one file that names the AES-GCM crate, so that nobody seals with a key but without a context.
const AEAD: &str = "keys/aead.rs";

const VAULT: &str = "src/vault/";

#[test]
fn no_room_names_one_that_its_wall_forbids() {
    let mut offences = Offences::default();
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let mut seen = 0;
    for path in vault_files() {
        let Some(room) = room_of(&path) else { continue };
        let allowed = rooms.get(room).unwrap_or_else(|| {
            panic!("{path}: the room `{room}` is new: say in ROOMS and in src/ARCHITECTURE.md what it may name")
        });
        for (named, line) in rooms_named(&path, &source::pieces_of(&path)) {
            seen += 1;
            let foreign = named != room && rooms.contains_key(named.as_str());
            offences.unless(!foreign || allowed.contains(&named.as_str()), || {
                format!("{path}:{line}: `{room}` names `{named}`: src/ARCHITECTURE.md says which room may use which")
            });
        }
    }
    assert!(seen > 20, "only {seen} paths between rooms were read");
    offences.none();
}

#[test]
fn only_rooms_near_keys_name_the_key_crate() {
    let mut offences = Offences::default();
    for path in vault_files() {
        let Some(room) = room_of(&path) else { continue };
        for placed in source::pieces_of(&path) {
            offences
                .unless(placed.piece != Piece::Name("strongroom_keys".to_owned()) || NEAR_KEYS.contains(&room), || {
                    format!("{path}:{}: `{room}` names the key crate: only {NEAR_KEYS:?} may", placed.line)
                });
        }
    }
    offences.none();
}

#[test]
fn one_file_names_the_cipher() {
    let naming: BTreeSet<String> = source::rust_files()
        .into_iter()
        .filter(|path| {
            source::pieces_of(path)
                .iter()
                .any(|placed| matches!(&placed.piece, Piece::Name(name) if name == "aes_gcm" || name == "Aes256Gcm"))
        })
        .collect();
    assert_eq!(naming, BTreeSet::from([AEAD.to_owned()]), "AES-GCM is named outside of {AEAD}");
}

#[test]
fn the_page_shows_the_rooms_that_hold() {
    let page = source::text("src/ARCHITECTURE.md").expect("the page is UTF-8");
    for (room, allowed) in ROOMS {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{room}` |")))
            .unwrap_or_else(|| panic!("src/ARCHITECTURE.md has no row for `{room}` in its table of rooms"));
        let shown: BTreeSet<&str> =
            row.split('|').nth(2).unwrap_or_default().split(',').map(str::trim).filter(|word| *word != "–").collect();
        assert_eq!(
            shown,
            allowed.iter().copied().collect(),
            "the row of `{room}` in src/ARCHITECTURE.md differs from the law"
        );
    }
}

#[test]
fn a_forbidden_path_is_seen_however_it_is_spelt() {
    let named = |path: &str, text: &str| -> Vec<String> {
        rooms_named(path, &source::split(text)).into_iter().map(|(room, _)| room).collect()
    };
    assert_eq!(named("src/vault/store/mod.rs", "use crate::card::Pan;"), ["card"]);
    assert_eq!(
        named("src/vault/store/mod.rs", "use crate::{clock::Clock, card::{Pan, Cvc}, audit};"),
        ["clock", "card", "audit"]
    );
    assert_eq!(named("src/vault/store/mod.rs", "fn f(x: &super::card::Pan) {}"), ["card"]);
    assert_eq!(named("src/vault/store/sqlite/mod.rs", "use super::super::card::Pan;"), ["card"]);
    assert_eq!(named("src/vault/store/mod.rs", "// crate::card is not named here"), Vec::<String>::new());
    assert_eq!(named("src/vault/store/sqlite/mod.rs", "use super::card::Row;"), Vec::<String>::new());
}

fn vault_files() -> Vec<String> {
    source::rust_files().into_iter().filter(|path| path.starts_with(VAULT)).collect()
}

/// The room of a file; `None` for files beside the rooms and for the crate's own tests, which see what the public sees.
fn room_of(path: &str) -> Option<&str> {
    let (room, _) = path.strip_prefix(VAULT)?.split_once('/')?;
    (room != "tests").then_some(room)
}

/// The first segment after the crate's root of every path that a file names, with its line.
fn rooms_named(path: &str, pieces: &[Placed]) -> Vec<(String, usize)> {
    let depth = depth_of(path);
    let signs: Vec<(&Piece, usize)> = pieces
        .iter()
        .filter(|placed| !matches!(placed.piece, Piece::Comment(_) | Piece::Text(_)))
        .map(|placed| (&placed.piece, placed.line))
        .collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < signs.len() {
        let mut after = at + 1;
        let rooted = match signs[at].0 {
            Piece::Name(name) if name == "crate" => true,
            Piece::Name(name) if name == "super" => {
                let mut supers = 1;
                while is_path(&signs, after)
                    && matches!(signs.get(after + 2), Some((Piece::Name(name), _)) if name == "super")
                {
                    supers += 1;
                    after += 3;
                }
                supers == depth
            }
            _ => false,
        };
        if rooted && is_path(&signs, after) {
            out.extend(segments(&signs, after + 2));
        }
        at = after;
    }
    out
}

/// How many `super` lead from a file to the crate's root.
fn depth_of(path: &str) -> usize {
    let inside = path.strip_prefix(VAULT).unwrap_or(path);
    let steps = inside.split('/').count();
    if inside.ends_with("/mod.rs") { steps - 1 } else { steps }
}

fn is_path(signs: &[(&Piece, usize)], at: usize) -> bool {
    let colon = Piece::Sign(':');
    matches!((signs.get(at), signs.get(at + 1)), (Some((a, _)), Some((b, _))) if **a == colon && **b == colon)
}

/// The name at `at`, or the first names of each item of the group that begins there.
fn segments(signs: &[(&Piece, usize)], at: usize) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    match signs.get(at) {
        Some((Piece::Name(name), line)) => out.push((name.clone(), *line)),
        Some((Piece::Sign('{'), _)) => {
            let (mut depth, mut fresh) = (0, false);
            for (piece, line) in &signs[at..] {
                match piece {
                    Piece::Sign('{') => (depth, fresh) = (depth + 1, depth == 0),
                    Piece::Sign('}') => depth -= 1,
                    Piece::Sign(',') if depth == 1 => fresh = true,
                    Piece::Name(name) if depth == 1 && fresh => {
                        out.push((name.clone(), *line));
                        fresh = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        }
        _ => {}
    }
    out
}
