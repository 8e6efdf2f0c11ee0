//! Sign keys that change: what leads a command to the next key, what does not, and what a note by an earlier one is worth.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use strongroom_keys::Key;
use strongroom_keys::completion::Completion;
use strongroom_keys::lineage::Handover;
use strongroom_keys::note::{Checkpoint, Statement as _};
use strongroom_keys::sign::Signer;
use strongroom_wire::admin::{HandoverList, KeyPurpose, Rotation, RotationState};

use super::admin::World;
use super::{ok, rotation};

fn signer() -> Signer {
    Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()
}

fn handover(to: &Signer) -> Handover {
    Handover { term: 2, key: to.public_key().clone(), from_entry: 2, at_ms: 1_764_000_000_123 }
}

#[test]
fn a_checkpoint_by_the_next_key_is_believed_by_its_handover_and_by_nothing_else() {
    let world = World::new();
    let (old, new, stranger) = (signer(), signer(), signer());
    let note = Checkpoint { size: 3, root: [1; 32] }.sign(&new);
    let served = Arc::new(Mutex::new(Vec::new()));
    let (answers, checkpoint) = (Arc::clone(&served), note.clone());
    let to = world.listen(move |request| match request.path.as_str() {
        "/v1/audit/handovers" => ok(&HandoverList { handovers: answers.lock().unwrap().clone() }),
        "/v1/audit/checkpoint" => (200, "", checkpoint.clone()),
        other => panic!("nobody should ask for {other}"),
    });
    let key = old.public_key();
    let ask = format!("audit checkpoint --out kept --public-key {key} {}", to("ada"));
    let right = handover(&new).sign(&old);
    let forged = [
        vec![],
        // By a stranger, by the new key for itself, changed, to another key, and of a later entry than the checkpoint.
        vec![handover(&new).sign(&stranger)],
        vec![handover(&new).sign(&new)],
        vec![right.replace("from entry 2", "from entry 1")],
        vec![handover(&stranger).sign(&old)],
        vec![Handover { from_entry: 3, ..handover(&new) }.sign(&old)],
        vec![right.clone(), handover(&stranger).sign(&stranger)],
    ];
    for handovers in forged {
        *served.lock().unwrap() = handovers.clone();
        let refusal = world.refused(&ask);
        assert!(refusal.contains("the checkpoint is not this log's"), "{handovers:?}: {refusal}");
        assert!(refusal.contains("vaultctl audit handovers"), "{refusal}");
        assert!(!world.path("kept").exists());
        // A stream that follows ends at that, too, and does not wait for better days.
        let refusal = world.refused(&format!("audit stream --follow --public-key {key} {}", to("ada")));
        assert!(refusal.contains("the checkpoint is not this log's"), "{refusal}");
    }
    *served.lock().unwrap() = vec![right];
    let said = world.done(&format!("--json {ask}"));
    assert!(said.contains(&format!("\"public_key\":\"{}\"", new.public_key())), "{said}");
    assert_eq!(std::fs::read_to_string(world.path("kept")).unwrap(), note);
}

#[test]
fn what_the_screen_shows_of_a_rotation_is_verified_and_so_is_the_file() {
    let world = World::new();
    let (old, new) = (signer(), signer());
    let done = Completion {
        key: KeyPurpose::Kek,
        tenant: "acme".parse().unwrap(),
        term: 2,
        moved: 10,
        at_ms: 1_764_000_000_000,
    };
    let note = done.sign(&old);
    let proof = note.clone();
    let to = world.listen(move |_| ok(&Rotation { proof: Some(proof.clone()), ..rotation(RotationState::Done, 10) }));
    let shown = world.done(&format!("keys rotate --tenant acme --proof-out note {}", to("ada")));
    assert!(shown.starts_with("acme is on term 2") && shown.ends_with("\n\n"), "{shown}");
    assert_eq!(std::fs::read_to_string(world.path("note")).unwrap(), note);
    std::fs::write(world.path("shown"), &shown).unwrap();
    std::fs::write(world.path("handovers"), handover(&new).sign(&old)).unwrap();
    let trust = format!("--public-key {} --handovers handovers", old.public_key());
    for file in ["note", "shown"] {
        let said = world.done(&format!("proof verify {file} {trust}"));
        assert!(
            said.contains("by term 1 of its sign key") && said.contains("acme: every record is on term 2"),
            "{said}"
        );
        assert!(
            said.contains("signed by a key that retired on 2025-11-24T16:00:00.123Z: rely on it only if"),
            "{said}"
        );
    }
    // A note that is in the way is not written over, and nothing is rotated for it.
    let refusal = world.refused(&format!("keys rotate --tenant acme --proof-out note {}", to("ada")));
    assert!(refusal.contains("note exists already; nothing was asked for"), "{refusal}");
    std::fs::write(world.path("two"), format!("{shown}{shown}")).unwrap();
    let refusal = world.refused(&format!("proof verify two {trust}"));
    assert!(refusal.contains("more than one note in this file (2 begin there)"), "{refusal}");
    // The same key, an hour after it handed over.
    let late = Completion { at_ms: 1_764_003_600_123, ..done }.sign(&old);
    std::fs::write(world.path("late"), late).unwrap();
    let refusal = world.refused(&format!("proof verify late {trust}"));
    assert!(refusal.contains("a retired key signs nothing"), "{refusal}");
    // By the next key: refused without the handover, and told what is missing.
    std::fs::write(world.path("next"), note_by(&new)).unwrap();
    let refusal = world.refused(&format!("proof verify next --public-key {}", old.public_key()));
    assert!(refusal.contains("vaultctl audit handovers --out FILE"), "{refusal}");
    let said = world.done(&format!("proof verify next {trust}"));
    assert!(said.contains("by term 2 of its sign key") && !said.contains("retired"), "{said}");
}

fn note_by(signer: &Signer) -> String {
    let tenant = "acme".parse().unwrap();
    Completion { key: KeyPurpose::Kek, tenant, term: 3, moved: 10, at_ms: 1_765_000_000_000 }.sign(signer)
}

#[test]
fn all_purposes_are_every_key_of_the_tenant_and_with_all_the_vault_s_own() {
    let world = World::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let to = world.listen(move |request| match request.path.as_str() {
        "/v1/tenants" => {
            let tenant = |name: &str| format!("{{\"tenant\":\"{name}\",\"created_at\":\"2025-11-24T16:00:00.123Z\"}}");
            (200, "", format!("{{\"tenants\":[{},{}]}}", tenant("a"), tenant("b")))
        }
        path => {
            assert_eq!((request.method.as_str(), path), ("POST", "/v1/rotations"));
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body["emergency"], true);
            let key = body["key"].as_str().unwrap_or("kek").to_owned();
            seen.lock().unwrap().push(format!("{key} {}", body["tenant"].as_str().unwrap_or("-")));
            ok(&Rotation { key: key.parse().unwrap(), ..rotation(RotationState::Done, 10) })
        }
    });
    let rotate = |whose: &str| {
        asked.lock().unwrap().clear();
        world.done(&format!("keys rotate {whose} --purpose all --emergency {}", to("ada")));
        asked.lock().unwrap().clone()
    };
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(rotate("--tenant a")), ["fingerprint a", "kek a", "session a"]);
    // The Sign key first, so that the notes of the others are by one that nobody may know.
    let every = rotate("--all");
    assert_eq!(every[0], "sign -");
    let others = ["fingerprint a", "fingerprint b", "intake -", "kek a", "kek b", "session a", "session b"];
    assert_eq!(sorted(every[1..].to_vec()), others);
    let refusal = world.refused(&format!("keys rotate --tenant a --purpose all --proof-out x {}", to("ada")));
    assert!(refusal.contains("several keys end in several notes"), "{refusal}");
    assert!(world.refused(&format!("keys rotate --purpose all {}", to("ada"))).contains("it is not said whose key"));
}

/// A witness's signature line for a note (C2SP tlog-cosignature): by its own key, over the time and the note's text.
fn cosigned(note: &str, name: &str, at_s: u64) -> String {
    let witness = Signer::new(name, &Key::generate().unwrap()).unwrap();
    let key = witness.public_key().to_string();
    let key = STANDARD.decode(key.splitn(3, '+').nth(2).unwrap()).unwrap();
    let text = format!("{}\n", note.split_once("\n\n").unwrap().0);
    let id = Sha256::new().chain_update(format!("{name}\n\u{4}")).chain_update(&key[1..]).finalize();
    let mut line = id[..4].to_vec();
    line.extend(at_s.to_be_bytes());
    line.extend(witness.sign(format!("cosignature/v1\ntime {at_s}\n{text}").as_bytes()));
    format!("\u{2014} {name} {}\n", STANDARD.encode(line))
}

#[test]
fn what_a_witness_adds_to_a_checkpoint_is_kept_and_does_not_stand_for_the_vault() {
    let world = World::new();
    let vault = signer();
    let note = Checkpoint { size: 3, root: [1; 32] }.sign(&vault);
    // One of them goes by the name of the log, and has another key.
    let witnesses = ["witness.example/w1", "strongroom/test"].map(|name| cosigned(&note, name, 1_764_000_000));
    let both = format!("{note}{}", witnesses.concat());
    let alone = format!("{}\n\n{}", note.split_once("\n\n").unwrap().0, witnesses.concat());
    let served = Arc::new(Mutex::new(both.clone()));
    let answer = Arc::clone(&served);
    let to = world.listen(move |request| match request.path.as_str() {
        "/v1/audit/handovers" => ok(&HandoverList { handovers: Vec::new() }),
        "/v1/audit/checkpoint" => (200, "", answer.lock().unwrap().clone()),
        other => panic!("nobody should ask for {other}"),
    });
    let fetch = format!("audit checkpoint --out kept --public-key {} {}", vault.public_key(), to("ada"));
    world.done(&fetch);
    assert_eq!(std::fs::read_to_string(world.path("kept")).unwrap(), both);
    // A witness saw it; that the vault said it, only the vault's own signature shows.
    for wrong in [alone, both.replacen("\n3\n", "\n4\n", 1)] {
        served.lock().unwrap().clone_from(&wrong);
        let refusal = world.refused(&fetch);
        assert!(refusal.contains("the checkpoint is not this log's"), "{wrong}: {refusal}");
        assert_eq!(std::fs::read_to_string(world.path("kept")).unwrap(), both);
    }
}
