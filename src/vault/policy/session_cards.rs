//! Counting: cards for each client session.
//!
//! Among several nodes a session that nobody has told of has an equal part of its cards at each. One that had several cards
//! somewhere, or wants more than its part, is told to all, and from then on its cards are shared as other allowances are (see
//! `share.rs`): a session that stays at one node gets its cards there, and all nodes together never give more than the whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use strongroom_wire::limits;
use uuid::Uuid;

use super::nodes::STALE_MS;
use super::quota::lock;
use super::share::{Other, Part, Said};
use super::{Quota, Spent};

/// Cards of each client session on this node. Entries go when their session ends.
#[derive(Debug)]
pub(super) struct SessionCards {
    shards: Vec<Mutex<Shard>>,
    /// Among several nodes.
    nodes: OnceLock<Among>,
}

/// What a node knows of being one of several.
#[derive(Debug, Default)]
struct Among {
    /// Most cards here of a session that this node has not told of.
    part: AtomicU32,
    /// Sessions that it tells of.
    told: Mutex<BTreeSet<Uuid>>,
    /// When it stops giving anything, because it cannot know what the others do.
    until_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    cards: HashMap<Uuid, Session>,
    /// Ended sessions are looked for when the map has grown to this size.
    sweep_at: usize,
}

#[derive(Debug)]
struct Session {
    cards: u32,
    ends_ms: u64,
    /// This node's part, once somebody tells of the session.
    share: Option<Share>,
}

#[derive(Debug)]
struct Share {
    part: Part,
    /// Cards that were lately asked for in vain.
    refused: u32,
}

/// What another node said of its sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere<'a> {
    pub(super) is_alive: bool,
    /// Its name comes before this node's.
    pub(super) is_before: bool,
    pub(super) said: &'a [u8],
}

impl SessionCards {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), nodes: OnceLock::new() }
    }

    /// Counts one card, or says that the session has had its cards; also where so many sessions are open that one more
    /// cannot be counted.
    pub(super) fn count(&self, id: Uuid, expires_ms: u64, now_ms: u64) -> Result<(), Spent> {
        let among = self.nodes.get();
        if self.are_unknown(now_ms) {
            return Err(Spent { quota: Quota::Unknown, retry_after_s: 1 });
        }
        let refused = |retry_after_s| Err(Spent { quota: Quota::SessionCards, retry_after_s });
        let mut shard = self.shard(id);
        let Some(session) = shard.at(id, expires_ms, now_ms) else { return refused(1) };
        let part = among.map_or(WHOLE, |among| among.part.load(Ordering::Relaxed));
        let most = session.share.as_ref().map_or(part, |share| share.part.may());
        let is_given = session.cards < most;
        session.cards += u32::from(is_given);
        if let Some(among) = among
            && session.share.is_none()
            && (!is_given || session.cards >= SEVERAL)
            && among.will_tell(id)
        {
            session.share = Some(Share::of(part, Vec::new()));
        }
        if is_given {
            return Ok(());
        }
        let is_left = session.share.as_mut().is_some_and(|share| {
            share.refused = share.refused.saturating_add(1);
            share.part.leaves(WHOLE, session.cards)
        });
        refused(if is_left { 1 } else { expires_ms.saturating_sub(now_ms).div_ceil(1000).max(1) })
    }

    /// Whether this node gives nothing, because it does not know what the others do.
    pub(super) fn are_unknown(&self, now_ms: u64) -> bool {
        self.nodes.get().is_some_and(|among| now_ms >= among.until_ms.load(Ordering::Relaxed))
    }

    /// From now on this is one of several nodes.
    pub(super) fn share(&self) {
        self.nodes.get_or_init(Among::default);
    }

    /// Adds to a report: `session 16 | claim, cards, demand u8 | end u32`, in seconds since 1970, for each session that had
    /// several cards or wants more than its part; the first that were so if they are too many.
    pub(super) fn tell(&self, now_ms: u64, to: &mut Vec<u8>) {
        self.each_told(|id, session| {
            let Some(Session { cards, ends_ms, share: Some(share) }) = session.filter(|s| s.ends_ms > now_ms) else {
                return false;
            };
            let demand = cards.saturating_add(share.refused);
            let Said { claim, used } = share.part.tell(WHOLE, *cards, demand, u32::MAX);
            share.refused /= 2;
            write(id, [claim, used, demand], *ends_ms, to);
            true
        });
    }

    /// What was told last is known to the others, and this is what each of them had said before that.
    pub(super) fn heard(&self, others: &[Elsewhere<'_>], now_ms: u64) {
        let Some(among) = self.nodes.get() else { return };
        let part = part(others.iter().filter(|other| other.is_alive).count() + 1);
        let lines: Vec<HashMap<Uuid, Line>> = others.iter().map(|other| read(other.said)).collect();
        let about = |id: &Uuid| {
            let of = |(other, lines): (&Elsewhere<'_>, &HashMap<Uuid, Line>)| {
                // Whoever has not told of a session may use its part of it.
                let unsaid = Line { said: Said { claim: part, used: 0 }, demand: 0, ends_ms: 0 };
                let line = lines.get(id).copied().or(other.is_alive.then_some(unsaid))?;
                let (is_alive, is_before) = (other.is_alive, other.is_before);
                Some(Other { said: line.said, demand: line.demand, is_alive, is_before })
            };
            others.iter().zip(&lines).filter_map(of).collect::<Vec<_>>()
        };
        self.each_told(|id, session| {
            session.and_then(|session| session.share.as_mut()).is_some_and(|share| {
                share.part.heard(WHOLE, about(&id));
                true
            })
        });
        for (id, line) in lines.iter().flatten().filter(|(_, line)| line.ends_ms > now_ms) {
            let mut shard = self.shard(*id);
            if let Some(session) = shard.at(*id, line.ends_ms, now_ms)
                && session.share.is_none()
            {
                // If there is no room to tell of it, too, the others go on to count this node's part, and this is below that.
                let _told = among.will_tell(*id);
                session.share = Some(Share::of(part, about(id)));
            }
        }
        among.part.store(part, Ordering::Relaxed);
        among.until_ms.store(now_ms.saturating_add(STALE_MS), Ordering::Relaxed);
    }

    /// Adds to a report what each session has had here, as if by a node that is gone; those that had most, where they are too
    /// many.
    pub(super) fn carry(&self, now_ms: u64, to: &mut Vec<u8>) {
        let mut had: Vec<(u32, Uuid, u64)> = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let living = shard.cards.iter().filter(|(_, session)| session.ends_ms > now_ms && session.cards > 0);
            had.extend(living.map(|(id, session)| (session.cards, *id, session.ends_ms)));
        }
        had.sort_unstable_by(|a, b| b.cmp(a));
        for (cards, id, ends_ms) in had.into_iter().take(SESSIONS_TOLD_MAX) {
            write(id, [cards, cards, 0], ends_ms, to);
        }
    }

    /// Whether what was told last is known to the others is not known.
    pub(super) fn unheard(&self) {
        self.each_share(Part::unheard);
    }

    /// Gives up what the sessions have not used here: this node is on its way out.
    pub(super) fn give_up(&self) {
        self.each_share(Part::give_up);
    }

    fn each_share(&self, with: impl Fn(&mut Part)) {
        self.each_told(|_, session| {
            session.and_then(|session| session.share.as_mut()).is_some_and(|share| {
                with(&mut share.part);
                true
            })
        });
    }

    /// Does something with each session that this node tells of, and forgets that it does where the answer is no.
    fn each_told(&self, mut with: impl FnMut(Uuid, Option<&mut Session>) -> bool) {
        let Some(among) = self.nodes.get() else { return };
        // A copy, because whoever counts holds a shard and then wants the list.
        let told: Vec<Uuid> = lock(&among.told).iter().copied().collect();
        for id in told {
            let stays = with(id, self.shard(id).cards.get_mut(&id));
            if !stays {
                lock(&among.told).remove(&id);
            }
        }
    }

    fn shard(&self, id: Uuid) -> MutexGuard<'_, Shard> {
        // The last byte of a UUID is random in every version.
        lock(&self.shards[usize::from(id.as_bytes()[15]) % SHARDS])
    }
}

impl Shard {
    /// The session; `None` if one more cannot be counted.
    fn at(&mut self, id: Uuid, ends_ms: u64, now_ms: u64) -> Option<&mut Session> {
        if self.cards.len() >= self.sweep_at {
            self.cards.retain(|_, session| session.ends_ms > now_ms);
            self.sweep_at = (self.cards.len() * 2).clamp(64, limits::SESSIONS_COUNTED_MAX / SHARDS);
        }
        let is_full = self.cards.len() >= limits::SESSIONS_COUNTED_MAX / SHARDS;
        if is_full && !self.cards.contains_key(&id) {
            return None;
        }
        Some(self.cards.entry(id).or_insert(Session { cards: 0, ends_ms, share: None }))
    }
}

impl Share {
    /// Of a node that may use `part` as far as all others know, and these are their claims.
    fn of(part: u32, others: Vec<Other>) -> Self {
        Self { part: Part::holding(part, WHOLE, others), refused: 0 }
    }
}

impl Among {
    /// Whether there is room to tell of one more.
    fn will_tell(&self, id: Uuid) -> bool {
        let mut told = lock(&self.told);
        told.len() < SESSIONS_TOLD_MAX && told.insert(id)
    }
}

/// What a node says of one session.
#[derive(Debug, Clone, Copy)]
struct Line {
    said: Said,
    demand: u32,
    ends_ms: u64,
}

fn write(id: Uuid, numbers: [u32; 3], ends_ms: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(id.as_bytes());
    to.extend(numbers.map(|number| u8::try_from(number).unwrap_or(u8::MAX)));
    to.extend_from_slice(&u32::try_from(ends_ms.div_ceil(1000)).unwrap_or(u32::MAX).to_be_bytes());
}

fn read(said: &[u8]) -> HashMap<Uuid, Line> {
    let lines = said.as_chunks::<SESSION_BYTES>().0.iter().filter_map(|bytes| {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let ([claim, used, demand], end) = rest.split_first_chunk::<3>()?;
        let ends_ms = u64::from(u32::from_be_bytes(end.try_into().ok()?)) * 1000;
        let said = Said { claim: u32::from(*claim), used: u32::from(*used) };
        Some((Uuid::from_bytes(*id), Line { said, demand: u32::from(*demand), ends_ms }))
    });
    lines.collect()
}

/// The part of one node of so many.
fn part(nodes: usize) -> u32 {
    let nodes = u32::try_from(nodes.max(1)).unwrap_or(u32::MAX);
    (WHOLE / nodes).max(1)
}

const WHOLE: u32 = limits::SESSION_CARDS_MAX;
const SHARDS: usize = 16;
/// A session that had so many cards is told to the other nodes.
const SEVERAL: u32 = 2;
/// Length of one session in a report.
pub(super) const SESSION_BYTES: usize = 16 + 3 + 4;
/// Most sessions that are told.
pub(super) const SESSIONS_TOLD_MAX: usize = 1_024;

#[cfg(test)]
#[path = "session_cards_tests.rs"]
mod tests;
