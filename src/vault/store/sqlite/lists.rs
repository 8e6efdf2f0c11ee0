//! Reading cards: one by its token, a page of them, those whose end has come.

use std::sync::LazyLock;

use rusqlite::{Connection, Statement, ToSql, params};
use strongroom_wire::{TenantId, Token};

use super::cards::{COLUMNS, halves, read, signed_time, token};
use super::fault::fault;
use super::segments::next_stretch;
use crate::store::{CardFilter, CardRow, Expired, StoreError};

/// A page that is asked for.
pub(super) struct Page {
    pub(super) filter: CardFilter,
    pub(super) after: Option<Token>,
    pub(super) limit: usize,
    pub(super) now_ms: u64,
}

/// One live card.
pub(super) fn card(
    conn: &Connection,
    number: i64,
    tenant: &TenantId,
    name: &Token,
    now_ms: u64,
) -> Result<Option<CardRow>, StoreError> {
    let (own, rest) = halves(name);
    let now = signed_time(now_ms);
    let mut home = conn.prepare_cached(&AT_HOME).map_err(fault)?;
    if let Some(card) = first(&mut home, tenant, params![own, rest, number, now])? {
        return Ok(Some(card));
    }
    let mut displaced = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM cards INDEXED BY cards_displaced WHERE head = ?1 AND rest = ?2 AND tenant = ?3 \
             AND (expires_ms IS NULL OR expires_ms > ?4)"
        ))
        .map_err(fault)?;
    first(&mut displaced, tenant, params![own, rest, number, now])
}

/// Live cards in the order of their ids.
pub(super) fn page(conn: &Connection, number: i64, tenant: &TenantId, page: &Page) -> Result<Vec<CardRow>, StoreError> {
    let after = match &page.after {
        // The row may be gone by now; its own id is then the place where it stood, or just before.
        Some(name) => super::cards::find(conn, name)?.unwrap_or(halves(name).0),
        None => i64::MIN,
    };
    match &page.filter.customer {
        Some(customer) => of_customer(conn, number, tenant, page, customer.as_str(), after),
        None => by_stretches(conn, number, tenant, page, after),
    }
}

/// Cards whose end has come, of all tenants.
pub(super) fn expired(conn: &Connection, now_ms: u64, limit: u32) -> Result<Vec<Expired>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT tenants.name, cards.id, cards.head, cards.rest FROM cards INDEXED BY cards_expires \
             JOIN tenants ON tenants.id = cards.tenant WHERE cards.expires_ms <= ?1 ORDER BY cards.expires_ms LIMIT ?2",
        )
        .map_err(fault)?;
    let mut rows = statement.query(params![signed_time(now_ms), limit]).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let name: String = row.get(0).map_err(fault)?;
        found.push(Expired {
            tenant: name.parse().map_err(|_| StoreError::Corrupt)?,
            token: token(row.get(1).map_err(fault)?, row.get(2).map_err(fault)?, row.get(3).map_err(fault)?),
        });
    }
    Ok(found)
}

fn of_customer(
    conn: &Connection,
    number: i64,
    tenant: &TenantId,
    page: &Page,
    customer: &str,
    after: i64,
) -> Result<Vec<CardRow>, StoreError> {
    // The planner would walk all cards in order of id rather than sort one customer's few.
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM cards INDEXED BY cards_customer WHERE tenant = ?1 AND customer = ?2 \
             AND substr(fingerprint, 1, 4) = coalesce(substr(?3, 1, 4), substr(fingerprint, 1, 4)) \
             AND fingerprint = coalesce(?3, fingerprint) AND id > ?4 \
             AND (expires_ms IS NULL OR expires_ms > ?5) ORDER BY id LIMIT ?6"
        ))
        .map_err(fault)?;
    let print = page.filter.fingerprint.as_ref().map(|print| print.as_slice());
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    all(&mut statement, tenant, params![number, customer, print, after, signed_time(page.now_ms), limit])
}

fn by_stretches(
    conn: &Connection,
    number: i64,
    tenant: &TenantId,
    page: &Page,
    after: i64,
) -> Result<Vec<CardRow>, StoreError> {
    let print = page.filter.fingerprint.as_ref();
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM cards WHERE id > ?1 AND id <= ?2 AND tenant = ?3 \
             AND (?4 IS NULL OR fingerprint = ?4) AND (expires_ms IS NULL OR expires_ms > ?5) ORDER BY id LIMIT ?6"
        ))
        .map_err(fault)?;
    let mut found = Vec::new();
    let mut from = after;
    while found.len() < page.limit {
        let stretch = next_stretch(conn, from, number, print)?;
        let limit = i64::try_from(page.limit - found.len()).unwrap_or(i64::MAX);
        let values = params![
            stretch.after,
            stretch.last,
            number,
            print.map(|print| print.as_slice()),
            signed_time(page.now_ms),
            limit
        ];
        found.extend(all(&mut statement, tenant, values)?);
        if stretch.last == i64::MAX {
            break;
        }
        from = stretch.last;
    }
    Ok(found)
}

/// A card in the place of its own token, where nearly all are. Written once: every reveal asks this.
static AT_HOME: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM cards WHERE id = ?1 AND rest = ?2 AND head IS NULL AND tenant = ?3 \
         AND (expires_ms IS NULL OR expires_ms > ?4)"
    )
});

fn first(
    statement: &mut Statement<'_>,
    tenant: &TenantId,
    values: &[&dyn ToSql],
) -> Result<Option<CardRow>, StoreError> {
    let mut rows = statement.query(values).map_err(fault)?;
    match rows.next().map_err(fault)? {
        Some(row) => Ok(Some(read(tenant, row)?.1)),
        None => Ok(None),
    }
}

fn all(statement: &mut Statement<'_>, tenant: &TenantId, values: &[&dyn ToSql]) -> Result<Vec<CardRow>, StoreError> {
    let mut rows = statement.query(values).map_err(fault)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        found.push(read(tenant, row)?.1);
    }
    Ok(found)
}
