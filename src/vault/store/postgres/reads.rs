//! Single cards, answers and claims that are asked for at the same time: one statement for each kind, all in one round trip.

use std::sync::Arc;

use strongroom_wire::Token;
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::answers;
use super::cards::{self, COLUMNS};
use super::fault::{Failure, column};
use super::lanes::{Job, Lanes};
use super::run::{Connections, OPERATION_TIMEOUT, array, ask};
use crate::store::StoreError;

/// Asks together with others.
pub(super) struct Reads {
    lanes: Lanes<Wanted, Option<Found>>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Card(i32, Token),
    Answer(i32, [u8; 32]),
    Claim(Uuid, [u8; 16]),
}

/// What was found: a row of the answer to one of three questions.
#[derive(Clone)]
struct Found(Arc<Vec<Row>>, usize);

impl Reads {
    pub(super) fn start(handle: &Handle, connections: &Arc<Connections>) -> Self {
        let connections = Arc::clone(connections);
        let work = move |group| {
            let connections = Arc::clone(&connections);
            async move { answer(&connections, group).await }
        };
        Self { lanes: Lanes::start(handle, (LANES, GROUP_MAX), work) }
    }

    /// A card, whether or not its end has come.
    pub(super) async fn card(
        &self,
        number: i32,
        tenant: &strongroom_wire::TenantId,
        token: &Token,
    ) -> Result<Option<crate::store::CardRow>, StoreError> {
        let found = self.lanes.ask(Wanted::Card(number, *token), OPERATION_TIMEOUT).await?;
        found.map(|found| cards::read(tenant, &found.0[found.1], 1)).transpose()
    }

    /// A kept answer, whether or not its time is over.
    pub(super) async fn answer(
        &self,
        number: i32,
        tenant: &strongroom_wire::TenantId,
        name: &[u8; 32],
    ) -> Result<Option<crate::store::AnswerRow>, StoreError> {
        let found = self.lanes.ask(Wanted::Answer(number, *name), OPERATION_TIMEOUT).await?;
        found.map(|found| answers::read(tenant, &found.0[found.1], 1)).transpose()
    }

    /// The card that is claimed by an owner under a fingerprint.
    pub(super) async fn claim(&self, owner: Uuid, fingerprint: &[u8; 16]) -> Result<Option<Token>, StoreError> {
        let found = self.lanes.ask(Wanted::Claim(owner, *fingerprint), OPERATION_TIMEOUT).await?;
        found.map(|found| Ok(Token::from_uuid(column(&found.0[found.1], 1)?))).transpose()
    }
}

async fn answer(connections: &Connections, group: Vec<Job<Wanted, Option<Found>>>) {
    let wanted: Vec<Wanted> = group.iter().map(|job| job.asked).collect();
    let found: Result<Vec<Option<Found>>, StoreError> = ask!(connections, c => { find(c, &wanted).await });
    match found {
        Ok(found) => group.into_iter().zip(found).for_each(|(job, found)| job.answer(Ok(found))),
        Err(error) => group.into_iter().for_each(|job| job.answer(Err(error))),
    }
}

async fn find(client: &Client, wanted: &[Wanted]) -> Result<Vec<Option<Found>>, Failure> {
    let (mut of_cards, mut of_answers, mut of_claims) = (Three::default(), Three::default(), Three::default());
    for (place, one) in (0i32..).zip(wanted) {
        match one {
            Wanted::Card(number, token) => of_cards.push(place, *number, token.uuid()),
            Wanted::Answer(number, name) => of_answers.push(place, *number, name.as_slice()),
            Wanted::Claim(owner, print) => of_claims.push(place, *owner, Uuid::from_bytes(*print)),
        }
    }
    let cards = format!(
        "SELECT w.place, {COLUMNS} FROM unnest($1::int4[], $2::int4[], $3::uuid[]) AS w(place, tenant, token) \
         JOIN cards ON cards.tenant = w.tenant AND cards.token = w.token"
    );
    let answers = format!(
        "SELECT w.place, {} FROM unnest($1::int4[], $2::int4[], $3::bytea[]) AS w(place, tenant, name) \
         JOIN answers ON answers.tenant = w.tenant AND answers.name = w.name",
        answers::COLUMNS
    );
    let claims = "SELECT w.place, claims.token FROM unnest($1::int4[], $2::uuid[], $3::uuid[]) AS w(place, owner, print) \
                  JOIN claims ON claims.owner = w.owner AND claims.fingerprint = w.print";
    let (cards, answers, claims) = futures_util::future::join3(
        of_cards.ask(client, &cards, (Type::INT4_ARRAY, Type::UUID_ARRAY)),
        of_answers.ask(client, &answers, (Type::INT4_ARRAY, Type::BYTEA_ARRAY)),
        of_claims.ask(client, claims, (Type::UUID_ARRAY, Type::UUID_ARRAY)),
    )
    .await;
    let mut found = vec![None; wanted.len()];
    for rows in [cards?, answers?, claims?] {
        let rows = Arc::new(rows);
        for (nth, row) in rows.iter().enumerate() {
            let place = usize::try_from(column::<i32>(row, 0)?).map_err(|_| StoreError::Corrupt)?;
            *found.get_mut(place).ok_or(StoreError::Corrupt)? = Some(Found(Arc::clone(&rows), nth));
        }
    }
    Ok(found)
}

/// The places of questions of one kind and their two parts.
struct Three<A, B>(Vec<i32>, Vec<A>, Vec<B>);

impl<A, B> Default for Three<A, B> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new(), Vec::new())
    }
}

impl<A: tokio_postgres::types::ToSql + Sync, B: tokio_postgres::types::ToSql + Sync> Three<A, B> {
    fn push(&mut self, place: i32, first: A, second: B) {
        self.0.push(place);
        self.1.push(first);
        self.2.push(second);
    }

    async fn ask(&self, client: &Client, sql: &str, types: (Type, Type)) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let params = [array(&self.0, Type::INT4_ARRAY), array(&self.1, types.0), array(&self.2, types.1)];
        client.query_typed(sql, &params).await
    }
}

/// Lanes, each with a connection while it works.
const LANES: usize = 4;
/// Most questions of one round trip.
const GROUP_MAX: usize = 256;
