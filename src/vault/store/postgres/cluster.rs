//! Nodes over one database: who is there by the server's clock, who holds which lease, and what counts the changes.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join3, join4};
use strongroom_wire::limits;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::fault::{Failure, column, signed_time, unsigned};
use super::run::{COMMIT, Param, ask, big, bytes, ended_at_once, flag, text, transact, uuid};
use super::{PostgresStore, hold, touch};
use crate::store::{Cluster, KeptRow, LeaseRow, NodeReport, NodeRow, Pulse, StoreError, bounds};

#[async_trait]
impl Cluster for PostgresStore {
    async fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.counts().await?.0)
    }

    async fn seals(&self) -> Result<u64, StoreError> {
        Ok(self.counts().await?.1)
    }

    async fn join(&self, report: NodeReport) -> Result<bool, StoreError> {
        bounds::report(&report)?;
        let said = Said::of(&report)?;
        let joined: bool = transact!(in self.connections.turns().unfenced(), tx => {
            hold(tx).await?;
            let rows = tx.query_typed("SELECT count(*) FROM nodes WHERE name <> $1", &[text(&said.name)]).await?;
            if unsigned(column(rows.first().ok_or(StoreError::Corrupt)?, 0)?)? >= limits::NODES_MAX as u64 {
                return Err(StoreError::Full.into());
            }
            let sql = "INSERT INTO nodes (name, run, holds, taken, settled, news, seen) \
                       VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp()) ON CONFLICT (name) DO NOTHING";
            if tx.execute_typed(sql, &said.params()).await? == 0 { Err(Failure::Not) } else { Ok(true) }
        })?;
        if joined {
            self.connections.fence(report.run);
        }
        Ok(joined)
    }

    async fn beat(&self, report: NodeReport) -> Result<Pulse, StoreError> {
        bounds::report(&report)?;
        let said = Said::of(&report)?;
        let mut turns = self.connections.turns().unfenced();
        loop {
            let mut lease = turns.lease().await?;
            lease.begin_work();
            let ended = turns.in_time(pulse(&lease, turns.begin(), &said)).await;
            if let Some(ended) = turns.end(lease, ended) {
                return ended?.ok_or(StoreError::Corrupt);
            }
        }
    }

    async fn bury(&self, own: Uuid, unseen: Duration) -> Result<u64, StoreError> {
        let unseen = signed_time(u64::try_from(unseen.as_millis()).unwrap_or(u64::MAX));
        transact!(in self.connections.turns().unfenced(), tx => {
            // A run whose row is held writes just now, and so is alive.
            let sql = "DELETE FROM nodes WHERE run IN (SELECT run FROM nodes WHERE run <> $1 AND \
                       extract(epoch FROM clock_timestamp() - seen) * 1000 >= $2 FOR UPDATE SKIP LOCKED)";
            let gone = tx.execute_typed(sql, &[uuid(&own), big(&unseen)]).await?;
            if gone == 0 {
                return Err(Failure::Not);
            }
            free_leases(tx).await?;
            Ok(gone)
        })
    }

    async fn depart(&self, run: Uuid) -> Result<(), StoreError> {
        transact!(in self.connections.turns().unfenced(), tx => {
            tx.execute_typed("DELETE FROM nodes WHERE run = $1", &[uuid(&run)]).await?;
            free_leases(tx).await
        })
    }

    async fn lease(&self, name: &str, run: Uuid) -> Result<bool, StoreError> {
        bounds::lease(name)?;
        let kept: Vec<Row> = ask!(self.connections, c => {
            let sql = "SELECT 1 FROM leases JOIN nodes ON nodes.run = leases.run WHERE leases.name = $1 AND leases.run = $2";
            Ok(c.query_typed(sql, &[text(&name), uuid(&run)]).await?)
        })?;
        if !kept.is_empty() {
            return Ok(true);
        }
        transact!(in self.connections.turns().unfenced(), tx => {
            hold(tx).await?;
            // Held, so that the run is not buried before the lease is its.
            let sql = "SELECT 1 FROM nodes WHERE run = $1 FOR KEY SHARE";
            let is_member = !tx.query_typed(sql, &[uuid(&run)]).await?.is_empty();
            let sql = "SELECT 1 FROM leases JOIN nodes ON nodes.run = leases.run WHERE leases.name = $1 AND leases.run <> $2";
            let is_free = tx.query_typed(sql, &[text(&name), uuid(&run)]).await?.is_empty();
            if !is_member || !is_free {
                return Err(Failure::Not);
            }
            let sql = "INSERT INTO leases (name, run) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET run = excluded.run";
            tx.execute_typed(sql, &[text(&name), uuid(&run)]).await?;
            Ok(true)
        })
    }

    async fn release(&self, name: &str, run: Uuid) -> Result<(), StoreError> {
        transact!(in self.connections.turns().unfenced(), tx => {
            tx.execute_typed("DELETE FROM leases WHERE name = $1 AND run = $2", &[text(&name), uuid(&run)]).await?;
            Ok(())
        })
    }

    async fn swap_kept(&self, old: Option<KeptRow>, new: KeptRow) -> Result<bool, StoreError> {
        bounds::kept(&new)?;
        if old.as_ref().is_some_and(|old| old.name != new.name) {
            return Ok(false);
        }
        transact!(self.connections, tx => {
            touch(tx).await?;
            let changed = match &old {
                Some(old) => {
                    let sql = "UPDATE kept SET value = $2, note = $3 WHERE name = $1 AND value = $4 AND note = $5";
                    let row =
                        [text(&new.name), bytes(&new.value), text(&new.note), bytes(&old.value), text(&old.note)];
                    tx.execute_typed(sql, &row).await?
                }
                None => {
                    let sql = "INSERT INTO kept (name, value, note) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
                    tx.execute_typed(sql, &[text(&new.name), bytes(&new.value), text(&new.note)]).await?
                }
            };
            if changed == 0 { Err(Failure::Not) } else { Ok(true) }
        })
    }
}

impl PostgresStore {
    async fn counts(&self) -> Result<(u64, u64), StoreError> {
        ask!(self.connections, c => { Ok(counts_of(&c.query_typed(COUNTS, &[]).await?)?) })
    }
}

/// A report as parameters.
struct Said {
    name: String,
    run: Uuid,
    holds: bool,
    taken: i64,
    settled: i64,
    news: Vec<u8>,
}

impl Said {
    fn of(report: &NodeReport) -> Result<Self, StoreError> {
        Ok(Self {
            name: report.node.as_str().to_owned(),
            run: report.run,
            holds: report.holds,
            taken: bounds::signed(report.taken)?,
            settled: bounds::signed(report.settled)?,
            news: report.news.clone(),
        })
    }

    fn params(&self) -> [Param<'_>; 6] {
        let Self { name, run, holds, taken, settled, news } = self;
        [text(name), uuid(run), flag(holds), big(taken), big(settled), bytes(news)]
    }
}

/// All in one round trip. The counts are read before the nodes: see [`Pulse`].
async fn pulse(tx: &Client, begin: &str, said: &Said) -> Result<Option<Pulse>, Failure> {
    let own = "UPDATE nodes SET holds = $3, taken = $4, settled = $5, news = $6, seen = clock_timestamp() \
               WHERE name = $1 AND run = $2 RETURNING 1";
    let nodes = "SELECT name, run, holds, taken, settled, news, \
                 greatest(0, (extract(epoch FROM clock_timestamp() - seen) * 1000)::int8) FROM nodes ORDER BY name COLLATE \"C\"";
    let leases = "SELECT name, run FROM leases ORDER BY name COLLATE \"C\"";
    let params = said.params();
    let rest = join3(tx.query_typed(nodes, &[]), tx.query_typed(leases, &[]), tx.batch_execute(COMMIT));
    let (begun, own, counts, (nodes, leases, committed)) =
        join4(tx.batch_execute(begin), tx.query_typed(own, &params), tx.query_typed(COUNTS, &[]), rest).await;
    let read = begun.and(own).and_then(|own| Ok((own, counts?, nodes?, leases?)));
    let (own, counts, nodes, leases) = ended_at_once(tx, read, committed).await?;
    let (generation, seals) = counts_of(&counts)?;
    let nodes = nodes.iter().map(node_of).collect::<Result<_, _>>()?;
    let leases = leases.iter().map(lease_of).collect::<Result<_, _>>()?;
    Ok(Some(Pulse { is_member: !own.is_empty(), generation, seals, nodes, leases }))
}

fn node_of(row: &Row) -> Result<NodeRow, StoreError> {
    let report = NodeReport {
        node: column::<&str>(row, 0)?.parse().map_err(|_| StoreError::Corrupt)?,
        run: column(row, 1)?,
        holds: column(row, 2)?,
        taken: unsigned(column(row, 3)?)?,
        settled: unsigned(column(row, 4)?)?,
        news: column(row, 5)?,
    };
    Ok(NodeRow { report, age_ms: unsigned(column(row, 6)?)? })
}

fn lease_of(row: &Row) -> Result<LeaseRow, StoreError> {
    Ok(LeaseRow { name: column(row, 0)?, run: column(row, 1)? })
}

fn counts_of(rows: &[Row]) -> Result<(u64, u64), StoreError> {
    let row = rows.first().ok_or(StoreError::Corrupt)?;
    Ok((unsigned(column(row, 0)?)?, unsigned(column(row, 1)?)?))
}

/// The leases of runs that are gone go too.
async fn free_leases(tx: &Client) -> Result<(), Failure> {
    let sql = "DELETE FROM leases WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.run = leases.run)";
    tx.execute_typed(sql, &[]).await?;
    Ok(())
}

const COUNTS: &str = "SELECT generation, seals FROM cluster WHERE id = 1";
