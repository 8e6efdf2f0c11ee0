//! The walls between crates, from the dependency graph: who may link whom.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, PackageId};

use crate::source;

/// What each crate may name of ours, in any kind of dependency and under any feature. `src/ARCHITECTURE.md` shows the
/// same table to people.
const WALLS: [(&str, &[&str]); 9] = [
    ("strongroom-wire", &[]),
    ("strongroom-gate", &["strongroom-wire"]),
    ("strongroom-keys", &["strongroom-wire"]),
    ("strongroom-vaultctl", &["strongroom-wire", "strongroom-keys"]),
    ("strongroom-vault", &["strongroom-wire", "strongroom-gate", "strongroom-keys"]),
    ("strongroom-orchestrator", &["strongroom-wire", "strongroom-gate", "strongroom-simulator"]),
    ("strongroom-simulator", &["strongroom-wire"]),
    ("strongroom-tests", &["strongroom-wire"]),
    ("xtask", &["strongroom-tests"]),
];

#[test]
fn no_crate_names_one_that_its_wall_forbids() {
    let graph = graph();
    let ours: BTreeSet<&str> = graph.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let walls: BTreeMap<&str, &[&str]> = WALLS.into_iter().collect();
    assert_eq!(
        ours,
        walls.keys().copied().collect(),
        "a crate was added or taken away: say in WALLS and in src/ARCHITECTURE.md what it may name"
    );
    for package in graph.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|found| ours.contains(found.name.as_str())) {
            assert!(
                walls[package.name.as_str()].contains(&dependency.name.as_str()),
                "{} names {} as a {} dependency and its wall forbids it: put what both need into strongroom-wire",
                package.name,
                dependency.name,
                dependency.kind,
            );
        }
    }
}

/// The simulator of providers stands in for them in the orchestrator's simulation, and nowhere else.
#[test]
fn the_simulator_is_linked_by_tests_alone() {
    for package in graph().workspace_packages() {
        for dependency in package.dependencies.iter().filter(|found| found.name == "strongroom-simulator") {
            let kind = dependency.kind;
            assert_eq!(kind, cargo_metadata::DependencyKind::Development, "{} links the simulator", package.name);
        }
    }
}

#[test]
fn the_orchestrator_cannot_reach_key_code() {
    let graph = graph();
    let reached = reached_from(&graph, "strongroom-orchestrator");
    for wall in ["strongroom-keys", "strongroom-vault", "strongroom-vaultctl"] {
        assert!(
            !reached.contains(wall),
            "strongroom-orchestrator reaches {wall}: it must not be able to link key code"
        );
    }
    assert!(reached.contains("strongroom-wire"), "the graph was not read: the orchestrator uses wire");
}

#[test]
fn only_the_vault_and_its_tool_reach_key_code() {
    let graph = graph();
    let linking: BTreeSet<String> = graph
        .workspace_packages()
        .into_iter()
        .filter(|package| reached_from(&graph, package.name.as_str()).contains("strongroom-keys"))
        .map(|package| package.name.to_string())
        .collect();
    let allowed = ["strongroom-keys", "strongroom-vault", "strongroom-vaultctl"].map(str::to_owned);
    assert_eq!(linking, BTreeSet::from(allowed));
}

#[test]
fn the_page_shows_the_walls_that_hold() {
    let page = source::text("src/ARCHITECTURE.md").expect("the page is UTF-8");
    let shorts = [
        ("strongroom-wire", "src/wire"),
        ("strongroom-gate", "src/gate"),
        ("strongroom-keys", "keys"),
        ("strongroom-vaultctl", "keys/cli"),
        ("strongroom-vault", "src/vault"),
        ("strongroom-orchestrator", "src/orchestrator"),
        ("strongroom-simulator", "src/simulator"),
        ("strongroom-tests", "tests"),
        ("xtask", "src/xtask"),
    ];
    let short_of = |name: &str| shorts.iter().find(|(found, _)| *found == name).map(|(_, folder)| *folder);
    for (crate_name, allowed) in WALLS {
        let folder = short_of(crate_name).expect("every wall has a folder");
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{folder}`")))
            .unwrap_or_else(|| panic!("src/ARCHITECTURE.md has no row for `{folder}` in its table of walls"));
        let shown: BTreeSet<&str> = row
            .split('|')
            .nth(2)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|word| *word != "nothing of ours")
            .collect();
        let held: BTreeSet<&str> = allowed
            .iter()
            .filter_map(|name| short_of(name))
            .map(|folder| folder.rsplit('/').next().unwrap_or(folder))
            .collect();
        assert_eq!(shown, held, "the row of `{folder}` in src/ARCHITECTURE.md differs from the law");
    }
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    let manifest = source::text("Cargo.toml").expect("the manifest is UTF-8");
    let table = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("the root manifest lists the dependencies");
    let mut seen = 0;
    for line in table.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let name = line.split(['=', '.']).next().unwrap_or_default().trim();
        let reason = line.rsplit_once(" # ").map_or("", |(_, reason)| reason.trim());
        let ours = line.contains("path = ");
        assert!(ours || reason.len() >= 4, "{name} in the root Cargo.toml has no reason beside it: `# what it is for`");
        seen += 1;
    }
    assert!(seen > 30, "only {seen} dependencies were read");
}

#[test]
fn members_take_their_dependencies_from_the_root() {
    for manifest in
        source::files().into_iter().filter(|path| path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/"))
    {
        let text = source::text(&manifest).expect("manifests are UTF-8");
        let mut within = false;
        for line in text.lines() {
            if line.starts_with('[') {
                within = line.contains("dependencies");
            } else if within && line.contains('=') && !line.starts_with('#') {
                assert!(
                    line.contains("workspace = true"),
                    "{manifest}: `{line}` has a version of its own: put it into the root Cargo.toml with its reason"
                );
            }
        }
    }
}

#[test]
fn every_dependency_comes_from_the_one_registry() {
    let lock = source::text("Cargo.lock").expect("the lock file is UTF-8");
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        assert!(
            line.contains("registry+https://github.com/rust-lang/crates.io-index"),
            "Cargo.lock: {line}: a dependency from elsewhere cannot be audited with the others"
        );
    }
}

fn graph() -> Metadata {
    MetadataCommand::new()
        .manifest_path(source::root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned(), "--offline".to_owned()])
        .exec()
        .or_else(|_| {
            MetadataCommand::new()
                .manifest_path(source::root().join("Cargo.toml"))
                .features(CargoOpt::AllFeatures)
                .exec()
        })
        .expect("cargo metadata answers")
}

/// Names of every package that a member links, in any kind of dependency.
fn reached_from(graph: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&PackageId, Vec<&PackageId>> = graph
        .resolve
        .as_ref()
        .expect("metadata was resolved")
        .nodes
        .iter()
        .map(|node| (&node.id, node.deps.iter().map(|dep| &dep.pkg).collect()))
        .collect();
    let start = graph.packages.iter().find(|package| package.name == name).expect("the crate exists");
    let (mut reached, mut open) = (BTreeSet::from([&start.id]), vec![&start.id]);
    while let Some(id) = open.pop() {
        for next in &nodes[id] {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached.into_iter().map(|id| graph[id].name.to_string()).collect()
}
