//! Rows whose MACs are under an old term of the fingerprint key: walking through them, counting them, swapping their MACs.

use rusqlite::{Connection, params};
use strongroom_wire::TenantId;

use super::cards::{self, find};
use super::fault::fault;
use super::secrets;
use super::segments::next_stretch;
use super::writer::Desk;
use crate::store::{MarkCount, MarkPage, MarkSwap, StaleCursor, StoreError};

/// One step of the walk: one stretch of cards, or so many secrets.
pub(super) fn step(
    conn: &Connection,
    (number, tenant): (i64, &TenantId),
    term: u32,
    from: Option<StaleCursor>,
    limit: u32,
) -> Result<MarkPage, StoreError> {
    let from = from.unwrap_or(StaleCursor::of_row(CARDS, i64::MIN));
    let limit = i64::from(limit.max(1));
    if from.table != CARDS {
        return of_secrets(conn, (number, tenant), term, from.after, limit);
    }
    let stretch = next_stretch(conn, from.after, number, None)?;
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT {} FROM cards WHERE id > ?1 AND id <= ?2 AND tenant = ?3 AND mac_term < ?4 ORDER BY id LIMIT ?5",
            cards::COLUMNS
        ))
        .map_err(fault)?;
    let mut rows = statement.query(params![stretch.after, stretch.last, number, term, limit]).map_err(fault)?;
    let (mut found, mut last) = (Vec::new(), stretch.after);
    while let Some(row) = rows.next().map_err(fault)? {
        let (id, card) = cards::read(tenant, row)?;
        last = id;
        found.push(card);
    }
    let next = if i64::try_from(found.len()).is_ok_and(|count| count == limit) {
        StaleCursor::of_row(CARDS, last)
    } else if stretch.last == i64::MAX {
        StaleCursor::of_row(SECRETS, 0)
    } else {
        StaleCursor::of_row(CARDS, stretch.last)
    };
    Ok(MarkPage { cards: found, secrets: Vec::new(), next: Some(next) })
}

/// One step of the count: one stretch of cards, or all of the few other rows. Answers where the next one begins.
pub(super) fn count_step(
    conn: &Connection,
    number: i64,
    term: u32,
    after: i64,
    count: &mut MarkCount,
) -> Result<Option<i64>, StoreError> {
    let stretch = next_stretch(conn, after, number, None)?;
    let cards: i64 = conn
        .prepare_cached("SELECT count(*) FROM cards WHERE id > ?1 AND id <= ?2 AND tenant = ?3 AND mac_term < ?4")
        .and_then(|mut s| s.query_row(params![stretch.after, stretch.last, number, term], |row| row.get(0)))
        .map_err(fault)?;
    count.cards += cards.unsigned_abs();
    if stretch.last < i64::MAX {
        return Ok(Some(stretch.last));
    }
    let rows = |table: &str| -> Result<u64, StoreError> {
        conn.prepare_cached(&format!("SELECT count(*) FROM {table} WHERE tenant = ?1 AND mac_term < ?2"))
            .and_then(|mut statement| statement.query_row(params![number, term], |row| row.get::<_, i64>(0)))
            .map(i64::unsigned_abs)
            .map_err(fault)
    };
    count.secrets = rows("secrets")?;
    count.answers = rows("answers")?;
    Ok(None)
}

/// Swaps what is still as it was; says how many rows were.
pub(super) fn swap(desk: &mut Desk<'_>, number: i64, swaps: &[MarkSwap]) -> Result<u64, StoreError> {
    let (mut prints, mut count) = (Vec::new(), 0);
    for swap in swaps {
        let changed = match swap {
            MarkSwap::Card(token, old, new) => {
                let Some(id) = find(desk.conn, token)? else { continue };
                let changed = desk
                    .conn
                    .prepare_cached(
                        "UPDATE cards SET fingerprint = ?3, mac_term = ?4, binding = ?5 WHERE id = ?1 AND tenant = ?2 \
                         AND fingerprint = ?6 AND mac_term = ?7 AND binding = ?8",
                    )
                    .and_then(|mut statement| {
                        statement.execute(params![
                            id,
                            number,
                            new.fingerprint,
                            new.mac_term,
                            new.binding,
                            old.fingerprint,
                            old.mac_term,
                            old.binding
                        ])
                    })
                    .map_err(fault)?;
                if changed > 0 {
                    prints.push((id, old.fingerprint, new.fingerprint));
                }
                changed
            }
            MarkSwap::Secret(id, old, new) => {
                let Some(id) = secrets::id(desk.conn, id)? else { continue };
                desk.conn
                    .prepare_cached(
                        "UPDATE secrets SET mac_term = ?3, binding = ?4 WHERE id = ?1 AND tenant = ?2 AND mac_term = ?5 \
                         AND binding = ?6",
                    )
                    .and_then(|mut statement| {
                        statement.execute(params![id, number, new.mac_term, new.binding, old.mac_term, old.binding])
                    })
                    .map_err(fault)?
            }
        };
        count += changed as u64;
    }
    desk.segments.replace(desk.conn, &mut prints)?;
    // An old fingerprint under a key that somebody may have is to leave the files as a deleted row does.
    desk.shreds |= count > 0;
    Ok(count)
}

fn of_secrets(
    conn: &Connection,
    (number, tenant): (i64, &TenantId),
    term: u32,
    after: i64,
    limit: i64,
) -> Result<MarkPage, StoreError> {
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT {}, id FROM secrets WHERE id > ?1 AND tenant = ?2 AND mac_term < ?3 ORDER BY id LIMIT ?4",
            secrets::COLUMNS
        ))
        .map_err(fault)?;
    let mut rows = statement.query(params![after, number, term, limit]).map_err(fault)?;
    let (mut found, mut last) = (Vec::new(), after);
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(secrets::of(tenant, row)?);
        last = row.get(6).map_err(fault)?;
    }
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == limit);
    let next = is_full.then_some(StaleCursor::of_row(SECRETS, last));
    Ok(MarkPage { cards: Vec::new(), secrets: found, next })
}

const CARDS: u8 = 1;
const SECRETS: u8 = 2;
