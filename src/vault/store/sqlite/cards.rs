//! Cards as rows: where a token's row stands, inserting, swapping, shredding.

use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_wire::{TenantId, Token};
use uuid::Uuid;

use super::answers;
use super::fault::{fault, fixed, unsigned};
use super::writer::Desk;
use crate::store::bounds::signed;
use crate::store::{AnswerRow, CardContent, CardRow, Inserted, StoreError};

/// Inserts a card and the answer that is kept with it, unless the request was answered before or the customer has the card.
pub(super) fn insert(
    desk: &mut Desk<'_>,
    tenant: i64,
    card: &CardRow,
    answer: Option<&AnswerRow>,
) -> Result<Inserted, StoreError> {
    if let Some(answer) = answer
        && let Some(kept) = answers::find_kept(desk.conn, tenant, answer, card.created_ms)?
    {
        return Ok(Inserted::Replayed(kept));
    }
    if let Some(customer) = &card.customer {
        for print in std::iter::once(&card.fingerprint).chain(&card.other_fingerprints) {
            if let Some(token) = duplicate(desk.conn, tenant, customer.as_str(), print, card.created_ms)? {
                return Ok(Inserted::Duplicate(token));
            }
        }
    }
    let (own, rest) = halves(&card.token);
    // A fresh token comes after all that are there; one from elsewhere may not.
    let id = if desk.segments.is_after_all(own) {
        own
    } else if find(desk.conn, &card.token)?.is_some() {
        return Err(StoreError::Exists);
    } else {
        free_from(desk.conn, own)?
    };
    let head = (id != own).then_some(own);
    let after = signed(card.created_ms)? - time_of(own);
    desk.conn
        .prepare_cached(
            "INSERT INTO cards (id, head, rest, tenant, customer, created_after_ms, expires_ms, fingerprint, binding, \
             envelope, metadata, mac_term) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id,
                head,
                rest,
                tenant,
                card.customer.as_ref().map(|customer| customer.as_str()),
                after,
                card.content.expires_ms.map(|at| at as i64),
                card.fingerprint,
                card.content.binding,
                card.content.envelope,
                card.content.metadata,
                card.mac_term,
            ])
        })
        .map_err(fault)?;
    desk.segments.note(desk.conn, id, tenant, &card.fingerprint)?;
    if let Some(answer) = answer {
        answers::put(desk, tenant, answer)?;
    }
    Ok(Inserted::Stored)
}

/// The live card of a customer with a fingerprint.
pub(super) fn duplicate(
    conn: &Connection,
    tenant: i64,
    customer: &str,
    fingerprint: &[u8; 16],
    now_ms: u64,
) -> Result<Option<Token>, StoreError> {
    let found: Option<(i64, Option<i64>, i64)> = conn
        .prepare_cached(
            "SELECT id, head, rest FROM cards INDEXED BY cards_customer WHERE tenant = ?1 AND customer = ?2 \
             AND substr(fingerprint, 1, 4) = substr(?3, 1, 4) AND fingerprint = ?3 \
             AND (expires_ms IS NULL OR expires_ms > ?4) ORDER BY id LIMIT 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![tenant, customer, fingerprint, signed_time(now_ms)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })
        .map_err(fault)?;
    Ok(found.map(|(id, head, rest)| token(id, head, rest)))
}

/// Replaces what may change of a card, if it is still `old`.
pub(super) fn swap(
    desk: &mut Desk<'_>,
    tenant: i64,
    token: &Token,
    old: &CardContent,
    new: &CardContent,
) -> Result<bool, StoreError> {
    let Some(id) = find(desk.conn, token)? else {
        return Ok(false);
    };
    let changed = desk
        .conn
        .prepare_cached(
            "UPDATE cards SET envelope = ?3, metadata = ?4, expires_ms = ?5, binding = ?6 WHERE id = ?1 AND tenant = ?2 \
             AND envelope = ?7 AND metadata IS ?8 AND expires_ms IS ?9 AND binding = ?10",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id,
                tenant,
                new.envelope,
                new.metadata,
                new.expires_ms.map(signed_time),
                new.binding,
                old.envelope,
                old.metadata,
                old.expires_ms.map(signed_time),
                old.binding,
            ])
        })
        .map_err(fault)?;
    desk.shreds |= changed > 0;
    Ok(changed > 0)
}

/// Shreds a card; with `ended_by`, only one whose end had come then.
pub(super) fn delete(
    desk: &mut Desk<'_>,
    tenant: i64,
    token: &Token,
    ended_by: Option<u64>,
) -> Result<bool, StoreError> {
    let Some(id) = find(desk.conn, token)? else {
        return Ok(false);
    };
    let gone: Option<Vec<u8>> = desk
        .conn
        .prepare_cached(
            "DELETE FROM cards WHERE id = ?1 AND tenant = ?2 AND (?3 IS NULL OR expires_ms <= ?3) RETURNING fingerprint",
        )
        .and_then(|mut statement| {
            statement.query_row(params![id, tenant, ended_by.map(signed_time)], |row| row.get(0)).optional()
        })
        .map_err(fault)?;
    let Some(fingerprint) = gone else {
        return Ok(false);
    };
    desk.segments.forget(desk.conn, id, &fingerprint)?;
    answers::forget(desk, tenant, token)?;
    desk.shreds = true;
    Ok(true)
}

/// The id of the row of a token: nearly always its own first 64 bits, otherwise what the index of displaced rows says.
pub(super) fn find(conn: &Connection, token: &Token) -> Result<Option<i64>, StoreError> {
    let (own, rest) = halves(token);
    let at_home = conn
        .prepare_cached("SELECT id FROM cards WHERE id = ?1 AND rest = ?2 AND head IS NULL")
        .and_then(|mut statement| statement.query_row([own, rest], |row| row.get(0)).optional())
        .map_err(fault)?;
    if at_home.is_some() {
        return Ok(at_home);
    }
    conn.prepare_cached("SELECT id FROM cards INDEXED BY cards_displaced WHERE head = ?1 AND rest = ?2")
        .and_then(|mut statement| statement.query_row([own, rest], |row| row.get(0)).optional())
        .map_err(fault)
}

/// The first id from `own` on that no row has.
fn free_from(conn: &Connection, own: i64) -> Result<i64, StoreError> {
    let mut taken = conn.prepare_cached("SELECT id FROM cards WHERE id >= ?1 ORDER BY id").map_err(fault)?;
    let mut rows = taken.query([own]).map_err(fault)?;
    let mut id = own;
    while let Some(row) = rows.next().map_err(fault)? {
        if row.get::<_, i64>(0).map_err(fault)? != id {
            break;
        }
        id = id.checked_add(1).ok_or(StoreError::Full)?;
    }
    Ok(id)
}

/// The columns that [`read`] reads, in its order.
pub(super) const COLUMNS: &str =
    "id, head, rest, customer, created_after_ms, expires_ms, fingerprint, binding, envelope, metadata, mac_term";

/// A card from a row of [`COLUMNS`], with its id.
pub(super) fn read(tenant: &TenantId, row: &Row<'_>) -> Result<(i64, CardRow), StoreError> {
    let id: i64 = row.get(0).map_err(fault)?;
    let head: Option<i64> = row.get(1).map_err(fault)?;
    let customer = match row.get_ref(3).and_then(|text| Ok(text.as_str_or_null()?)).map_err(fault)? {
        Some(text) => Some(text.parse().map_err(|_| StoreError::Corrupt)?),
        None => None,
    };
    let created = time_of(head.unwrap_or(id)).checked_add(row.get(4).map_err(fault)?).ok_or(StoreError::Corrupt)?;
    let expires: Option<i64> = row.get(5).map_err(fault)?;
    let blob = |column: usize| row.get_ref(column).and_then(|value| Ok(value.as_blob()?)).map_err(fault);
    let card = CardRow {
        tenant: tenant.clone(),
        token: token(id, head, row.get(2).map_err(fault)?),
        customer,
        fingerprint: fixed(blob(6)?)?,
        mac_term: row.get(10).map_err(fault)?,
        other_fingerprints: Vec::new(),
        created_ms: unsigned(created)?,
        content: CardContent {
            binding: fixed(blob(7)?)?,
            envelope: blob(8)?.to_vec(),
            metadata: row.get(9).map_err(fault)?,
            expires_ms: expires.map(unsigned).transpose()?,
        },
    };
    Ok((id, card))
}

/// The token of a row.
pub(super) fn token(id: i64, head: Option<i64>, rest: i64) -> Token {
    Token::from_uuid(Uuid::from_u64_pair(head.unwrap_or(id) as u64, rest as u64))
}

/// A token's own id, and the rest of it.
pub(super) fn halves(token: &Token) -> (i64, i64) {
    let (head, rest) = token.uuid().as_u64_pair();
    (head as i64, rest as i64)
}

/// A time to compare rows with; one that no row can have stands for the end of time.
pub(super) fn signed_time(at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970 in the first 48 bits of a UUIDv7.
fn time_of(head: i64) -> i64 {
    ((head as u64) >> 16) as i64
}
