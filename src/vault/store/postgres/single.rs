//! One card alone, step by step: for what a group found something in the way of.

use tokio_postgres::Client;
use uuid::Uuid;

use super::answers;
use super::cards::created;
use super::fault::{Failure, column, signed_term, signed_time};
use super::group;
use super::insert::New;
use super::run::{big, bytes, int, text, uuid};
use crate::store::{Inserted, StoreError};

/// Inserts a card with its claims and its answer; or answers what is there already, and the caller undoes.
pub(super) async fn insert(tx: &Client, new: &New) -> Result<Option<Inserted>, Failure> {
    let now_ms = new.card.created_ms;
    if let Some(answer) = &new.answer
        && let Some(kept) = answers::find_kept(tx, new.number, answer, now_ms).await?
    {
        return Ok(Some(Inserted::Replayed(kept)));
    }
    let token = new.card.token.uuid();
    let claims = group::claims(new);
    for (owner, print) in &claims {
        if let Some(live) = claim(tx, new, *owner, *print).await? {
            return Ok(Some(Inserted::Duplicate(strongroom_wire::Token::from_uuid(live))));
        }
    }
    if let Some(answer) = &new.answer
        && let Some(kept) = answers::put(tx, new.number, answer, now_ms).await?
    {
        return Ok(Some(Inserted::Replayed(kept)));
    }
    put(tx, new).await?;
    for (owner, print) in claims.iter().filter(|(_, print)| print.as_bytes() != &new.card.fingerprint) {
        let sql = "DELETE FROM claims WHERE owner = $1 AND fingerprint = $2 AND token = $3";
        tx.execute_typed(sql, &[uuid(owner), uuid(print), uuid(&token)]).await?;
    }
    Ok(None)
}

/// Takes a claim, from a card that is over if need be; or answers the live card that has it.
async fn claim(tx: &Client, new: &New, owner: Uuid, print: Uuid) -> Result<Option<Uuid>, Failure> {
    let token = new.card.token.uuid();
    let sql = "INSERT INTO claims (owner, fingerprint, token) VALUES ($1, $2, $3) \
               ON CONFLICT (owner, fingerprint) DO NOTHING";
    if tx.execute_typed(sql, &[uuid(&owner), uuid(&print), uuid(&token)]).await? > 0 {
        return Ok(None);
    }
    let sql = "SELECT token FROM claims WHERE owner = $1 AND fingerprint = $2 FOR UPDATE";
    let rows = tx.query_typed(sql, &[uuid(&owner), uuid(&print)]).await?;
    // It went in between.
    let held: Uuid = column(rows.first().ok_or(Failure::Again)?, 0)?;
    let now = signed_time(new.card.created_ms);
    let sql = "SELECT 1 FROM cards WHERE tenant = $1 AND token = $2 AND (expires_ms IS NULL OR expires_ms > $3)";
    if !tx.query_typed(sql, &[int(&new.number), uuid(&held), big(&now)]).await?.is_empty() {
        return Ok(Some(held));
    }
    let sql = "UPDATE claims SET token = $3 WHERE owner = $1 AND fingerprint = $2";
    tx.execute_typed(sql, &[uuid(&owner), uuid(&print), uuid(&token)]).await?;
    Ok(None)
}

async fn put(tx: &Client, new: &New) -> Result<(), Failure> {
    let card = &new.card;
    let token = card.token.uuid();
    let mac_term = signed_term(card.mac_term)?;
    let created = created(card);
    let expires = card.content.expires_ms.map(signed_time);
    let (print, binding) = (Uuid::from_bytes(card.fingerprint), Uuid::from_bytes(card.content.binding));
    let customer = card.customer.as_ref().map(|customer| customer.as_str());
    let sql = "INSERT INTO cards (token, tenant, mac_term, created_ms, expires_ms, fingerprint, binding, customer, \
               envelope, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, token) DO NOTHING";
    let row = [
        uuid(&token),
        int(&new.number),
        int(&mac_term),
        big(&created),
        big(&expires),
        uuid(&print),
        uuid(&binding),
        text(&customer),
        bytes(&card.content.envelope),
        bytes(&card.content.metadata),
    ];
    if tx.execute_typed(sql, &row).await? == 0 { Err(StoreError::Exists.into()) } else { Ok(()) }
}
