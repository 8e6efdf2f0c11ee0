//! Every column of every row of a SQLite file, changed one at a time, and the files as they were.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};

/// Files as they were, with nothing in a write-ahead log.
pub(crate) struct Kept {
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// One column of one row, by the row's key.
pub(crate) struct Change {
    pub(crate) table: String,
    pub(crate) column: String,
    row: u32,
    keys: Vec<String>,
}

impl Kept {
    /// Keeps files of a vault that is stopped.
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        let read = |path: &PathBuf| {
            Connection::open(path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
            (path.clone(), fs::read(path).unwrap())
        };
        Self { files: files.iter().map(read).collect() }
    }

    /// Puts every file back.
    pub(crate) fn put_back(&self) {
        for (path, bytes) in &self.files {
            for end in ["-wal", "-shm"] {
                let mut name = path.clone().into_os_string();
                name.push(end);
                // There is none after an orderly stop.
                let _ = fs::remove_file(name);
            }
            fs::write(path, bytes).unwrap();
        }
    }
}

impl Change {
    /// Each column of each row of each table, up to `rows_max` rows of a table.
    pub(crate) fn all_of(file: &Path, rows_max: u32) -> Vec<Self> {
        let open = Connection::open(file).unwrap();
        let mut changes = Vec::new();
        for table in names(&open, "SELECT name FROM sqlite_schema WHERE type = 'table'") {
            let columns = names(&open, &format!("SELECT name FROM pragma_table_info('{table}')"));
            let keys = names(&open, &format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0"));
            let ask = format!("SELECT count(*) FROM {table}");
            let rows: u32 = open.query_row(&ask, [], |row| row.get(0)).unwrap();
            for column in columns {
                for row in 0..rows.min(rows_max) {
                    changes.push(Self { table: table.clone(), column: column.clone(), row, keys: keys.clone() });
                }
            }
        }
        changes
    }

    /// `table.column`.
    pub(crate) fn place(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    /// Makes it: numbers grow by one, the middle byte of bytes has a bit turned, the last letter of a text is another
    /// one, nothing becomes something. Answers whether the file took it, which a constraint may forbid.
    pub(crate) fn make(&self, file: &Path) -> bool {
        let open = Connection::open(file).unwrap();
        let (table, column, keys) = (&self.table, &self.column, self.keys.join(", "));
        let ask = format!("SELECT {keys}, {column} FROM {table} ORDER BY {keys} LIMIT 1 OFFSET {}", self.row);
        let read = |row: &rusqlite::Row<'_>| (0..=self.keys.len()).map(|nth| row.get(nth)).collect();
        let mut cells: Vec<Cell> = open.query_row(&ask, [], read).unwrap();
        let wrong: &[Cell] = &match cells.pop().unwrap() {
            Cell::Null => vec![Cell::Integer(1), Cell::Text("x".to_owned()), Cell::Blob(vec![1; 64])],
            Cell::Integer(number) => vec![Cell::Integer(number.wrapping_add(1)), Cell::Integer(number.wrapping_add(9))],
            Cell::Real(number) => vec![Cell::Real(number + 1.0)],
            Cell::Text(mut text) => {
                let last = text.pop();
                text.push(if last == Some('x') { 'y' } else { 'x' });
                vec![Cell::Text(text)]
            }
            Cell::Blob(mut bytes) => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                vec![Cell::Blob(bytes)]
            }
        };
        let row: Vec<String> = self.keys.iter().enumerate().map(|(nth, key)| format!("{key} = ?{}", nth + 2)).collect();
        let set = format!("UPDATE {table} SET {column} = ?1 WHERE {}", row.join(" AND "));
        // The first that the column's type and the table's keys take.
        wrong.iter().any(|wrong| {
            let cells = std::iter::once(wrong).chain(&cells);
            open.execute(&set, params_from_iter(cells)).is_ok_and(|changed| changed == 1)
        })
    }
}

fn names(open: &Connection, ask: &str) -> Vec<String> {
    let mut select = open.prepare(ask).unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
