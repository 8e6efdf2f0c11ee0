//! Single cards, answers and claims that are asked for at the same time: one statement for each kind, all in one round trip.

use std::sync::Arc;

use strongroom_wire::Token;
use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::answers;
use super::cards::{self, COLUMNS};
use super::fault::{Failure, column};
use super::lanes::{Job, Lanes};
use super::run::{Connections, OPERATION_TIMEOUT, array, ask};
use super::session::Session;
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
        let questions = Arc::new(Questions::new());
        let work = move |group| {
            let (connections, questions) = (Arc::clone(&connections), Arc::clone(&questions));
            async move { answer(&connections, &questions, group).await }
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

async fn answer(connections: &Connections, questions: &Questions, group: Vec<Job<Wanted, Option<Found>>>) {
    let wanted: Vec<Wanted> = group.iter().map(|job| job.asked).collect();
    let found: Result<Vec<Option<Found>>, StoreError> = ask!(connections, c => { find(c, questions, &wanted).await });
    match found {
        Ok(found) => group.into_iter().zip(found).for_each(|(job, found)| job.answer(Ok(found))),
        Err(error) => group.into_iter().for_each(|job| job.answer(Err(error))),
    }
}

async fn find(session: &Session, questions: &Questions, wanted: &[Wanted]) -> Result<Vec<Option<Found>>, Failure> {
    let (mut of_cards, mut of_answers, mut of_claims) = (Three::default(), Three::default(), Three::default());
    for (place, one) in (0i32..).zip(wanted) {
        match one {
            Wanted::Card(number, token) => of_cards.push(place, *number, token.uuid()),
            Wanted::Answer(number, name) => of_answers.push(place, *number, name.as_slice()),
            Wanted::Claim(owner, print) => of_claims.push(place, *owner, Uuid::from_bytes(*print)),
        }
    }
    let (cards, answers, claims) = futures_util::future::join3(
        of_cards.ask(session, &questions.cards),
        of_answers.ask(session, &questions.answers),
        of_claims.ask(session, &questions.claims),
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

    async fn ask(&self, session: &Session, question: &Question) -> Result<Vec<Row>, tokio_postgres::Error> {
        let Self(places, firsts, seconds) = self;
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let (first, second) = &question.of;
        if session.prepares() || places.len() > ALONE_MAX {
            let (firsts, seconds) = (array(firsts, array_of(first)), array(seconds, array_of(second)));
            return session.query_again(&question.many, &[array(places, Type::INT4_ARRAY), firsts, seconds]).await;
        }
        let all = places.iter().zip(firsts).zip(seconds).map(|((place, one), other)| async move {
            let params = [array(place, Type::INT4), array(one, first.clone()), array(other, second.clone())];
            session.query_typed(&question.one, &params).await
        });
        Ok(futures_util::future::try_join_all(all).await?.into_iter().flatten().collect())
    }
}

/// The three questions.
struct Questions {
    cards: Question,
    answers: Question,
    claims: Question,
}

impl Questions {
    fn new() -> Self {
        Self {
            cards: Question::new("cards", COLUMNS, ("tenant", "token"), (Type::INT4, Type::UUID)),
            answers: Question::new("answers", answers::COLUMNS, ("tenant", "name"), (Type::INT4, Type::BYTEA)),
            claims: Question::new("claims", "claims.token", ("owner", "fingerprint"), (Type::UUID, Type::UUID)),
        }
    }
}

/// Rows of a table by its key of two parts.
struct Question {
    one: String,
    many: String,
    of: (Type, Type),
}

impl Question {
    fn new(table: &str, columns: &str, (first, second): (&str, &str), of: (Type, Type)) -> Self {
        // The server sees the key while it plans, so that it looks at one of the sixteen tables alone.
        let one = format!("SELECT $1::int4, {columns} FROM {table} WHERE {first} = $2 AND {second} = $3");
        // The limit keeps the server from any plan but one look into the index for each, whatever it thinks that the table
        // holds. Each array stands in a SELECT of its own, so that its length cannot be seen by who plans: a plan for these
        // very arrays looks no cheaper than the one for all arrays, and a prepared question comes to keep that.
        let many = format!(
            "SELECT w.place, found.* FROM unnest((SELECT $1::int4[]), (SELECT $2::{0}[]), (SELECT $3::{1}[])) \
             AS w(place, first, second) CROSS JOIN LATERAL \
             (SELECT {columns} FROM {table} WHERE {first} = w.first AND {second} = w.second LIMIT 1) AS found",
            of.0.name(),
            of.1.name(),
        );
        Self { one, many, of }
    }
}

fn array_of(of: &Type) -> Type {
    match *of {
        Type::INT4 => Type::INT4_ARRAY,
        Type::UUID => Type::UUID_ARRAY,
        _ => Type::BYTEA_ARRAY,
    }
}

/// Lanes, each with a connection while it works.
const LANES: usize = 4;
/// Where nothing is prepared, up to so many questions of one kind each have a statement of their own in the round trip: planning
/// for all sixteen tables at once costs the server more than that.
const ALONE_MAX: usize = 12;
/// Most questions of one round trip.
const GROUP_MAX: usize = 256;
