//! Cards as rows: reading one, listing, swapping, shredding.

use sha2::{Digest as _, Sha256};
use strongroom_wire::{CustomerId, TenantId, Token};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{Failure, column, signed_time, term, unsigned};
use super::run::{ask, big, bytes, int, transact, uuid};
use crate::store::{CardContent, CardFilter, CardRow, Expired, StoreError};

/// The columns that [`read`] reads, in its order.
pub(super) const COLUMNS: &str = "cards.token, cards.mac_term, cards.created_ms, cards.expires_ms, cards.fingerprint, \
    cards.binding, cards.customer, cards.envelope, cards.metadata";

/// A card from a row whose columns from `first` on are [`COLUMNS`].
pub(super) fn read(tenant: &TenantId, row: &Row, first: usize) -> Result<CardRow, StoreError> {
    let token = Token::from_uuid(column(row, first)?);
    let created: Option<i64> = column(row, first + 2)?;
    let customer = match column::<Option<&str>>(row, first + 6)? {
        Some(text) => Some(text.parse().map_err(|_| StoreError::Corrupt)?),
        None => None,
    };
    Ok(CardRow {
        tenant: tenant.clone(),
        token,
        customer,
        fingerprint: column::<Uuid>(row, first + 4)?.into_bytes(),
        mac_term: term(column(row, first + 1)?)?,
        other_fingerprints: Vec::new(),
        created_ms: unsigned(created.unwrap_or(time_of(&token)))?,
        content: CardContent {
            envelope: column(row, first + 7)?,
            metadata: column(row, first + 8)?,
            expires_ms: column::<Option<i64>>(row, first + 3)?.map(unsigned).transpose()?,
            binding: column::<Uuid>(row, first + 5)?.into_bytes(),
        },
    })
}

/// Milliseconds since 1970 in the first 48 bits of a UUIDv7.
pub(super) fn time_of(token: &Token) -> i64 {
    (token.uuid().as_u64_pair().0 >> 16) as i64
}

/// When a card was made, where its token does not say so.
pub(super) fn created(card: &CardRow) -> Option<i64> {
    Some(signed_time(card.created_ms)).filter(|made| *made != time_of(&card.token))
}

/// Under which owner a customer's claims stand: the first half of SHA-256(tenant's number, 4 bytes big-endian || customer).
pub(in crate::store) fn owner(number: i32, customer: &CustomerId) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(number.to_be_bytes());
    hash.update(customer.as_str());
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    Uuid::from_bytes(half)
}

/// A page of cards that is asked for.
pub(super) struct Page<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) number: i32,
    pub(super) filter: &'a CardFilter,
    pub(super) after: Option<Token>,
    pub(super) limit: u32,
    pub(super) now_ms: u64,
}

impl PostgresStore {
    pub(super) async fn page(&self, page: &Page<'_>) -> Result<Vec<CardRow>, StoreError> {
        let after = page.after.map_or(Uuid::nil(), |token| token.uuid());
        let (now, limit) = (signed_time(page.now_ms), i64::from(page.limit));
        let owner = page.filter.customer.as_ref().map(|customer| owner(page.number, customer));
        let print = page.filter.fingerprint.map(Uuid::from_bytes);
        let mut params = vec![int(&page.number), uuid(&after), big(&now), big(&limit)];
        let mut conditions =
            "cards.tenant = $1 AND cards.token > $2 AND (cards.expires_ms IS NULL OR cards.expires_ms > $3)".to_owned();
        if let Some(print) = &print {
            params.push(uuid(print));
            conditions.push_str(&format!(" AND cards.fingerprint = ${}", params.len()));
        }
        if let Some(owner) = &owner {
            params.push(uuid(owner));
            conditions.push_str(&format!(
                " AND cards.token IN (SELECT claims.token FROM claims WHERE claims.owner = ${})",
                params.len()
            ));
        }
        let sql = format!("SELECT {COLUMNS} FROM cards WHERE {conditions} ORDER BY cards.token LIMIT $4");
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(&sql, &params).await?) })?;
        rows.iter().map(|row| read(page.tenant, row, 0)).collect()
    }

    pub(super) async fn ended(&self, now_ms: u64, limit: u32) -> Result<Vec<Expired>, StoreError> {
        let (now, limit) = (signed_time(now_ms), i64::from(limit));
        let sql = "SELECT tenants.name, due.token FROM (SELECT tenant, token, expires_ms FROM cards WHERE expires_ms <= $1 \
                   ORDER BY expires_ms LIMIT $2) AS due JOIN tenants ON tenants.id = due.tenant ORDER BY due.expires_ms";
        let rows: Vec<Row> = ask!(self.connections, c => { Ok(c.query_typed(sql, &[big(&now), big(&limit)]).await?) })?;
        let due = |row: &Row| {
            let tenant = column::<&str>(row, 0)?.parse().map_err(|_| StoreError::Corrupt)?;
            Ok(Expired { tenant, token: Token::from_uuid(column(row, 1)?) })
        };
        rows.iter().map(due).collect()
    }

    pub(super) async fn swap_content(
        &self,
        number: i32,
        token: &Token,
        old: &CardContent,
        new: &CardContent,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE cards SET envelope = $3, metadata = $4, expires_ms = $5, binding = $6 \
                   WHERE tenant = $1 AND token = $2 AND envelope = $7 AND metadata IS NOT DISTINCT FROM $8 \
                   AND expires_ms IS NOT DISTINCT FROM $9 AND binding = $10 RETURNING 1";
        let token = token.uuid();
        let (new_end, old_end) = (new.expires_ms.map(signed_time), old.expires_ms.map(signed_time));
        let (new_binding, old_binding) = (Uuid::from_bytes(new.binding), Uuid::from_bytes(old.binding));
        let params = [
            int(&number),
            uuid(&token),
            bytes(&new.envelope),
            bytes(&new.metadata),
            big(&new_end),
            uuid(&new_binding),
            bytes(&old.envelope),
            bytes(&old.metadata),
            big(&old_end),
            uuid(&old_binding),
        ];
        Ok(!self.connections.once(sql, &params).await?.is_empty())
    }

    /// Shreds a card; with `ended_by`, only one whose end had come then.
    pub(super) async fn delete(&self, number: i32, token: &Token, ended_by: Option<u64>) -> Result<bool, StoreError> {
        transact!(self.connections, tx => { remove(tx, number, token, ended_by).await })
    }
}

/// See [`PostgresStore::delete`]: the row, the claims on it and the answers that show it.
pub(super) async fn remove(tx: &Client, number: i32, token: &Token, ended_by: Option<u64>) -> Result<bool, Failure> {
    let (token, end) = (token.uuid(), ended_by.map(signed_time));
    let sql =
        "DELETE FROM cards WHERE tenant = $1 AND token = $2 AND ($3 IS NULL OR expires_ms <= $3) RETURNING customer";
    let rows = tx.query_typed(sql, &[int(&number), uuid(&token), big(&end)]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    if let Some(customer) = column::<Option<&str>>(row, 0)? {
        let customer: CustomerId = customer.parse().map_err(|_| StoreError::Corrupt)?;
        let owner = owner(number, &customer);
        let sql = "DELETE FROM claims WHERE owner = $1 AND token = $2";
        tx.execute_typed(sql, &[uuid(&owner), uuid(&token)]).await?;
    }
    tx.execute_typed("DELETE FROM answers WHERE card = $1 AND tenant = $2", &[uuid(&token), int(&number)]).await?;
    Ok(true)
}
