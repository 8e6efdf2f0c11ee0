//! Cards out of a file into a vault by the real `vaultctl import`: refused lines, old names, and an import that is killed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{Binary, World, binary_path};

const VISA: &str = "4242424242424242";
const AMEX: &str = "378282246310005";

#[tokio::test]
async fn every_good_line_is_stored_and_every_bad_one_reported_without_its_number() {
    let world = World::vault_only().await.unwrap();
    let file = world.path().join("cards.csv");
    let mut text = "pan,month,year,who,old,order\n".to_owned();
    writeln!(text, "{VISA},12,2031,ada,tok_1,17").unwrap();
    writeln!(text, "4242424242424241,12,2031,ada,tok_2,18").unwrap();
    writeln!(text, "{VISA},12,2031,ada,tok_3,19").unwrap();
    writeln!(text, "3782 822463 10005,1,31,ben,\"tok,4\",20").unwrap();
    writeln!(text, "{AMEX},12,2031,ben,tok_5,card {VISA}").unwrap();
    std::fs::write(&file, text).unwrap();
    let map = "number=pan,exp_month=month,exp_year=year,customer_id=who,id=old,metadata.order=order";

    let checked = run(&world, &file, "csv", &["--map", map, "--dry-run"]);
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    assert_eq!(read(&file, "refused.csv"), "line,reason\n3,\"number: its check digit is wrong\"\n");
    assert!(!beside(&file, "journal").exists());
    let release = world.release().await.unwrap();
    let items =
        || async { release.get("/v1/payment_methods?limit=100").await.unwrap().expect(200).unwrap()["items"].clone() };
    assert_eq!(items().await, json!([]), "a dry run stores nothing");

    let stored = run(&world, &file, "csv", &["--map", map, "--json"]);
    assert_eq!(stored.status.code(), Some(3), "{}", said(&stored));
    let tally: Value = serde_json::from_slice(&stored.stdout).unwrap();
    assert_eq!(tally, json!({"lines": 5, "stored": 2, "known": 1, "refused": 2}));
    let report = read(&file, "refused.csv");
    assert!(report.contains("\n3,") && report.contains("\n6,"), "{report}");
    for file in [&report, &read(&file, "ids.csv"), &read(&file, "journal"), &said(&stored)] {
        assert!(!file.contains("42424242") && !file.contains("37828224"), "{file}");
    }
    let items = items().await;
    assert_eq!(items.as_array().unwrap().len(), 2);
    let token = |who: &str| {
        let of = items.as_array().unwrap().iter().find(|item| item["customer_id"] == who);
        of.unwrap()["payment_method_id"].as_str().unwrap().to_owned()
    };
    let ids = format!(
        "id,payment_method_id\n\"tok_1\",{ada}\n\"tok_3\",{ada}\n\"tok,4\",{}\n",
        token("ben"),
        ada = token("ada")
    );
    assert_eq!(read(&file, "ids.csv"), ids);
    // Once more it is done already, and other options are not the same import.
    let again = run(&world, &file, "csv", &["--map", map, "--json"]);
    assert_eq!(again.stdout, stored.stdout);
    let other = run(&world, &file, "csv", &["--map", map, "--batch", "7"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("journal"), "{}", said(&other));
}

#[tokio::test]
async fn an_import_that_is_killed_again_and_again_stores_each_card_once() {
    let world = World::vault_only().await.unwrap();
    let file = world.path().join("cards.jsonl");
    // Without customers: nothing but the import's own keys tells a card from the same card once more.
    let line = |nth: usize| json!({"number": VISA, "exp_month": 12, "exp_year": 2031, "id": format!("old-{nth}")});
    let text: String = (0..CARDS).map(|nth| format!("{}\n", line(nth))).collect();
    std::fs::write(&file, text).unwrap();
    let options = ["--batch", "20", "--in-flight", "3", "--json"];
    let mut kills = 0;
    let journal = || std::fs::metadata(beside(&file, "journal")).map_or(0, |file| file.len());
    let done = loop {
        let mut import = command(&world, &file, "jsonl", &options);
        let (before, mut running) = (journal(), import.stdout(std::process::Stdio::piped()).spawn().unwrap());
        // Killed as soon as it got a little further, with other batches under way.
        while running.try_wait().unwrap().is_none() && (kills == KILLS || journal() == before) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if running.try_wait().unwrap().is_some() {
            break running.wait_with_output().unwrap();
        }
        running.kill().unwrap();
        running.wait().unwrap();
        kills += 1;
    };
    assert!(done.status.success(), "{}", said(&done));
    assert!(kills > 0, "the import was too quick to be killed");
    let tally: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&tally["lines"], &tally["refused"]), (&json!(CARDS), &json!(0)));
    let ids = read(&file, "ids.csv");
    let rows: Vec<(&str, &str)> = ids.lines().skip(1).map(|row| row.split_once(',').unwrap()).collect();
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = rows.iter().copied().unzip();
    assert_eq!((rows.len(), old.len(), new.len()), (CARDS, CARDS, CARDS));
    let (mut stored, mut cursor) = (0, String::new());
    let release = world.release().await.unwrap();
    loop {
        let page = release.get(&format!("/v1/payment_methods?limit=100{cursor}")).await.unwrap().expect(200).unwrap();
        stored += page["items"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(stored, CARDS);
}

#[tokio::test]
async fn an_import_goes_on_when_the_vault_comes_back() {
    let mut world = World::vault_only().await.unwrap();
    let file = world.path().join("cards.jsonl");
    let line = json!({"number": VISA, "exp_month": 12, "exp_year": 2031}).to_string() + "\n";
    std::fs::write(&file, line.repeat(CARDS)).unwrap();
    let mut import = command(&world, &file, "jsonl", &["--batch", "20", "--json"]);
    let running = import.stdout(std::process::Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.vault.process().kill().unwrap();
    world.vault.restart().await.unwrap();
    let done = tokio::task::spawn_blocking(move || running.wait_with_output().unwrap()).await.unwrap();
    // On a port of its own it is another address: then the import has stopped, and goes on when it is asked to.
    let done = if done.status.success() { done } else { run(&world, &file, "jsonl", &["--batch", "20", "--json"]) };
    assert!(done.status.success(), "{}", said(&done));
    let tally: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(tally["lines"], json!(CARDS));
    assert_eq!(tally["stored"].as_u64().unwrap() + tally["known"].as_u64().unwrap(), CARDS as u64);
}

fn command(world: &World, file: &Path, format: &str, options: &[&str]) -> Command {
    let who = world.credentials("orchestrator", "main").unwrap();
    let [_, release, _] = world.vault.addresses();
    let mut command = Command::new(binary_path(Binary::Vaultctl).unwrap());
    command.arg("import").arg(file).args(["--format", format, "--tenant", &world.tenant]).args(options);
    command.arg("--url").arg(format!("https://localhost:{}", release.port())).arg("--ca").arg(world.pki.ca());
    command.arg("--cert").arg(&who.certificate).arg("--key").arg(&who.key);
    command.stderr(std::process::Stdio::piped());
    command
}

fn run(world: &World, file: &Path, format: &str, options: &[&str]) -> Output {
    command(world, file, format, options).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn read(file: &Path, ending: &str) -> String {
    std::fs::read_to_string(beside(file, ending)).unwrap()
}

/// After so many kills it may come to its end.
const KILLS: u32 = 8;
const CARDS: usize = 600;
