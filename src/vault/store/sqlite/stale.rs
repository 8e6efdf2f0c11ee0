//! Sealed records on old terms: walking through them step by step, counting them, swapping their envelopes.

use rusqlite::{Connection, params};
use strongroom_wire::SecretId;
use uuid::Uuid;

use super::cards::{find, token};
use super::fault::{fault, fixed};
use super::segments::next_stretch;
use super::writer::Desk;
use super::{answers, secrets};
use crate::store::{EnvelopeSwap, Place, StaleCursor, StalePage, StaleRecord, StoreError};

/// One step of the walk: one stretch of cards, or so many rows of another table.
pub(super) fn step(
    conn: &Connection,
    tenant: i64,
    term: u32,
    from: Option<StaleCursor>,
    limit: u32,
) -> Result<StalePage, StoreError> {
    let from = from.unwrap_or(StaleCursor::of_row(CARDS, i64::MIN));
    let limit = i64::from(limit.max(1));
    match from.table {
        CARDS => cards(conn, tenant, term, from.after, limit),
        SECRETS => rows(conn, SECRET_TABLE, (tenant, term, from.after, limit), |bytes| {
            Ok(Place::Secret(SecretId::from_uuid(Uuid::from_bytes(fixed(bytes)?))))
        }),
        _ => rows(conn, ANSWER_TABLE, (tenant, term, from.after, limit), |bytes| Ok(Place::Answer(fixed(bytes)?))),
    }
}

/// Swaps one envelope if it is still the old one.
pub(super) fn swap(desk: &mut Desk<'_>, tenant: i64, swap: &EnvelopeSwap) -> Result<bool, StoreError> {
    let (sql, id) = match &swap.place {
        Place::Card(token) => {
            ("UPDATE cards SET envelope = ?3 WHERE id = ?1 AND tenant = ?2 AND envelope = ?4", find(desk.conn, token)?)
        }
        Place::Metadata(token) => {
            ("UPDATE cards SET metadata = ?3 WHERE id = ?1 AND tenant = ?2 AND metadata = ?4", find(desk.conn, token)?)
        }
        Place::Secret(id) => (
            "UPDATE secrets SET envelope = ?3 WHERE id = ?1 AND tenant = ?2 AND envelope = ?4",
            secrets::id(desk.conn, id)?,
        ),
        Place::Answer(name) => (
            "UPDATE answers SET envelope = ?3 WHERE id = ?1 AND tenant = ?2 AND envelope = ?4",
            answers::id(desk.conn, tenant, name)?,
        ),
    };
    let Some(id) = id else {
        return Ok(false);
    };
    let changed = desk
        .conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params![id, tenant, swap.new, swap.old]))
        .map_err(fault)?;
    desk.shreds |= changed > 0;
    Ok(changed > 0)
}

fn cards(conn: &Connection, tenant: i64, term: u32, after: i64, limit: i64) -> Result<StalePage, StoreError> {
    let stretch = next_stretch(conn, after, tenant, None)?;
    let mut statement = conn
        .prepare_cached(
            "SELECT id, head, rest, iif(substr(envelope, 2, 4) < ?4, envelope, NULL), \
             iif(substr(metadata, 2, 4) < ?4, metadata, NULL) FROM cards WHERE id > ?1 AND id <= ?2 AND tenant = ?3 \
             AND (substr(envelope, 2, 4) < ?4 OR substr(metadata, 2, 4) < ?4) ORDER BY id LIMIT ?5",
        )
        .map_err(fault)?;
    let mut rows =
        statement.query(params![stretch.after, stretch.last, tenant, term.to_be_bytes(), limit]).map_err(fault)?;
    let (mut records, mut seen, mut last) = (Vec::new(), 0, stretch.after);
    while let Some(row) = rows.next().map_err(fault)? {
        last = row.get(0).map_err(fault)?;
        seen += 1;
        let token = token(last, row.get(1).map_err(fault)?, row.get(2).map_err(fault)?);
        for (place, column) in [(Place::Card(token), 3), (Place::Metadata(token), 4)] {
            if let Some(envelope) = row.get(column).map_err(fault)? {
                records.push(StaleRecord { place, envelope });
            }
        }
    }
    let next = if seen == limit {
        StaleCursor::of_row(CARDS, last)
    } else if stretch.last == i64::MAX {
        StaleCursor::of_row(SECRETS, 0)
    } else {
        StaleCursor::of_row(CARDS, stretch.last)
    };
    Ok(StalePage { records, next: Some(next) })
}

fn rows(
    conn: &Connection,
    table: Table,
    (tenant, term, after, limit): (i64, u32, i64, i64),
    place: impl Fn(&[u8]) -> Result<Place, StoreError>,
) -> Result<StalePage, StoreError> {
    // Each step looks at so many rows at most, so that no read lasts long however few of them are stale.
    let Table { number, name, column, following } = table;
    let end: Option<i64> = conn
        .prepare_cached(&format!("SELECT max(id) FROM (SELECT id FROM {name} WHERE id > ?1 ORDER BY id LIMIT ?2)"))
        .and_then(|mut statement| statement.query_row([after, STEP], |row| row.get(0)))
        .map_err(fault)?;
    let Some(end) = end else {
        return Ok(StalePage { records: Vec::new(), next: following.map(|table| StaleCursor::of_row(table, 0)) });
    };
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT id, {column}, envelope FROM {name} WHERE id > ?1 AND id <= ?2 AND tenant = ?3 \
             AND substr(envelope, 2, 4) < ?4 ORDER BY id LIMIT ?5"
        ))
        .map_err(fault)?;
    let mut rows = statement.query(params![after, end, tenant, term.to_be_bytes(), limit]).map_err(fault)?;
    let (mut records, mut last) = (Vec::new(), end);
    while let Some(row) = rows.next().map_err(fault)? {
        last = row.get(0).map_err(fault)?;
        let name: Vec<u8> = row.get(1).map_err(fault)?;
        records.push(StaleRecord { place: place(&name)?, envelope: row.get(2).map_err(fault)? });
    }
    let full = i64::try_from(records.len()).is_ok_and(|count| count == limit);
    Ok(StalePage { records, next: Some(StaleCursor::of_row(number, if full { last } else { end })) })
}

/// A table of sealed records beside the cards.
struct Table {
    number: u8,
    name: &'static str,
    column: &'static str,
    following: Option<u8>,
}

const SECRET_TABLE: Table = Table { number: SECRETS, name: "secrets", column: "secret", following: Some(ANSWERS) };
const ANSWER_TABLE: Table = Table { number: ANSWERS, name: "answers", column: "name", following: None };

const CARDS: u8 = 1;
const SECRETS: u8 = 2;
const ANSWERS: u8 = 3;
/// Rows of another table that one step looks at.
const STEP: i64 = 4096;
