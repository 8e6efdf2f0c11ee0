//! Many cards in one statement. What nothing is in the way of is stored; the rest leaves no trace once it was cleaned up.

use std::collections::HashSet;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::cards::{created, owner};
use super::fault::{Failure, column, signed_term, signed_time};
use super::insert::New;
use super::run::{Param, array};
use crate::store::StoreError;

/// The columns of many rows.
#[derive(Default)]
pub(super) struct Group<'a> {
    jobs: Jobs,
    claims: Claims,
    answers: Answers<'a>,
    cards: Cards<'a>,
    /// A value that no row can have; then nothing is stored.
    is_over: bool,
}

/// How many claims and names each card needs.
#[derive(Default)]
struct Jobs {
    token: Vec<Uuid>,
    claims: Vec<i32>,
    names: Vec<i32>,
}

#[derive(Default)]
struct Claims {
    owner: Vec<Uuid>,
    print: Vec<Uuid>,
    token: Vec<Uuid>,
    /// Those that are there for others to meet only.
    passing: Vec<(Uuid, Uuid, Uuid)>,
}

#[derive(Default)]
struct Answers<'a> {
    job: Vec<Uuid>,
    tenant: Vec<i32>,
    name: Vec<&'a [u8]>,
    mac_term: Vec<i32>,
    expires: Vec<i64>,
    digest: Vec<&'a [u8]>,
    card: Vec<Option<Uuid>>,
    envelope: Vec<&'a [u8]>,
    passing: Vec<(Uuid, i32, &'a [u8])>,
}

#[derive(Default)]
struct Cards<'a> {
    token: Vec<Uuid>,
    tenant: Vec<i32>,
    mac_term: Vec<i32>,
    created: Vec<Option<i64>>,
    expires: Vec<Option<i64>>,
    print: Vec<Uuid>,
    binding: Vec<Uuid>,
    customer: Vec<Option<&'a str>>,
    envelope: Vec<&'a [u8]>,
    metadata: Vec<Option<&'a [u8]>>,
}

/// What became of a group.
#[derive(Default)]
pub(super) struct Stored<'a> {
    /// The cards that are stored.
    pub(super) tokens: HashSet<Uuid>,
    claims: Vec<(Uuid, Uuid, Uuid)>,
    names: Vec<(i32, std::borrow::Cow<'a, [u8]>)>,
}

/// Owner and fingerprints that a card claims; none without a customer.
pub(super) fn claims(new: &New) -> Vec<(Uuid, Uuid)> {
    let Some(customer) = &new.card.customer else { return Vec::new() };
    let owner = owner(new.number, customer);
    let prints = std::iter::once(&new.card.fingerprint).chain(&new.card.other_fingerprints);
    let mut claims: Vec<_> = prints.map(|print| (owner, Uuid::from_bytes(*print))).collect();
    claims.sort_unstable();
    claims.dedup();
    claims
}

/// The names of its answer.
pub(super) fn names(new: &New) -> Vec<&[u8]> {
    let mut names = new.answer.as_ref().map(super::answers::names).unwrap_or_default();
    names.sort_unstable();
    names.dedup();
    names
}

impl<'a> Group<'a> {
    /// The rows of cards that share no key.
    pub(super) fn of(cards: impl Iterator<Item = &'a New>) -> Self {
        let mut group = Self::default();
        for new in cards {
            group.is_over |= group.push(new).is_err();
        }
        group
    }

    /// Whether no card has a claim or an answer: then [`PLAIN`] stores it.
    pub(super) fn is_plain(&self) -> bool {
        self.claims.token.is_empty() && self.answers.job.is_empty()
    }

    /// Whether every value can stand in a row.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_over { Err(StoreError::TooLarge) } else { Ok(()) }
    }

    /// The parameters of [`PLAIN`].
    pub(super) fn of_cards(&self) -> [Param<'_>; 10] {
        let cards = &self.cards;
        [
            of(&cards.token, Type::UUID_ARRAY),
            of(&cards.tenant, Type::INT4_ARRAY),
            of(&cards.mac_term, Type::INT4_ARRAY),
            of(&cards.created, Type::INT8_ARRAY),
            of(&cards.expires, Type::INT8_ARRAY),
            of(&cards.print, Type::UUID_ARRAY),
            of(&cards.binding, Type::UUID_ARRAY),
            of(&cards.customer, Type::TEXT_ARRAY),
            of(&cards.envelope, Type::BYTEA_ARRAY),
            of(&cards.metadata, Type::BYTEA_ARRAY),
        ]
    }

    fn push(&mut self, new: &'a New) -> Result<(), StoreError> {
        let card = &new.card;
        let token = card.token.uuid();
        let (claims, names) = (claims(new), names(new));
        self.jobs.token.push(token);
        self.jobs.claims.push(claims.len() as i32);
        self.jobs.names.push(names.len() as i32);
        for (owner, print) in claims {
            self.claims.owner.push(owner);
            self.claims.print.push(print);
            self.claims.token.push(token);
            if print.as_bytes() != &card.fingerprint {
                self.claims.passing.push((owner, print, token));
            }
        }
        if let Some(answer) = &new.answer {
            for name in names {
                self.answers.job.push(token);
                self.answers.tenant.push(new.number);
                self.answers.name.push(name);
                self.answers.mac_term.push(signed_term(answer.mac_term)?);
                self.answers.expires.push(signed_time(answer.expires_ms));
                self.answers.digest.push(&answer.digest);
                self.answers.card.push(answer.card.map(|card| card.uuid()));
                self.answers.envelope.push(&answer.envelope);
                if name != answer.name {
                    self.answers.passing.push((token, new.number, name));
                }
            }
        }
        let rows = &mut self.cards;
        rows.token.push(token);
        rows.tenant.push(new.number);
        rows.mac_term.push(signed_term(card.mac_term)?);
        rows.created.push(created(card));
        rows.expires.push(card.content.expires_ms.map(signed_time));
        rows.print.push(Uuid::from_bytes(card.fingerprint));
        rows.binding.push(Uuid::from_bytes(card.content.binding));
        rows.customer.push(card.customer.as_ref().map(|customer| customer.as_str()));
        rows.envelope.push(&card.content.envelope);
        rows.metadata.push(card.content.metadata.as_deref());
        Ok(())
    }
}

/// Stores what nothing is in the way of. Call [`clean`] in the same transaction.
pub(super) async fn store<'a>(tx: &Client, group: &Group<'a>) -> Result<Stored<'a>, Failure> {
    group.check()?;
    let Group { jobs, claims, answers, .. } = group;
    let params = [
        of(&claims.owner, Type::UUID_ARRAY),
        of(&claims.print, Type::UUID_ARRAY),
        of(&claims.token, Type::UUID_ARRAY),
        of(&jobs.token, Type::UUID_ARRAY),
        of(&jobs.claims, Type::INT4_ARRAY),
        of(&jobs.names, Type::INT4_ARRAY),
        of(&answers.job, Type::UUID_ARRAY),
        of(&answers.tenant, Type::INT4_ARRAY),
        of(&answers.name, Type::BYTEA_ARRAY),
        of(&answers.mac_term, Type::INT4_ARRAY),
        of(&answers.expires, Type::INT8_ARRAY),
        of(&answers.digest, Type::BYTEA_ARRAY),
        of(&answers.card, Type::UUID_ARRAY),
        of(&answers.envelope, Type::BYTEA_ARRAY),
    ];
    let params = [params.as_slice(), &group.of_cards()].concat();
    let mut stored = Stored::default();
    let mut left = (Vec::new(), Vec::new());
    for row in tx.query_typed(STORE, &params).await? {
        match column::<i32>(&row, 0)? {
            1 => drop(stored.tokens.insert(column(&row, 1)?)),
            2 => left.0.push((column(&row, 1)?, column(&row, 2)?, column(&row, 3)?)),
            _ => left.1.push((column(&row, 4)?, column::<Vec<u8>>(&row, 5)?.into())),
        }
    }
    let passing = claims.passing.iter().filter(|(_, _, token)| stored.tokens.contains(token));
    stored.claims = passing.copied().chain(left.0).collect();
    let passing = answers.passing.iter().filter(|(token, ..)| stored.tokens.contains(token));
    stored.names = passing.map(|(_, tenant, name)| (*tenant, (*name).into())).chain(left.1).collect();
    Ok(stored)
}

/// Takes away claims and names that were there for others to meet, or belong to a card that was not stored.
pub(super) async fn clean(tx: &Client, stored: &Stored<'_>) -> Result<(), Failure> {
    if !stored.claims.is_empty() {
        let (mut owners, mut prints, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, print, token) in &stored.claims {
            owners.push(*owner);
            prints.push(*print);
            tokens.push(*token);
        }
        let sql = "DELETE FROM claims USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS gone(owner, print, token) \
                   WHERE claims.owner = gone.owner AND claims.fingerprint = gone.print AND claims.token = gone.token";
        let params = [of(&owners, Type::UUID_ARRAY), of(&prints, Type::UUID_ARRAY), of(&tokens, Type::UUID_ARRAY)];
        tx.execute_typed(sql, &params).await?;
    }
    if !stored.names.is_empty() {
        let tenants: Vec<i32> = stored.names.iter().map(|(tenant, _)| *tenant).collect();
        let names: Vec<&[u8]> = stored.names.iter().map(|(_, name)| name.as_ref()).collect();
        let sql = "DELETE FROM answers USING unnest($1::int4[], $2::bytea[]) AS gone(tenant, name) \
                   WHERE answers.tenant = gone.tenant AND answers.name = gone.name";
        tx.execute_typed(sql, &[of(&tenants, Type::INT4_ARRAY), of(&names, Type::BYTEA_ARRAY)]).await?;
    }
    Ok(())
}

fn of<T: ToSql + Sync>(values: &T, of: Type) -> Param<'_> {
    array(values, of)
}

/// Cards that have neither claim nor answer go in where nothing has their token. The answer has those that did.
pub(super) const PLAIN: &str = "INSERT INTO cards (token, tenant, mac_term, created_ms, expires_ms, fingerprint, binding, \
    customer, envelope, metadata) SELECT n.* FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::int8[], \
    $6::uuid[], $7::uuid[], $8::text[], $9::bytea[], $10::bytea[]) AS n(token, tenant, mac_term, created_ms, expires_ms, \
    fingerprint, binding, customer, envelope, metadata) ORDER BY n.tenant, n.token \
    ON CONFLICT (tenant, token) DO NOTHING RETURNING token";
/// Each part goes in where nothing has its key, and a card only when all its claims and names did. The answer has the cards that
/// are stored (1), and the claims (2) and names (3) that went in for cards that are not.
const STORE: &str = "WITH claimed AS (\
      INSERT INTO claims (owner, fingerprint, token) \
      SELECT c.owner, c.print, c.token FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS c(owner, print, token) \
      ORDER BY c.owner, c.print ON CONFLICT (owner, fingerprint) DO NOTHING RETURNING owner, fingerprint, token), \
    holds AS (SELECT token, count(*) AS count FROM claimed GROUP BY token), \
    free AS (\
      SELECT j.token, j.names FROM unnest($4::uuid[], $5::int4[], $6::int4[]) AS j(token, claims, names) \
      LEFT JOIN holds ON holds.token = j.token WHERE coalesce(holds.count, 0) = j.claims), \
    answered AS (\
      SELECT a.* FROM unnest($7::uuid[], $8::int4[], $9::bytea[], $10::int4[], $11::int8[], $12::bytea[], $13::uuid[], \
      $14::bytea[]) AS a(job, tenant, name, mac_term, expires_ms, digest, card, envelope) \
      JOIN free ON free.token = a.job), \
    named AS (\
      INSERT INTO answers (tenant, name, mac_term, expires_ms, digest, card, envelope) \
      SELECT tenant, name, mac_term, expires_ms, digest, card, envelope FROM answered ORDER BY tenant, name \
      ON CONFLICT (tenant, name) DO NOTHING RETURNING tenant, name), \
    of_jobs AS (SELECT answered.job, named.tenant, named.name FROM named \
      JOIN answered ON answered.tenant = named.tenant AND answered.name = named.name), \
    keeps AS (SELECT job, count(*) AS count FROM of_jobs GROUP BY job), \
    stored AS (\
      INSERT INTO cards (token, tenant, mac_term, created_ms, expires_ms, fingerprint, binding, customer, envelope, \
      metadata) SELECT n.* FROM unnest($15::uuid[], $16::int4[], $17::int4[], $18::int8[], $19::int8[], $20::uuid[], \
      $21::uuid[], $22::text[], $23::bytea[], $24::bytea[]) AS n(token, tenant, mac_term, created_ms, expires_ms, \
      fingerprint, binding, customer, envelope, metadata) JOIN free ON free.token = n.token \
      LEFT JOIN keeps ON keeps.job = n.token WHERE coalesce(keeps.count, 0) = free.names \
      ORDER BY n.tenant, n.token ON CONFLICT (tenant, token) DO NOTHING RETURNING token) \
    SELECT 1 AS what, token AS a, NULL::uuid AS b, NULL::uuid AS c, NULL::int4 AS d, NULL::bytea AS e FROM stored \
    UNION ALL SELECT 2, owner, fingerprint, token, NULL, NULL FROM claimed \
      WHERE token NOT IN (SELECT token FROM stored) \
    UNION ALL SELECT 3, NULL, NULL, NULL, tenant, name FROM of_jobs WHERE job NOT IN (SELECT token FROM stored)";
