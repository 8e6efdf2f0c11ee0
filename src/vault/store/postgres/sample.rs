//! A sample of cards for a check, and what a vacuum is good for.

use std::time::Duration;

use strongroom_wire::TenantId;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::cards::{COLUMNS, read};
use super::fault::{Failure, column};
use super::run::{ask, int, uuid};
use crate::store::{CardRow, StoreError};

/// A tenant that has cards, with the first and the last of them.
struct Stretch {
    number: i32,
    tenant: TenantId,
    first: Uuid,
    last: Uuid,
}

impl PostgresStore {
    /// The card at or after each place: the tenants one after the other, each with an equal part of the places, from its oldest
    /// card to its newest.
    pub(super) async fn at_places(&self, places: &[u64]) -> Result<Vec<CardRow>, StoreError> {
        ask!(self.connections, c => {
            let stretches = stretches(c).await?;
            if stretches.is_empty() {
                return Ok(Vec::new());
            }
            let mut found = Vec::with_capacity(places.len());
            for some in places.chunks(TOGETHER) {
                let looks = some.iter().map(|place| at_or_after(c, &stretches, *place));
                for card in futures_util::future::join_all(looks).await {
                    found.extend(card?);
                }
            }
            Ok(found)
        })
    }

    /// Has PostgreSQL take the old versions of wrapped keys out of its tables. It does so with every other table by itself, and
    /// what is in its write-ahead log goes when that is recycled.
    pub(super) async fn vacuum_keys(&self) -> Result<(), StoreError> {
        for table in ["keys", "staged_keys"] {
            let sql = format!("VACUUM {table}");
            let mut turns = self.connections.turns_within(VACUUM_TIMEOUT);
            loop {
                let mut lease = turns.lease().await?;
                lease.begin_work();
                let ended = turns.in_time(async { lease.batch_execute(&sql).await }).await;
                let ended = ended.map(|done| match done {
                    // An engine without vacuums has none to make.
                    Err(error) if is_unknown(&error) => Ok(()),
                    other => other.map_err(Failure::from),
                });
                if let Some(done) = turns.end(lease, ended) {
                    done?;
                    break;
                }
            }
        }
        Ok(())
    }
}

async fn stretches(client: &Client) -> Result<Vec<Stretch>, Failure> {
    let sql = "SELECT id, name, (SELECT token FROM cards WHERE tenant = tenants.id ORDER BY token LIMIT 1), \
               (SELECT token FROM cards WHERE tenant = tenants.id ORDER BY token DESC LIMIT 1) FROM tenants ORDER BY id";
    let rows = client.query_typed(sql, &[]).await?;
    let mut stretches = Vec::new();
    for row in &rows {
        if let (Some(first), Some(last)) = (column::<Option<Uuid>>(row, 2)?, column::<Option<Uuid>>(row, 3)?) {
            let tenant = column::<&str>(row, 1)?.parse().map_err(|_| StoreError::Corrupt)?;
            stretches.push(Stretch { number: column(row, 0)?, tenant, first, last });
        }
    }
    Ok(stretches)
}

async fn at_or_after(client: &Client, stretches: &[Stretch], place: u64) -> Result<Option<CardRow>, Failure> {
    let (nth, rest) = split(place, stretches.len());
    let Some(Stretch { number, tenant, first, last }) = stretches.get(nth) else { return Ok(None) };
    let (least, most) = (first.as_u64_pair().0, last.as_u64_pair().0);
    let step = (u128::from(rest) * (u128::from(most.saturating_sub(least)) + 1)) >> 64;
    let from = Uuid::from_u64_pair(least.saturating_add(step as u64), 0);
    let sql = format!("SELECT {COLUMNS} FROM cards WHERE tenant = $1 AND token >= $2 ORDER BY token LIMIT 1");
    let rows: Vec<Row> = client.query_typed(&sql, &[int(number), uuid(&from)]).await?;
    Ok(rows.first().map(|row| read(tenant, row, 0)).transpose()?)
}

/// In which of so many equal parts of all places one is, and where in that.
fn split(place: u64, parts: usize) -> (usize, u64) {
    let wide = u128::from(place) * parts as u128;
    ((wide >> 64) as usize, wide as u64)
}

fn is_unknown(error: &tokio_postgres::Error) -> bool {
    let codes = [SqlState::FEATURE_NOT_SUPPORTED, SqlState::SYNTAX_ERROR];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Looks that are sent together.
const TOGETHER: usize = 64;
const VACUUM_TIMEOUT: Duration = Duration::from_secs(30);
