//! `vaultctl ceremony`, as a rehearsal: what the file says is done, and nothing else.

use sha2::{Digest, Sha256};
use strongroom_keys::duty::DUTY;

use super::{Room, passphrases};

fn hash(room: &Room, file: &str) -> String {
    Sha256::digest(std::fs::read(room.path(file)).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A ceremony file of the repository, with shorter openings.
fn plan(room: &Room, name: &str, changes: &[(&str, &str)]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ceremonies").join(name);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes.iter().chain(&[("open_milliseconds = 1000", "open_milliseconds = 0")]) {
        text = text.replace(from, to);
    }
    std::fs::write(room.path(name), text).unwrap();
}

/// The same, about a root.json that there is.
fn plan_of(room: &Room, name: &str, root: &str, changes: &[(&str, &str)]) {
    let (sum, id) = (hash(room, root), room.descriptor(root).vault_id().to_string());
    let root = format!("root = \"{root}\"");
    let mut all = vec![
        ("root = \"root.json\"", root.as_str()),
        ("7f3c1d52-0a64-4f0e-9a57-3c2f6f0b8e11", id.as_str()),
        ("0000000000000000000000000000000000000000000000000000000000000000", sum.as_str()),
        ("media/ada/", "founding/"),
        ("media/ben/", "founding/"),
        ("media/cleo/", "founding/"),
        ("media/dan/", "founding/"),
        ("media/eve/", "founding/"),
    ];
    all.extend(changes);
    plan(room, name, &all);
}

fn found(room: &Room) -> String {
    plan(room, "founding.toml", &[]);
    let words = passphrases("--passphrase-file", 1..=5);
    room.done(&format!("ceremony run founding.toml --acknowledge{words}"))
}

#[test]
fn a_founding_writes_what_was_expected_and_a_transcript_with_its_hashes() {
    let room = Room::new();
    let said = found(&room);
    let kept = std::fs::read_to_string(room.path("founding/transcript.txt")).unwrap();
    assert_eq!(said.trim_end(), kept.trim_end());
    for file in ["root.json", "share-1.json", "share-5.json"] {
        let line = format!("output       SHA-256 {}  {file}", hash(&room, &format!("founding/{file}")));
        assert!(kept.contains(&line), "{kept}");
    }
    assert!(kept.contains(&format!("plan         SHA-256 {}", hash(&room, "founding.toml"))), "{kept}");
    assert!(kept.contains("REHEARSAL"), "{kept}");
    assert!(kept.contains("Eve acknowledged duty 1 of a custodian"), "{kept}");
    assert!(kept.contains("present      Wanda (internal audit), witness"), "{kept}");
    assert!(!kept.contains("the passphrase of"), "{kept}");
    let mut files: Vec<String> = std::fs::read_dir(room.path("founding"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    let expected =
        ["root.json", "share-1.json", "share-2.json", "share-3.json", "share-4.json", "share-5.json", "transcript.txt"];
    assert_eq!(files, expected);
    // A second time there is something already, which stays as it is.
    let root = hash(&room, "founding/root.json");
    let words = passphrases("--passphrase-file", 1..=5);
    assert!(room.refused(&format!("ceremony run founding.toml --acknowledge{words}")).contains("exists already"));
    assert_eq!(hash(&room, "founding/root.json"), root);
}

#[test]
fn a_drill_proves_the_shares_and_changes_nothing() {
    let room = Room::new();
    found(&room);
    plan_of(&room, "unseal-drill.toml", "founding/root.json", &[]);
    let words = passphrases("--share-passphrase-file", [1, 4, 5]);
    let said = room.done(&format!("ceremony run unseal-drill.toml --acknowledge{words}"));
    assert!(said.contains("3 shares brought the Root of vault") && said.contains("nothing was changed"), "{said}");
    assert_eq!(std::fs::read_dir(room.path("drill")).unwrap().count(), 1);
}

#[test]
fn a_drill_with_a_share_that_is_another_persons_fails() {
    let room = Room::new();
    found(&room);
    plan_of(&room, "unseal-drill.toml", "founding/root.json", &[("share-4.json", "share-3.json")]);
    let words = passphrases("--share-passphrase-file", [1, 3, 5]);
    let refused = room.refused(&format!("ceremony run unseal-drill.toml --acknowledge{words}"));
    assert!(refused.contains("is not the share of Dan"), "{refused}");
    assert!(!room.path("drill").exists());
}

#[test]
fn a_redeal_and_a_new_root_keep_the_vault_and_a_root_json_that_was_not_reviewed_stops_them() {
    let room = Room::new();
    found(&room);
    plan_of(&room, "redeal.toml", "founding/root.json", &[]);
    let words = passphrases("--share-passphrase-file", 1..=3) + &passphrases("--passphrase-file", 3..=6);
    let said = room.done(&format!("ceremony run redeal.toml --acknowledge{words}"));
    assert!(said.contains("division     3 of 4 are needed"), "{said}");
    plan_of(&room, "new-root.toml", "redeal/root.json", &[]);
    let words = passphrases("--passphrase-file", 1..=5);
    room.done(&format!("ceremony run new-root.toml --acknowledge{words}"));
    let ids =
        ["founding", "redeal", "new-root"].map(|folder| room.descriptor(&format!("{folder}/root.json")).vault_id());
    assert!(ids[0] == ids[1] && ids[1] == ids[2]);

    std::fs::copy(room.path("founding/root.json"), room.path("redeal/root.json")).unwrap();
    std::fs::remove_dir_all(room.path("new-root")).unwrap();
    let refused = room.refused(&format!("ceremony run new-root.toml --acknowledge{words}"));
    assert!(refused.contains("is not the file that was reviewed"), "{refused}");
    assert!(!room.path("new-root").exists());
}

#[test]
fn nobody_is_taken_as_present_without_a_terminal() {
    let room = Room::new();
    plan(&room, "founding.toml", &[]);
    let words = passphrases("--passphrase-file", 1..=5);
    let refused = room.refused(&format!("ceremony run founding.toml{words}"));
    assert!(refused.contains("there is no terminal to ask at"), "{refused}");
    assert!(!room.path("founding").exists());
}

#[test]
fn a_check_says_who_does_what_and_writes_nothing() {
    let room = Room::new();
    plan(&room, "founding.toml", &[]);
    let said = room.done("ceremony check founding.toml");
    assert!(said.contains("gets     Eve (legal counsel)") && said.contains("needed   3 of 5"), "{said}");
    assert!(said.contains("writes   founding/transcript.txt"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&room.done("--json ceremony check founding.toml")).unwrap();
    assert_eq!((json["kind"].as_str(), json["threshold"].as_u64()), (Some("founding"), Some(3)));
    assert!(!room.path("founding").exists());
}

#[test]
fn the_duty_is_shown_to_every_custodian() {
    let room = Room::new();
    plan(&room, "founding.toml", &[]);
    let words = passphrases("--passphrase-file", 1..=5);
    let output = room.run(&format!("ceremony run founding.toml --acknowledge{words}"));
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(shown.matches(DUTY).count(), 5, "{shown}");
}
