//! Counting: cards for each client session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use strongroom_wire::limits;
use uuid::Uuid;

use super::quota::lock;
use super::{Quota, Spent};

/// Cards of each client session on this node. Entries go when their session ends.
#[derive(Debug)]
pub(super) struct SessionCards {
    shards: Vec<Mutex<Shard>>,
    /// Among several nodes.
    nodes: OnceLock<Among>,
}

/// What a node knows of the sessions at others. Each node gives a session an equal part of its cards at most, and no card that
/// another one gave already; those that had several are told.
#[derive(Debug)]
struct Among {
    /// Most cards of one session here.
    most: AtomicU32,
    /// Sessions that had several cards here: how many, and the end.
    several: Mutex<HashMap<Uuid, (u32, u64)>>,
    /// Cards that sessions had elsewhere.
    elsewhere: RwLock<HashMap<Uuid, u32>>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Session to its cards and the time at which it ends.
    cards: HashMap<Uuid, (u32, u64)>,
    /// Ended sessions are looked for when the map has grown to this size.
    sweep_at: usize,
}

impl SessionCards {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), nodes: OnceLock::new() }
    }

    /// Counts one card, or says that the session has had its cards; also where so many sessions are open that one more
    /// cannot be counted.
    pub(super) fn count(&self, session: Uuid, expires_ms: u64, now_ms: u64) -> Result<(), Spent> {
        let most = self.nodes.get().map_or(limits::SESSION_CARDS_MAX, |among| among.most_of(session));
        let refused = |retry_after_s| Err(Spent { quota: Quota::SessionCards, retry_after_s });
        // The last byte of a UUID is random in every version.
        let mut shard = lock(&self.shards[usize::from(session.as_bytes()[15]) % SHARDS]);
        if shard.cards.len() >= shard.sweep_at {
            shard.cards.retain(|_, (_, ends_ms)| *ends_ms > now_ms);
            shard.sweep_at = (shard.cards.len() * 2).clamp(64, limits::SESSIONS_COUNTED_MAX / SHARDS);
        }
        let full = shard.cards.len() >= limits::SESSIONS_COUNTED_MAX / SHARDS;
        match shard.cards.get_mut(&session) {
            Some((cards, _)) if *cards >= most => refused(expires_ms.saturating_sub(now_ms).div_ceil(1000).max(1)),
            Some((cards, _)) => {
                *cards += 1;
                if let Some(among) = self.nodes.get().filter(|_| *cards >= SEVERAL) {
                    among.note(session, *cards, expires_ms);
                }
                Ok(())
            }
            None if most == 0 => refused(expires_ms.saturating_sub(now_ms).div_ceil(1000).max(1)),
            None if full => refused(1),
            None => {
                shard.cards.insert(session, (1, expires_ms));
                Ok(())
            }
        }
    }

    /// From now on this is one of several nodes.
    pub(super) fn share(&self) {
        self.nodes.get_or_init(|| Among {
            most: AtomicU32::new(part(limits::NODES_MAX)),
            several: Mutex::default(),
            elsewhere: RwLock::default(),
        });
    }

    /// Adds to a report: `session 16 | cards u8` for each session that had several cards here, the first of them if they are too
    /// many.
    pub(super) fn tell(&self, now_ms: u64, to: &mut Vec<u8>) {
        let Some(among) = self.nodes.get() else { return };
        let mut several = lock(&among.several);
        several.retain(|_, (_, ends_ms)| *ends_ms > now_ms);
        for (session, (cards, _)) in several.iter() {
            to.extend_from_slice(session.as_bytes());
            to.push(u8::try_from(*cards).unwrap_or(u8::MAX));
        }
    }

    /// So many nodes there are, this one included, and this is what each other one said.
    pub(super) fn heard<'a>(&self, nodes: usize, said: impl Iterator<Item = &'a [u8]>) {
        let Some(among) = self.nodes.get() else { return };
        let mut elsewhere: HashMap<Uuid, u32> = HashMap::new();
        for bytes in said.flat_map(|said| said.as_chunks::<SESSION_BYTES>().0) {
            let (session, cards) = (Uuid::from_slice(&bytes[..16]).unwrap_or_default(), u32::from(bytes[16]));
            let known = elsewhere.entry(session).or_default();
            *known = known.saturating_add(cards);
        }
        among.most.store(part(nodes), Ordering::Relaxed);
        *among.elsewhere.write().unwrap_or_else(PoisonError::into_inner) = elsewhere;
    }
}

impl Among {
    fn most_of(&self, session: Uuid) -> u32 {
        let elsewhere = self.elsewhere.read().unwrap_or_else(PoisonError::into_inner).get(&session).copied();
        let left = limits::SESSION_CARDS_MAX.saturating_sub(elsewhere.unwrap_or(0));
        self.most.load(Ordering::Relaxed).min(left)
    }

    fn note(&self, session: Uuid, cards: u32, ends_ms: u64) {
        let mut several = lock(&self.several);
        if several.len() < SESSIONS_TOLD_MAX || several.contains_key(&session) {
            several.insert(session, (cards, ends_ms));
        }
    }
}

/// The part of one node of so many.
fn part(nodes: usize) -> u32 {
    let nodes = u32::try_from(nodes.max(1)).unwrap_or(u32::MAX);
    (limits::SESSION_CARDS_MAX / nodes).max(1)
}

const SHARDS: usize = 16;
/// A session that had so many cards is told to the other nodes.
const SEVERAL: u32 = 2;
/// Length of one session in a report.
pub(super) const SESSION_BYTES: usize = 17;
/// Most sessions that are told.
pub(super) const SESSIONS_TOLD_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_764_000_000_000;

    #[test]
    fn a_session_has_its_cards_and_is_forgotten_when_it_ends() {
        let cards = SessionCards::new();
        let session = Uuid::now_v7();
        for _ in 0..limits::SESSION_CARDS_MAX {
            assert!(cards.count(session, T0 + 1000, T0).is_ok());
        }
        assert_eq!(cards.count(session, T0 + 1000, T0).unwrap_err().quota, Quota::SessionCards);
        assert!(cards.count(Uuid::now_v7(), T0 + 1000, T0).is_ok());
        for _ in 0..5_000 {
            assert!(cards.count(Uuid::now_v7(), T0 + 1000, T0).is_ok());
        }
        for _ in 0..5_000 {
            assert!(cards.count(Uuid::now_v7(), T0 + 9000, T0 + 2000).is_ok());
        }
        let held: usize = cards.shards.iter().map(|shard| lock(shard).cards.len()).sum();
        assert!(held <= 5_001 + 5_000);
        let ended = |shard: &Mutex<Shard>| lock(shard).cards.values().filter(|(_, ends)| *ends <= T0 + 2000).count();
        assert!(cards.shards.iter().map(ended).sum::<usize>() < 5_001);
    }

    #[test]
    fn a_session_more_than_can_be_counted_is_refused_until_others_end() {
        let cards = SessionCards::new();
        // All of one shard, which holds its part of the limit.
        let session = |n: usize| Uuid::from_u128((n as u128) << 64);
        let most = limits::SESSIONS_COUNTED_MAX / SHARDS;
        for n in 0..most {
            assert!(cards.count(session(n), T0 + 1000, T0).is_ok());
        }
        assert_eq!(cards.count(session(most), T0 + 1000, T0).unwrap_err().quota, Quota::SessionCards);
        assert!(cards.count(session(0), T0 + 1000, T0).is_ok());
        assert!(cards.count(session(most), T0 + 5000, T0 + 1000).is_ok());
    }

    /// What each of these tells, heard by each other.
    fn exchange(nodes: &[SessionCards]) {
        let told: Vec<Vec<u8>> = nodes
            .iter()
            .map(|node| {
                let mut told = Vec::new();
                node.tell(T0, &mut told);
                told
            })
            .collect();
        for (place, node) in nodes.iter().enumerate() {
            let others = told.iter().enumerate().filter(|(other, _)| *other != place);
            node.heard(nodes.len(), others.map(|(_, told)| told.as_slice()));
        }
    }

    fn several(count: usize) -> Vec<SessionCards> {
        let nodes: Vec<SessionCards> = (0..count).map(|_| SessionCards::new()).collect();
        nodes.iter().for_each(SessionCards::share);
        exchange(&nodes);
        nodes
    }

    #[test]
    fn a_session_has_its_cards_once_in_all_nodes() {
        for count in [1, 2, 3, 7, limits::NODES_MAX] {
            let nodes = several(count);
            let session = Uuid::now_v7();
            let mut had = 0;
            for _ in 0..40 {
                had += nodes.iter().filter(|node| node.count(session, T0 + 1_000, T0).is_ok()).count();
            }
            let whole = limits::SESSION_CARDS_MAX as usize;
            assert!((whole - count.min(whole)..=whole.max(count)).contains(&had), "{had} at {count} nodes");
        }
    }

    #[test]
    fn a_node_that_comes_gives_no_card_that_another_gave() {
        let mut nodes = several(1);
        let session = Uuid::now_v7();
        let most = limits::SESSION_CARDS_MAX;
        assert_eq!((0..30).filter(|_| nodes[0].count(session, T0 + 1_000, T0).is_ok()).count(), most as usize);
        nodes.push(SessionCards::new());
        nodes[1].share();
        exchange(&nodes);
        assert!(nodes[1].count(session, T0 + 1_000, T0).is_err());
        let other = Uuid::now_v7();
        assert!(nodes[1].count(other, T0 + 1_000, T0).is_ok());
        // What is over is not told any more.
        let mut told = Vec::new();
        nodes[0].tell(T0 + 1_000, &mut told);
        assert!(told.is_empty());
    }

    #[test]
    fn no_more_sessions_are_told_than_fit_and_what_is_malformed_says_nothing() {
        let nodes = several(2);
        for _ in 0..SESSIONS_TOLD_MAX + 10 {
            let session = Uuid::now_v7();
            (0..3).for_each(|_| nodes[0].count(session, T0 + 1_000, T0).unwrap());
        }
        let mut told = Vec::new();
        nodes[0].tell(T0, &mut told);
        assert_eq!(told.len(), SESSIONS_TOLD_MAX * SESSION_BYTES);
        nodes[1].heard(2, [&told[1..20], &[1, 2, 3][..]].into_iter());
        assert!(nodes[1].count(Uuid::now_v7(), T0 + 1_000, T0).is_ok());
    }
}
