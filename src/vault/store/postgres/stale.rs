//! Sealed records on old terms: walking through them step by step, counting them, swapping their envelopes.

use std::collections::BTreeMap;

use strongroom_wire::{SecretId, Token};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{Failure, column, fixed};
use super::run::{Param, array, ask, big, bytes, int, transact, uuid};
use crate::store::{EnvelopeSwap, Place, StaleCursor, StalePage, StaleRecord, StoreError};

impl PostgresStore {
    /// One step of the walk: so many rows of one table of one tenant, in the order of their names.
    pub(super) async fn stale_step(
        &self,
        number: i32,
        term: u32,
        from: Option<StaleCursor>,
        limit: u32,
    ) -> Result<StalePage, StoreError> {
        let from = from.unwrap_or(StaleCursor::of_name(CARDS, [0; 32]));
        let (term, limit) = (term.to_be_bytes(), limit.max(1) as usize);
        ask!(self.connections, c => {
            match from.table {
                CARDS => cards(c, number, term, first_of(&from.name), limit).await,
                SECRETS => secrets(c, number, term, first_of(&from.name), limit).await,
                _ => answers(c, number, term, from.name, limit).await,
            }
        })
    }

    pub(super) async fn stale_count(&self, number: i32, term: u32) -> Result<u64, StoreError> {
        let (mut count, mut from) = (0, None);
        loop {
            let page = self.stale_step(number, term, from, u32::MAX).await?;
            count += page.records.len() as u64;
            if page.next.is_none() {
                return Ok(count);
            }
            from = page.next;
        }
    }

    /// Swaps each envelope that is still the old one; says how many were.
    pub(super) async fn swap_all(&self, number: i32, swaps: &[EnvelopeSwap]) -> Result<u64, StoreError> {
        let sorted = Sorted::of(swaps);
        transact!(self.connections, tx => {
            let mut count = swap_both(tx, number, &sorted).await?;
            let (tokens, old, new) = &sorted.cards;
            count += swap_in(tx, number, ("cards", "envelope", "token"), (tokens, Type::UUID_ARRAY), (old.len(), envelopes(old), envelopes(new))).await?;
            let (tokens, old, new) = &sorted.notes;
            count += swap_in(tx, number, ("cards", "metadata", "token"), (tokens, Type::UUID_ARRAY), (old.len(), envelopes(old), envelopes(new))).await?;
            let (ids, old, new) = &sorted.secrets;
            count += swap_in(tx, number, ("secrets", "envelope", "id"), (ids, Type::UUID_ARRAY), (old.len(), envelopes(old), envelopes(new))).await?;
            let (names, old, new) = &sorted.answers;
            count += swap_in(tx, number, ("answers", "envelope", "name"), (names, Type::BYTEA_ARRAY), (old.len(), envelopes(old), envelopes(new))).await?;
            for swap in &sorted.again {
                count += one(tx, number, swap).await?;
            }
            Ok(count)
        })
    }
}

/// The end of a step through a tenant's cards: the token of its last row, none where fewer rows are left.
pub(super) async fn end_of_step(client: &Client, number: i32, after: Uuid) -> Result<Option<Uuid>, Failure> {
    let sql = "SELECT token FROM cards WHERE tenant = $1 AND token > $2 ORDER BY token OFFSET $3 LIMIT 1";
    let rows = client.query_typed(sql, &[int(&number), uuid(&after), big(&(STEP - 1))]).await?;
    Ok(rows.first().map(|row| column(row, 0)).transpose()?)
}

/// A name of sixteen bytes of a cursor.
pub(super) fn first_of(name: &[u8; 32]) -> Uuid {
    let mut half = [0; 16];
    half.copy_from_slice(&name[..16]);
    Uuid::from_bytes(half)
}

/// A cursor after a name of sixteen bytes.
pub(super) fn after(table: u8, name: Uuid) -> StaleCursor {
    let mut whole = [0; 32];
    whole[..16].copy_from_slice(name.as_bytes());
    StaleCursor::of_name(table, whole)
}

async fn cards(client: &Client, number: i32, term: [u8; 4], from: Uuid, limit: usize) -> Result<StalePage, Failure> {
    let end = end_of_step(client, number, from).await?;
    let sql = "SELECT token, CASE WHEN substr(envelope, 2, 4) < $4 THEN envelope END, \
               CASE WHEN substr(metadata, 2, 4) < $4 THEN metadata END FROM cards \
               WHERE tenant = $1 AND token > $2 AND token <= $3 \
               AND (substr(envelope, 2, 4) < $4 OR substr(metadata, 2, 4) < $4) ORDER BY token LIMIT $5";
    let (last, most, term) = (end.unwrap_or(Uuid::max()), count(limit), term.as_slice());
    let params = [int(&number), uuid(&from), uuid(&last), bytes(&term), big(&most)];
    let rows = client.query_typed(sql, &params).await?;
    let mut records = Vec::new();
    for row in &rows {
        let token = Token::from_uuid(column(row, 0)?);
        for (place, envelope) in [(Place::Card(token), 1), (Place::Metadata(token), 2)] {
            if let Some(envelope) = column(row, envelope)? {
                records.push(StaleRecord { place, envelope });
            }
        }
    }
    let next = match (rows.last().filter(|_| rows.len() == limit), end) {
        (Some(row), _) => after(CARDS, column(row, 0)?),
        (None, Some(end)) => after(CARDS, end),
        (None, None) => StaleCursor::of_name(SECRETS, [0; 32]),
    };
    Ok(StalePage { records, next: Some(next) })
}

async fn secrets(client: &Client, number: i32, term: [u8; 4], from: Uuid, limit: usize) -> Result<StalePage, Failure> {
    let sql = "SELECT id, envelope FROM secrets WHERE tenant = $1 AND id > $2 AND substr(envelope, 2, 4) < $3 \
               ORDER BY id LIMIT $4";
    let most = count(limit);
    let rows = client.query_typed(sql, &[int(&number), uuid(&from), bytes(&term.as_slice()), big(&most)]).await?;
    let place = |row: &Row| Ok(Place::Secret(SecretId::from_uuid(column(row, 0)?)));
    let next = match rows.last().filter(|_| rows.len() == limit) {
        Some(row) => after(SECRETS, column(row, 0)?),
        None => StaleCursor::of_name(ANSWERS, [0; 32]),
    };
    Ok(StalePage { records: records(&rows, place)?, next: Some(next) })
}

async fn answers(
    client: &Client,
    number: i32,
    term: [u8; 4],
    from: [u8; 32],
    limit: usize,
) -> Result<StalePage, Failure> {
    let (from, term, most) = (from.as_slice(), term.as_slice(), count(limit));
    let sql = "SELECT name FROM answers WHERE tenant = $1 AND name > $2 ORDER BY name OFFSET $3 LIMIT 1";
    let rows = client.query_typed(sql, &[int(&number), bytes(&from), big(&(STEP - 1))]).await?;
    let end: Option<[u8; 32]> = rows.first().map(|row| fixed(column(row, 0)?)).transpose()?;
    let sql = "SELECT name, envelope FROM answers WHERE tenant = $1 AND name > $2 AND name <= $3 \
               AND substr(envelope, 2, 4) < $4 ORDER BY name LIMIT $5";
    let last = end.unwrap_or([u8::MAX; 32]);
    let last = last.as_slice();
    let params = [int(&number), bytes(&from), bytes(&last), bytes(&term), big(&most)];
    let rows = client.query_typed(sql, &params).await?;
    let next = match rows.last().filter(|_| rows.len() == limit) {
        Some(row) => Some(StaleCursor::of_name(ANSWERS, fixed(column(row, 0)?)?)),
        None => end.map(|end| StaleCursor::of_name(ANSWERS, end)),
    };
    let place = |row: &Row| Ok(Place::Answer(fixed(column(row, 0)?)?));
    Ok(StalePage { records: records(&rows, place)?, next })
}

fn records(rows: &[Row], place: impl Fn(&Row) -> Result<Place, StoreError>) -> Result<Vec<StaleRecord>, StoreError> {
    rows.iter().map(|row| Ok(StaleRecord { place: place(row)?, envelope: column(row, 1)? })).collect()
}

/// Swaps by where they stand, each place once; what names a place again comes after.
#[derive(Default)]
struct Sorted<'a> {
    /// Cards both of whose envelopes are swapped, so that their rows are written once.
    both: (Vec<Uuid>, [Vec<&'a [u8]>; 4]),
    cards: Swaps<'a, Uuid>,
    notes: Swaps<'a, Uuid>,
    secrets: Swaps<'a, Uuid>,
    answers: Swaps<'a, &'a [u8]>,
    again: Vec<&'a EnvelopeSwap>,
    /// The swaps behind `both`.
    pairs: BTreeMap<Uuid, (&'a EnvelopeSwap, &'a EnvelopeSwap)>,
}

/// Names, old envelopes, new ones.
type Swaps<'a, K> = (Vec<K>, Vec<&'a [u8]>, Vec<&'a [u8]>);

impl<'a> Sorted<'a> {
    fn of(swaps: &'a [EnvelopeSwap]) -> Self {
        let mut sorted = Self::default();
        let mut seen = std::collections::HashSet::new();
        let mut of_cards: BTreeMap<Uuid, [Option<&EnvelopeSwap>; 2]> = BTreeMap::new();
        for swap in swaps {
            if !seen.insert(swap.place) {
                sorted.again.push(swap);
                continue;
            }
            match &swap.place {
                Place::Card(token) => of_cards.entry(token.uuid()).or_default()[0] = Some(swap),
                Place::Metadata(token) => of_cards.entry(token.uuid()).or_default()[1] = Some(swap),
                Place::Secret(id) => push(&mut sorted.secrets, id.uuid(), swap),
                Place::Answer(name) => push(&mut sorted.answers, name.as_slice(), swap),
            }
        }
        for (token, pair) in of_cards {
            match pair {
                [Some(card), Some(notes)] => {
                    sorted.both.0.push(token);
                    let columns: [&[u8]; 4] = [&card.old, &card.new, &notes.old, &notes.new];
                    sorted.both.1.iter_mut().zip(columns).for_each(|(all, one)| all.push(one));
                    sorted.pairs.insert(token, (card, notes));
                }
                [card, notes] => {
                    card.into_iter().for_each(|swap| push(&mut sorted.cards, token, swap));
                    notes.into_iter().for_each(|swap| push(&mut sorted.notes, token, swap));
                }
            }
        }
        sorted
    }
}

fn push<'a, K>(swaps: &mut Swaps<'a, K>, name: K, swap: &'a EnvelopeSwap) {
    swaps.0.push(name);
    swaps.1.push(&swap.old);
    swaps.2.push(&swap.new);
}

/// Swaps both envelopes of cards where both are the old ones, and each alone where they are not.
async fn swap_both(tx: &Client, number: i32, sorted: &Sorted<'_>) -> Result<u64, Failure> {
    let (tokens, [old, new, old_notes, new_notes]) = &sorted.both;
    if tokens.is_empty() {
        return Ok(0);
    }
    let sql = "UPDATE cards SET envelope = s.new, metadata = s.new_notes \
               FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[]) \
               AS s(token, old, new, old_notes, new_notes) WHERE cards.tenant = $1 AND cards.token = s.token \
               AND cards.envelope = s.old AND cards.metadata = s.old_notes RETURNING cards.token";
    let params = [
        int(&number),
        array(tokens, Type::UUID_ARRAY),
        array(old, Type::BYTEA_ARRAY),
        array(new, Type::BYTEA_ARRAY),
        array(old_notes, Type::BYTEA_ARRAY),
        array(new_notes, Type::BYTEA_ARRAY),
    ];
    let rows = tx.query_typed(sql, &params).await?;
    let mut left = sorted.pairs.clone();
    for row in &rows {
        left.remove(&column(row, 0)?);
    }
    let mut count = 2 * rows.len() as u64;
    for (card, notes) in left.into_values() {
        count += one(tx, number, card).await? + one(tx, number, notes).await?;
    }
    Ok(count)
}

async fn one(tx: &Client, number: i32, swap: &EnvelopeSwap) -> Result<u64, Failure> {
    let (old, new) = (vec![swap.old.as_slice()], vec![swap.new.as_slice()]);
    let (uuids, names): (Vec<Uuid>, Vec<&[u8]>);
    let (place, key): (_, Param<'_>) = match &swap.place {
        Place::Card(token) => {
            uuids = vec![token.uuid()];
            (("cards", "envelope", "token"), array(&uuids, Type::UUID_ARRAY))
        }
        Place::Metadata(token) => {
            uuids = vec![token.uuid()];
            (("cards", "metadata", "token"), array(&uuids, Type::UUID_ARRAY))
        }
        Place::Secret(id) => {
            uuids = vec![id.uuid()];
            (("secrets", "envelope", "id"), array(&uuids, Type::UUID_ARRAY))
        }
        Place::Answer(name) => {
            names = vec![name.as_slice()];
            (("answers", "envelope", "name"), array(&names, Type::BYTEA_ARRAY))
        }
    };
    swap_in(tx, number, place, key, (1, envelopes(&old), envelopes(&new))).await
}

async fn swap_in(
    tx: &Client,
    number: i32,
    (table, envelope, key): (&str, &str, &str),
    (keys, of): Param<'_>,
    (count, old, new): (usize, Param<'_>, Param<'_>),
) -> Result<u64, Failure> {
    if count == 0 {
        return Ok(0);
    }
    let array_of = if of == Type::UUID_ARRAY { "uuid" } else { "bytea" };
    let sql = format!(
        "UPDATE {table} SET {envelope} = s.new FROM unnest($2::{array_of}[], $3::bytea[], $4::bytea[]) AS s(key, old, new) \
         WHERE {table}.tenant = $1 AND {table}.{key} = s.key AND {table}.{envelope} = s.old"
    );
    let params = [int(&number), (keys, of), old, new];
    Ok(tx.execute_typed(&sql, &params).await?)
}

fn envelopes<'a>(envelopes: &'a (dyn ToSql + Sync)) -> Param<'a> {
    array(envelopes, Type::BYTEA_ARRAY)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) const CARDS: u8 = 1;
pub(super) const SECRETS: u8 = 2;
const ANSWERS: u8 = 3;
/// Rows that one step looks at.
const STEP: i64 = 8192;
