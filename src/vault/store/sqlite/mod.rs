//! `SqliteStore`: the store in one SQLite file, for one machine. It needs no server and no care.

mod acts;
mod answers;
mod cards;
mod cluster;
mod copy;
mod custody;
mod fault;
mod kept;
mod keys;
mod lists;
mod marks;
mod moving;
mod open;
mod queue;
mod reader;
mod rotations;
mod secrets;
mod segments;
mod shared;
mod shred;
mod spent;
mod stale;
mod tenants;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use rusqlite::Connection;
use strongroom_wire::{CustomerId, SecretId, TenantId, Token, limits};

use self::cluster::Nodes;
use self::copy::Copies;
use self::reader::Readers;
use self::writer::Writer;
use crate::telemetry::load::Disk;

use super::{
    ActRow, AnswerRow, CardContent, CardFilter, CardRow, EnvelopeSwap, Expired, Inserted, KeptRow, KeyChange, KeyName,
    KeyRow, MarkCount, MarkPage, MarkSwap, OverAge, Place, RotationRow, SecretRow, SignTerm, SpentRow, StaleCursor,
    StalePage, Store, StoreError, TenantRow, bounds,
};

pub(in crate::store) use copy::Held;
pub(in crate::store) use fault::fault;
pub use moving::{MovedFrom, find_moved};
pub(in crate::store) use open::{MOVED_SCHEMA, newest_schema};

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file; its log, its index and its lock stand beside it. The folder must exist.
    pub path: PathBuf,
    /// The vault's id. A new store is marked with it, a store with another mark is refused.
    pub vault: String,
    /// The file never grows beyond this, so that a full store leaves the audit log its room. No limit when none.
    pub bytes_max: Option<u64>,
}

/// A store in one SQLite file.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    copies: Copies,
    tenants: RwLock<HashMap<TenantId, i64>>,
    nodes: Nodes,
    epochs: shared::Epochs,
    /// Released last, when the writer has ended.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store, making it or moving it to the newest schema where needed.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open, [`StoreError::OtherVault`] if it is not this vault's,
    /// [`StoreError::NewerSchema`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
        let path = open::place(&options.path)?;
        let lock = open::lock(&path)?;
        let conn = open::writer(&path, &options.vault, options.bytes_max)?;
        let readers = Readers::new(&path)?;
        let mut wal = path.into_os_string();
        wal.push("-wal");
        let copies = Copies::default();
        let writer = Writer::start(conn, PathBuf::from(wal), copies.clone())?;
        Ok(Self {
            readers,
            writer,
            copies,
            tenants: RwLock::default(),
            nodes: Nodes::default(),
            epochs: shared::Epochs::default(),
            _lock: lock,
        })
    }

    /// From now on nothing is written while the log of what is not folded in yet is longer than this, in bytes.
    pub fn bound_log(&self, bytes_max: u64) {
        self.writer.bound_log(bytes_max);
    }

    /// A tenant's number. Tenants never go away, so what is known stays right.
    fn number(&self, tenant: &TenantId) -> Result<i64, StoreError> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if let Some(number) = known {
            return Ok(number);
        }
        let number = self.readers.short(|conn| tenants::number(conn, tenant))?.ok_or(StoreError::NoTenant)?;
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), number);
        Ok(number)
    }

    fn key_name(&self, name: &KeyName) -> Result<keys::Name, StoreError> {
        let tenant = name.tenant.as_ref().map_or(Ok(0), |tenant| self.number(tenant))?;
        Ok(keys::Name::of(name, tenant))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert_card(&self, card: CardRow, answer: Option<AnswerRow>) -> Result<Inserted, StoreError> {
        bounds::card(&card, answer.as_ref())?;
        let number = self.number(&card.tenant)?;
        self.writer.write(move |desk| cards::insert(desk, number, &card, answer.as_ref())).await
    }

    async fn insert_cards(&self, cards: Vec<(CardRow, Option<AnswerRow>)>) -> Result<Vec<Inserted>, StoreError> {
        bounds::group(cards.len())?;
        let mut numbered = Vec::with_capacity(cards.len());
        for (card, answer) in cards {
            bounds::card(&card, answer.as_ref())?;
            numbered.push((self.number(&card.tenant)?, card, answer));
        }
        self.writer
            .write(move |desk| {
                let insert = |(number, card, answer): &(i64, CardRow, Option<AnswerRow>)| {
                    cards::insert(desk, *number, card, answer.as_ref())
                };
                numbered.iter().map(insert).collect()
            })
            .await
    }

    async fn card(&self, tenant: &TenantId, token: &Token, now_ms: u64) -> Result<Option<CardRow>, StoreError> {
        let number = self.number(tenant)?;
        self.readers.short(|conn| lists::card(conn, number, tenant, token, now_ms))
    }

    async fn cards(
        &self,
        tenant: &TenantId,
        filter: &CardFilter,
        after: Option<Token>,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<CardRow>, StoreError> {
        let number = self.number(tenant)?;
        let limit = limit.min(limits::STORE_PAGE_MAX) as usize;
        let page = lists::Page { filter: filter.clone(), after, limit, now_ms };
        let tenant = tenant.clone();
        self.readers.long(move |conn| lists::page(conn, number, &tenant, &page)).await
    }

    async fn find_duplicate(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        fingerprint: &[u8; 16],
        now_ms: u64,
    ) -> Result<Option<Token>, StoreError> {
        let number = self.number(tenant)?;
        self.readers.short(|conn| cards::duplicate(conn, number, customer.as_str(), fingerprint, now_ms))
    }

    async fn swap_card(
        &self,
        tenant: &TenantId,
        token: &Token,
        old: CardContent,
        new: CardContent,
    ) -> Result<bool, StoreError> {
        bounds::content(&new)?;
        let (number, token) = (self.number(tenant)?, *token);
        self.writer.write(move |desk| cards::swap(desk, number, &token, &old, &new)).await
    }

    async fn delete_card(&self, tenant: &TenantId, token: &Token) -> Result<bool, StoreError> {
        let (number, token) = (self.number(tenant)?, *token);
        self.writer.write(move |desk| cards::delete(desk, number, &token, None)).await
    }

    async fn shred_expired(&self, expired: &Expired, now_ms: u64) -> Result<bool, StoreError> {
        let (number, token) = (self.number(&expired.tenant)?, expired.token);
        self.writer.write(move |desk| cards::delete(desk, number, &token, Some(now_ms))).await
    }

    async fn expired(&self, now_ms: u64, limit: u32) -> Result<Vec<Expired>, StoreError> {
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.readers.long(move |conn| lists::expired(conn, now_ms, limit)).await
    }

    async fn insert_secret(&self, secret: SecretRow) -> Result<(), StoreError> {
        bounds::secret(&secret)?;
        let number = self.number(&secret.tenant)?;
        self.writer.write(move |desk| secrets::insert(desk, number, &secret)).await
    }

    async fn secret(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretRow>, StoreError> {
        let number = self.number(tenant)?;
        self.readers.short(|conn| secrets::read(conn, number, tenant, id))
    }

    async fn delete_secret(&self, tenant: &TenantId, id: &SecretId) -> Result<bool, StoreError> {
        let (number, id) = (self.number(tenant)?, *id);
        self.writer.write(move |desk| secrets::delete(desk, number, &id)).await
    }

    async fn answer(&self, tenant: &TenantId, name: &[u8; 32], now_ms: u64) -> Result<Option<AnswerRow>, StoreError> {
        let number = self.number(tenant)?;
        self.readers.short(|conn| answers::find(conn, number, tenant, name, now_ms))
    }

    async fn insert_answer(&self, answer: AnswerRow, now_ms: u64) -> Result<Option<AnswerRow>, StoreError> {
        bounds::answer(&answer)?;
        let number = self.number(&answer.tenant)?;
        self.writer
            .write(move |desk| {
                let kept = answers::find_kept(desk.conn, number, &answer, now_ms)?;
                if kept.is_none() {
                    answers::put(desk, number, &answer)?;
                }
                Ok(kept)
            })
            .await
    }

    async fn purge_answers(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.writer.write(move |desk| answers::purge(desk, now_ms, limit)).await
    }

    async fn spend(&self, spent: SpentRow) -> Result<bool, StoreError> {
        bounds::signed(spent.at_ms)?;
        self.writer.write(move |desk| spent::spend(desk, &spent)).await
    }

    async fn forget_spent(&self, term: u32, limit: u32) -> Result<u64, StoreError> {
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.writer.write(move |desk| spent::forget(desk, term, limit)).await
    }

    async fn insert_tenant(
        &self,
        tenant: TenantRow,
        keys: Vec<KeyRow>,
        under: Option<[u8; 32]>,
    ) -> Result<bool, StoreError> {
        for key in &keys {
            bounds::key(key)?;
            if key.name.tenant.as_ref() != Some(&tenant.tenant) {
                return Err(StoreError::NoTenant);
            }
        }
        self.writer.write(move |desk| tenants::insert(desk, &tenant, &keys, under.as_ref())).await
    }

    async fn tenants(&self) -> Result<Vec<TenantRow>, StoreError> {
        self.readers.short(tenants::list)
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.readers.short(keys::list)
    }

    async fn change_keys(&self, change: KeyChange) -> Result<bool, StoreError> {
        let mut named = keys::Change { under: change.under, ..keys::Change::default() };
        for key in change.insert {
            bounds::key(&key)?;
            named.insert.push((self.key_name(&key.name)?, key));
        }
        for (name, from, to) in change.states {
            named.states.push((self.key_name(&name)?, from, to));
        }
        for (name, old, new) in change.rewraps {
            bounds::wrapped(&new)?;
            named.rewraps.push((self.key_name(&name)?, old, new));
        }
        change.sign_term.as_ref().map_or(Ok(()), bounds::sign_term)?;
        named.sign_term = change.sign_term;
        self.writer.write(move |desk| keys::change(desk, &named)).await
    }

    async fn add_wraps(&self, key: &KeyName, by: u64) -> Result<u64, StoreError> {
        let name = self.key_name(key)?;
        bounds::signed(by)?;
        self.writer.write(move |desk| keys::add_wraps(desk, name, by)).await
    }

    async fn stale_records(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<StalePage, StoreError> {
        let number = self.number(tenant)?;
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.readers.long(move |conn| stale::step(conn, number, term, from, limit)).await
    }

    async fn count_stale(&self, tenant: &TenantId, term: u32) -> Result<u64, StoreError> {
        let number = self.number(tenant)?;
        let (mut count, mut from) = (0, None);
        loop {
            let step = move |conn: &Connection| stale::step(conn, number, term, from, u32::MAX);
            let page = self.readers.long(step).await?;
            count += page.records.len() as u64;
            if page.next.is_none() {
                return Ok(count);
            }
            from = page.next;
        }
    }

    async fn swap_envelopes(&self, tenant: &TenantId, swaps: Vec<EnvelopeSwap>) -> Result<u64, StoreError> {
        bounds::swaps(&swaps)?;
        let number = self.number(tenant)?;
        self.writer
            .write(move |desk| {
                swaps.iter().try_fold(0, |count, swap| Ok(count + u64::from(stale::swap(desk, number, swap)?)))
            })
            .await
    }

    async fn stale_marks(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<MarkPage, StoreError> {
        let (number, tenant) = (self.number(tenant)?, tenant.clone());
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.readers.long(move |conn| marks::step(conn, (number, &tenant), term, from, limit)).await
    }

    async fn count_stale_marks(&self, tenant: &TenantId, term: u32) -> Result<MarkCount, StoreError> {
        let number = self.number(tenant)?;
        let (mut count, mut after) = (MarkCount::default(), i64::MIN);
        loop {
            let step = move |conn: &Connection| {
                let next = marks::count_step(conn, number, term, after, &mut count)?;
                Ok((count, next))
            };
            match self.readers.long(step).await? {
                (all, None) => return Ok(all),
                (so_far, Some(next)) => (count, after) = (so_far, next),
            }
        }
    }

    async fn swap_marks(&self, tenant: &TenantId, swaps: Vec<MarkSwap>) -> Result<u64, StoreError> {
        bounds::page(swaps.len())?;
        let number = self.number(tenant)?;
        self.writer.write(move |desk| marks::swap(desk, number, &swaps)).await
    }

    async fn sign_terms(&self) -> Result<Vec<SignTerm>, StoreError> {
        self.readers.short(keys::sign_terms)
    }

    async fn put_rotation(&self, rotation: RotationRow) -> Result<(), StoreError> {
        bounds::rotation(&rotation)?;
        let number = rotation.tenant.as_ref().map_or(Ok(0), |tenant| self.number(tenant))?;
        self.writer.write(move |desk| rotations::put(desk, number, &rotation)).await
    }

    async fn rotations(&self) -> Result<Vec<RotationRow>, StoreError> {
        self.readers.short(rotations::list)
    }

    async fn shred_tenant(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let number = self.number(tenant)?;
        self.writer.write(move |desk| shred::tenant(desk, number)).await
    }

    async fn shred_places(&self, tenant: &TenantId, places: Vec<Place>) -> Result<u64, StoreError> {
        bounds::page(places.len())?;
        let number = self.number(tenant)?;
        self.writer.write(move |desk| shred::places(desk, number, &places)).await
    }

    async fn end_shredding(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let number = self.number(tenant)?;
        self.writer.write(move |desk| shred::end(desk, number)).await
    }

    async fn over_age(&self, tenant: &TenantId, before_ms: u64, limit: u32) -> Result<OverAge, StoreError> {
        let number = self.number(tenant)?;
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.readers.long(move |conn| shred::over_age(conn, number, before_ms, limit)).await
    }

    async fn put_kept(&self, kept: KeptRow) -> Result<(), StoreError> {
        bounds::kept(&kept)?;
        self.writer.write(move |desk| kept::put(desk, &kept)).await
    }

    async fn kept(&self, prefix: &str) -> Result<Vec<KeptRow>, StoreError> {
        self.readers.short(|conn| kept::list(conn, prefix))
    }

    async fn stays_sealed(&self) -> Result<bool, StoreError> {
        self.readers.short(keys::stays_sealed)
    }

    async fn set_stays_sealed(&self, stays: bool) -> Result<(), StoreError> {
        self.writer.write(move |desk| keys::set_stays_sealed(desk, stays)).await
    }

    async fn insert_act(&self, act: ActRow) -> Result<(), StoreError> {
        bounds::act(&act)?;
        self.writer.write(move |desk| acts::insert(desk, &act)).await
    }

    async fn swap_act(&self, old: ActRow, new: ActRow) -> Result<bool, StoreError> {
        bounds::act(&new)?;
        self.writer.write(move |desk| acts::swap(desk, &old, &new)).await
    }

    async fn acts(&self) -> Result<Vec<ActRow>, StoreError> {
        self.readers.short(acts::list)
    }

    async fn purge_acts(&self, now_ms: u64) -> Result<u64, StoreError> {
        self.writer.write(move |desk| acts::purge(desk, now_ms)).await
    }

    async fn copy_to(&self, into: &Path) -> Result<u64, StoreError> {
        let (from, into, copies) = (self.readers.path(), into.to_owned(), self.copies.clone());
        let copied = tokio::task::spawn_blocking(move || copy::copy(&from, &into, &copies));
        copied.await.unwrap_or(Err(StoreError::Unavailable))
    }

    async fn sample(&self, places: Vec<u64>) -> Result<Vec<CardRow>, StoreError> {
        bounds::page(places.len())?;
        self.readers.long(move |conn| copy::sample(conn, &places)).await
    }

    fn load(&self) -> Disk {
        self.writer.load()
    }

    fn schema(&self) -> u32 {
        newest_schema()
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.writer.settle().await
    }
}

#[cfg(test)]
mod tests;
