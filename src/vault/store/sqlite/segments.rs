//! Segments: for each few thousand cards in a row, which tenants and fingerprints are among them.
//!
//! An index on random keys costs a page written for each insert and 30 bytes a card. A segment costs four bytes a card, is
//! written once for thousands, and lets a search skip every stretch of cards that cannot hold what is looked for. A search
//! by fingerprint reads four bytes for each card of the store, about a millisecond for a million.
//!
//! Invariants:
//! - Every card up to the newest segment's end is covered by the segment that its id falls into, which has its fingerprint
//!   once for it. A segment may name a tenant that has no card there any more, never too few.
//! - Cards after the newest segment's end are few: about as many as one segment.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::fault;
use crate::store::StoreError;

/// What the writer knows of the segments.
pub(super) struct Segments {
    /// Id of the last card that a segment covers.
    covered: i64,
    /// Cards after that, at least.
    tail: usize,
    /// No card's id is above this.
    newest: i64,
}

/// A stretch of cards that may hold what is looked for: ids after `after`, up to and with `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) after: i64,
    pub(super) last: i64,
}

impl Segments {
    /// Reads where the segments end.
    pub(super) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let covered = end(conn)?;
        let tail: i64 = conn
            .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM cards WHERE id > ?1 LIMIT ?2)")
            .and_then(|mut statement| statement.query_row(params![covered, TAIL as i64], |row| row.get(0)))
            .map_err(fault)?;
        let newest: Option<i64> = conn
            .prepare_cached("SELECT max(id) FROM cards")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(fault)?;
        let tail = usize::try_from(tail).unwrap_or(TAIL);
        Ok(Self { covered, tail, newest: newest.unwrap_or(i64::MIN) })
    }

    /// Whether no card can stand at or after this id, nor be displaced from it to a later one.
    pub(super) fn is_after_all(&self, id: i64) -> bool {
        id > self.newest
    }

    /// Notes a card that was inserted. Nearly always it comes after all that is covered; where it does not, its segment
    /// learns of it at once.
    pub(super) fn note(
        &mut self,
        conn: &Connection,
        card: i64,
        tenant: i64,
        fingerprint: &[u8; 16],
    ) -> Result<(), StoreError> {
        self.newest = self.newest.max(card);
        if card > self.covered {
            self.tail += 1;
            return Ok(());
        }
        let (last, mut tenants, mut prints): (i64, Vec<u8>, Vec<u8>) = conn
            .prepare_cached("SELECT last, tenants, prints FROM segments WHERE last >= ?1 ORDER BY last LIMIT 1")
            .and_then(|mut s| s.query_row([card], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .map_err(fault)?;
        if prints.len() >= 2 * CARDS * PRINT {
            return self.split(conn, last);
        }
        let tenant = number(tenant)?;
        if !holds(&tenants, &tenant) {
            tenants.extend_from_slice(&tenant);
        }
        prints.extend_from_slice(&fingerprint[..PRINT]);
        conn.prepare_cached("UPDATE segments SET tenants = ?2, prints = ?3 WHERE last = ?1")
            .and_then(|mut statement| statement.execute(params![last, tenants, prints]))
            .map_err(fault)?;
        Ok(())
    }

    /// Takes a card that is shredded out of its segment. A segment names each fingerprint as often as it has cards with
    /// it, so taking one away hides no other card.
    pub(super) fn forget(&mut self, conn: &Connection, card: i64, fingerprint: &[u8]) -> Result<(), StoreError> {
        if card > self.covered {
            return Ok(());
        }
        let (last, mut prints): (i64, Vec<u8>) = conn
            .prepare_cached("SELECT last, prints FROM segments WHERE last >= ?1 ORDER BY last LIMIT 1")
            .and_then(|mut statement| statement.query_row([card], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(fault)?;
        let print = fingerprint.get(..PRINT);
        let Some(place) = prints.chunks(PRINT).position(|other| Some(other) == print) else {
            return Ok(());
        };
        prints.drain(place * PRINT..(place + 1) * PRINT);
        conn.prepare_cached("UPDATE segments SET prints = ?2 WHERE last = ?1")
            .and_then(|mut statement| statement.execute(params![last, prints]))
            .map_err(fault)?;
        Ok(())
    }

    /// Puts other fingerprints in the place of those that cards had: id, old, new. Cards that stand side by side share a
    /// segment, which is read and written once for all of them.
    pub(super) fn replace(
        &mut self,
        conn: &Connection,
        changes: &mut [(i64, [u8; 16], [u8; 16])],
    ) -> Result<(), StoreError> {
        changes.sort_unstable_by_key(|(card, ..)| *card);
        let mut rest: &[_] = changes;
        while let Some((card, ..)) = rest.first() {
            if *card > self.covered {
                return Ok(());
            }
            let (last, mut prints): (i64, Vec<u8>) = conn
                .prepare_cached("SELECT last, prints FROM segments WHERE last >= ?1 ORDER BY last LIMIT 1")
                .and_then(|mut statement| statement.query_row([card], |row| Ok((row.get(0)?, row.get(1)?))))
                .map_err(fault)?;
            let (here, beyond) = rest.split_at(rest.partition_point(|(card, ..)| *card <= last));
            for (_, old, new) in here {
                let place = prints.chunks(PRINT).position(|other| other == &old[..PRINT]).ok_or(StoreError::Corrupt)?;
                prints[place * PRINT..(place + 1) * PRINT].copy_from_slice(&new[..PRINT]);
            }
            conn.prepare_cached("UPDATE segments SET prints = ?2 WHERE last = ?1")
                .and_then(|mut statement| statement.execute(params![last, prints]))
                .map_err(fault)?;
            rest = beyond;
        }
        Ok(())
    }

    /// Makes new segments of the tail while it is long. The newest cards stay out: where many tasks insert at once, some
    /// cards come a little late, and those are to find their place still open.
    pub(super) fn extend(&mut self, conn: &Connection) -> Result<(), StoreError> {
        while self.tail >= TAIL {
            match build(conn, self.covered, i64::MAX)? {
                Some((last, count)) if count == CARDS => {
                    self.covered = last;
                    self.tail -= CARDS;
                }
                // Cards of the tail were deleted again, so that it is shorter than was counted. What was built is right,
                // only small.
                Some((last, _)) => {
                    self.covered = last;
                    self.tail = 0;
                }
                None => self.tail = 0,
            }
        }
        Ok(())
    }

    /// Makes two or more segments of one that grew too long (the clock was set back, say).
    fn split(&mut self, conn: &Connection, last: i64) -> Result<(), StoreError> {
        let mut after: i64 = conn
            .prepare_cached("SELECT last FROM segments WHERE last < ?1 ORDER BY last DESC LIMIT 1")
            .and_then(|mut statement| statement.query_row([last], |row| row.get(0)).optional())
            .map_err(fault)?
            .unwrap_or(i64::MIN);
        conn.prepare_cached("DELETE FROM segments WHERE last = ?1")
            .and_then(|mut statement| statement.execute([last]))
            .map_err(fault)?;
        while let Some((end, _)) = build(conn, after, last)? {
            after = end;
        }
        if last == self.covered {
            // The cards at the end of the old segment may have been deleted: then less is covered than before.
            self.covered = end(conn)?;
        }
        Ok(())
    }
}

/// The next stretch of cards after `after` in which a tenant's cards may stand, with this fingerprint if one is given.
/// The stretch after the last segment has no end and comes last.
pub(super) fn next_stretch(
    conn: &Connection,
    after: i64,
    tenant: i64,
    fingerprint: Option<&[u8; 16]>,
) -> Result<Stretch, StoreError> {
    let tenant = number(tenant)?;
    let columns = if fingerprint.is_some() { "last, tenants, prints" } else { "last, tenants" };
    let mut statement =
        conn.prepare_cached(&format!("SELECT {columns} FROM segments WHERE last > ?1 ORDER BY last")).map_err(fault)?;
    let mut rows = statement.query([after]).map_err(fault)?;
    let mut start = after;
    while let Some(row) = rows.next().map_err(fault)? {
        let last = row.get(0).map_err(fault)?;
        let blob = |column| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
        let fits = holds(blob(1).map_err(fault)?, &tenant)
            && match fingerprint {
                Some(fingerprint) => holds::<PRINT>(blob(2).map_err(fault)?, &first(fingerprint)),
                None => true,
            };
        if fits {
            return Ok(Stretch { after: start, last });
        }
        start = last;
    }
    Ok(Stretch { after: start, last: i64::MAX })
}

/// Writes the segment of the first cards after `after` and not after `to`; says where it ends and how many it has.
fn build(conn: &Connection, after: i64, to: i64) -> Result<Option<(i64, usize)>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT id, tenant, substr(fingerprint, 1, 4) FROM cards WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )
        .map_err(fault)?;
    let mut rows = statement.query(params![after, to, CARDS as i64]).map_err(fault)?;
    let (mut last, mut count, mut tenants, mut prints) = (0, 0, Vec::new(), Vec::with_capacity(CARDS * PRINT));
    while let Some(row) = rows.next().map_err(fault)? {
        last = row.get(0).map_err(fault)?;
        count += 1;
        let tenant = number(row.get(1).map_err(fault)?)?;
        if !holds(&tenants, &tenant) {
            tenants.extend_from_slice(&tenant);
        }
        prints.extend_from_slice(row.get_ref(2).and_then(|print| Ok(print.as_blob()?)).map_err(fault)?);
    }
    if count == 0 {
        return Ok(None);
    }
    conn.prepare_cached("INSERT INTO segments (last, tenants, prints) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute(params![last, tenants, prints]))
        .map_err(fault)?;
    Ok(Some((last, count)))
}

fn end(conn: &Connection) -> Result<i64, StoreError> {
    conn.prepare_cached("SELECT last FROM segments ORDER BY last DESC LIMIT 1")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .map_err(fault)
        .map(|last| last.unwrap_or(i64::MIN))
}

fn holds<const N: usize>(list: &[u8], wanted: &[u8; N]) -> bool {
    list.as_chunks::<N>().0.contains(wanted)
}

fn first(fingerprint: &[u8; 16]) -> [u8; PRINT] {
    [fingerprint[0], fingerprint[1], fingerprint[2], fingerprint[3]]
}

fn number(tenant: i64) -> Result<[u8; 2], StoreError> {
    u16::try_from(tenant).map(u16::to_be_bytes).map_err(|_| StoreError::Corrupt)
}

/// Cards of one segment.
const CARDS: usize = 4096;
/// Cards after the newest segment at which the next one is made.
const TAIL: usize = CARDS + 512;
/// Bytes that a segment keeps of a fingerprint.
const PRINT: usize = 4;
