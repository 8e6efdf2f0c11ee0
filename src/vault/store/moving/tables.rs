//! The tables that go over, column by column, and the form in which rows of both stores are the same.

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number or a flag.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes, a UUID's too.
    Bytes(Vec<u8>),
}

/// A row in the form that both stores share: a cell for each column of its table, the key first.
pub(super) type Record = Vec<Cell>;

/// One table. It has the same name in both stores.
pub struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// The first so many columns are its key, which is one in both stores.
    pub(super) key: usize,
    /// The columns in whose order SQLite is read. They are the key of its table there, so that a page needs no sorting.
    pub(super) order: &'static [&'static str],
    /// The column with the tenant's number.
    pub(super) tenant: Option<usize>,
    /// Columns with envelopes.
    pub(super) envelopes: &'static [usize],
    /// Rows that stay where they are, by the text of their key.
    pub(super) stays: &'static [&'static str],
}

/// One column.
pub(super) struct Column {
    /// Its name in PostgreSQL.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is in SQLite, where its name or form there is another one.
    pub(super) from: Option<&'static str>,
}

/// What a column is in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Small,
    Int,
    Big,
    Flag,
    Text,
    Bytes,
    Uuid,
    /// When a card was made. Both stores leave away what its token says: SQLite keeps the difference, PostgreSQL the whole where
    /// there is one. The difference is what records have.
    Made,
}

impl Table {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A column's expression in SQLite.
    pub(super) fn in_sqlite(&self, place: usize) -> &'static str {
        let column = &self.columns[place];
        column.from.unwrap_or(column.name)
    }

    /// What says of a row that it goes over; `row` is a table's name, or NEW or OLD.
    pub(super) fn goes(&self, row: &str) -> String {
        if self.stays.is_empty() {
            return "1 = 1".to_owned();
        }
        let names: Vec<String> = self.stays.iter().map(|name| format!("'{name}'")).collect();
        format!("{row}.{} NOT IN ({})", self.columns[0].name, names.join(", "))
    }

    /// The key of a record.
    pub(super) fn key_of<'a>(&self, record: &'a Record) -> &'a [Cell] {
        &record[..self.key]
    }

    /// The tenant's number of a record; 0 for what belongs to none.
    pub(super) fn tenant_of(&self, record: &Record) -> i64 {
        match self.tenant.and_then(|place| record.get(place)) {
            Some(Cell::Int(number)) => *number,
            _ => 0,
        }
    }

    /// Whether these are the cards, whose claims go with them.
    pub(super) fn is_cards(&self) -> bool {
        self.name == "cards"
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, from: None }
}

const fn from(name: &'static str, kind: Kind, from: &'static str) -> Column {
    Column { name, kind, from: Some(from) }
}

/// The token of a card, of the two numbers that SQLite has of it.
pub(super) const TOKEN: &str = "unhex(printf('%016x%016x', coalesce(cards.head, cards.id), cards.rest))";

/// Where the columns stand that a card's claims are made of.
pub(super) const CARD_TOKEN: usize = 1;
pub(super) const CARD_FINGERPRINT: usize = 5;
pub(super) const CARD_CUSTOMER: usize = 7;

use Kind::{Big, Bytes, Flag, Int, Made, Small, Text, Uuid};

/// Every table, tenants before what belongs to them.
pub static TABLES: &[Table] = &[
    Table {
        name: "settings",
        columns: &[column("name", Text), column("value", Bytes)],
        key: 1,
        order: &["name"],
        tenant: None,
        envelopes: &[],
        // Each store says of itself whose it is and how far a move is.
        stays: &["vault", "moving", "moved"],
    },
    Table {
        name: "tenants",
        columns: &[column("id", Int), column("name", Text), column("created_ms", Big), column("shredded", Small)],
        key: 1,
        order: &["id"],
        tenant: Some(0),
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "keys",
        columns: &[
            column("purpose", Small),
            column("tenant", Int),
            column("term", Int),
            column("state", Small),
            column("created_ms", Big),
            column("wraps", Big),
            column("wrapped", Bytes),
        ],
        key: 3,
        order: &["purpose", "tenant", "term"],
        tenant: Some(1),
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "sign_terms",
        columns: &[
            column("node", Text),
            column("term", Int),
            column("public_key", Text),
            column("from_entry", Big),
            column("handover", Text),
        ],
        key: 2,
        order: &["node", "term"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "kept",
        columns: &[column("name", Text), column("value", Bytes), column("note", Text)],
        key: 1,
        order: &["name"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "acts",
        columns: &[column("id", Uuid), column("open", Flag), column("until_ms", Big), column("note", Text)],
        key: 1,
        order: &["id"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "rotations",
        columns: &[
            column("purpose", Small),
            column("tenant", Int),
            column("to_term", Int),
            column("state", Small),
            column("done", Big),
            column("total", Big),
            column("started_ms", Big),
            column("records_per_second_max", Big),
            column("emergency", Flag),
            column("fault", Text),
            column("proof", Text),
        ],
        key: 3,
        order: &["purpose", "tenant", "to_term"],
        tenant: Some(1),
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "root_changes",
        columns: &[
            column("id", Big),
            column("from_root", Bytes),
            column("to_root", Bytes),
            column("rewraps", Flag),
            column("state", Small),
            column("done", Big),
            column("total", Big),
            column("started_ms", Big),
            column("keys_per_second_max", Big),
            column("fault", Text),
            column("proof", Text),
        ],
        key: 1,
        order: &["id"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "staged_keys",
        columns: &[
            column("purpose", Small),
            column("tenant", Int),
            column("term", Int),
            column("instead_of", Bytes),
            column("wrapped", Bytes),
        ],
        key: 3,
        order: &["purpose", "tenant", "term"],
        tenant: Some(1),
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "acknowledgements",
        columns: &[
            column("who", Text),
            column("root", Bytes),
            column("id", Big),
            column("duty", Big),
            column("at_ms", Big),
        ],
        key: 2,
        order: &["id"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "secrets",
        columns: &[
            from("id", Uuid, "secret"),
            column("tenant", Int),
            column("mac_term", Int),
            column("created_ms", Big),
            column("binding", Uuid),
            column("name", Text),
            column("envelope", Bytes),
        ],
        key: 1,
        order: &["id"],
        tenant: Some(1),
        envelopes: &[6],
        stays: &[],
    },
    Table {
        name: "spent",
        columns: &[column("term", Int), column("enc", Bytes), column("request", Bytes), column("at_ms", Big)],
        key: 2,
        order: &["term", "enc"],
        tenant: None,
        envelopes: &[],
        stays: &[],
    },
    Table {
        name: "answers",
        columns: &[
            column("tenant", Int),
            column("name", Bytes),
            column("mac_term", Int),
            column("expires_ms", Big),
            column("digest", Bytes),
            column("card", Uuid),
            column("envelope", Bytes),
        ],
        key: 2,
        order: &["id"],
        tenant: Some(0),
        envelopes: &[6],
        stays: &[],
    },
    Table {
        name: "cards",
        columns: &[
            column("tenant", Int),
            from("token", Uuid, TOKEN),
            column("mac_term", Int),
            from("created_ms", Made, "created_after_ms"),
            column("expires_ms", Big),
            column("fingerprint", Uuid),
            column("binding", Uuid),
            column("customer", Text),
            column("envelope", Bytes),
            column("metadata", Bytes),
        ],
        key: 2,
        order: &["id"],
        tenant: Some(0),
        envelopes: &[8, 9],
        stays: &[],
    },
];

/// Tables of the SQLite store that stay behind, and why.
#[cfg(test)]
const LEFT: &[(&str, &str)] = &[
    ("segments", "an index that the other store has in another form"),
    ("cluster", "counts changes for nodes that run; those of the other store begin anew"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::moving::capture::fresh;

    fn names(conn: &rusqlite::Connection, sql: &str) -> BTreeSet<String> {
        let mut statement = conn.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    #[test]
    fn a_table_of_the_store_goes_over_or_says_why_not() {
        let (_folder, conn) = fresh();
        let there = names(&conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
        let known = TABLES.iter().map(|table| table.name).chain(LEFT.iter().map(|(name, _)| *name));
        assert_eq!(there, known.map(str::to_owned).collect(), "a new table needs a place in TABLES, or in LEFT");
    }

    #[test]
    fn a_column_of_a_table_goes_over() {
        let (_folder, conn) = fresh();
        // A row's number is not part of it; a card's is the first half of its token.
        let own = ["secrets.id", "answers.id", "cards.id", "cards.head", "cards.rest"];
        for table in TABLES {
            let there = names(&conn, &format!("SELECT name FROM pragma_table_info('{}')", table.name));
            for column in there {
                let goes = (0..table.columns.len()).any(|place| table.in_sqlite(place) == column);
                let is_own = own.contains(&format!("{}.{column}", table.name).as_str());
                assert!(goes || is_own, "{}.{column} is left behind", table.name);
            }
        }
    }

    #[test]
    fn the_places_of_a_card_are_where_they_are_said_to_be() {
        let cards = TABLES.iter().find(|table| table.is_cards()).unwrap();
        let named = |place: usize| cards.columns[place].name;
        assert_eq!(
            (named(CARD_TOKEN), named(CARD_FINGERPRINT), named(CARD_CUSTOMER)),
            ("token", "fingerprint", "customer")
        );
        for table in TABLES {
            assert!(table.envelopes.iter().all(|place| ["envelope", "metadata"].contains(&table.columns[*place].name)));
        }
    }
}
