//! The log off the machine: streamed through kills without a gap, exported, and as tiles that a checker of another language
//! verifies from the specifications alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use strongroom_tests::harness::{Binary, Credentials, World, binary_path, eventually};

#[tokio::test]
async fn a_stream_that_is_killed_again_and_again_loses_no_entry() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let (sink, cursor) = (world.path().join("siem.jsonl"), world.path().join("cursor"));
    let arguments = ["audit", "stream", "--follow", "--public-key", &key, "--cursor", cursor.to_str().unwrap()];
    for round in 0..4u32 {
        let mut command = vaultctl(&world, &who, &arguments);
        let out = fs::OpenOptions::new().create(true).append(true).open(&sink).unwrap();
        let mut stream = command.stdout(out).stderr(Stdio::null()).spawn().unwrap();
        entries(&world, 30).await;
        // Once while it has hardly begun, later with more and more of it done.
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 700)).await;
        stream.kill().unwrap();
        stream.wait().unwrap();
    }
    let out = fs::OpenOptions::new().append(true).open(&sink).unwrap();
    let ended = vaultctl(&world, &who, &arguments[..2]).args(&arguments[3..]).stdout(out).status().unwrap();
    assert!(ended.success());
    let lines = fs::read_to_string(&sink).unwrap();
    let mut seen: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).expect("a line is whole");
        seen.entry(entry["index"].as_u64().unwrap()).or_default().push(line.to_owned());
    }
    let last = *seen.keys().last().unwrap();
    assert!(last > 120, "only {last} entries came");
    assert_eq!(seen.len() as u64, last + 1, "entries are missing");
    // What came twice is the same both times.
    assert!(seen.values().all(|lines| lines.iter().all(|line| *line == lines[0])));
}

#[tokio::test]
async fn a_stream_that_knows_the_first_sign_key_alone_goes_on_through_its_rotations() {
    let mut world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (first, _) = world.keep_checkpoint().await.unwrap();
    let (sink, cursor) = (world.path().join("siem.jsonl"), world.path().join("cursor"));
    let arguments = ["audit", "stream", "--follow", "--public-key", &first, "--cursor", cursor.to_str().unwrap()];
    let out = fs::File::create(&sink).unwrap();
    let stream = vaultctl(&world, &who, &arguments).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    let stream = RefCell::new(stream);
    let indexes = || {
        let lines = fs::read_to_string(&sink).unwrap();
        let whole = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    entries(&world, 20).await;
    eventually("the stream to begin", Duration::from_secs(20), || async { Ok((indexes().len() > 5).then_some(())) })
        .await
        .unwrap();
    let mut shown = Vec::new();
    // The Sign key alone, and with every other key of the vault.
    for which in [vec!["--purpose", "sign"], vec!["--all", "--purpose", "all"]] {
        shown.push(succeed(vaultctl(&world, &who, &["keys", "rotate", "--emergency"]).args(which)));
        entries(&world, 20).await;
        let (_, checkpoint) = world.keep_checkpoint().await.unwrap();
        let covered: usize = fs::read_to_string(checkpoint).unwrap().lines().nth(1).unwrap().parse().unwrap();
        eventually("the stream to come after", Duration::from_secs(30), || async {
            Ok((indexes().len() >= covered || stream.borrow_mut().try_wait().unwrap().is_some()).then_some(()))
        })
        .await
        .unwrap();
        assert!(stream.borrow_mut().try_wait().unwrap().is_none(), "the stream ended with the key");
    }
    stream.borrow_mut().kill().unwrap();
    stream.borrow_mut().wait().unwrap();
    let seen = indexes();
    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>(), "an entry is missing or came twice");

    // Everything else that talks to the vault follows from the same key.
    let [exported, handovers] = ["audit.jsonl", "handovers"].map(|name| world.path().join(name));
    succeed(&mut vaultctl(&world, &who, &["audit", "checkpoint", "--public-key", &first]));
    succeed(&mut vaultctl(&world, &who, &["audit", "proof", "1", "--public-key", &first]));
    succeed(vaultctl(&world, &who, &["audit", "export", "--public-key", &first]).arg("--out").arg(&exported));
    succeed(vaultctl(&world, &who, &["audit", "handovers"]).arg("--out").arg(&handovers));

    // Offline it is refused without the handovers, which are named as the next step, and holds with them.
    world.vault.process().stop().await.unwrap();
    let tiles = world.path().join("tiles");
    let (log, tiles) = (world.vault.audit_file().to_str().unwrap().to_owned(), tiles.to_str().unwrap());
    for offline in [vec!["verify", "--log", &log], vec!["tiles", "--log", &log, "--out", tiles]] {
        let command = || {
            let mut command = Command::new(binary_path(Binary::Vaultctl).unwrap());
            command.arg("audit").args(&offline).args(["--public-key", &first]);
            command
        };
        let refused = command().output().unwrap();
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains("vaultctl audit handovers --out FILE"), "{why}");
        succeed(command().arg("--handovers").arg(&handovers));
    }
    // What the terminal showed of the first rotation is a note of the first key, which retired with it.
    let screen = world.path().join("screen");
    fs::write(&screen, &shown[0]).unwrap();
    let mut verify = Command::new(binary_path(Binary::Vaultctl).unwrap());
    verify.args(["proof", "verify", "--public-key", &first, "--handovers"]).arg(&handovers).arg(&screen);
    for key in
        ["the vault is on term 3 of its sign key", "of its kek key", "of its fingerprint key", "of its session key"]
    {
        assert!(shown[1].contains(key), "{key}: {}", shown[1]);
    }
    let said = succeed(&mut verify);
    assert!(said.contains("by term 1 of its sign key") && said.contains("signed by a key that retired on"), "{said}");
}

#[tokio::test]
async fn a_stream_that_waits_writes_no_entries_of_its_own() {
    let world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let cursor = world.path().join("cursor");
    let arguments = ["audit", "stream", "--follow", "--public-key", &key, "--cursor", cursor.to_str().unwrap()];
    let mut stream = vaultctl(&world, &who, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let security = world.security().await.unwrap();
    let size = || async {
        let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
        status["audit_size"].as_u64().unwrap()
    };
    eventually("the stream to begin", Duration::from_secs(20), || async { Ok(cursor.exists().then_some(())) })
        .await
        .unwrap();
    let before = size().await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    let after = size().await;
    stream.kill().unwrap();
    stream.wait().unwrap();
    // The second look at the size, and one reading of what the first look wrote; not one for each of four questions.
    assert!(after - before <= 2, "{} entries", after - before);
}

#[tokio::test]
async fn a_log_that_is_not_the_one_that_was_read_ends_the_stream() {
    let mut world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let cursor = world.path().join("cursor");
    let arguments = ["audit", "stream", "--public-key", &key, "--cursor", cursor.to_str().unwrap()];
    let copy = world.path().join("early-audit.db");
    world.vault.process().stop().await.unwrap();
    fs::copy(world.vault.audit_file(), &copy).unwrap();
    world.vault.restart().await.unwrap();
    entries(&world, 40).await;
    let first = vaultctl(&world, &who, &arguments).output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    // Somebody puts an earlier log in the place of this one; what is written from there on is signed by the right key.
    world.vault.process().stop().await.unwrap();
    fs::copy(&copy, world.vault.audit_file()).unwrap();
    world.vault.restart().await.unwrap();
    for more in [1, 80] {
        entries(&world, more).await;
        let forked = vaultctl(&world, &who, &arguments).output().unwrap();
        let said = String::from_utf8_lossy(&forked.stderr).into_owned();
        assert!(!forked.status.success() && said.contains("not the one that was read so far"), "{said}");
        assert!(forked.stdout.is_empty(), "entries of a forked log were handed on");
    }
}

#[tokio::test]
async fn the_log_as_tiles_is_verified_by_a_checker_of_another_language() {
    let mut world = World::vault_only().await.unwrap();
    let who = world.credentials("security", "alice").unwrap();
    entries(&world, 560).await;
    let (key, _) = world.keep_checkpoint().await.unwrap();
    let exported = world.path().join("audit.jsonl");
    let arguments = ["audit", "export", "--out", exported.to_str().unwrap(), "--public-key", &key];
    let done = vaultctl(&world, &who, &arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let checkpoint = fs::read_to_string(world.path().join("audit.jsonl.checkpoint")).unwrap();
    let size: usize = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(fs::read_to_string(&exported).unwrap().lines().count(), size);

    // As the vault serves them, for the tiles that are whole.
    let security = world.security().await.unwrap();
    let mut served = BTreeMap::new();
    for path in ["tile/0/000", "tile/0/001", "tile/entries/001", "tile/1/000.p/2"] {
        let tile = security.get(&format!("/v1/audit/tiles/{path}")).await.unwrap();
        tile.must_be(200).unwrap();
        served.insert(path, tile.body.to_vec());
    }
    for path in ["tile/0/999", "tile/0/0", "tile/entries/x001/000", "../status", "tile/9/000"] {
        assert_eq!(security.get(&format!("/v1/audit/tiles/{path}")).await.unwrap().status, 404, "{path}");
    }
    let note = security.get("/v1/audit/tiles/checkpoint").await.unwrap();
    assert!(note.text().starts_with("strongroom/"), "{}", note.text());

    world.vault.process().stop().await.unwrap();
    let tiles = world.path().join("tiles");
    let write = || {
        let mut command = Command::new(binary_path(Binary::Vaultctl).unwrap());
        command.args(["audit", "tiles", "--public-key", &key, "--log"]).arg(world.vault.audit_file());
        let done = command.arg("--out").arg(&tiles).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    write();
    for (path, bytes) in served {
        assert!(fs::read(tiles.join(path)).unwrap() == bytes, "{path} differs from what the vault served");
    }
    let checked: usize = check(&tiles, &key).unwrap().trim().parse().unwrap();
    assert!(checked >= size, "{checked}");
    // A second writing adds nothing, and one changed byte is found.
    assert!(write().contains(" 0 tiles written"));
    let tile = tiles.join("tile/entries/001");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert!(check(&tiles, &key).unwrap_err().contains("AssertionError"));
}

/// So many entries: lists of cards, one each.
pub(super) async fn entries(world: &World, count: usize) {
    let release = world.release().await.unwrap();
    for _ in 0..count {
        eventually("an answer", Duration::from_secs(10), || async {
            Ok((release.get("/v1/payment_methods?limit=1").await?.status == 200).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Runs what has to succeed; its standard output.
pub(super) fn succeed(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

pub(super) fn vaultctl(world: &World, who: &Credentials, arguments: &[&str]) -> Command {
    let [_, _, admin] = world.vault.addresses();
    let mut command = Command::new(binary_path(Binary::Vaultctl).unwrap());
    command.args(arguments).arg("--url").arg(format!("https://localhost:{}", admin.port()));
    command.arg("--ca").arg(world.pki.ca()).arg("--cert").arg(&who.certificate).arg("--key").arg(&who.key);
    command
}

/// What the checker says, or why it fails. It needs nothing but Python itself.
fn check(tiles: &Path, key: &str) -> Result<String, String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("e2e/log_check.py");
    let python = std::env::var_os("STRONGROOM_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python).arg(script).arg(tiles).arg(key).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}
