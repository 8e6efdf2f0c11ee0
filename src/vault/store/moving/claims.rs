//! Claims: which card a customer has under a fingerprint. SQLite finds that in another way, so they are made while cards go over.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::tables::{CARD_CUSTOMER, CARD_FINGERPRINT, CARD_TOKEN, Cell, Record};
use crate::store::StoreError;
use crate::store::postgres::cards::owner;
use crate::store::postgres::fault::{Failure, column, fixed};
use crate::store::postgres::run::{Param, array};

/// Adds the claims of these cards. Of several cards the newest has it: the others had come to their end when that one came.
pub(super) async fn add(tx: &Client, cards: &[&Record]) -> Result<(), Failure> {
    let mut claims: BTreeMap<(Uuid, Uuid), Uuid> = BTreeMap::new();
    for card in cards {
        if let Some((which, token)) = claim(card)? {
            let holder = claims.entry(which).or_insert(token);
            *holder = token.max(*holder);
        }
    }
    put(tx, claims.into_iter().map(|((owner, print), token)| (owner, print, token)).collect()).await
}

/// After cards came, changed or went: gives the claims that these had to whom they belong now.
pub(super) async fn mend(tx: &Client, cards: impl Iterator<Item = &Record>) -> Result<(), Failure> {
    let mut touched: BTreeMap<(Uuid, Uuid), Uuid> = BTreeMap::new();
    for card in cards {
        touched.extend(claim(card)?);
    }
    if touched.is_empty() {
        return Ok(());
    }
    let (owners, prints): (Vec<Uuid>, Vec<Uuid>) = touched.keys().copied().unzip();
    let sql = "DELETE FROM claims USING unnest($1::uuid[], $2::uuid[]) AS gone(owner, print) \
               WHERE claims.owner = gone.owner AND claims.fingerprint = gone.print";
    tx.execute_typed(sql, &[of(&owners, Type::UUID_ARRAY), of(&prints, Type::UUID_ARRAY)]).await?;
    let sql =
        "SELECT tenant, token, customer, fingerprint FROM cards WHERE fingerprint = ANY($1) AND customer IS NOT NULL";
    let mut claims: BTreeMap<(Uuid, Uuid), Uuid> = BTreeMap::new();
    for row in tx.query_typed(sql, &[of(&prints, Type::UUID_ARRAY)]).await? {
        let customer = column::<&str>(&row, 2)?.parse().map_err(|_| StoreError::Corrupt)?;
        let which = (owner(column(&row, 0)?, &customer), column(&row, 3)?);
        let token: Uuid = column(&row, 1)?;
        if touched.contains_key(&which) {
            let holder = claims.entry(which).or_insert(token);
            *holder = token.max(*holder);
        }
    }
    put(tx, claims.into_iter().map(|((owner, print), token)| (owner, print, token)).collect()).await
}

/// Whether there is a claim for each customer and fingerprint of the cards, and each is of a card with that fingerprint.
pub(super) async fn are_whole(tx: &Client) -> Result<bool, Failure> {
    let sql = "SELECT (SELECT count(*) FROM claims) = \
                 (SELECT count(*) FROM (SELECT DISTINCT tenant, customer, fingerprint FROM cards WHERE customer IS NOT NULL) \
                  AS needed) \
               AND NOT EXISTS (SELECT 1 FROM claims LEFT JOIN cards \
                 ON cards.token = claims.token AND cards.fingerprint = claims.fingerprint WHERE cards.token IS NULL)";
    let rows = tx.query_typed(sql, &[]).await?;
    Ok(column(rows.first().ok_or(StoreError::Corrupt)?, 0)?)
}

/// Owner and fingerprint, and the card that has them.
type Claim = ((Uuid, Uuid), Uuid);

fn claim(card: &Record) -> Result<Option<Claim>, StoreError> {
    let (Cell::Int(tenant), Cell::Bytes(token), Cell::Bytes(print)) =
        (&card[0], &card[CARD_TOKEN], &card[CARD_FINGERPRINT])
    else {
        return Err(StoreError::Corrupt);
    };
    let Cell::Text(customer) = &card[CARD_CUSTOMER] else { return Ok(None) };
    let number = i32::try_from(*tenant).map_err(|_| StoreError::TooLarge)?;
    let customer = customer.parse().map_err(|_| StoreError::Corrupt)?;
    let which = (owner(number, &customer), Uuid::from_bytes(fixed(print)?));
    Ok(Some((which, Uuid::from_bytes(fixed(token)?))))
}

async fn put(tx: &Client, claims: Vec<(Uuid, Uuid, Uuid)>) -> Result<(), Failure> {
    if claims.is_empty() {
        return Ok(());
    }
    let (mut owners, mut prints, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for (owner, print, token) in claims {
        owners.push(owner);
        prints.push(print);
        tokens.push(token);
    }
    let sql = "INSERT INTO claims (owner, fingerprint, token) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) \
               ON CONFLICT (owner, fingerprint) DO UPDATE SET token = excluded.token WHERE claims.token < excluded.token";
    let params = [of(&owners, Type::UUID_ARRAY), of(&prints, Type::UUID_ARRAY), of(&tokens, Type::UUID_ARRAY)];
    tx.execute_typed(sql, &params).await?;
    Ok(())
}

fn of<T: ToSql + Sync>(values: &T, of: Type) -> Param<'_> {
    array(values, of)
}
