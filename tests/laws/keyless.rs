//! No key material in the repository: no private key, share, development Root or long random text.

use crate::source::{self, Offences};

/// What begins a file that holds a secret. Written in two parts so that this table does not find itself.
const SECRET_HEADS: [(&str, &str); 5] = [
    ("-----BEGIN ", "PRIVATE KEY"),
    ("-----BEGIN RSA ", "PRIVATE KEY"),
    ("-----BEGIN EC ", "PRIVATE KEY"),
    ("-----BEGIN ENCRYPTED ", "PRIVATE KEY"),
    ("-----BEGIN OPENSSH ", "PRIVATE KEY"),
];

/// Endings of files that hold keys, shares, stores or logs.
const SECRET_ENDINGS: [&str; 9] = ["pem", "key", "p12", "pfx", "jks", "db", "db-wal", "db-shm", "sqlite"];

/// Files whose long random texts are published or of no use to anybody, and why.
const KNOWN: [(&str, &str); 24] = [
    ("Cargo.lock", "checksums of dependencies"),
    ("fuzz/Cargo.lock", "checksums of dependencies"),
    ("src/sdk/package-lock.json", "checksums of dependencies"),
    ("src/sdk/dist/inventory.json", "hashes of the published files beside it"),
    ("src/sdk/dist/HASHES.json", "hashes of the published files of every version"),
    ("src/sdk/dist/1.0.0/strongroom.js", "the hash of payments.js, which it fetches"),
    ("tests/specs/package-lock.json", "checksums of dependencies"),
    ("tests/browser/package-lock.json", "checksums of dependencies"),
    ("keys/tlog/mod.rs", "the published hashes of the RFC 6962 test tree"),
    ("keys/tlog/proof.rs", "the published proofs of the RFC 6962 test tree"),
    ("keys/note.rs", "the published example of C2SP signed-note"),
    ("src/vault/card/text.rs", "SHA-256 of the word test, as an example of an id"),
    ("src/orchestrator/connector/adyen/webhook_tests.rs", "the published example of Adyen's webhook signature"),
    ("src/simulator/adyen/event.rs", "the same example"),
    ("keys/sign.rs", "the published vectors of RFC 8032"),
    ("keys/fields.rs", "4242424242424242, encrypted by OpenSSL under a key that counts up from 0"),
    ("src/vault/barrier/fields.rs", "the same"),
    ("src/vault/flow/fields_tests.rs", "the same"),
    ("keys/vectors/rfc9180.json", "the published vectors of RFC 9180"),
    ("keys/vectors/node-sign.json", "public keys derived from keys that count up from 0 or 1"),
    ("src/orchestrator/webhook/sign.rs", "RFC 4231, test case 2, and one more MAC under its published key"),
    ("src/orchestrator/dialect/direct_charges/hooks.rs", "RFC 4231, test case 2, in base64"),
    ("keys/cli/tests/cmd/audit.in/audit.pub", "the published example key of C2SP signed-note"),
    ("keys/cli/tests/cmd/audit.trycmd", "the same public key in the snapshots"),
];

/// Fewest characters of a text that could be 256 bits in base64.
const BASE64_CHARS_MIN: usize = 43;

#[test]
fn no_private_key_is_committed() {
    let mut offences = Offences::default();
    for path in source::files() {
        let bytes = std::fs::read(source::root().join(&path)).expect("listed files are there");
        let text = String::from_utf8_lossy(&bytes);
        for (head, tail) in SECRET_HEADS {
            offences.unless(!text.contains(&format!("{head}{tail}")), || {
                format!("{path} holds a secret: take it out and revoke it")
            });
        }
    }
    offences.none();
}

#[test]
fn no_live_key_of_a_provider_is_committed() {
    let mut offences = Offences::default();
    for path in source::files() {
        let Some(text) = source::text(&path) else { continue };
        for head in ["sk_live_", "rk_live_", "whsec_"] {
            for tail in text.split(head).skip(1) {
                let key = tail.chars().take_while(char::is_ascii_alphanumeric).count();
                offences.unless(key < 16, || format!("{path} holds a provider's live key: take it out and revoke it"));
            }
        }
    }
    offences.none();
}

#[test]
fn no_file_of_keys_shares_or_cards_is_committed() {
    let mut offences = Offences::default();
    for path in source::files() {
        let name = path.rsplit('/').next().unwrap_or(&path);
        let secret = SECRET_ENDINGS.iter().any(|ending| source::has_ending(name, ending))
            || (name.starts_with("share-") && source::has_ending(name, "json"))
            || name == "root.json";
        offences.unless(!secret || path.starts_with("fuzz/seeds/"), || {
            format!("{path}: such files are made for each vault and never committed")
        });
    }
    offences.none();
}

#[test]
fn no_long_random_text_is_committed() {
    let mut offences = Offences::default();
    for path in source::files().into_iter().filter(|path| KNOWN.iter().all(|(known, _)| known != path)) {
        let Some(text) = source::text(&path) else { continue };
        for (line, text) in text.lines().enumerate() {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_'))) {
                offences.unless(!looks_random(word), || {
                    format!(
                        "{path}:{} holds what looks like a key; if it is published, name file and source in KNOWN",
                        line + 1
                    )
                });
            }
        }
    }
    offences.none();
}

/// Whether a word could be a key: 64 and more hexadecimal digits, or base64 of 256 bits and more that no person wrote.
fn looks_random(word: &str) -> bool {
    if word.len() >= 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return distinct(word) > 8;
    }
    let (upper, lower, digit) = (
        word.bytes().filter(u8::is_ascii_uppercase).count(),
        word.bytes().filter(u8::is_ascii_lowercase).count(),
        word.bytes().filter(u8::is_ascii_digit).count(),
    );
    // A path or a name in any case has few digits and few kinds of characters.
    word.len() >= BASE64_CHARS_MIN && upper >= 6 && lower >= 6 && digit >= 3 && distinct(word) >= 22
}

fn distinct(word: &str) -> usize {
    let mut bytes: Vec<u8> = word.bytes().collect();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len()
}

#[test]
fn random_texts_are_told_from_names() {
    let hex: String = (0..32u8).map(|i| format!("{:02x}", i.wrapping_mul(73) ^ 0x5a)).collect();
    assert!(looks_random(&hex));
    let base64: String = (0..44).map(|i| char::from(b"aZ3kQ9xWv7RtB1nYpL5+mC"[i * 7 % 22])).collect();
    assert!(looks_random(&base64));
    assert!(!looks_random("tests/harness/a_rather_long_path/that_somebody_wrote/with_words.rs"));
    assert!(!looks_random(&"0".repeat(64)));
}
