//! New cards: those that wait at the same time go in with one statement, and what is in the way of one of them is looked at
//! alone afterwards.
//!
//! Invariants:
//! - A card of a customer holds claims on its fingerprint under every term in use while it is inserted, and a kept answer every
//!   name of its idempotency key. The keys of both tables make two nodes wait for each other there, so that one of them is first
//!   under whichever term it came. Claims and names that are not the row's own are gone before the end.
//! - Claims come before answers and answers before cards, each in the order of its key, so that no two insertions wait for each
//!   other in a circle.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join;
use tokio::runtime::Handle;
use tokio_postgres::Client;
use uuid::Uuid;

use super::fault::{Failure, column};
use super::group::{self, Group, PLAIN};
use super::lanes::{Job, Lanes};
use super::run::{Connections, OPERATION_TIMEOUT, finish, transact};
use super::single;
use crate::store::{AnswerRow, CardRow, Inserted, StoreError};

/// A card to be inserted, with its tenant's number.
pub(super) struct New {
    pub(super) number: i32,
    pub(super) card: CardRow,
    pub(super) answer: Option<AnswerRow>,
}

/// Inserts together with others.
pub(super) struct Inserts {
    lanes: Lanes<New, Inserted>,
}

impl Inserts {
    pub(super) fn start(handle: &Handle, connections: &Arc<Connections>) -> Self {
        let connections = Arc::clone(connections);
        let work = move |jobs| {
            let connections = Arc::clone(&connections);
            async move { insert(&connections, jobs).await }
        };
        Self { lanes: Lanes::start(handle, (LANES, GROUP_MAX), work) }
    }

    pub(super) async fn insert(&self, new: New) -> Result<Inserted, StoreError> {
        self.lanes.ask(new, OPERATION_TIMEOUT).await
    }
}

async fn insert(connections: &Connections, jobs: Vec<Job<New, Inserted>>) {
    let mut left = Vec::new();
    match group_of(connections, &jobs).await {
        Ok(stored) => {
            for (job, is_stored) in jobs.into_iter().zip(stored) {
                if is_stored { job.answer(Ok(Inserted::Stored)) } else { left.push(job) }
            }
        }
        // What one of the group cannot do is no reason for the others not to.
        Err(StoreError::Exists | StoreError::TooLarge | StoreError::Corrupt) => left = jobs,
        Err(gone) => jobs.into_iter().for_each(|job| job.answer(Err(gone))),
    }
    let alone = left.into_iter().map(|job| async move {
        let done = alone(connections, &job.asked).await;
        job.answer(done);
    });
    futures_util::future::join_all(alone).await;
}

/// Stores what nothing is in the way of; says which.
async fn group_of(connections: &Connections, jobs: &[Job<New, Inserted>]) -> Result<Vec<bool>, StoreError> {
    let (first, _) = apart(jobs.iter().map(|job| &job.asked));
    let gathered = Group::of(first.iter().map(|place| &jobs[*place].asked));
    let stored = if gathered.is_plain() {
        gathered.check()?;
        let rows = connections.once(PLAIN, &gathered.of_cards()).await?;
        rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?
    } else {
        with_claims(connections, &gathered).await?
    };
    let taken: HashSet<usize> = first.into_iter().collect();
    let is_stored = |(place, job): (usize, &Job<New, Inserted>)| {
        taken.contains(&place) && stored.contains(&job.asked.card.token.uuid())
    };
    Ok(jobs.iter().enumerate().map(is_stored).collect())
}

/// The same where cards have claims or answers; says which cards are stored.
async fn with_claims(connections: &Connections, gathered: &Group<'_>) -> Result<HashSet<Uuid>, StoreError> {
    let mut turns = connections.turns();
    loop {
        let mut lease = turns.lease().await?;
        lease.begin_work();
        let ended = turns
            .in_time(async {
                let tx: &Client = &lease;
                let (begun, stored) = join(tx.batch_execute(turns.begin()), group::store(tx, gathered)).await;
                let worked = match (begun, stored) {
                    (Ok(()), Ok(stored)) => group::clean(tx, &stored).await.map(|()| stored.tokens),
                    (Err(error), _) => Err(error.into()),
                    (Ok(()), Err(failure)) => Err(failure),
                };
                finish(tx, worked).await
            })
            .await;
        if let Some(ended) = turns.end(lease, ended) {
            return ended;
        }
    }
}

/// The places of those that share no key with an earlier one, and of the others.
pub(super) fn apart<'a>(all: impl Iterator<Item = &'a New>) -> (Vec<usize>, Vec<usize>) {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    let (mut tokens, mut claims, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (place, new) in all.enumerate() {
        let own_claims = group::claims(new);
        let own_names = group::names(new);
        let meets = tokens.contains(&new.card.token)
            || own_claims.iter().any(|claim| claims.contains(claim))
            || own_names.iter().any(|name| names.contains(&(new.number, name.to_vec())));
        if meets {
            later.push(place);
        } else {
            first.push(place);
        }
        tokens.insert(new.card.token);
        claims.extend(own_claims);
        names.extend(own_names.into_iter().map(|name| (new.number, name.to_vec())));
    }
    (first, later)
}

/// Inserts one card in a transaction of its own.
async fn alone(connections: &Connections, new: &New) -> Result<Inserted, StoreError> {
    let mut met = None;
    let stored: Result<bool, StoreError> = transact!(connections, tx => {
        met = single::insert(tx, new).await?;
        // What is there already leaves nothing to write.
        if met.is_some() { Err(Failure::Not) } else { Ok(true) }
    });
    match (stored?, met) {
        (true, _) => Ok(Inserted::Stored),
        (false, Some(met)) => Ok(met),
        (false, None) => Err(StoreError::Unavailable),
    }
}

/// Inserts many cards in one transaction, in their order; all or none if one cannot be.
pub(super) async fn all(connections: &Connections, many: &[New]) -> Result<Vec<Inserted>, StoreError> {
    transact!(connections, tx => {
        let (first, _) = apart(many.iter());
        let gathered = Group::of(first.iter().map(|place| &many[*place]));
        let stored = group::store(tx, &gathered).await?;
        group::clean(tx, &stored).await?;
        let taken: HashSet<usize> = first.into_iter().collect();
        let mut results = Vec::with_capacity(many.len());
        for (place, new) in many.iter().enumerate() {
            if taken.contains(&place) && stored.tokens.contains(&new.card.token.uuid()) {
                results.push(Inserted::Stored);
                continue;
            }
            tx.batch_execute("SAVEPOINT one").await?;
            match single::insert(tx, new).await? {
                None => {
                    tx.batch_execute("RELEASE SAVEPOINT one").await?;
                    results.push(Inserted::Stored);
                }
                Some(met) => {
                    tx.batch_execute("ROLLBACK TO SAVEPOINT one").await?;
                    results.push(met);
                }
            }
        }
        Ok(results)
    })
}

/// Lanes, each with a connection while it works.
const LANES: usize = 4;
/// Most cards of one transaction.
const GROUP_MAX: usize = 256;
