//! Rows of the SQLite store as records: page by page, and one by its key.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::tables::{Cell, Kind, Record, TABLES, Table};
use crate::store::StoreError;
use crate::store::sqlite::fault;

/// Up to `limit` rows after a place, in the order of the table's own key, and the place after them; none at the end.
pub(super) fn page(
    conn: &Connection,
    table: usize,
    after: Option<&[Cell]>,
    limit: u32,
) -> Result<(Vec<Record>, Option<Vec<Cell>>), StoreError> {
    let table = &TABLES[table];
    let order = table.order.join(", ");
    let from = match after {
        None => table.goes(table.name),
        Some(_) => {
            let marks: Vec<String> = (1..=table.order.len()).map(|place| format!("?{place}")).collect();
            format!("{} AND ({order}) > ({})", table.goes(table.name), marks.join(", "))
        }
    };
    let sql =
        format!("SELECT {}, {order} FROM {} WHERE {from} ORDER BY {order} LIMIT {limit}", columns(table), table.name);
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(after.unwrap_or_default().iter().map(value))).map_err(fault)?;
    let (mut records, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next().map_err(fault)? {
        records.push(record(table, row)?);
        if records.len() == limit as usize {
            let place = |nth| cell(row.get_ref(table.columns.len() + nth).map_err(fault)?);
            last = Some((0..table.order.len()).map(place).collect::<Result<_, _>>()?);
        }
    }
    Ok((records, last))
}

/// The row of this key, if there is one.
pub(super) fn find(conn: &Connection, table: usize, key: &[Cell]) -> Result<Option<Record>, StoreError> {
    let table = &TABLES[table];
    let (condition, values) = match (table.name, key) {
        ("cards", [tenant, Cell::Bytes(token)]) => {
            let halves: [u8; 16] = token.as_slice().try_into().map_err(|_| StoreError::Corrupt)?;
            let (head, rest) = uuid::Uuid::from_bytes(halves).as_u64_pair();
            let sql = "rest = ?3 AND tenant = ?1 AND (id = ?2 AND head IS NULL OR head = ?2)".to_owned();
            (sql, vec![value(tenant), Value::Integer(head as i64), Value::Integer(rest as i64)])
        }
        ("answers", _) => {
            let sql = "substr(name, 1, 8) = substr(?2, 1, 8) AND name = ?2 AND tenant = ?1".to_owned();
            (sql, key.iter().map(value).collect())
        }
        _ => {
            let part = |place: usize| format!("{} = ?{}", table.in_sqlite(place), place + 1);
            let parts: Vec<String> = (0..table.key).map(part).collect();
            (parts.join(" AND "), key.iter().map(value).collect())
        }
    };
    let sql = format!("SELECT {} FROM {} WHERE {condition}", columns(table), table.name);
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(fault)?;
    rows.next().map_err(fault)?.map(|row| record(table, row)).transpose()
}

fn columns(table: &Table) -> String {
    (0..table.columns.len()).map(|place| table.in_sqlite(place)).collect::<Vec<_>>().join(", ")
}

fn record(table: &Table, row: &Row<'_>) -> Result<Record, StoreError> {
    let one = |place: usize| {
        let cell = cell(row.get_ref(place).map_err(fault)?)?;
        let fits = match (&cell, table.columns[place].kind) {
            (Cell::Null, Kind::Made) => false,
            (Cell::Null, _)
            | (Cell::Int(_), Kind::Small | Kind::Int | Kind::Big | Kind::Flag | Kind::Made)
            | (Cell::Text(_), Kind::Text)
            | (Cell::Bytes(_), Kind::Bytes) => true,
            (Cell::Bytes(bytes), Kind::Uuid) => bytes.len() == 16,
            _ => false,
        };
        if fits { Ok(cell) } else { Err(StoreError::Corrupt) }
    };
    (0..table.columns.len()).map(one).collect()
}

pub(super) fn cell(value: ValueRef<'_>) -> Result<Cell, StoreError> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text).map_err(|_| StoreError::Corrupt)?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(StoreError::Corrupt),
    })
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => Value::Integer(*number),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
    }
}
