//! Files and answers: whatever was asked, rightly or wrongly, no card number is in a log, a metric, an error answer or a
//! file of the world.

use std::fs;
use std::path::{Path, PathBuf};

use strongroom_tests::harness::World;

use crate::cards::cards;
use crate::crowd::{Crowd, store_by_browsers};
use crate::search::{Found, Search};
use crate::wrong::everything_wrong;

#[tokio::test(flavor = "multi_thread")]
async fn no_card_is_in_a_log_a_metric_an_error_or_a_file() {
    let mut world = World::vault_only().await.unwrap();
    let cards = cards(1_000);
    let search = Search::new(&cards);
    let mut found = Found::default();
    Crowd::connect(&world, 64).store_and_reveal(&cards);
    store_by_browsers(&world, &cards[..40]).await;
    let answers = everything_wrong(&world, &cards).await;
    assert!(answers.iter().filter(|answer| answer.status >= 400).count() >= 20, "too few of them were refused");
    for answer in &answers {
        search.look("an answer's body", &answer.body, &mut found);
        search.look("an answer's headers", format!("{:?}", answer.headers).as_bytes(), &mut found);
    }
    let security = world.security().await.unwrap();
    for path in ["/metrics", "/v1/status", "/v1/keys", "/v1/audit/entries?limit=1000", "/v1/audit/checkpoint"] {
        let answer = security.get(path).await.unwrap();
        answer.must_be(200).unwrap();
        search.look(path, &answer.body, &mut found);
    }
    // While it runs: the write-ahead logs and their indexes are there.
    let running = look_at_files(world.path(), &search, &mut found);
    for end in ["vault.db", "vault.db-wal", "vault.db-shm", "audit.db", "audit.db-wal", "vaultd.log"] {
        assert!(running.iter().any(|path| path.ends_with(end)), "{end} was not searched");
    }
    world.vault.process().stop().await.unwrap();
    look_at_files(world.path(), &search, &mut found);
    assert!(found.is_nothing(), "{}:\n{}", found.summary(), found.places.join("\n"));
    println!("{} files, {} answers: none of {} card numbers, no CVC", running.len(), answers.len(), cards.len());
}

/// Every file below a folder.
pub(crate) fn look_at_files(folder: &Path, search: &Search, found: &mut Found) -> Vec<PathBuf> {
    let mut looked = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            looked.extend(look_at_files(&path, search, found));
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            search.look(&name, &fs::read(&path).unwrap(), found);
            search.look("a file's name", name.as_bytes(), found);
            looked.push(path);
        }
    }
    looked
}
