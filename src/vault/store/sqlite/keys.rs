//! Wrapped keys: changes that belong together happen together or not at all.

use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_wire::NodeName;
use strongroom_wire::admin::{KeyPurpose, KeyState};

use super::cards::signed_time;
use super::cluster;
use super::custody::wrapped_under;
use super::fault::{fault, unsigned};
use super::writer::Desk;
use crate::store::{KeyName, KeyRow, SignTerm, StoreError};

/// A key's name with the number of its tenant, 0 for the vault itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) purpose: u8,
    pub(super) tenant: i64,
    pub(super) term: u32,
}

impl Name {
    /// The name of a key whose tenant has this number.
    pub(super) fn of(name: &KeyName, tenant: i64) -> Self {
        Self { purpose: name.purpose as u8, tenant, term: name.term }
    }
}

/// Changes whose tenants are numbers.
#[derive(Default)]
pub(super) struct Change {
    pub(super) insert: Vec<(Name, KeyRow)>,
    pub(super) states: Vec<(Name, KeyState, KeyState)>,
    pub(super) rewraps: Vec<(Name, Vec<u8>, Vec<u8>)>,
    pub(super) sign_term: Option<SignTerm>,
    pub(super) under: Option<[u8; 32]>,
}

/// Every key, vault's first, then by tenant, purpose, term.
pub(super) fn list(conn: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    let sql = format!("{SELECT} ORDER BY keys.tenant, keys.purpose, keys.term");
    let mut statement = conn.prepare_cached(&sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut keys = Vec::new();
    while let Some(found) = rows.next().map_err(fault)? {
        keys.push(row(found)?);
    }
    Ok(keys)
}

/// A key as [`SELECT`] reads it.
pub(super) fn row(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let name: Option<String> = row.get(1).map_err(fault)?;
    let tenant = match (row.get::<_, i64>(2).map_err(fault)?, name) {
        (0, None) => None,
        (_, Some(name)) => Some(name.parse().map_err(|_| StoreError::Corrupt)?),
        (_, None) => return Err(StoreError::Corrupt),
    };
    Ok(KeyRow {
        name: KeyName { purpose: purpose(row.get(0).map_err(fault)?)?, tenant, term: row.get(3).map_err(fault)? },
        state: state(row.get(4).map_err(fault)?)?,
        created_ms: unsigned(row.get(5).map_err(fault)?)?,
        wraps: unsigned(row.get(6).map_err(fault)?)?,
        wrapped: row.get(7).map_err(fault)?,
    })
}

/// The beginning of every statement that reads keys.
pub(super) const SELECT: &str = "SELECT keys.purpose, tenants.name, keys.tenant, keys.term, keys.state, keys.created_ms, \
    keys.wraps, keys.wrapped FROM keys LEFT JOIN tenants ON tenants.id = keys.tenant";

/// Makes all the changes, or none and says `false` if one does not fit.
pub(super) fn change(desk: &mut Desk<'_>, change: &Change) -> Result<bool, StoreError> {
    wrapped_under(desk.conn, change.under.as_ref())?;
    desk.conn.execute_batch("SAVEPOINT change").map_err(fault)?;
    let fits = make(desk, change)?;
    cluster::touch(desk)?;
    let end = if fits { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" };
    desk.conn.execute_batch(end).map_err(fault)?;
    Ok(fits)
}

/// Whether the tenant was shredded: it never gets a key again.
fn is_shredded(conn: &Connection, tenant: i64) -> Result<bool, StoreError> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND shredded <> 0)")
        .and_then(|mut statement| statement.query_row([tenant], |row| row.get(0)))
        .map_err(fault)
}

fn make(desk: &mut Desk<'_>, change: &Change) -> Result<bool, StoreError> {
    for (name, key) in &change.insert {
        if exists(desk.conn, *name)? || is_shredded(desk.conn, name.tenant)? {
            return Ok(false);
        }
        insert(desk, *name, key)?;
    }
    for (name, from, to) in &change.states {
        let wipe = *to == KeyState::Destroyed;
        let changed = desk
            .conn
            .prepare_cached(
                "UPDATE keys SET state = ?5, wrapped = iif(?6, x'', wrapped) \
                 WHERE purpose = ?1 AND tenant = ?2 AND term = ?3 AND state = ?4",
            )
            .and_then(|mut statement| {
                statement.execute(params![name.purpose, name.tenant, name.term, *from as u8, *to as u8, wipe])
            })
            .map_err(fault)?;
        desk.shreds |= wipe;
        if changed == 0 {
            return Ok(false);
        }
        if wipe {
            // A copy for a Root to come would outlive the key.
            desk.conn
                .prepare_cached("DELETE FROM staged_keys WHERE purpose = ?1 AND tenant = ?2 AND term = ?3")
                .and_then(|mut statement| statement.execute(params![name.purpose, name.tenant, name.term]))
                .map_err(fault)?;
        }
    }
    for (name, old, new) in &change.rewraps {
        let changed = desk
            .conn
            .prepare_cached(
                "UPDATE keys SET wrapped = ?5 WHERE purpose = ?1 AND tenant = ?2 AND term = ?3 AND wrapped = ?4",
            )
            .and_then(|mut statement| statement.execute(params![name.purpose, name.tenant, name.term, old, new]))
            .map_err(fault)?;
        desk.shreds = true;
        if changed == 0 {
            return Ok(false);
        }
    }
    match &change.sign_term {
        Some(sign) => insert_sign_term(desk, sign),
        None => Ok(true),
    }
}

fn insert_sign_term(desk: &mut Desk<'_>, sign: &SignTerm) -> Result<bool, StoreError> {
    let node = sign.node.as_ref().map_or("", NodeName::as_str);
    let inserted = desk
        .conn
        .prepare_cached(
            "INSERT INTO sign_terms (node, term, public_key, from_entry, handover) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(params![node, sign.term, sign.public_key, signed_time(sign.from_entry), sign.handover])
        })
        .map_err(fault)?;
    Ok(inserted > 0)
}

/// Forgets what is known of a node's Sign key but for one term.
pub(super) fn restart_log(desk: &mut Desk<'_>, node: &NodeName, first: &SignTerm) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached("DELETE FROM sign_terms WHERE node = ?1")
        .and_then(|mut statement| statement.execute([node.as_str()]))
        .map_err(fault)?;
    insert_sign_term(desk, first).map(drop)
}

/// What is public of every term of the Sign key.
pub(super) fn sign_terms(conn: &Connection) -> Result<Vec<SignTerm>, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT term, public_key, from_entry, handover, node FROM sign_terms ORDER BY node, term")
        .map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut terms = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let node: String = row.get(4).map_err(fault)?;
        let node = if node.is_empty() { None } else { Some(node.parse().map_err(|_| StoreError::Corrupt)?) };
        terms.push(SignTerm {
            node,
            term: row.get(0).map_err(fault)?,
            public_key: row.get(1).map_err(fault)?,
            from_entry: unsigned(row.get(2).map_err(fault)?)?,
            handover: row.get(3).map_err(fault)?,
        });
    }
    Ok(terms)
}

/// Inserts one key.
pub(super) fn insert(desk: &mut Desk<'_>, name: Name, key: &KeyRow) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached(
            "INSERT INTO keys (purpose, tenant, term, state, created_ms, wraps, wrapped) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                name.purpose,
                name.tenant,
                name.term,
                key.state as u8,
                signed_time(key.created_ms),
                signed_time(key.wraps),
                key.wrapped,
            ])
        })
        .map_err(fault)?;
    Ok(())
}

/// Counts wraps.
pub(super) fn add_wraps(desk: &mut Desk<'_>, name: Name, by: u64) -> Result<u64, StoreError> {
    let total: Option<i64> = desk
        .conn
        .prepare_cached(
            "UPDATE keys SET wraps = wraps + ?4 WHERE purpose = ?1 AND tenant = ?2 AND term = ?3 RETURNING wraps",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![name.purpose, name.tenant, name.term, signed_time(by)], |row| row.get(0))
                .optional()
        })
        .map_err(fault)?;
    unsigned(total.ok_or(StoreError::NoKey)?)
}

fn exists(conn: &Connection, name: Name) -> Result<bool, StoreError> {
    conn.prepare_cached("SELECT 1 FROM keys WHERE purpose = ?1 AND tenant = ?2 AND term = ?3")
        .and_then(|mut statement| statement.exists(params![name.purpose, name.tenant, name.term]))
        .map_err(fault)
}

pub(super) fn purpose(number: u8) -> Result<KeyPurpose, StoreError> {
    [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session, KeyPurpose::Sign, KeyPurpose::Intake]
        .into_iter()
        .find(|purpose| *purpose as u8 == number)
        .ok_or(StoreError::Corrupt)
}

fn state(number: u8) -> Result<KeyState, StoreError> {
    [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Destroyed]
        .into_iter()
        .find(|state| *state as u8 == number)
        .ok_or(StoreError::Corrupt)
}

/// Whether an operator sealed the vault.
pub(super) fn stays_sealed(conn: &Connection) -> Result<bool, StoreError> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM settings WHERE name = 'stays-sealed')")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(fault)
}

/// Notes that an operator sealed the vault, or unsealed it.
pub(super) fn set_stays_sealed(desk: &mut Desk<'_>, stays: bool) -> Result<(), StoreError> {
    let statement = if stays {
        "INSERT OR IGNORE INTO settings (name, value) VALUES ('stays-sealed', x'01')"
    } else {
        "DELETE FROM settings WHERE name = 'stays-sealed'"
    };
    desk.conn.execute(statement, []).map_err(fault)?;
    if stays { cluster::touch_sealed(desk) } else { cluster::touch(desk) }
}
