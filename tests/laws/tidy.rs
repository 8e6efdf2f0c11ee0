//! Tidiness: lengths, first lines, words with a better replacement, and what never belongs in the sources.

use crate::source::{self, Offences, Piece, Placed};

/// Longest file, in lines; one that grows beyond holds more than one idea.
const LINES_MAX: usize = 500;

/// Longest line of prose or code, in characters; `rustfmt.toml` wraps code at 120, texts may stand out a little.
const COLUMNS_MAX: usize = 160;

/// Words that say nothing, and what to say instead.
const EMPTY_WORDS: [(&str, &str); 11] = [
    ("data", "say what it is: card, body, row, rules, entry"),
    ("manager", "say what it does: log, store, barrier"),
    ("managers", "say what they do"),
    ("mgr", "say what it does"),
    ("service", "say which process or room: vaultd, intake, store"),
    ("services", "say which"),
    ("util", "give the function the file of its idea"),
    ("utils", "give each function the file of its idea"),
    ("helper", "name what it does"),
    ("helpers", "name what they do"),
    ("misc", "name what it is"),
];

/// Words that say nothing in prose either. `data` and `service` are left out: "associated data" and "payment service
/// provider" are terms of the field.
const EMPTY_IN_PROSE: [&str; 6] = ["manager", "managers", "util", "utils", "helper", "helpers"];

/// Names that others gave, which we must spell as they do.
const NAMES_OF_OTHERS: [(&str, &str); 47] = [
    ("Data", "actix-web's extractor of shared state"),
    ("app_data", "actix-web's registration of shared state"),
    ("data", "Stripe's lists and the dialect's recurring_details call their content so"),
    ("req_data", "actix-web's extensions of a request"),
    ("conn_data", "actix-web's extensions of a connection"),
    ("on_connect_data", "actix-http's extensions of a connection"),
    ("actix_service", "the crate"),
    ("futures_util", "the crate"),
    ("hyper_util", "the crate"),
    ("http_body_util", "the crate"),
    ("into_data", "http-body's frame as bytes"),
    ("Service", "actix's trait"),
    ("service", "actix-web's registration of routes"),
    ("web_service", "actix-web's registration of routes"),
    ("init_service", "actix-web's application in a test"),
    ("call_service", "actix-web's request to it"),
    ("default_service", "actix-web's fallback route"),
    ("service_fn", "actix's adapter"),
    ("fn_service", "actix's adapter"),
    ("fn_factory", "actix's adapter"),
    ("fn_factory_with_config", "actix's adapter"),
    ("ServiceFactory", "actix's trait"),
    ("ServiceFactoryExt", "actix's trait"),
    ("ServiceRequest", "actix-web's request in middleware"),
    ("ServiceResponse", "actix-web's answer in middleware"),
    ("ServiceConfig", "actix-web's route registration"),
    ("HttpService", "actix-http's protocol driver"),
    ("HttpServiceBuilder", "actix-http's protocol driver"),
    ("IntoServiceFactory", "actix's trait"),
    ("IntoService", "actix's trait"),
    ("HttpServiceFactory", "actix-web's trait"),
    ("forward_ready", "actix's macro"),
    ("payment_method_data", "field of the native dialect"),
    ("PaymentMethodData", "type of the field payment_method_data"),
    ("authentication_data", "field of the native dialect"),
    ("mandate_data", "field of the native dialect"),
    ("MandateData", "type of the field mandate_data"),
    ("three_ds_data", "field of the native dialect"),
    ("associated_data", "the term of RFC 5116"),
    ("no_two_places_share_associated_data", "the term of RFC 5116"),
    ("PhantomData", "the standard library's marker"),
    ("sync_data", "the standard library's fdatasync"),
    ("fdatasync", "POSIX"),
    ("from_data", "proptest's and serde's constructors"),
    ("data_mut", "the bytes of an actix extension"),
    ("Manager", "deadpool-postgres's maker of connections"),
    ("ManagerConfig", "deadpool-postgres's settings of it"),
];

#[test]
fn a_file_holds_one_idea() {
    let mut offences = Offences::default();
    for path in written_files() {
        let lines = source::text(&path).expect("sources are UTF-8").lines().count();
        offences.unless(lines <= LINES_MAX, || format!("{path} has {lines} lines, more than {LINES_MAX}: split it"));
    }
    offences.none();
}

#[test]
fn a_file_opens_with_its_purpose() {
    let mut offences = Offences::default();
    for path in written_files() {
        let text = source::text(&path).expect("sources are UTF-8");
        let first = text.lines().next().unwrap_or_default();
        let purpose = ["//!", "// ", "/**"].iter().find_map(|mark| first.strip_prefix(mark)).unwrap_or_default().trim();
        offences
            .unless(purpose.len() >= 15, || format!("{path} does not open with a sentence that says what it is for"));
        offences.unless(!purpose.contains("placeholder") && !purpose.contains("being written"), || {
            format!("{path} is announced and not written")
        });
    }
    offences.none();
}

#[test]
fn no_line_runs_out_of_sight() {
    let mut offences = Offences::default();
    for path in written_files() {
        for (line, text) in source::text(&path).expect("sources are UTF-8").lines().enumerate() {
            let columns = text.chars().count();
            offences.unless(columns <= COLUMNS_MAX, || {
                format!("{path}:{} has {columns} columns, more than {COLUMNS_MAX}", line + 1)
            });
        }
    }
    offences.none();
}

#[test]
fn no_name_is_an_empty_word() {
    let mut offences = Offences::default();
    for path in source::rust_files() {
        for placed in source::pieces_of(&path) {
            let Piece::Name(name) = &placed.piece else { continue };
            if NAMES_OF_OTHERS.iter().any(|(other, _)| other == name) {
                continue;
            }
            for word in words(name) {
                if let Some((_, instead)) = EMPTY_WORDS.iter().find(|(empty, _)| *empty == word) {
                    offences.unless(false, || {
                        format!("{path}:{}: the name `{name}` holds the word `{word}`: {instead}", placed.line)
                    });
                }
            }
        }
    }
    offences.none();
}

#[test]
fn no_file_is_named_by_an_empty_word() {
    let mut offences = Offences::default();
    for path in source::files() {
        for word in path.split(['/', '.', '_', '-']) {
            let found = EMPTY_WORDS.iter().find(|(empty, _)| *empty == word);
            offences.unless(found.is_none(), || {
                format!("{path} is named by an empty word: {}", found.map_or("", |(_, instead)| instead))
            });
        }
    }
    offences.none();
}

#[test]
fn prose_holds_no_empty_word() {
    let mut offences = Offences::default();
    for path in source::rust_files() {
        for placed in source::pieces_of(&path) {
            let Piece::Comment(text) = &placed.piece else { continue };
            for word in text.split(|c: char| !c.is_alphanumeric()) {
                let lower = word.to_lowercase();
                offences.unless(!EMPTY_IN_PROSE.contains(&lower.as_str()), || {
                    format!("{path}:{}: `{lower}` says nothing", placed.line)
                });
            }
        }
    }
    offences.none();
}

#[test]
fn nothing_unfinished_is_committed() {
    let mut offences = Offences::default();
    for path in source::rust_files() {
        let pieces = source::pieces_of(&path);
        for (at, placed) in pieces.iter().enumerate() {
            let Piece::Name(name) = &placed.piece else { continue };
            let called = follows(&pieces, at, '!');
            let attribute =
                at >= 2 && pieces[at - 1].piece == Piece::Sign('[') && pieces[at - 2].piece == Piece::Sign('#');
            let bad = match name.as_str() {
                "todo" | "unimplemented" | "dbg" => called,
                "ignore" => attribute,
                "unsafe" => true,
                _ => false,
            };
            offences.unless(!bad, || format!("{path}:{}: `{name}` does not belong in the repository", placed.line));
        }
    }
    offences.none();
}

#[test]
fn nothing_of_the_workshop_is_told() {
    let mut offences = Offences::default();
    for path in source::files().into_iter().filter(|path| !path.ends_with("Cargo.lock") && path != "LICENSE") {
        let Some(text) = source::text(&path) else { continue };
        for (line, text) in text.lines().enumerate() {
            for place in WORKSHOP {
                let place = place.replace('_', "/");
                let found = text.match_indices(&place).any(|(at, _)| {
                    // `keys/root/mod.rs` is a path of ours; what begins with the slash is the machine's.
                    !text[..at]
                        .chars()
                        .next_back()
                        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '}' | '-'))
                });
                offences.unless(!found, || format!("{path}:{} names a place on somebody's machine: {place}", line + 1));
            }
            for host in REGISTRIES {
                let host = host.replace('_', ".");
                offences
                    .unless(!text.contains(&host), || format!("{path}:{} names a registry's host: {host}", line + 1));
            }
        }
    }
    offences.none();
}

/// Folders of a machine, written with `_` for `/` so that this table does not find itself.
const WORKSHOP: [&str; 4] = ["_work_", "_root_", "_home_", "_tmp_"];

/// Hosts of registries, written with `_` for `.`.
const REGISTRIES: [&str; 6] = [
    "index_crates_io",
    "static_crates_io",
    "files_pythonhosted_org",
    "registry_npmjs_org",
    "deb_debian_org",
    "artifactory_",
];

/// Rust and TypeScript, where people write.
fn written_files() -> Vec<String> {
    source::files()
        .into_iter()
        .filter(|path| {
            (source::has_ending(path, "rs") || source::has_ending(path, "ts")) && !path.contains("/compile_fail/")
        })
        .collect()
}

fn follows(pieces: &[Placed], at: usize, sign: char) -> bool {
    pieces.get(at + 1).is_some_and(|placed| placed.piece == Piece::Sign(sign))
}

/// The words of a name in snake_case, CamelCase or SCREAMING_CASE, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut previous = '_';
    for c in name.chars() {
        if c == '_' {
            out.push(String::new());
        } else {
            if out.is_empty() || (c.is_uppercase() && !previous.is_uppercase() && previous != '_') {
                out.push(String::new());
            }
            out.last_mut().expect("a word was begun").extend(c.to_lowercase());
        }
        previous = c;
    }
    out.retain(|word| !word.is_empty());
    out
}

#[test]
fn names_are_read_word_by_word() {
    assert_eq!(words("card_data"), ["card", "data"]);
    assert_eq!(words("CardData"), ["card", "data"]);
    assert_eq!(words("CARD_DATA_MAX"), ["card", "data", "max"]);
    assert_eq!(words("metadata"), ["metadata"]);
    assert_eq!(words("_x"), ["x"]);
}
