//! [`Store`] over PostgreSQL: what a call may be, and where its statement stands.

use std::path::Path;

use async_trait::async_trait;
use strongroom_wire::{CustomerId, SecretId, TenantId, Token, limits};

use super::cards::{Page, owner};
use super::insert::{self, New};
use super::{PostgresStore, keys, migrate};
use crate::store::{
    ActRow, AnswerRow, CardContent, CardFilter, CardRow, EnvelopeSwap, Expired, Inserted, KeptRow, KeyChange, KeyName,
    KeyRow, MarkCount, MarkPage, MarkSwap, OverAge, Place, RotationRow, SecretRow, SignTerm, SpentRow, StaleCursor,
    StalePage, Store, StoreError, TenantRow, bounds,
};

#[async_trait]
impl Store for PostgresStore {
    async fn insert_card(&self, card: CardRow, answer: Option<AnswerRow>) -> Result<Inserted, StoreError> {
        bounds::card(&card, answer.as_ref())?;
        let number = self.number(&card.tenant).await?;
        self.inserts.insert(New { number, card, answer }).await
    }

    async fn insert_cards(&self, cards: Vec<(CardRow, Option<AnswerRow>)>) -> Result<Vec<Inserted>, StoreError> {
        bounds::group(cards.len())?;
        let mut new = Vec::with_capacity(cards.len());
        for (card, answer) in cards {
            bounds::card(&card, answer.as_ref())?;
            new.push(New { number: self.number(&card.tenant).await?, card, answer });
        }
        insert::all(&self.connections, &new).await
    }

    async fn card(&self, tenant: &TenantId, token: &Token, now_ms: u64) -> Result<Option<CardRow>, StoreError> {
        let number = self.number(tenant).await?;
        let found = self.reads.card(number, tenant, token).await?;
        Ok(found.filter(|card| is_live(card, now_ms)))
    }

    async fn cards(
        &self,
        tenant: &TenantId,
        filter: &CardFilter,
        after: Option<Token>,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<CardRow>, StoreError> {
        let number = self.number(tenant).await?;
        let limit = limit.min(limits::STORE_PAGE_MAX);
        self.page(&Page { tenant, number, filter, after, limit, now_ms }).await
    }

    async fn find_duplicate(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        fingerprint: &[u8; 16],
        now_ms: u64,
    ) -> Result<Option<Token>, StoreError> {
        let number = self.number(tenant).await?;
        let Some(token) = self.reads.claim(owner(number, customer), fingerprint).await? else { return Ok(None) };
        let found = self.reads.card(number, tenant, &token).await?;
        let fits = |card: &CardRow| is_live(card, now_ms) && card.customer.as_ref() == Some(customer);
        Ok(found.filter(fits).map(|card| card.token))
    }

    async fn swap_card(
        &self,
        tenant: &TenantId,
        token: &Token,
        old: CardContent,
        new: CardContent,
    ) -> Result<bool, StoreError> {
        bounds::content(&new)?;
        let number = self.number(tenant).await?;
        self.swap_content(number, token, &old, &new).await
    }

    async fn delete_card(&self, tenant: &TenantId, token: &Token) -> Result<bool, StoreError> {
        self.delete(self.number(tenant).await?, token, None).await
    }

    async fn expired(&self, now_ms: u64, limit: u32) -> Result<Vec<Expired>, StoreError> {
        self.ended(now_ms, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn shred_expired(&self, expired: &Expired, now_ms: u64) -> Result<bool, StoreError> {
        self.delete(self.number(&expired.tenant).await?, &expired.token, Some(now_ms)).await
    }

    async fn insert_secret(&self, secret: SecretRow) -> Result<(), StoreError> {
        bounds::secret(&secret)?;
        self.put_secret(self.number(&secret.tenant).await?, &secret).await
    }

    async fn secret(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretRow>, StoreError> {
        self.one_secret(self.number(tenant).await?, tenant, id).await
    }

    async fn delete_secret(&self, tenant: &TenantId, id: &SecretId) -> Result<bool, StoreError> {
        self.remove_secret(self.number(tenant).await?, id).await
    }

    async fn answer(&self, tenant: &TenantId, name: &[u8; 32], now_ms: u64) -> Result<Option<AnswerRow>, StoreError> {
        let number = self.number(tenant).await?;
        let found = self.reads.answer(number, tenant, name).await?;
        Ok(found.filter(|answer| answer.expires_ms > now_ms))
    }

    async fn insert_answer(&self, answer: AnswerRow, now_ms: u64) -> Result<Option<AnswerRow>, StoreError> {
        bounds::answer(&answer)?;
        self.keep(self.number(&answer.tenant).await?, &answer, now_ms).await
    }

    async fn purge_answers(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        self.purge(now_ms, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn spend(&self, spent: SpentRow) -> Result<bool, StoreError> {
        bounds::signed(spent.at_ms)?;
        self.use_up(&spent).await
    }

    async fn forget_spent(&self, term: u32, limit: u32) -> Result<u64, StoreError> {
        self.forget_below(term, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn insert_tenant(
        &self,
        tenant: TenantRow,
        keys: Vec<KeyRow>,
        under: Option<[u8; 32]>,
    ) -> Result<bool, StoreError> {
        bounds::signed(tenant.created_ms)?;
        for key in &keys {
            bounds::key(key)?;
            if key.name.tenant.as_ref() != Some(&tenant.tenant) {
                return Err(StoreError::NoTenant);
            }
        }
        self.register(&tenant, &keys, under.as_ref()).await
    }

    async fn tenants(&self) -> Result<Vec<TenantRow>, StoreError> {
        self.all_tenants().await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.all_keys().await
    }

    async fn change_keys(&self, change: KeyChange) -> Result<bool, StoreError> {
        let mut named = keys::Change { under: change.under, ..keys::Change::default() };
        for key in change.insert {
            bounds::key(&key)?;
            named.insert.push((self.key_name(&key.name).await?, key));
        }
        for (name, from, to) in change.states {
            named.states.push((self.key_name(&name).await?, from, to));
        }
        for (name, old, new) in change.rewraps {
            bounds::wrapped(&new)?;
            named.rewraps.push((self.key_name(&name).await?, old, new));
        }
        change.sign_term.as_ref().map_or(Ok(()), bounds::sign_term)?;
        named.sign_term = change.sign_term;
        self.change(&named).await
    }

    async fn add_wraps(&self, key: &KeyName, by: u64) -> Result<u64, StoreError> {
        self.count_wraps(self.key_name(key).await?, bounds::signed(by)?).await
    }

    async fn stale_records(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<StalePage, StoreError> {
        self.stale_step(self.number(tenant).await?, term, from, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn count_stale(&self, tenant: &TenantId, term: u32) -> Result<u64, StoreError> {
        self.stale_count(self.number(tenant).await?, term).await
    }

    async fn swap_envelopes(&self, tenant: &TenantId, swaps: Vec<EnvelopeSwap>) -> Result<u64, StoreError> {
        bounds::swaps(&swaps)?;
        self.swap_all(self.number(tenant).await?, &swaps).await
    }

    async fn stale_marks(
        &self,
        tenant: &TenantId,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<MarkPage, StoreError> {
        let number = self.number(tenant).await?;
        self.mark_step((number, tenant), term, from, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn count_stale_marks(&self, tenant: &TenantId, term: u32) -> Result<MarkCount, StoreError> {
        self.mark_count(self.number(tenant).await?, term).await
    }

    async fn swap_marks(&self, tenant: &TenantId, swaps: Vec<MarkSwap>) -> Result<u64, StoreError> {
        bounds::page(swaps.len())?;
        self.swap_marked(self.number(tenant).await?, &swaps).await
    }

    async fn sign_terms(&self) -> Result<Vec<SignTerm>, StoreError> {
        self.all_sign_terms().await
    }

    async fn put_rotation(&self, rotation: RotationRow) -> Result<(), StoreError> {
        bounds::rotation(&rotation)?;
        let number = match &rotation.tenant {
            Some(tenant) => self.number(tenant).await?,
            None => 0,
        };
        self.note_rotation(number, &rotation).await
    }

    async fn rotations(&self) -> Result<Vec<RotationRow>, StoreError> {
        self.all_rotations().await
    }

    async fn shred_tenant(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        self.destroy_keys(self.number(tenant).await?).await
    }

    async fn shred_places(&self, tenant: &TenantId, places: Vec<Place>) -> Result<u64, StoreError> {
        bounds::page(places.len())?;
        self.remove_places(self.number(tenant).await?, &places).await
    }

    async fn end_shredding(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.mark_shredded(self.number(tenant).await?).await
    }

    async fn over_age(&self, tenant: &TenantId, before_ms: u64, limit: u32) -> Result<OverAge, StoreError> {
        self.over_age_of(self.number(tenant).await?, before_ms, limit.min(limits::STORE_PAGE_MAX)).await
    }

    async fn put_kept(&self, kept: KeptRow) -> Result<(), StoreError> {
        bounds::kept(&kept)?;
        self.keep_row(&kept).await
    }

    async fn kept(&self, prefix: &str) -> Result<Vec<KeptRow>, StoreError> {
        self.kept_rows(prefix).await
    }

    async fn stays_sealed(&self) -> Result<bool, StoreError> {
        self.is_kept_sealed().await
    }

    async fn set_stays_sealed(&self, stays: bool) -> Result<(), StoreError> {
        self.keep_sealed(stays).await
    }

    async fn insert_act(&self, act: ActRow) -> Result<(), StoreError> {
        bounds::act(&act)?;
        self.put_act(&act).await
    }

    async fn swap_act(&self, old: ActRow, new: ActRow) -> Result<bool, StoreError> {
        bounds::act(&new)?;
        self.replace_act(&old, &new).await
    }

    async fn acts(&self) -> Result<Vec<ActRow>, StoreError> {
        self.all_acts().await
    }

    async fn purge_acts(&self, now_ms: u64) -> Result<u64, StoreError> {
        self.drop_acts(now_ms).await
    }

    async fn copy_to(&self, _into: &Path) -> Result<u64, StoreError> {
        // A copy of a server's database is the server's own work, with what can be had of its log.
        Err(StoreError::NoCopy)
    }

    async fn sample(&self, places: Vec<u64>) -> Result<Vec<CardRow>, StoreError> {
        bounds::page(places.len())?;
        self.at_places(&places).await
    }

    fn schema(&self) -> u32 {
        migrate::newest_schema()
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.vacuum_keys().await
    }
}

fn is_live(card: &CardRow, now_ms: u64) -> bool {
    card.content.expires_ms.is_none_or(|end| end > now_ms)
}
