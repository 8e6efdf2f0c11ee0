//! What is put into the SQLite file while a move runs, and only then: triggers that write down which rows change, and for the last
//! step triggers that let nothing change.

use rusqlite::Connection;

use super::tables::{TABLES, TOKEN, Table};

/// The tables of a move itself: what is moved where, and which rows changed since.
pub(super) const MADE: &str = "
CREATE TABLE moving (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  run        BLOB    NOT NULL, -- names this move on both sides
  started_ms INTEGER NOT NULL,
  schema     INTEGER NOT NULL, -- of the store when the triggers were made
  total      INTEGER NOT NULL, -- rows that there were
  rate       INTEGER,          -- at most so many rows a second
  digest     TEXT,             -- set once this file is not the store any more
  target     TEXT,
  released   INTEGER NOT NULL DEFAULT 0 -- 1: the other store may be opened
) STRICT;
-- what is the table's place; a, b and c are the key of the row.
CREATE TABLE moving_changes (
  id   INTEGER PRIMARY KEY,
  what INTEGER NOT NULL,
  a    ANY,
  b    ANY,
  c    ANY
) STRICT;";

/// The triggers that write down changes, by name.
pub(in crate::store) fn capturing() -> Vec<(String, String)> {
    let mut triggers = Vec::new();
    for (what, table) in TABLES.iter().enumerate() {
        let name = table.name;
        let note = |row: &str| {
            let goes = table.goes(row);
            format!("INSERT INTO moving_changes (what, a, b, c) SELECT {what}, {} WHERE {goes}", key(table, row))
        };
        let (new, old) = (note("NEW"), note("OLD"));
        let differs = format!("({}) IS NOT ({})", key(table, "OLD"), key(table, "NEW"));
        for (event, body) in [
            ("INSERT", format!("{new};")),
            ("UPDATE", format!("{new}; {old} AND {differs};")),
            ("DELETE", format!("{old};")),
        ] {
            let named = format!("moving_{name}_{}", event.to_lowercase());
            let sql = format!("CREATE TRIGGER {named} AFTER {event} ON {name} BEGIN {body} END");
            triggers.push((named, sql));
        }
    }
    triggers
}

/// The triggers that refuse every change with this word.
pub(in crate::store) fn refusing(word: &str) -> Vec<(String, String)> {
    let mut triggers = Vec::new();
    for name in TABLES.iter().map(|table| table.name).chain(["segments", "cluster"]) {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let named = format!("{word}_{name}_{}", event.to_lowercase());
            let sql = format!(
                "CREATE TRIGGER {named} BEFORE {event} ON {name} BEGIN SELECT RAISE(ABORT, 'store {word}'); END"
            );
            triggers.push((named, sql));
        }
    }
    triggers
}

/// The three values that name a row, of its columns.
fn key(table: &Table, row: &str) -> String {
    let mut parts: Vec<String> = (0..table.key)
        .map(|place| match table.in_sqlite(place) {
            TOKEN => TOKEN.replace("cards.", &format!("{row}.")),
            column => format!("{row}.{column}"),
        })
        .collect();
    parts.resize(3, "NULL".to_owned());
    parts.join(", ")
}

/// Makes these triggers.
pub(in crate::store) fn make(conn: &Connection, triggers: &[(String, String)]) -> rusqlite::Result<()> {
    triggers.iter().try_for_each(|(_, sql)| conn.execute_batch(sql))
}

/// Takes these triggers away, those that are there.
pub(in crate::store) fn remove(conn: &Connection, triggers: &[(String, String)]) -> rusqlite::Result<()> {
    triggers.iter().try_for_each(|(name, _)| conn.execute_batch(&format!("DROP TRIGGER IF EXISTS {name}")))
}

/// Whether all of these triggers are there as they were made.
pub(in crate::store) fn are_there(conn: &Connection, triggers: &[(String, String)]) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1")?;
    for (name, sql) in triggers {
        let mut rows = statement.query([name])?;
        let is_there = match rows.next()? {
            Some(row) => row.get::<_, String>(0)? == *sql,
            None => false,
        };
        if !is_there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The word of triggers that hold writes for the last step.
pub(in crate::store) const HELD: &str = "held";
/// The word of triggers that stay: this file is not the store any more.
pub(in crate::store) const MOVED: &str = "moved";

/// A new store and a connection to it.
#[cfg(test)]
pub(super) fn fresh() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.db");
    let vault = "vault-a".to_owned();
    drop(
        crate::store::SqliteStore::open(&crate::store::SqliteOptions { path: path.clone(), vault, bytes_max: None })
            .unwrap(),
    );
    (folder, Connection::open(path).unwrap())
}
