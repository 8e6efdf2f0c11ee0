//! Shredding of many: a tenant's keys in one transaction, its rows afterwards; cards that are older than they may be.
//!
//! PostgreSQL writes a new row beside the old one. What was deleted stays in its files until a vacuum, and in its write-ahead
//! log and archives for as long as those are kept. It is ciphertext: what shreds it for good is that its key is gone.

use std::collections::BTreeSet;

use strongroom_wire::admin::KeyState;
use strongroom_wire::{CustomerId, Token};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::cards::{owner, time_of};
use super::fault::{Failure, column, signed_time, unsigned};
use super::run::{array, ask, big, int, small, transact, uuid};
use super::stale::end_of_step;
use super::{PostgresStore, answers, touch};
use crate::store::{OverAge, Place, StoreError};

impl PostgresStore {
    /// Destroys every key of a tenant and marks it; says how many keys it had in all. Rotations of it are over.
    pub(super) async fn destroy_keys(&self, number: i32) -> Result<u64, StoreError> {
        let destroyed = KeyState::Destroyed as i16;
        transact!(self.connections, tx => {
            touch(tx).await?;
            let sql = "UPDATE keys SET state = $2, wrapped = '' WHERE tenant = $1";
            let keys = tx.execute_typed(sql, &[int(&number), small(&destroyed)]).await?;
            for sql in [
                // Copies for a Root to come would outlive the keys.
                "DELETE FROM staged_keys WHERE tenant = $1",
                "UPDATE tenants SET shredded = 1 WHERE id = $1 AND shredded = 0",
                "DELETE FROM rotations WHERE tenant = $1",
            ] {
                tx.execute_typed(sql, &[int(&number)]).await?;
            }
            Ok(keys)
        })
    }

    /// Marks a tenant whose rows are gone.
    pub(super) async fn mark_shredded(&self, number: i32) -> Result<(), StoreError> {
        transact!(self.connections, tx => {
            touch(tx).await?;
            for sql in [
                "UPDATE tenants SET shredded = 2 WHERE id = $1 AND shredded = 1",
                "DELETE FROM rotations WHERE tenant = (SELECT id FROM tenants WHERE id = $1 AND shredded = 2)",
            ] {
                tx.execute_typed(sql, &[int(&number)]).await?;
            }
            Ok(())
        })
    }

    /// Shreds the records that stand in these places; says how many there were.
    pub(super) async fn remove_places(&self, number: i32, places: &[Place]) -> Result<u64, StoreError> {
        let (mut tokens, mut ids, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for place in places {
            match place {
                // The card's own place comes too; metadata is part of its row.
                Place::Metadata(_) => false,
                Place::Card(token) => tokens.insert(token.uuid()),
                Place::Secret(id) => ids.insert(id.uuid()),
                Place::Answer(name) => names.insert(*name),
            };
        }
        let (tokens, ids): (Vec<Uuid>, Vec<Uuid>) = (tokens.into_iter().collect(), ids.into_iter().collect());
        transact!(self.connections, tx => {
            let mut count = 0;
            for name in &names {
                count += u64::from(answers::remove(tx, number, name).await?);
            }
            count += remove_cards(tx, number, &tokens).await?;
            let sql = "DELETE FROM secrets WHERE tenant = $1 AND id = ANY($2)";
            Ok(count + tx.execute_typed(sql, &[int(&number), array(&ids, Type::UUID_ARRAY)]).await?)
        })
    }

    /// Cards that were made before a moment, in the order of their tokens: as many as asked for, and how many there are.
    pub(super) async fn over_age_of(&self, number: i32, before_ms: u64, limit: u32) -> Result<OverAge, StoreError> {
        // A token's time is that of a clock that may have been ahead of the card's own.
        let (before, end) = (at(before_ms), at(before_ms.saturating_add(AHEAD_MS)));
        let (mut found, mut from) = (OverAge::default(), Uuid::nil());
        loop {
            let step: (Option<Uuid>, Vec<Row>) = ask!(self.connections, c => {
                let to = end_of_step(c, number, from).await?;
                let last = to.map_or(end, |to| to.min(end));
                Ok((to, over_age_rows(c, number, (from, last), (before, before_ms)).await?))
            })?;
            for row in &step.1 {
                let token = Token::from_uuid(column(row, 0)?);
                let made_ms = unsigned(column::<Option<i64>>(row, 1)?.unwrap_or(time_of(&token)))?;
                found.count += 1;
                found.oldest_ms = Some(found.oldest_ms.map_or(made_ms, |oldest| oldest.min(made_ms)));
                if found.first.len() < limit as usize {
                    found.first.push(token);
                } else if limit > 0 {
                    // Who wants cards and not their number goes on after these are gone.
                    return Ok(found);
                }
            }
            match step.0 {
                Some(to) if to < end => from = to,
                _ => return Ok(found),
            }
        }
    }
}

async fn over_age_rows(
    client: &Client,
    number: i32,
    (from, last): (Uuid, Uuid),
    (before, before_ms): (Uuid, u64),
) -> Result<Vec<Row>, Failure> {
    let sql = "SELECT token, created_ms FROM cards WHERE tenant = $1 AND token > $2 AND token <= $3 \
               AND CASE WHEN created_ms IS NULL THEN token < $4 ELSE created_ms < $5 END ORDER BY token";
    let before_ms = signed_time(before_ms);
    let params = [int(&number), uuid(&from), uuid(&last), uuid(&before), big(&before_ms)];
    Ok(client.query_typed(sql, &params).await?)
}

async fn remove_cards(tx: &Client, number: i32, tokens: &Vec<Uuid>) -> Result<u64, Failure> {
    let of = |values| array(values, Type::UUID_ARRAY);
    let sql = "DELETE FROM cards WHERE tenant = $1 AND token = ANY($2) RETURNING token, customer";
    let gone = tx.query_typed(sql, &[int(&number), of(tokens)]).await?;
    let (mut owners, mut claimed) = (Vec::new(), Vec::new());
    for row in &gone {
        if let Some(customer) = column::<Option<&str>>(row, 1)? {
            let customer: CustomerId = customer.parse().map_err(|_| StoreError::Corrupt)?;
            owners.push(owner(number, &customer));
            claimed.push(column::<Uuid>(row, 0)?);
        }
    }
    if !owners.is_empty() {
        let sql = "DELETE FROM claims USING unnest($1::uuid[], $2::uuid[]) AS gone(owner, token) \
                   WHERE claims.owner = gone.owner AND claims.token = gone.token";
        tx.execute_typed(sql, &[of(&owners), of(&claimed)]).await?;
    }
    if !gone.is_empty() {
        let sql = "DELETE FROM answers WHERE tenant = $1 AND card = ANY($2)";
        tx.execute_typed(sql, &[int(&number), of(tokens)]).await?;
    }
    Ok(gone.len() as u64)
}

/// The least token of a time.
fn at(at_ms: u64) -> Uuid {
    Uuid::from_u128(u128::from(at_ms.min((1 << 48) - 1)) << 80)
}

const AHEAD_MS: u64 = 24 * 3_600 * 1_000;
