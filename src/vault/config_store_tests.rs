//! Stores that are and are not taken.

use super::super::Config;

const EXAMPLE: &str = include_str!("vaultd.example.toml");
const NODE: &str = "[node]\nname = \"a\"\n";

/// What is said about an example whose `[store]` begins with these lines.
fn said(store: &str, more: &str) -> Result<(), String> {
    let text = EXAMPLE.replace("path = \"vault.db\"", store) + more;
    let config = Config::parse(&text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())
}

#[test]
fn a_store_is_in_exactly_one_place() {
    let database = "postgres = \"postgresql://vault@127.0.0.1/vault\"";
    assert_eq!(said("path = \"vault.db\"", ""), Ok(()));
    assert_eq!(said(database, NODE), Ok(()));
    for (store, more, begins) in [
        ("", "", "store.path:"),
        ("path = \"vault.db\"\npostgres = \"postgresql://vault@127.0.0.1/vault\"", NODE, "store.postgres:"),
        ("path = \"vault.db\"\npostgres_ca = \"ca.pem\"", "", "store.postgres_ca:"),
        ("path = \"vault.db\"\npostgres_password_file = \"word\"", "", "store.postgres_password_file:"),
        (
            "path = \"vault.db\"\nmove_to = { postgres = \"postgresql://vault@db.example/vault\" }",
            "",
            "store.move_to.postgres_ca:",
        ),
        (
            "path = \"vault.db\"\nmove_to = { postgres = \"postgresql://127.0.0.1/vault\" }",
            "",
            "store.move_to.postgres:",
        ),
        (
            "postgres = \"postgresql://vault@127.0.0.1/vault\"\nmove_to = { postgres = \"postgresql://vault@127.0.0.1/other\" }",
            NODE,
            "store.move_to:",
        ),
        ("path = \"vault.db\"\npostgres_connections = 9", "", "store.postgres_connections:"),
        ("path = \"vault.db\"\nrequire_synchronous_standby = true", "", "store.require_synchronous_standby:"),
        ("path = \"vault.db\"", NODE, "node:"),
        (database, "", "node.name:"),
        ("postgres = \"postgresql://vault:word@127.0.0.1/vault\"", NODE, "store.postgres:"),
        ("postgres = \"postgresql://vault@db.example/vault\"", NODE, "store.postgres_ca:"),
        ("postgres = \"postgresql://vault@127.0.0.1/vault\"\nbytes_max = 107374182400", NODE, "store.bytes_max:"),
        (
            "postgres = \"postgresql://vault@127.0.0.1/vault\"\npostgres_connections = 7",
            NODE,
            "store.postgres_connections:",
        ),
        (
            "postgres = \"postgresql://vault@127.0.0.1/vault\"\npostgres_connections = 501",
            NODE,
            "store.postgres_connections:",
        ),
    ] {
        let refused = said(store, more).unwrap_err();
        assert!(refused.starts_with(begins), "{store}: {refused}");
        assert!(!refused.contains("word@"), "{refused}");
    }
}
