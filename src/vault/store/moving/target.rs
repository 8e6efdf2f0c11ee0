//! The PostgreSQL database that a store is moved into.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;
use uuid::Uuid;

use super::claims;
use super::digest::Tally;
use super::mark::Mark;
use super::tables::{Cell, Record, TABLES};
use super::upsert;
use crate::store::postgres::fault::{Failure, column, signed_time};
use crate::store::postgres::run::{big, bytes, text, transact, uuid};
use crate::store::postgres::{OpenError, PostgresOptions, PostgresStore, touch};
use crate::store::{CardRow, Store as _, StoreError};

/// The database.
#[derive(Clone)]
pub struct Target {
    store: Arc<PostgresStore>,
}

/// Why a step was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// One of the stores did not do it; trying again may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot be used now.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be used for this.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why a database is not one to move into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are rows in it.
    #[error("the database has rows already: name an empty one, so that nothing in it is mixed with this vault's")]
    NotEmpty,
    /// Another move fills it.
    #[error(
        "another move fills this database: give that one up where it runs (`vaultctl store abandon`), or name an \
         empty database"
    )]
    OtherMove,
    /// The mark of this move is gone.
    #[error("the database does not know this move any more: give it up and begin anew")]
    Lost,
}

/// What was used of quotas in a part of the last day. The store does not look into it.
#[derive(Debug, Clone)]
pub struct Left {
    /// Which part.
    pub part: u8,
    /// How long ago it ended, in milliseconds.
    pub age_ms: u64,
    /// What. At most [`strongroom_wire::limits::USES_BYTES_MAX`].
    pub said: Vec<u8>,
}

impl Left {
    /// A name for a node that never was: of the move, in letters, so that it looks like no number of a card.
    fn name(&self, run: Uuid) -> String {
        let letters = run.as_bytes().iter().take(NAME_BYTES).flat_map(|byte| [byte >> 4, byte & 15]);
        let letters: String = letters.map(|half| char::from(b'a' + half)).collect();
        format!("moved-{letters}-{}", self.part)
    }
}

/// Rows of the database before and after a change.
#[derive(Default)]
pub(super) struct Put {
    pub(super) before: Vec<(usize, Record)>,
    pub(super) after: Vec<(usize, Record)>,
}

impl Target {
    /// Connects; makes the tables where there are none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        Ok(Self { store: Arc::new(PostgresStore::open_to_fill(options).await?) })
    }

    /// Whether it is one to move into: empty, or filled by this move so far.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn check(&self, run: Option<Uuid>) -> Result<(), Trouble> {
        let found: Ended<()> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            match mark(tx).await? {
                Some(mark) if Some(mark.run) == run => Ok(Some(Ok(()))),
                Some(_) => Ok(Some(Err(Refusal::OtherMove))),
                None if is_empty(tx).await? => Ok(Some(Ok(()))),
                None => Ok(Some(Err(Refusal::NotEmpty))),
            }
        })?;
        done(found)
    }

    /// Marks an empty database as this move's, or takes it up: whatever an earlier process sent and the server did not do yet
    /// changes nothing any more.
    pub(super) async fn claim(&self, run: Uuid) -> Result<Mark, Trouble> {
        let claimed: Ended<Mark> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            let found = match mark(tx).await? {
                Some(mark) if mark.run == run => mark,
                Some(_) => return Ok(Some(Err(Refusal::OtherMove))),
                None if is_empty(tx).await? => {
                    let mark = Mark::new(run);
                    let written = mark.written()?;
                    let sql = "INSERT INTO settings (name, value) VALUES ('moving', $1)";
                    tx.execute_typed(sql, &[bytes(&written)]).await?;
                    mark
                }
                None => return Ok(Some(Err(Refusal::NotEmpty))),
            };
            let mine = Mark { turn: found.turn + 1, ..found.clone() };
            if advance(tx, &found, &mine).await? { Ok(Some(Ok(mine))) } else { Ok(Some(Err(Refusal::Lost))) }
        })?;
        done(claimed)
    }

    /// Adds a page of rows. What is there stays: if it is older, its change is written down and comes later.
    pub(super) async fn load(&self, table: usize, records: &[Record], from: &Mark, to: &Mark) -> Result<(), Trouble> {
        let loaded: Ended<()> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            longer(tx).await?;
            if !advance(tx, from, to).await? {
                return Ok(Some(Err(Refusal::Lost)));
            }
            let records: Vec<&Record> = records.iter().collect();
            upsert::insert(tx, &TABLES[table], &records).await?;
            if TABLES[table].is_cards() {
                claims::add(tx, &records).await?;
            }
            Ok(Some(Ok(())))
        })?;
        done(loaded)
    }

    /// Puts rows in the place of what has their keys, or takes that away. Answers what was there before, and what is there now
    /// as the server gives it back.
    pub(super) async fn replace(
        &self,
        rows: &[(usize, Vec<Cell>, Option<Record>)],
        from: &Mark,
        to: &Mark,
    ) -> Result<Put, Trouble> {
        let mut by_table: BTreeMap<usize, (Vec<&[Cell]>, Vec<&Record>)> = BTreeMap::new();
        for (table, key, record) in rows {
            let (keys, records) = by_table.entry(*table).or_default();
            keys.push(key);
            records.extend(record.as_ref());
        }
        let put: Ended<Put> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            longer(tx).await?;
            if !advance(tx, from, to).await? {
                return Ok(Some(Err(Refusal::Lost)));
            }
            let mut put = Put::default();
            for (table, (keys, records)) in &by_table {
                let shape = &TABLES[*table];
                let before = upsert::find(tx, shape, keys).await?;
                upsert::delete(tx, shape, keys).await?;
                upsert::insert(tx, shape, records).await?;
                let after = upsert::find(tx, shape, keys).await?;
                if shape.is_cards() {
                    claims::mend(tx, before.iter().chain(&after)).await?;
                }
                put.before.extend(before.into_iter().map(|record| (*table, record)));
                put.after.extend(after.into_iter().map(|record| (*table, record)));
            }
            Ok(Some(Ok(put)))
        })?;
        done(put)
    }

    /// Counts and digests of everything, read from the server.
    pub(super) async fn tally(&self) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        for (table, shape) in TABLES.iter().enumerate() {
            let mut after: Option<Vec<Cell>> = None;
            loop {
                let records: Vec<Record> = transact!(in self.turns(STEP_TIMEOUT), tx => {
                    longer(tx).await?;
                    upsert::page(tx, shape, after.as_deref(), TALLY_PAGE).await
                })?;
                records.iter().for_each(|record| tally.add(table, record));
                match records.last() {
                    Some(last) if records.len() as i64 == TALLY_PAGE => after = Some(shape.key_of(last).to_vec()),
                    _ => break,
                }
            }
        }
        Ok(tally)
    }

    /// Whether each card of a customer has its claim and no claim is of nothing.
    pub(super) async fn claims_are_whole(&self) -> Result<bool, StoreError> {
        transact!(in self.turns(WALK_TIMEOUT), tx => {
            tx.batch_execute("SET LOCAL statement_timeout = 3600000").await?;
            claims::are_whole(tx).await
        })
    }

    /// Cards as a vault would read them.
    pub(super) async fn sample(&self, places: Vec<u64>) -> Result<Vec<CardRow>, StoreError> {
        self.store.sample(places).await
    }

    /// Leaves to the nodes that come what the vault used of its quotas, in the place of what was left before. A database that
    /// was opened for vaults already is left alone.
    ///
    /// # Errors
    /// [`Refusal::OtherMove`], and the others.
    pub async fn leave_uses(&self, run: Uuid, uses: &[Left]) -> Result<(), Trouble> {
        let left: Ended<()> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            match mark(tx).await? {
                Some(mark) if mark.run == run => {
                    tx.execute_typed("DELETE FROM uses", &[]).await?;
                    for row in uses {
                        // Only nodes write here, and none may open the database yet.
                        let sql = "INSERT INTO uses (node, run, turn, said, seen) \
                                   VALUES ($1, $2, 0, $3, clock_timestamp() - $4 * INTERVAL '1 millisecond')";
                        let (name, age) = (row.name(run), signed_time(row.age_ms));
                        tx.execute_typed(sql, &[text(&name.as_str()), uuid(&run), bytes(&row.said.as_slice()), big(&age)]).await?;
                    }
                    Ok(Some(Ok(())))
                }
                Some(_) => Ok(Some(Err(Refusal::OtherMove))),
                None => Ok(Some(Ok(()))),
            }
        })?;
        done(left)
    }

    /// Opens the database for vaults. Doing it twice is the same as once: it keeps which move filled it, so that no other
    /// database is taken for it.
    ///
    /// # Errors
    /// [`Refusal::OtherMove`]; [`Refusal::Lost`] for a database that this move did not fill; and the others.
    pub async fn release(&self, run: Uuid) -> Result<(), Trouble> {
        let released: Ended<()> = transact!(in self.turns(STEP_TIMEOUT), tx => {
            match mark(tx).await? {
                None => {
                    let rows = tx.query_typed("SELECT value FROM settings WHERE name = 'moved'", &[]).await?;
                    let by = rows.first().map(|row| column::<&[u8]>(row, 0)).transpose()?;
                    Ok(Some(if by == Some(&run.as_bytes()[..]) { Ok(()) } else { Err(Refusal::Lost) }))
                }
                Some(mark) if mark.run == run => {
                    tx.execute_typed("DELETE FROM settings WHERE name = 'moving'", &[]).await?;
                    let sql = "INSERT INTO settings (name, value) VALUES ('moved', $1)";
                    tx.execute_typed(sql, &[bytes(&run.as_bytes().as_slice())]).await?;
                    touch(tx).await?;
                    Ok(Some(Ok(())))
                }
                Some(_) => Ok(Some(Err(Refusal::OtherMove))),
            }
        })?;
        done(released)
    }

    /// Empties a database that this move filled. One that it did not is left alone.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn empty(&self, run: Uuid) -> Result<(), Trouble> {
        let emptied: Ended<()> = transact!(in self.turns(WALK_TIMEOUT), tx => {
            longer(tx).await?;
            match mark(tx).await? {
                Some(mark) if mark.run == run => {
                    let tables: Vec<&str> = TABLES.iter().map(|table| table.name).filter(|name| *name != "settings").collect();
                    tx.batch_execute(&format!("TRUNCATE {}, claims, uses", tables.join(", "))).await?;
                    tx.execute_typed("DELETE FROM settings WHERE name <> 'vault'", &[]).await?;
                    Ok(Some(Ok(())))
                }
                Some(_) => Ok(Some(Err(Refusal::OtherMove))),
                None => Ok(Some(Ok(()))),
            }
        })?;
        done(emptied)
    }

    fn turns(&self, time: Duration) -> crate::store::postgres::run::Turns<'_> {
        self.store.turns_to_fill(time)
    }
}

/// What a transaction came to; none if it was broken off.
type Ended<T> = Option<Result<T, Refusal>>;

fn done<T>(ended: Ended<T>) -> Result<T, Trouble> {
    Ok(ended.ok_or(StoreError::Unavailable)??)
}

/// A page takes longer than a request may.
async fn longer(tx: &Client) -> Result<(), Failure> {
    let sql = "SET LOCAL statement_timeout = 60000; SET LOCAL idle_in_transaction_session_timeout = 60000";
    Ok(tx.batch_execute(sql).await?)
}

/// The mark, held until the transaction ends.
async fn mark(tx: &Client) -> Result<Option<Mark>, Failure> {
    let rows = tx.query_typed("SELECT value FROM settings WHERE name = 'moving' FOR UPDATE", &[]).await?;
    Ok(rows.first().map(|row| Mark::read(column::<&[u8]>(row, 0)?)).transpose()?)
}

async fn advance(tx: &Client, from: &Mark, to: &Mark) -> Result<bool, Failure> {
    let (from, to) = (from.written()?, to.written()?);
    let sql = "UPDATE settings SET value = $2 WHERE name = 'moving' AND value = $1";
    Ok(tx.execute_typed(sql, &[bytes(&from), bytes(&to)]).await? == 1)
}

/// Whether no vault ever used it, and none does now.
async fn is_empty(tx: &Client) -> Result<bool, Failure> {
    let names: BTreeSet<&str> =
        TABLES.iter().map(|table| table.name).chain(["claims", "nodes", "leases", "uses"]).collect();
    for name in names {
        let all = if name == "settings" { " WHERE name <> 'vault'" } else { "" };
        let rows = tx.query_typed(&format!("SELECT 1 FROM {name}{all} LIMIT 1"), &[]).await?;
        if !rows.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As many as fit into the name of a node.
const NAME_BYTES: usize = 11;
const TALLY_PAGE: i64 = 4096;
/// For one page with all its tries.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// For what looks at everything.
const WALK_TIMEOUT: Duration = Duration::from_secs(3600);
