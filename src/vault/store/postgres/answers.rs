//! Kept answers: found by the hash of their idempotency key, gone when their time is over.

use strongroom_wire::{TenantId, Token};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{Failure, column, fixed, signed_term, signed_time, term, unsigned};
use super::run::{array, big, bytes, int, transact, uuid};
use crate::store::{AnswerRow, StoreError};

/// The columns that [`read`] reads, in its order.
pub(super) const COLUMNS: &str =
    "answers.name, answers.mac_term, answers.expires_ms, answers.digest, answers.card, answers.envelope";

/// An answer from a row whose columns from `first` on are [`COLUMNS`].
pub(super) fn read(tenant: &TenantId, row: &Row, first: usize) -> Result<AnswerRow, StoreError> {
    Ok(AnswerRow {
        tenant: tenant.clone(),
        name: fixed(column(row, first)?)?,
        mac_term: term(column(row, first + 1)?)?,
        other_names: Vec::new(),
        expires_ms: unsigned(column(row, first + 2)?)?,
        digest: fixed(column(row, first + 3)?)?,
        card: column::<Option<Uuid>>(row, first + 4)?.map(Token::from_uuid),
        envelope: column(row, first + 5)?,
    })
}

impl PostgresStore {
    pub(super) async fn keep(
        &self,
        number: i32,
        answer: &AnswerRow,
        now_ms: u64,
    ) -> Result<Option<AnswerRow>, StoreError> {
        let mut earlier = None;
        transact!(self.connections, tx => {
            earlier = put(tx, number, answer, now_ms).await?;
            // With an earlier one nothing is written.
            if earlier.is_some() { Err(Failure::Not) } else { Ok(()) }
        })?;
        Ok(earlier)
    }

    pub(super) async fn purge(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let (now, limit) = (signed_time(now_ms), i64::from(limit));
        let sql = "DELETE FROM answers USING (SELECT tenant, name FROM answers WHERE expires_ms <= $1 ORDER BY expires_ms \
                   LIMIT $2) AS due WHERE answers.tenant = due.tenant AND answers.name = due.name \
                   AND answers.expires_ms <= $1 RETURNING 1";
        Ok(self.connections.once(sql, &[big(&now), big(&limit)]).await?.len() as u64)
    }
}

/// Every name of the same idempotency key, its own first.
pub(super) fn names(answer: &AnswerRow) -> Vec<&[u8]> {
    std::iter::once(&answer.name).chain(&answer.other_names).map(|name| name.as_slice()).collect()
}

/// The live answer of the same idempotency key, under whichever term of the fingerprint key it was named.
pub(super) async fn find_kept(
    client: &Client,
    number: i32,
    answer: &AnswerRow,
    now_ms: u64,
) -> Result<Option<AnswerRow>, Failure> {
    find_named(client, number, (answer, &names(answer)), now_ms).await
}

async fn find_named(
    client: &Client,
    number: i32,
    (answer, names): (&AnswerRow, &Vec<&[u8]>),
    now_ms: u64,
) -> Result<Option<AnswerRow>, Failure> {
    let now = signed_time(now_ms);
    let sql = format!(
        "SELECT {COLUMNS} FROM answers WHERE tenant = $1 AND name = ANY($2) AND expires_ms > $3 ORDER BY mac_term DESC"
    );
    let params = [int(&number), array(names, tokio_postgres::types::Type::BYTEA_ARRAY), big(&now)];
    let rows = client.query_typed(&sql, &params).await?;
    Ok(rows.first().map(|row| read(&answer.tenant, row, 0)).transpose()?)
}

/// Keeps an answer in the place of one that is over; or answers the live one, and the caller undoes.
///
/// A second node that has the same key under another term meets this one: every name is inserted, and those that are not the
/// answer's own are taken away again before the end.
pub(super) async fn put(
    tx: &Client,
    number: i32,
    answer: &AnswerRow,
    now_ms: u64,
) -> Result<Option<AnswerRow>, Failure> {
    if let Some(kept) = find_kept(tx, number, answer, now_ms).await? {
        return Ok(Some(kept));
    }
    let now = signed_time(now_ms);
    let mut in_order = names(answer);
    in_order.sort_unstable();
    in_order.dedup();
    for name in &in_order {
        let sql = "DELETE FROM answers WHERE tenant = $1 AND name = $2 AND expires_ms <= $3";
        tx.execute_typed(sql, &[int(&number), bytes(name), big(&now)]).await?;
        let (mac_term, expires) = (signed_term(answer.mac_term)?, signed_time(answer.expires_ms));
        let (digest, card) = (answer.digest.as_slice(), answer.card.map(|card| card.uuid()));
        let sql = "INSERT INTO answers (tenant, name, mac_term, expires_ms, digest, card, envelope) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, name) DO NOTHING";
        let row = [
            int(&number),
            bytes(name),
            int(&mac_term),
            big(&expires),
            bytes(&digest),
            uuid(&card),
            bytes(&answer.envelope),
        ];
        if tx.execute_typed(sql, &row).await? == 0 {
            // Another node was first, just now. Its answer alone is asked for: names that this one put there are in sight too.
            return match find_named(tx, number, (answer, &vec![*name]), now_ms).await? {
                Some(kept) => Ok(Some(kept)),
                None => Err(Failure::Again),
            };
        }
    }
    forget_names(tx, number, answer).await?;
    Ok(None)
}

/// Takes away the names that only stood there for others to meet.
async fn forget_names(tx: &Client, number: i32, answer: &AnswerRow) -> Result<(), Failure> {
    let others: Vec<&[u8]> =
        answer.other_names.iter().filter(|name| **name != answer.name).map(|name| name.as_slice()).collect();
    if !others.is_empty() {
        let sql = "DELETE FROM answers WHERE tenant = $1 AND name = ANY($2)";
        let params = [int(&number), array(&others, tokio_postgres::types::Type::BYTEA_ARRAY)];
        tx.execute_typed(sql, &params).await?;
    }
    Ok(())
}

/// Takes away one answer. `false` if there was none.
pub(super) async fn remove(tx: &Client, number: i32, name: &[u8; 32]) -> Result<bool, Failure> {
    let sql = "DELETE FROM answers WHERE tenant = $1 AND name = $2";
    Ok(tx.execute_typed(sql, &[int(&number), bytes(&name.as_slice())]).await? > 0)
}
