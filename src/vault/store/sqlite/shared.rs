//! What nodes share, over one file. A lock keeps every other process away from it, and what is shared lives no longer than its
//! nodes, so it is known in memory alone and costs no write.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use strongroom_wire::{NodeName, limits};

use super::{SqliteStore, keys};
use crate::store::{CvcMark, EpochRow, Shared, SignTerm, StoreError, UseReport, UseRow, bounds};

/// Keys on their way and CVCs that were opened.
#[derive(Default)]
pub(super) struct Epochs(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: BTreeMap<(u32, [u8; 32]), EpochRow>,
    opened: BTreeMap<(u32, [u8; 12]), CvcMark>,
    uses: BTreeMap<NodeName, (UseReport, Instant)>,
}

#[async_trait]
impl Shared for SqliteStore {
    async fn put_epochs(&self, rows: Vec<EpochRow>) -> Result<(), StoreError> {
        bounds::epochs(&rows)?;
        let mut known = self.epochs.lock();
        for row in rows {
            known.keys.entry((row.epoch, row.to)).or_insert(row);
        }
        Ok(())
    }

    async fn epochs_to(&self, mailboxes: Vec<[u8; 32]>, now_ms: u64) -> Result<Vec<EpochRow>, StoreError> {
        bounds::page(mailboxes.len())?;
        let known = self.epochs.lock();
        let mine = known.keys.values().filter(|row| mailboxes.contains(&row.to) && row.ends_ms > now_ms);
        Ok(mine.take(limits::STORE_PAGE_MAX as usize).cloned().collect())
    }

    async fn mark_cvc(&self, mark: CvcMark) -> Result<bool, StoreError> {
        let mut known = self.epochs.lock();
        let first = known.opened.entry((mark.epoch, mark.name)).or_insert(mark);
        Ok(first.attempt == mark.attempt)
    }

    async fn purge_epochs(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let mut known = self.epochs.lock();
        let most = limit.min(limits::STORE_PAGE_MAX) as usize;
        let keys: Vec<_> =
            known.keys.iter().filter(|(_, row)| row.ends_ms <= now_ms).map(|(key, _)| *key).take(most).collect();
        let opened: Vec<_> =
            known.opened.iter().filter(|(_, mark)| mark.ends_ms <= now_ms).map(|(key, _)| *key).take(most).collect();
        for key in &keys {
            known.keys.remove(key);
        }
        for key in &opened {
            known.opened.remove(key);
        }
        Ok((keys.len() + opened.len()) as u64)
    }

    async fn exchange_uses(&self, own: UseReport) -> Result<Vec<UseRow>, StoreError> {
        bounds::uses(&own)?;
        let mut known = self.epochs.lock();
        let others = known.uses.iter().filter(|(node, (_, seen))| **node != own.node && seen.elapsed() < USES_LIFE);
        let others = others.map(|(node, (report, seen))| UseRow {
            node: node.clone(),
            age_ms: u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX),
            said: report.said.clone(),
        });
        let others = others.collect();
        let is_newer = |(last, _): &(UseReport, Instant)| last.run != own.run || last.turn < own.turn;
        if known.uses.get(&own.node).is_none_or(is_newer) {
            known.uses.insert(own.node.clone(), (own, Instant::now()));
        }
        Ok(others)
    }

    async fn restart_log(&self, node: &NodeName, first: SignTerm) -> Result<(), StoreError> {
        bounds::sign_term(&first)?;
        let node = node.clone();
        self.writer.write(move |desk| keys::restart_log(desk, &node, &first)).await
    }
}

impl Epochs {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const USES_LIFE: Duration = Duration::from_secs(25 * 3600);
