//! Nodes over one file. A lock keeps every other process away from it, so nodes and leases are known in memory alone and
//! cost no write; what counts changes stands in the file, in the transaction of the change.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, params};
use strongroom_wire::{NodeName, limits};
use uuid::Uuid;

use super::SqliteStore;
use super::fault::{fault, unsigned};
use super::kept;
use super::writer::Desk;
use crate::store::{Cluster, KeptRow, LeaseRow, NodeReport, NodeRow, Pulse, StoreError, bounds};

/// Who uses the file.
#[derive(Default)]
pub(super) struct Nodes(Mutex<Known>);

#[derive(Default)]
struct Known {
    nodes: BTreeMap<NodeName, (NodeReport, Instant)>,
    leases: BTreeMap<String, Uuid>,
}

#[async_trait]
impl Cluster for SqliteStore {
    async fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.readers.short(counts)?.0)
    }

    async fn seals(&self) -> Result<u64, StoreError> {
        Ok(self.readers.short(counts)?.1)
    }

    async fn join(&self, report: NodeReport) -> Result<bool, StoreError> {
        bounds::report(&report)?;
        let mut known = self.nodes.lock();
        if known.nodes.contains_key(&report.node) {
            return Ok(false);
        }
        if known.nodes.len() >= limits::NODES_MAX {
            return Err(StoreError::Full);
        }
        known.nodes.insert(report.node.clone(), (report, Instant::now()));
        Ok(true)
    }

    async fn beat(&self, report: NodeReport) -> Result<Pulse, StoreError> {
        bounds::report(&report)?;
        // Before the nodes are looked at: see `Pulse`.
        let (generation, seals) = self.readers.short(counts)?;
        let mut known = self.nodes.lock();
        let now = Instant::now();
        let own = known.nodes.get_mut(&report.node).filter(|(last, _)| last.run == report.run);
        let is_member = own.is_some();
        if let Some(own) = own {
            *own = (report, now);
        }
        let age_ms = |seen: Instant| u64::try_from((now - seen).as_millis()).unwrap_or(u64::MAX);
        let nodes = known.nodes.values();
        let nodes = nodes.map(|(report, seen)| NodeRow { report: report.clone(), age_ms: age_ms(*seen) }).collect();
        let leases = known.leases.iter().map(|(name, run)| LeaseRow { name: name.clone(), run: *run }).collect();
        Ok(Pulse { is_member, generation, seals, nodes, leases })
    }

    async fn bury(&self, own: Uuid, unseen: Duration) -> Result<u64, StoreError> {
        let mut known = self.nodes.lock();
        let before = known.nodes.len();
        known.nodes.retain(|_, (report, seen)| report.run == own || seen.elapsed() < unseen);
        known.free_leases();
        Ok((before - known.nodes.len()) as u64)
    }

    async fn depart(&self, run: Uuid) -> Result<(), StoreError> {
        let mut known = self.nodes.lock();
        known.nodes.retain(|_, (report, _)| report.run != run);
        known.free_leases();
        Ok(())
    }

    async fn lease(&self, name: &str, run: Uuid) -> Result<bool, StoreError> {
        bounds::lease(name)?;
        let mut known = self.nodes.lock();
        let is_free = known.leases.get(name).is_none_or(|holder| *holder == run || !known.has(*holder));
        if !is_free || !known.has(run) {
            return Ok(false);
        }
        known.leases.insert(name.to_owned(), run);
        Ok(true)
    }

    async fn release(&self, name: &str, run: Uuid) -> Result<(), StoreError> {
        let mut known = self.nodes.lock();
        if known.leases.get(name) == Some(&run) {
            known.leases.remove(name);
        }
        Ok(())
    }

    async fn swap_kept(&self, old: Option<KeptRow>, new: KeptRow) -> Result<bool, StoreError> {
        bounds::kept(&new)?;
        self.writer.write(move |desk| kept::swap(desk, old.as_ref(), &new)).await
    }
}

impl Nodes {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn has(&self, run: Uuid) -> bool {
        self.nodes.values().any(|(report, _)| report.run == run)
    }

    fn free_leases(&mut self) {
        let nodes = &self.nodes;
        self.leases.retain(|_, holder| nodes.values().any(|(report, _)| report.run == *holder));
    }
}

/// Counts a change of what every node has to know. Every job that makes one calls this, in its transaction.
pub(super) fn touch(desk: &mut Desk<'_>) -> Result<(), StoreError> {
    count(desk, 0)
}

/// The same for a seal.
pub(super) fn touch_sealed(desk: &mut Desk<'_>) -> Result<(), StoreError> {
    count(desk, 1)
}

fn count(desk: &mut Desk<'_>, seals: i64) -> Result<(), StoreError> {
    desk.conn
        .prepare_cached("UPDATE cluster SET generation = generation + 1, seals = seals + ?1")
        .and_then(|mut statement| statement.execute(params![seals]))
        .map_err(fault)?;
    Ok(())
}

fn counts(conn: &Connection) -> Result<(u64, u64), StoreError> {
    let (generation, seals) = conn
        .prepare_cached("SELECT generation, seals FROM cluster")
        .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(fault)?;
    Ok((unsigned(generation)?, unsigned(seals)?))
}
