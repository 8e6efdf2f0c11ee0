//! Wrapped keys: changes that belong together happen together or not at all.

use strongroom_wire::NodeName;
use strongroom_wire::admin::{KeyPurpose, KeyState};
use tokio_postgres::{Client, Row};

use super::custody::wrapped_under;
use super::fault::{Failure, column, signed_term, signed_time, term, unsigned};
use super::run::{ask, big, bytes, int, small, text, transact};
use super::{PostgresStore, touch, touch_sealed};
use crate::store::{KeyName, KeyRow, SignTerm, StoreError};

/// A key's name with the number of its tenant, 0 for the vault itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Name {
    pub(super) purpose: i16,
    pub(super) tenant: i32,
    pub(super) term: i32,
}

impl Name {
    /// The name of a key whose tenant has this number.
    pub(super) fn of(name: &KeyName, tenant: i32) -> Result<Self, StoreError> {
        Ok(Self { purpose: name.purpose as i16, tenant, term: signed_term(name.term)? })
    }

    /// The first three parameters of a statement about one key.
    pub(super) fn params(&self) -> [super::run::Param<'_>; 3] {
        [small(&self.purpose), int(&self.tenant), int(&self.term)]
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

/// The beginning of every statement that reads keys.
pub(super) const SELECT: &str = "SELECT keys.purpose, tenants.name, keys.tenant, keys.term, keys.state, keys.created_ms, \
    keys.wraps, keys.wrapped FROM keys LEFT JOIN tenants ON tenants.id = keys.tenant";

/// A key as [`SELECT`] reads it.
pub(super) fn read(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        name: KeyName {
            purpose: purpose(column(row, 0)?)?,
            tenant: tenant(column(row, 1)?, column(row, 2)?)?,
            term: term(column(row, 3)?)?,
        },
        state: state(column(row, 4)?)?,
        created_ms: unsigned(column(row, 5)?)?,
        wraps: unsigned(column(row, 6)?)?,
        wrapped: column(row, 7)?,
    })
}

/// Whose a row is; 0 stands for the vault itself, which has no name.
pub(super) fn tenant(name: Option<&str>, number: i32) -> Result<Option<strongroom_wire::TenantId>, StoreError> {
    match (number, name) {
        (0, None) => Ok(None),
        (_, Some(name)) => Ok(Some(name.parse().map_err(|_| StoreError::Corrupt)?)),
        (_, None) => Err(StoreError::Corrupt),
    }
}

impl PostgresStore {
    /// Every key, the vault's first, then by tenant, purpose, term.
    pub(super) async fn all_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let sql = format!("{SELECT} ORDER BY keys.tenant, keys.purpose, keys.term");
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(&sql, &[]).await?) })?;
        rows.iter().map(read).collect()
    }

    /// Makes all the changes, or none and says `false` if one does not fit.
    pub(super) async fn change(&self, change: &Change) -> Result<bool, StoreError> {
        transact!(self.connections, tx => {
            touch(tx).await?;
            wrapped_under(tx, change.under.as_ref()).await?;
            make(tx, change).await?;
            Ok(true)
        })
    }

    pub(super) async fn count_wraps(&self, name: Name, by: i64) -> Result<u64, StoreError> {
        let sql = "UPDATE keys SET wraps = wraps + $4 WHERE purpose = $1 AND tenant = $2 AND term = $3 RETURNING wraps";
        let [purpose, tenant, term] = name.params();
        let rows = self.connections.once(sql, &[purpose, tenant, term, big(&by)]).await?;
        unsigned(column(rows.first().ok_or(StoreError::NoKey)?, 0)?)
    }

    /// What is public of every term of the Sign key.
    pub(super) async fn all_sign_terms(&self) -> Result<Vec<SignTerm>, StoreError> {
        let sql =
            "SELECT term, public_key, from_entry, handover, node FROM sign_terms ORDER BY node COLLATE \"C\", term";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[]).await?) })?;
        let sign = |row: &Row| {
            let node = Some(column::<&str>(row, 4)?).filter(|name| !name.is_empty());
            Ok(SignTerm {
                node: node.map(str::parse).transpose().map_err(|_| StoreError::Corrupt)?,
                term: term(column(row, 0)?)?,
                public_key: column(row, 1)?,
                from_entry: unsigned(column(row, 2)?)?,
                handover: column(row, 3)?,
            })
        };
        rows.iter().map(sign).collect()
    }

    /// Whether an operator sealed the vault.
    pub(super) async fn is_kept_sealed(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM settings WHERE name = 'stays-sealed'";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[]).await?) })?;
        Ok(!rows.is_empty())
    }

    /// Notes that an operator sealed the vault, or unsealed it.
    pub(super) async fn keep_sealed(&self, stays: bool) -> Result<(), StoreError> {
        let sql = if stays {
            "INSERT INTO settings (name, value) VALUES ('stays-sealed', '\\x01') ON CONFLICT (name) DO NOTHING"
        } else {
            "DELETE FROM settings WHERE name = 'stays-sealed'"
        };
        transact!(self.connections, tx => {
            if stays { touch_sealed(tx).await? } else { touch(tx).await? }
            tx.execute_typed(sql, &[]).await?;
            Ok(())
        })
    }
}

async fn make(tx: &Client, change: &Change) -> Result<(), Failure> {
    for (name, key) in &change.insert {
        // A tenant that was shredded never gets a key again.
        let sql = "SELECT 1 FROM keys WHERE purpose = $1 AND tenant = $2 AND term = $3 \
                   UNION ALL SELECT 1 FROM tenants WHERE id = $2 AND shredded <> 0";
        if !tx.query_typed(sql, &name.params()).await?.is_empty() {
            return Err(Failure::Not);
        }
        insert(tx, *name, key).await?;
    }
    for (name, from, to) in &change.states {
        let wipe = *to == KeyState::Destroyed;
        let (from, to, empty) = (*from as i16, *to as i16, Vec::<u8>::new());
        let sql = "UPDATE keys SET state = $5, wrapped = CASE WHEN $5 = $7 THEN $6 ELSE wrapped END \
                   WHERE purpose = $1 AND tenant = $2 AND term = $3 AND state = $4";
        let destroyed = KeyState::Destroyed as i16;
        let [purpose, tenant, term] = name.params();
        let params = [purpose, tenant, term, small(&from), small(&to), bytes(&empty), small(&destroyed)];
        if tx.execute_typed(sql, &params).await? == 0 {
            return Err(Failure::Not);
        }
        if wipe {
            // A copy for a Root to come would outlive the key.
            let sql = "DELETE FROM staged_keys WHERE purpose = $1 AND tenant = $2 AND term = $3";
            tx.execute_typed(sql, &name.params()).await?;
        }
    }
    for (name, old, new) in &change.rewraps {
        let sql = "UPDATE keys SET wrapped = $5 WHERE purpose = $1 AND tenant = $2 AND term = $3 AND wrapped = $4";
        let [purpose, tenant, term] = name.params();
        if tx.execute_typed(sql, &[purpose, tenant, term, bytes(old), bytes(new)]).await? == 0 {
            return Err(Failure::Not);
        }
    }
    if let Some(sign) = &change.sign_term {
        let (term, from) = (signed_term(sign.term)?, signed_time(sign.from_entry));
        let node = sign.node.as_ref().map_or("", NodeName::as_str);
        let sql = "INSERT INTO sign_terms (node, term, public_key, from_entry, handover) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (node, term) DO NOTHING";
        let row = [text(&node), int(&term), text(&sign.public_key), big(&from), text(&sign.handover)];
        if tx.execute_typed(sql, &row).await? == 0 {
            return Err(Failure::Not);
        }
    }
    Ok(())
}

/// Inserts one key.
pub(super) async fn insert(tx: &Client, name: Name, key: &KeyRow) -> Result<(), Failure> {
    let sql = "INSERT INTO keys (purpose, tenant, term, state, created_ms, wraps, wrapped) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let (state, created, wraps) = (key.state as i16, signed_time(key.created_ms), signed_time(key.wraps));
    let [purpose, tenant, term] = name.params();
    let row = [purpose, tenant, term, small(&state), big(&created), big(&wraps), bytes(&key.wrapped)];
    tx.execute_typed(sql, &row).await?;
    Ok(())
}

pub(super) fn purpose(number: i16) -> Result<KeyPurpose, StoreError> {
    [KeyPurpose::Kek, KeyPurpose::Fingerprint, KeyPurpose::Session, KeyPurpose::Sign, KeyPurpose::Intake]
        .into_iter()
        .find(|purpose| *purpose as i16 == number)
        .ok_or(StoreError::Corrupt)
}

fn state(number: i16) -> Result<KeyState, StoreError> {
    [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Destroyed]
        .into_iter()
        .find(|state| *state as i16 == number)
        .ok_or(StoreError::Corrupt)
}
