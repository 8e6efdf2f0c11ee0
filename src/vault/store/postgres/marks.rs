//! Rows whose MACs are under an old term of the fingerprint key: walking through them, counting them, swapping their MACs.

use std::collections::HashMap;

use strongroom_wire::{CustomerId, TenantId};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::cards::{self, COLUMNS, owner};
use super::fault::{Failure, any_term, column, signed_term, unsigned};
use super::run::{array, ask, big, int, transact, uuid};
use super::secrets;
use super::stale::{CARDS, SECRETS, after, end_of_step, first_of};
use crate::store::{MarkCount, MarkPage, MarkSwap, Marks, StaleCursor, StoreError};

impl PostgresStore {
    /// One step of the walk: so many of a tenant's cards, or so many secrets.
    pub(super) async fn mark_step(
        &self,
        (number, tenant): (i32, &TenantId),
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<MarkPage, StoreError> {
        let from = from.unwrap_or(StaleCursor::of_name(CARDS, [0; 32]));
        let limit = i64::from(limit.max(1));
        ask!(self.connections, c => {
            let from_name = first_of(&from.name);
            match from.table {
                CARDS => of_cards(c, (number, tenant), any_term(term), from_name, limit).await,
                _ => of_secrets(c, (number, tenant), any_term(term), from_name, limit).await,
            }
        })
    }

    pub(super) async fn mark_count(&self, number: i32, term: u32) -> Result<MarkCount, StoreError> {
        let (mut count, mut from, term) = (MarkCount::default(), Uuid::nil(), any_term(term));
        loop {
            let (cards, end) = ask!(self.connections, c => {
                let end = end_of_step(c, number, from).await?;
                let last = end.unwrap_or(Uuid::max());
                let sql = "SELECT count(*) FROM cards WHERE tenant = $1 AND token > $2 AND token <= $3 AND mac_term < $4";
                let rows = c.query_typed(sql, &[int(&number), uuid(&from), uuid(&last), big(&term)]).await?;
                Ok((counted(&rows)?, end))
            })?;
            count.cards += cards;
            match end {
                Some(end) => from = end,
                None => break,
            }
        }
        (count.secrets, count.answers) = ask!(self.connections, c => {
            let sql = "SELECT count(*) FROM secrets WHERE tenant = $1 AND mac_term < $2";
            let secrets = counted(&c.query_typed(sql, &[int(&number), big(&term)]).await?)?;
            let sql = "SELECT count(*) FROM answers WHERE tenant = $1 AND mac_term < $2";
            Ok((secrets, counted(&c.query_typed(sql, &[int(&number), big(&term)]).await?)?))
        })?;
        Ok(count)
    }

    /// Swaps what is still as it was; says how many rows were.
    pub(super) async fn swap_marked(&self, number: i32, swaps: &[MarkSwap]) -> Result<u64, StoreError> {
        let (cards, secrets) = (Columns::of_cards(swaps)?, Columns::of_secrets(swaps)?);
        transact!(self.connections, tx => {
            let changed = swap_cards(tx, number, &cards).await?;
            move_claims(tx, number, &changed, swaps).await?;
            Ok(changed.len() as u64 + swap_secrets(tx, number, &secrets).await?)
        })
    }
}

/// Names, the marks that must be there, and those that are there afterwards.
#[derive(Default)]
struct Columns {
    name: Vec<Uuid>,
    old: (Vec<Uuid>, Vec<i32>, Vec<Uuid>),
    new: (Vec<Uuid>, Vec<i32>, Vec<Uuid>),
}

impl Columns {
    fn of_cards(swaps: &[MarkSwap]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for swap in swaps {
            if let MarkSwap::Card(token, old, new) = swap {
                columns.push(token.uuid(), old, new)?;
            }
        }
        Ok(columns)
    }

    fn of_secrets(swaps: &[MarkSwap]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for swap in swaps {
            if let MarkSwap::Secret(id, old, new) = swap {
                columns.push(id.uuid(), old, new)?;
            }
        }
        Ok(columns)
    }

    fn push(&mut self, name: Uuid, old: &Marks, new: &Marks) -> Result<(), StoreError> {
        self.name.push(name);
        for (columns, marks) in [(&mut self.old, old), (&mut self.new, new)] {
            columns.0.push(Uuid::from_bytes(marks.fingerprint));
            columns.1.push(signed_term(marks.mac_term)?);
            columns.2.push(Uuid::from_bytes(marks.binding));
        }
        Ok(())
    }
}

async fn swap_cards(tx: &Client, number: i32, columns: &Columns) -> Result<Vec<Row>, Failure> {
    let Columns { name, old, new } = columns;
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "UPDATE cards SET fingerprint = s.new_print, mac_term = s.new_term, binding = s.new_binding \
               FROM unnest($2::uuid[], $3::uuid[], $4::int4[], $5::uuid[], $6::uuid[], $7::int4[], $8::uuid[]) \
               AS s(token, old_print, old_term, old_binding, new_print, new_term, new_binding) \
               WHERE cards.tenant = $1 AND cards.token = s.token AND cards.fingerprint = s.old_print \
               AND cards.mac_term = s.old_term AND cards.binding = s.old_binding RETURNING cards.token, cards.customer";
    let params = [
        int(&number),
        array(name, Type::UUID_ARRAY),
        array(&old.0, Type::UUID_ARRAY),
        array(&old.1, Type::INT4_ARRAY),
        array(&old.2, Type::UUID_ARRAY),
        array(&new.0, Type::UUID_ARRAY),
        array(&new.1, Type::INT4_ARRAY),
        array(&new.2, Type::UUID_ARRAY),
    ];
    Ok(tx.query_typed(sql, &params).await?)
}

async fn swap_secrets(tx: &Client, number: i32, columns: &Columns) -> Result<u64, Failure> {
    let Columns { name, old, new } = columns;
    if name.is_empty() {
        return Ok(0);
    }
    let sql = "UPDATE secrets SET mac_term = s.new_term, binding = s.new_binding \
               FROM unnest($2::uuid[], $3::int4[], $4::uuid[], $5::int4[], $6::uuid[]) \
               AS s(id, old_term, old_binding, new_term, new_binding) WHERE secrets.tenant = $1 AND secrets.id = s.id \
               AND secrets.mac_term = s.old_term AND secrets.binding = s.old_binding";
    let params = [
        int(&number),
        array(name, Type::UUID_ARRAY),
        array(&old.1, Type::INT4_ARRAY),
        array(&old.2, Type::UUID_ARRAY),
        array(&new.1, Type::INT4_ARRAY),
        array(&new.2, Type::UUID_ARRAY),
    ];
    Ok(tx.execute_typed(sql, &params).await?)
}

/// Gives the claims of changed cards their new fingerprints. A claim that cannot move, because another card has that place,
/// stays as it was: whoever lists the customer's cards finds both.
async fn move_claims(tx: &Client, number: i32, changed: &[Row], swaps: &[MarkSwap]) -> Result<(), Failure> {
    let mut prints = HashMap::new();
    for swap in swaps {
        if let MarkSwap::Card(token, old, new) = swap {
            prints.entry(token.uuid()).or_insert((old.fingerprint, new.fingerprint));
        }
    }
    let (mut owners, mut olds, mut news, mut tokens) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in changed {
        let (token, customer): (Uuid, Option<&str>) = (column(row, 0)?, column(row, 1)?);
        let (Some(customer), Some((old, new))) = (customer, prints.get(&token)) else { continue };
        let customer: CustomerId = customer.parse().map_err(|_| StoreError::Corrupt)?;
        owners.push(owner(number, &customer));
        olds.push(Uuid::from_bytes(*old));
        news.push(Uuid::from_bytes(*new));
        tokens.push(token);
    }
    if owners.is_empty() {
        return Ok(());
    }
    let of = |values| array(values, Type::UUID_ARRAY);
    let sql = "INSERT INTO claims (owner, fingerprint, token) SELECT s.owner, s.print, s.token \
               FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS s(owner, print, token) ORDER BY s.owner, s.print \
               ON CONFLICT (owner, fingerprint) DO NOTHING";
    tx.execute_typed(sql, &[of(&owners), of(&news), of(&tokens)]).await?;
    let sql = "DELETE FROM claims USING unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS s(owner, old, new, token) \
               WHERE claims.owner = s.owner AND claims.fingerprint = s.old AND claims.token = s.token AND s.old <> s.new \
               AND EXISTS (SELECT 1 FROM claims AS moved WHERE moved.owner = s.owner AND moved.fingerprint = s.new \
               AND moved.token = s.token)";
    tx.execute_typed(sql, &[of(&owners), of(&olds), of(&news), of(&tokens)]).await?;
    Ok(())
}

async fn of_cards(
    client: &Client,
    (number, tenant): (i32, &TenantId),
    term: i64,
    from: Uuid,
    limit: i64,
) -> Result<MarkPage, Failure> {
    let end = end_of_step(client, number, from).await?;
    let last = end.unwrap_or(Uuid::max());
    let sql = format!(
        "SELECT {COLUMNS} FROM cards WHERE tenant = $1 AND token > $2 AND token <= $3 AND mac_term < $4 \
         ORDER BY token LIMIT $5"
    );
    let params = [int(&number), uuid(&from), uuid(&last), big(&term), big(&limit)];
    let rows = client.query_typed(&sql, &params).await?;
    let found = rows.iter().map(|row| cards::read(tenant, row, 0)).collect::<Result<Vec<_>, _>>()?;
    let next = match (found.last().filter(|_| is_full(&rows, limit)), end) {
        (Some(card), _) => after(CARDS, card.token.uuid()),
        (None, Some(end)) => after(CARDS, end),
        (None, None) => StaleCursor::of_name(SECRETS, [0; 32]),
    };
    Ok(MarkPage { cards: found, secrets: Vec::new(), next: Some(next) })
}

async fn of_secrets(
    client: &Client,
    (number, tenant): (i32, &TenantId),
    term: i64,
    from: Uuid,
    limit: i64,
) -> Result<MarkPage, Failure> {
    let sql = format!(
        "SELECT {} FROM secrets WHERE tenant = $1 AND id > $2 AND mac_term < $3 ORDER BY id LIMIT $4",
        secrets::COLUMNS
    );
    let rows = client.query_typed(&sql, &[int(&number), uuid(&from), big(&term), big(&limit)]).await?;
    let found = rows.iter().map(|row| secrets::read(tenant, row)).collect::<Result<Vec<_>, _>>()?;
    let next = found.last().filter(|_| is_full(&rows, limit)).map(|secret| after(SECRETS, secret.id.uuid()));
    Ok(MarkPage { cards: Vec::new(), secrets: found, next })
}

fn is_full(rows: &[Row], limit: i64) -> bool {
    i64::try_from(rows.len()).is_ok_and(|count| count == limit)
}

fn counted(rows: &[Row]) -> Result<u64, StoreError> {
    unsigned(column(rows.first().ok_or(StoreError::Corrupt)?, 0)?)
}
