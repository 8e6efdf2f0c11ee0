//! Kept answers: found by the hash of their idempotency key, shredded when their time is over.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_wire::{TenantId, Token};
use uuid::Uuid;

use super::cards::signed_time;
use super::fault::{fault, fixed, unsigned};
use super::writer::Desk;
use crate::store::{AnswerRow, StoreError};

/// Digest, end, envelope, card, term of the fingerprint key.
type Columns = (Vec<u8>, i64, Vec<u8>, Option<Vec<u8>>, u32);

/// The live answer of this name.
pub(super) fn find(
    conn: &Connection,
    number: i64,
    tenant: &TenantId,
    name: &[u8; 32],
    now_ms: u64,
) -> Result<Option<AnswerRow>, StoreError> {
    let found: Option<Columns> = conn
        .prepare_cached(
            "SELECT digest, expires_ms, envelope, card, mac_term FROM answers INDEXED BY answers_name \
             WHERE substr(name, 1, 8) = substr(?1, 1, 8) AND name = ?1 AND tenant = ?2 AND expires_ms > ?3",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![name, number, signed_time(now_ms)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })
                .optional()
        })
        .map_err(fault)?;
    let Some((digest, expires, envelope, card, mac_term)) = found else {
        return Ok(None);
    };
    Ok(Some(AnswerRow {
        tenant: tenant.clone(),
        name: *name,
        digest: fixed(&digest)?,
        mac_term,
        other_names: Vec::new(),
        envelope,
        expires_ms: unsigned(expires)?,
        card: card.map(|bytes| Ok(Token::from_uuid(Uuid::from_bytes(fixed(&bytes)?)))).transpose()?,
    }))
}

/// The live answer of the same idempotency key, under whichever term of the fingerprint key it was named.
pub(super) fn find_kept(
    conn: &Connection,
    number: i64,
    answer: &AnswerRow,
    now_ms: u64,
) -> Result<Option<AnswerRow>, StoreError> {
    for name in std::iter::once(&answer.name).chain(&answer.other_names) {
        if let Some(kept) = find(conn, number, &answer.tenant, name, now_ms)? {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// The id of an answer's row, live or not.
pub(super) fn id(conn: &Connection, number: i64, name: &[u8; 32]) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached(
        "SELECT id FROM answers INDEXED BY answers_name WHERE substr(name, 1, 8) = substr(?1, 1, 8) AND name = ?1 \
         AND tenant = ?2",
    )
    .and_then(|mut statement| statement.query_row(params![name, number], |row| row.get(0)).optional())
    .map_err(fault)
}

/// Keeps an answer in the place of one that is over. The caller has seen that there is no live one.
pub(super) fn put(desk: &mut Desk<'_>, number: i64, answer: &AnswerRow) -> Result<(), StoreError> {
    if let Some(old) = id(desk.conn, number, &answer.name)? {
        shred(desk, old)?;
    }
    desk.conn
        .prepare_cached(
            "INSERT INTO answers (tenant, name, digest, expires_ms, envelope, card, mac_term) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                number,
                answer.name,
                answer.digest,
                signed_time(answer.expires_ms),
                answer.envelope,
                answer.card.map(|card| card.uuid().into_bytes()),
                answer.mac_term,
            ])
        })
        .map_err(fault)?;
    Ok(())
}

/// Shreds answers whose time is over.
pub(super) fn purge(desk: &mut Desk<'_>, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
    let gone = desk
        .conn
        .prepare_cached(
            "DELETE FROM answers WHERE id IN (SELECT id FROM answers INDEXED BY answers_expires WHERE expires_ms <= ?1 \
             ORDER BY expires_ms LIMIT ?2)",
        )
        .and_then(|mut statement| statement.execute(params![signed_time(now_ms), limit]))
        .map_err(fault)?;
    desk.shreds |= gone > 0;
    Ok(gone as u64)
}

/// Shreds the answers that show a card.
pub(super) fn forget(desk: &mut Desk<'_>, tenant: i64, card: &Token) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached("DELETE FROM answers INDEXED BY answers_card WHERE card = ?1 AND tenant = ?2")
        .and_then(|mut statement| statement.execute(params![card.uuid().as_bytes(), tenant]))
        .map_err(fault)?;
    Ok(())
}

/// Shreds one answer. `false` if there was none.
pub(super) fn delete(desk: &mut Desk<'_>, tenant: i64, name: &[u8; 32]) -> Result<bool, StoreError> {
    let Some(id) = id(desk.conn, tenant, name)? else { return Ok(false) };
    shred(desk, id)?;
    Ok(true)
}

fn shred(desk: &mut Desk<'_>, id: i64) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached("DELETE FROM answers WHERE id = ?1")
        .and_then(|mut statement| statement.execute([id]))
        .map_err(fault)?;
    desk.shreds = true;
    Ok(())
}
