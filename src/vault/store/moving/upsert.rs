//! Many records in one statement of PostgreSQL, and back.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::tables::{CARD_TOKEN, Cell, Kind, Record, Table};
use crate::store::StoreError;
use crate::store::postgres::fault::{Failure, column, fixed};
use crate::store::postgres::run::{Param, array, big};

/// One column of many rows.
enum Values<'a> {
    Small(Vec<Option<i16>>),
    Int(Vec<Option<i32>>),
    Big(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
    Text(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
    Uuid(Vec<Option<Uuid>>),
}

impl Values<'_> {
    fn param(&self) -> Param<'_> {
        fn of<T: ToSql + Sync>(values: &T, of: Type) -> Param<'_> {
            array(values, of)
        }
        match self {
            Self::Small(values) => of(values, Type::INT2_ARRAY),
            Self::Int(values) => of(values, Type::INT4_ARRAY),
            Self::Big(values) => of(values, Type::INT8_ARRAY),
            Self::Flag(values) => of(values, Type::BOOL_ARRAY),
            Self::Text(values) => of(values, Type::TEXT_ARRAY),
            Self::Bytes(values) => of(values, Type::BYTEA_ARRAY),
            Self::Uuid(values) => of(values, Type::UUID_ARRAY),
        }
    }
}

/// Inserts records; one whose key is there stays as it is.
pub(super) async fn insert(tx: &Client, table: &Table, records: &[&Record]) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let columns: Vec<Values<'_>> =
        (0..table.columns.len()).map(|place| values(table, place, records)).collect::<Result<_, _>>()?;
    let sql = format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT DO NOTHING",
        table.name,
        names(table, table.columns.len(), ""),
        arrays(table, table.columns.len()),
    );
    let params: Vec<Param<'_>> = columns.iter().map(Values::param).collect();
    tx.execute_typed(&sql, &params).await?;
    Ok(())
}

/// Deletes what has these keys.
pub(super) async fn delete(tx: &Client, table: &Table, keys: &[&[Cell]]) -> Result<(), Failure> {
    if keys.is_empty() {
        return Ok(());
    }
    let columns = keys_of(table, keys)?;
    let sql = format!("DELETE FROM {} USING {}", table.name, meets(table));
    let params: Vec<Param<'_>> = columns.iter().map(Values::param).collect();
    tx.execute_typed(&sql, &params).await?;
    Ok(())
}

/// Reads what has these keys.
pub(super) async fn find(tx: &Client, table: &Table, keys: &[&[Cell]]) -> Result<Vec<Record>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let columns = keys_of(table, keys)?;
    let prefix = format!("{}.", table.name);
    let sql = format!("SELECT {} FROM {}, {}", names(table, table.columns.len(), &prefix), table.name, meets(table),);
    let params: Vec<Param<'_>> = columns.iter().map(Values::param).collect();
    let rows = tx.query_typed(&sql, &params).await?;
    Ok(rows.iter().map(|row| record(table, row)).collect::<Result<_, _>>()?)
}

/// Up to `limit` records after a key, in the order of keys.
pub(super) async fn page(
    tx: &Client,
    table: &Table,
    after: Option<&[Cell]>,
    limit: i64,
) -> Result<Vec<Record>, Failure> {
    let key = names(table, table.key, "");
    let all = names(table, table.columns.len(), "");
    let goes = table.goes(table.name);
    let owned: Vec<Values<'_>> = match after {
        None => Vec::new(),
        Some(after) => keys_of(table, &[after])?,
    };
    let from = if owned.is_empty() {
        goes
    } else {
        let parts: Vec<String> = (1..=table.key).map(|place| format!("(${place})[1]")).collect();
        format!("{goes} AND ({key}) > ({})", parts.join(", "))
    };
    let sql = format!("SELECT {all} FROM {} WHERE {from} ORDER BY {key} LIMIT ${}", table.name, owned.len() + 1);
    let mut params: Vec<Param<'_>> = owned.iter().map(Values::param).collect();
    params.push(big(&limit));
    let rows = tx.query_typed(&sql, &params).await?;
    Ok(rows.iter().map(|row| record(table, row)).collect::<Result<_, _>>()?)
}

/// `t, unnest(...) AS k(...) WHERE t.a = k.a AND ...`, without the table in front.
fn meets(table: &Table) -> String {
    let equal: Vec<String> = table.columns[..table.key]
        .iter()
        .map(|column| format!("{}.{} = sought.{}", table.name, column.name, column.name))
        .collect();
    let key = names(table, table.key, "");
    format!("unnest({}) AS sought({key}) WHERE {}", arrays(table, table.key), equal.join(" AND "))
}

fn names(table: &Table, count: usize, prefix: &str) -> String {
    let names: Vec<String> = table.columns[..count].iter().map(|column| format!("{prefix}{}", column.name)).collect();
    names.join(", ")
}

fn arrays(table: &Table, count: usize) -> String {
    let arrays: Vec<String> = (0..count)
        .map(|place| {
            let of = match table.columns[place].kind {
                Kind::Small => "int2",
                Kind::Int => "int4",
                Kind::Big | Kind::Made => "int8",
                Kind::Flag => "bool",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
                Kind::Uuid => "uuid",
            };
            format!("${}::{of}[]", place + 1)
        })
        .collect();
    arrays.join(", ")
}

fn keys_of<'a>(table: &Table, keys: &[&'a [Cell]]) -> Result<Vec<Values<'a>>, StoreError> {
    (0..table.key).map(|place| of_cells(table.columns[place].kind, keys.iter().map(|key| &key[place]))).collect()
}

fn values<'a>(table: &Table, place: usize, records: &[&'a Record]) -> Result<Values<'a>, StoreError> {
    match table.columns[place].kind {
        Kind::Made => {
            let made = |record: &&Record| {
                let after = int(&record[place])?.ok_or(StoreError::Corrupt)?;
                let at = token_ms(&record[CARD_TOKEN])?.checked_add(after).ok_or(StoreError::Corrupt)?;
                Ok((after != 0).then_some(at))
            };
            Ok(Values::Big(records.iter().map(made).collect::<Result<_, StoreError>>()?))
        }
        kind => of_cells(kind, records.iter().map(|record| &record[place])),
    }
}

fn of_cells<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell>) -> Result<Values<'a>, StoreError> {
    fn all<'a, T>(
        cells: impl Iterator<Item = &'a Cell>,
        one: impl Fn(&'a Cell) -> Result<Option<T>, StoreError>,
    ) -> Result<Vec<Option<T>>, StoreError> {
        cells.map(one).collect()
    }
    fn narrow<T: TryFrom<i64>>(cell: &Cell) -> Result<Option<T>, StoreError> {
        int(cell)?.map(|number| T::try_from(number).map_err(|_| StoreError::TooLarge)).transpose()
    }
    Ok(match kind {
        Kind::Small => Values::Small(all(cells, narrow)?),
        Kind::Int => Values::Int(all(cells, narrow)?),
        Kind::Big | Kind::Made => Values::Big(all(cells, int)?),
        Kind::Flag => Values::Flag(all(cells, |cell| match int(cell)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(_) => Err(StoreError::Corrupt),
        })?),
        Kind::Text => Values::Text(all(cells, |cell| match cell {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text.as_str())),
            _ => Err(StoreError::Corrupt),
        })?),
        Kind::Bytes => Values::Bytes(all(cells, |cell| match cell {
            Cell::Null => Ok(None),
            Cell::Bytes(bytes) => Ok(Some(bytes.as_slice())),
            _ => Err(StoreError::Corrupt),
        })?),
        Kind::Uuid => Values::Uuid(all(cells, |cell| match cell {
            Cell::Null => Ok(None),
            Cell::Bytes(bytes) => Ok(Some(Uuid::from_bytes(fixed(bytes)?))),
            _ => Err(StoreError::Corrupt),
        })?),
    })
}

fn int(cell: &Cell) -> Result<Option<i64>, StoreError> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Int(number) => Ok(Some(*number)),
        _ => Err(StoreError::Corrupt),
    }
}

/// Milliseconds since 1970 in the first 48 bits of a UUIDv7.
fn token_ms(cell: &Cell) -> Result<i64, StoreError> {
    match cell {
        Cell::Bytes(bytes) => Ok((Uuid::from_bytes(fixed(bytes)?).as_u64_pair().0 >> 16) as i64),
        _ => Err(StoreError::Corrupt),
    }
}

fn record(table: &Table, row: &Row) -> Result<Record, StoreError> {
    let mut record = Record::with_capacity(table.columns.len());
    for (place, of) in table.columns.iter().enumerate() {
        let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Int);
        let cell = match of.kind {
            Kind::Small => number(column::<Option<i16>>(row, place)?.map(i64::from)),
            Kind::Int => number(column::<Option<i32>>(row, place)?.map(i64::from)),
            Kind::Big => number(column(row, place)?),
            Kind::Flag => number(column::<Option<bool>>(row, place)?.map(i64::from)),
            Kind::Text => column::<Option<String>>(row, place)?.map_or(Cell::Null, Cell::Text),
            Kind::Bytes => column::<Option<Vec<u8>>>(row, place)?.map_or(Cell::Null, Cell::Bytes),
            Kind::Uuid => {
                column::<Option<Uuid>>(row, place)?.map_or(Cell::Null, |id| Cell::Bytes(id.as_bytes().to_vec()))
            }
            Kind::Made => {
                let at: Option<i64> = column(row, place)?;
                let token = token_ms(&record[CARD_TOKEN])?;
                Cell::Int(at.map_or(Some(0), |at| at.checked_sub(token)).ok_or(StoreError::Corrupt)?)
            }
        };
        record.push(cell);
    }
    Ok(record)
}
