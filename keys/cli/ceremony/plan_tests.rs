//! Ceremony files that are and are not taken.

use super::*;

fn reviewed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ceremonies").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_ceremony_file_of_the_repository_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ceremonies");
    let mut kinds = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let plan = Plan::read(&file.unwrap().path()).unwrap();
        kinds.push(plan.kind.as_str());
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["founding", "new-root", "redeal", "unseal-drill"]);
}

#[track_caller]
fn refused(file: &str, from: &str, to: &str) -> String {
    let text = reviewed(file);
    assert!(text.contains(from), "{file} has no {from}");
    Plan::parse(&text.replacen(from, to, 1)).expect_err("an unsound ceremony was taken")
}

#[test]
fn what_is_not_sound_is_refused_with_its_key() {
    for (file, from, to, key) in [
        ("founding.toml", "format = 1", "format = 2", "format"),
        ("founding.toml", "threshold = 3", "threshold = 1", "threshold"),
        ("founding.toml", "threshold = 3", "threshold = 6", "threshold"),
        ("founding.toml", "threshold = 3 ", "# ", "threshold"),
        ("founding.toml", "name = \"Ben\"", "name = \"Ada\"", "custodian"),
        ("founding.toml", "name = \"Ben\"", "name = \"\"", "name"),
        ("founding.toml", "name = \"Wanda\"", "name = \"Ada\"", "witness"),
        ("founding.toml", "out = \"founding\"", "out = \"../founding\"", "out"),
        ("founding.toml", "out = \"founding\"", "out = \"/founding\"", "out"),
        ("founding.toml", "out = \"founding\"", "out = \"\"", "out"),
        ("founding.toml", "\"share-1.json\", ", "", "expect.files"),
        ("founding.toml", "\"share-1.json\"", "\"root.key\"", "expect.files"),
        ("redeal.toml", "sha256 = \"", "sha256 = \"F", "from.sha256"),
        ("redeal.toml", "media/ada/share-1.json", "media/ben/share-2.json", "present.share"),
        ("unseal-drill.toml", "out = ", "threshold = 2\nout = ", "threshold"),
        (
            "new-root.toml",
            "[[witness]]",
            "[[present]]\nname = \"Ada\"\nrole = \"x\"\nshare = \"a\"\n[[witness]]",
            "present",
        ),
    ] {
        let why = refused(file, from, to);
        assert!(why.contains(key), "{file}, {to}: {why}");
    }
}

#[test]
fn an_unknown_key_or_kind_is_refused() {
    assert!(refused("founding.toml", "title", "passphrase = \"x\"\ntitle").contains("passphrase"));
    assert!(refused("founding.toml", "kind = \"founding\"", "kind = \"feast\"").contains("feast"));
    assert!(refused("founding.toml", "role = ", "share = \"x\"\nrole = ").contains("share"));
}

#[test]
fn a_ceremony_over_its_limits_is_refused() {
    let text = reviewed("founding.toml");
    let titled = |chars: usize| {
        let start = text.find("title = \"").unwrap();
        let end = start + text[start..].find('\n').unwrap();
        Plan::parse(&text.replace(&text[start..end], &format!("title = \"{}\"", "ü".repeat(chars))))
    };
    assert!(titled(limits::CEREMONY_TEXT_CHARS_MAX).is_ok());
    assert!(titled(limits::CEREMONY_TEXT_CHARS_MAX + 1).is_err());
    let known = text.matches("[[witness]]").count();
    let witnessed = |count: usize| {
        let more: String =
            (known..count).map(|n| format!("\n[[witness]]\nname = \"w{n}\"\nrole = \"looks on\"\n")).collect();
        Plan::parse(&format!("{text}{more}"))
    };
    assert!(witnessed(limits::CEREMONY_WITNESSES_MAX).is_ok());
    assert!(witnessed(limits::CEREMONY_WITNESSES_MAX + 1).is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.toml");
    let padded = |bytes: usize| format!("{text}{}", "#".repeat(bytes - text.len()));
    std::fs::write(&path, padded(limits::CEREMONY_BYTES_MAX)).unwrap();
    assert!(Plan::read(&path).is_ok());
    std::fs::write(&path, padded(limits::CEREMONY_BYTES_MAX + 1)).unwrap();
    assert!(Plan::read(&path).is_err());
}
