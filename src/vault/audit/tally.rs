//! Tallies: what a stretch of the log says of releases, counted once, so that a start need not read every entry of a day.
//!
//! A tally's body is, for each identity in the order of their names: length of the name u16, name, number of seconds u32, and
//! for each second in its order: second since 1970 u64, releases u32; all big-endian.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _};
use strongroom_wire::Entry;
use strongroom_wire::entry::{Act, Outcome};

use super::AuditError;
use super::file::{int, uint};
use super::writer::{Errand, Shared};

/// Releases by identity and second.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    seconds: BTreeMap<String, BTreeMap<u64, u32>>,
    newest_ms: u64,
}

impl Tally {
    /// Counts an entry.
    fn add(&mut self, entry: &Entry) {
        self.newest_ms = self.newest_ms.max(entry.at_ms);
        if is_release(entry) {
            *self.seconds.entry(entry.who.clone()).or_default().entry(entry.at_ms / 1_000).or_default() += 1;
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (who, seconds) in &self.seconds {
            // A name is far shorter, and there are at most as many seconds as entries.
            body.extend_from_slice(&(who.len() as u16).to_be_bytes());
            body.extend_from_slice(who.as_bytes());
            body.extend_from_slice(&(seconds.len() as u32).to_be_bytes());
            for (second, count) in seconds {
                body.extend_from_slice(&second.to_be_bytes());
                body.extend_from_slice(&count.to_be_bytes());
            }
        }
        body
    }

    fn decode(newest_ms: u64, mut body: &[u8]) -> Option<Self> {
        let mut tally = Self { newest_ms, ..Self::default() };
        while !body.is_empty() {
            let name = take(&mut body, 2)?.try_into().map(u16::from_be_bytes).ok()?;
            let who = std::str::from_utf8(take(&mut body, name.into())?).ok()?.to_owned();
            let many = take(&mut body, 4)?.try_into().map(u32::from_be_bytes).ok()?;
            let seconds = tally.seconds.entry(who).or_default();
            for _ in 0..many {
                let second = take(&mut body, 8)?.try_into().map(u64::from_be_bytes).ok()?;
                let count = take(&mut body, 4)?.try_into().map(u32::from_be_bytes).ok()?;
                seconds.insert(second, count);
            }
        }
        Some(tally)
    }
}

/// The thread that counts stretches, beside the writer and on a connection of its own. Dropping it ends it.
pub(super) struct Tallier {
    /// Nothing is sent: that it goes away is the sign to end.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tallier {
    pub(super) fn start(conn: Connection, shared: Arc<Shared>) -> Result<Self, AuditError> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("audit-tallier".to_owned()).spawn(move || {
            let mut sent: Option<(u64, Instant)> = None;
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                let Ok(Some(number)) = due(&conn, shared.size.load(Ordering::Acquire)) else { continue };
                // It may wait for a disk that does not answer.
                if sent.is_some_and(|(last, at)| last == number && at.elapsed() < AGAIN_AFTER) {
                    continue;
                }
                sent = Some((number, Instant::now()));
                // What cannot be read now is counted another time.
                if let Ok(tally) = count(&conn, number) {
                    let _ = shared.queue.send(Errand::Tally(number, tally));
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Tallier {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It holds nothing that a panic could have left half done.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Whether quotas count it.
fn is_release(entry: &Entry) -> bool {
    let is_asked = matches!(entry.act, Act::Asked(scope) if scope.is_release());
    is_asked && entry.outcome == Outcome::Allowed
}

/// The stretch to tally next, if all its entries are there.
pub(super) fn due(conn: &Connection, size: u64) -> Result<Option<u64>, AuditError> {
    let newest: Option<i64> =
        conn.prepare_cached("SELECT max(number) FROM tallies")?.query_row([], |row| row.get(0))?;
    let next = newest.and_then(|newest| u64::try_from(newest).ok()).map_or(0, |newest| newest + 1);
    Ok((size >= (next + 1) * STRETCH).then_some(next))
}

/// Counts a stretch.
pub(super) fn count(conn: &Connection, number: u64) -> Result<Tally, AuditError> {
    let mut tally = Tally::default();
    let mut select = conn.prepare_cached("SELECT idx, body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")?;
    let mut rows = select.query((int(number * STRETCH), int((number + 1) * STRETCH)))?;
    while let Some(row) = rows.next()? {
        let near = uint(row, 0)?;
        let body = row.get_ref(1)?.as_blob().map_err(|_| AuditError::Broken { near })?;
        tally.add(&Entry::decode(body).map_err(|_| AuditError::Broken { near })?);
    }
    Ok(tally)
}

/// Stores a tally.
pub(super) fn put(conn: &Connection, number: u64, tally: &Tally) -> Result<(), AuditError> {
    conn.prepare_cached("INSERT OR REPLACE INTO tallies (number, newest_ms, body) VALUES (?1, ?2, ?3)")?.execute((
        int(number),
        int(tally.newest_ms),
        tally.encode(),
    ))?;
    Ok(())
}

/// Hands the releases since `since_ms` to `each` as identity, time of the second's beginning and number, newest stretches
/// first: from tallies where there are some, and from entries elsewhere. Entries may lie out of order by `slack_ms`.
pub(super) fn releases(
    conn: &Connection,
    size: u64,
    (since_ms, slack_ms): (u64, u64),
    mut each: impl FnMut(&str, u64, u32),
) -> Result<(), AuditError> {
    let stop_ms = since_ms.saturating_sub(slack_ms);
    let mut until = size;
    while until > 0 {
        let number = (until - 1) / STRETCH;
        let whole = until == (number + 1) * STRETCH;
        let known = if whole { find(conn, number)? } else { None };
        let tally = match known {
            Some(tally) => tally,
            None => match walk(conn, (number * STRETCH, until), (since_ms, stop_ms), &mut each)? {
                Walk::Ended => return Ok(()),
                Walk::GoesOn => {
                    until = number * STRETCH;
                    continue;
                }
            },
        };
        for (who, seconds) in &tally.seconds {
            for (second, count) in seconds.range(since_ms / 1_000..) {
                each(who, second * 1_000, *count);
            }
        }
        if tally.newest_ms < stop_ms {
            return Ok(());
        }
        until = number * STRETCH;
    }
    Ok(())
}

enum Walk {
    /// What comes before is too old.
    Ended,
    GoesOn,
}

fn walk(
    conn: &Connection,
    (from, until): (u64, u64),
    (since_ms, stop_ms): (u64, u64),
    each: &mut impl FnMut(&str, u64, u32),
) -> Result<Walk, AuditError> {
    let sql = "SELECT idx, body FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx DESC";
    let mut select = conn.prepare_cached(sql)?;
    let mut newest_ms = 0;
    let mut rows = select.query((int(from), int(until)))?;
    while let Some(row) = rows.next()? {
        let near = uint(row, 0)?;
        let body = row.get_ref(1)?.as_blob().map_err(|_| AuditError::Broken { near })?;
        let entry = Entry::decode(body).map_err(|_| AuditError::Broken { near })?;
        // One entry of a clock that was wrong ends nothing.
        newest_ms = newest_ms.max(entry.at_ms);
        if entry.at_ms >= since_ms && is_release(&entry) {
            each(&entry.who, entry.at_ms, 1);
        }
    }
    Ok(if newest_ms < stop_ms { Walk::Ended } else { Walk::GoesOn })
}

/// Compares every tally with the entries.
pub(super) fn check_all(conn: &Connection) -> Result<(), AuditError> {
    let numbers: Vec<u64> = conn
        .prepare("SELECT number FROM tallies ORDER BY number")?
        .query_map([], |row| uint(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    for number in numbers {
        if find(conn, number)? != Some(count(conn, number)?) {
            return Err(AuditError::Broken { near: number * STRETCH });
        }
    }
    Ok(())
}

fn find(conn: &Connection, number: u64) -> Result<Option<Tally>, AuditError> {
    let broken = AuditError::Broken { near: number * STRETCH };
    let row = conn
        .prepare_cached("SELECT newest_ms, body FROM tallies WHERE number = ?1")?
        .query_row([int(number)], |row| Ok((uint(row, 0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    row.map(|(newest_ms, body)| Tally::decode(newest_ms, &body).ok_or(broken)).transpose()
}

fn take<'a>(body: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = body.split_at_checked(count)?;
    *body = rest;
    Some(head)
}

/// How often it looks for a stretch that is whole. At the highest rates that were measured one takes longer than this to fill.
const LOOK_EVERY: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(1) };
/// When a stretch that was counted and is not stored yet is counted once more.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Entries of a stretch; fewer in tests, where they are written one by one.
pub(super) const STRETCH: u64 = if cfg!(test) { 256 } else { 65_536 };

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
