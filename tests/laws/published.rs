//! What browsers fetch under a version of the SDK is what was published under it: pages pin these files by their hashes, and
//! keep them for a year. `src/sdk/dist/HASHES.json` lists them; the changelog names what is released, with a hash of its own, so
//! that files and list cannot change together unseen.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha384};

use crate::source::{self, Offences};

type Files = BTreeMap<String, Vec<u8>>;

/// One version in the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    released: bool,
    files: BTreeMap<String, String>,
}

#[test]
fn a_published_version_of_the_sdk_never_changes() {
    let read = |path: &str| std::fs::read(source::root().join(path)).expect("listed files are there");
    let text = |path: &str| String::from_utf8(read(path)).expect("it is text");
    let list = serde_json::from_str(&text("src/sdk/dist/HASHES.json")).expect("it is a list of versions");
    let mut versions: BTreeMap<String, Files> = BTreeMap::new();
    for path in source::files() {
        let Some((version, name)) = path.strip_prefix(FOLDER).and_then(|rest| rest.split_once('/')) else { continue };
        versions.entry(version.to_owned()).or_default().insert(name.to_owned(), read(&path));
    }
    assert!(!versions.is_empty(), "no version was found: the law sees nothing");
    offences(&list, &versions, &text("CHANGELOG.md")).none();
}

fn offences(list: &BTreeMap<String, Listed>, versions: &BTreeMap<String, Files>, changelog: &str) -> Offences {
    let mut offences = Offences::default();
    for version in list.keys().chain(versions.keys()).collect::<BTreeSet<_>>() {
        let place = format!("{FOLDER}{version}");
        let (Some(listed), Some(files)) = (list.get(version), versions.get(version)) else {
            offences.unless(false, || format!("{place} and HASHES.json do not name the same versions"));
            continue;
        };
        let hashes: BTreeMap<String, String> = files.iter().map(|(name, bytes)| (name.clone(), hash(bytes))).collect();
        for name in hashes.keys().chain(listed.files.keys()).collect::<BTreeSet<_>>() {
            offences.unless(hashes.get(name) == listed.files.get(name), || match listed.released {
                true => format!("{place}/{name} changed after its release: take it back and make another version"),
                false => format!("{place}/{name} is not what HASHES.json lists: run `npm run build` in src/sdk"),
            });
        }
        let lines: String = hashes.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
        let told = released(changelog, version);
        offences.unless(listed.released != told.is_empty(), || {
            format!("{place}: HASHES.json and the releases of CHANGELOG.md do not agree on whether it is released")
        });
        offences.unless(told.iter().all(|told| *told == hash(lines.as_bytes())), || {
            format!("{place} is not what CHANGELOG.md says was released: take it back and make another version")
        });
    }
    for version in changelog.lines().filter_map(|line| line.trim_start_matches("- ").strip_prefix("SDK ")) {
        let version = version.split_once(": sha384-").map(|(version, _)| version);
        let is_there = version.is_none_or(|version| versions.contains_key(version));
        offences.unless(is_there, || format!("SDK {} was released and is gone", version.unwrap_or_default()));
    }
    offences
}

/// The hashes that the changelog gives for a version, below the heading of a release.
fn released<'a>(changelog: &'a str, version: &str) -> Vec<&'a str> {
    let head = format!("- SDK {version}: ");
    let releases = changelog.split("\n## [").skip(1).filter(|section| !section.starts_with("Unreleased]"));
    releases.flat_map(|section| section.lines().filter_map(|line| line.strip_prefix(&head))).collect()
}

fn hash(bytes: &[u8]) -> String {
    format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(bytes)))
}

const FOLDER: &str = "src/sdk/dist/";

/// One version of one file with these bytes, listed as `listed` and told of as `told` below the heading `heading`.
fn tried(is_released: bool, bytes: &str, listed: &str, told: Option<(&str, &str)>) -> usize {
    let name = || "a.js".to_owned();
    let files = BTreeMap::from([(name(), hash(listed.as_bytes()))]);
    let list = BTreeMap::from([("1.0.0".to_owned(), Listed { released: is_released, files })]);
    let versions = BTreeMap::from([("1.0.0".to_owned(), Files::from([(name(), bytes.as_bytes().to_vec())]))]);
    let changelog = told.map_or(String::new(), |(heading, bytes)| {
        let all = hash(format!("a.js {}\n", hash(bytes.as_bytes())).as_bytes());
        format!("# Changelog\n\n## [{heading}]\n\n- SDK 1.0.0: {all}\n")
    });
    offences(&list, &versions, &changelog).count()
}

#[test]
fn each_way_to_change_a_published_version_is_noticed() {
    let release = Some(("0.2.0] - 2026-01-01", "as published"));
    // In development files change with their list; released, they are what was told.
    assert_eq!(tried(false, "in work", "in work", None), 0);
    assert_eq!(tried(true, "as published", "as published", release), 0);
    // A file, a file and its list, and the mark taken off besides.
    assert_eq!(tried(true, "changed", "as published", release), 2);
    assert_eq!(tried(true, "changed", "changed", release), 1);
    assert_eq!(tried(false, "changed", "changed", release), 2);
    // A list that is not kept, a mark that no release gave, and a release that is none yet.
    assert_eq!(tried(false, "in work", "before", None), 1);
    assert_eq!(tried(true, "as published", "as published", None), 1);
    assert_eq!(tried(true, "as published", "as published", Some(("Unreleased]", "as published"))), 1);
    let gone = offences(&BTreeMap::new(), &BTreeMap::new(), "\n## [0.2.0]\n- SDK 1.0.0: sha384-x\n");
    assert_eq!(gone.count(), 1);
}
