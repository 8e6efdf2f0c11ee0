//! Cards of sessions at one node and at several.

use proptest::prelude::*;

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
    let ended = |shard: &Mutex<Shard>| lock(shard).cards.values().filter(|s| s.ends_ms <= T0 + 2000).count();
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

/// Nodes over one store, which has what each said last.
struct Nodes {
    nodes: Vec<SessionCards>,
    said: Vec<Vec<u8>>,
    session: Uuid,
}

impl Nodes {
    fn new(count: usize) -> Self {
        let mut all = Self { nodes: Vec::new(), said: Vec::new(), session: Uuid::new_v4() };
        (0..count).for_each(|_| all.join());
        (0..3).for_each(|_| all.exchange());
        all
    }

    fn join(&mut self) {
        self.nodes.push(SessionCards::new());
        self.nodes.last().unwrap().share();
        self.said.push(Vec::new());
    }

    fn exchange_of(&mut self, own: usize) {
        let mut told = Vec::new();
        self.nodes[own].tell(T0, &mut told);
        let others: Vec<Elsewhere<'_>> = (0..self.said.len())
            .filter(|other| *other != own)
            .map(|other| Elsewhere { is_alive: true, is_before: other < own, said: &self.said[other] })
            .collect();
        self.nodes[own].heard(&others, T0);
        self.said[own] = told;
    }

    fn exchange(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.exchange_of(node));
    }

    fn store(&self, node: usize) -> bool {
        self.nodes[node].count(self.session, T0 + 5_000, T0).is_ok()
    }
}

#[test]
fn a_session_has_its_cards_once_in_all_nodes() {
    for count in [1, 2, 3, 7, limits::NODES_MAX] {
        let nodes = Nodes::new(count);
        let mut had = 0;
        for _ in 0..40 {
            had += (0..count).filter(|node| nodes.store(*node)).count();
        }
        let whole = WHOLE as usize;
        assert!((whole - count.min(whole)..=whole.max(count)).contains(&had), "{had} at {count} nodes");
    }
}

#[test]
fn a_session_that_stays_at_one_node_gets_all_of_its_cards_there() {
    for count in [1, 2, 3, 7, limits::NODES_MAX] {
        for stays in [0, count - 1] {
            let mut nodes = Nodes::new(count);
            let mut had = 0;
            for _ in 0..60 {
                had += usize::from(nodes.store(stays));
                nodes.exchange();
            }
            assert_eq!(had, WHOLE as usize, "at {stays} of {count} nodes");
            assert!((0..count).all(|node| !nodes.store(node)));
            let spent = nodes.nodes[stays].count(nodes.session, T0 + 5_000, T0).unwrap_err();
            assert_eq!(spent, Spent { quota: Quota::SessionCards, retry_after_s: 5 });
        }
    }
}

#[test]
fn a_session_that_changes_its_node_takes_what_is_left_of_its_cards_along() {
    let mut nodes = Nodes::new(3);
    let mut had = 0;
    for turn in 0..90 {
        had += u32::from(nodes.store(turn / 4 % 3));
        nodes.exchange();
    }
    assert_eq!(had, WHOLE);
}

#[test]
fn a_node_that_comes_gives_no_card_that_another_gave() {
    let mut nodes = Nodes::new(1);
    assert_eq!((0..30).filter(|_| nodes.store(0)).count(), WHOLE as usize);
    nodes.exchange();
    nodes.join();
    assert_eq!(nodes.nodes[1].count(nodes.session, T0 + 5_000, T0).unwrap_err().quota, Quota::Unknown);
    nodes.exchange_of(1);
    assert!(!nodes.store(1));
    assert!(nodes.nodes[1].count(Uuid::new_v4(), T0 + 1_000, T0).is_ok());
    // What is over is not told any more.
    let mut told = Vec::new();
    nodes.nodes[0].tell(T0 + 5_000, &mut told);
    assert!(told.is_empty());
}

#[test]
fn a_session_that_outlives_its_vault_takes_what_it_had_along() {
    let (alone, session) = (SessionCards::new(), Uuid::new_v4());
    (0..12).for_each(|_| alone.count(session, T0 + 5_000, T0).unwrap());
    let mut said = Vec::new();
    alone.carry(T0, &mut said);
    let node = SessionCards::new();
    node.share();
    let mut had = 0;
    for _ in 0..30 {
        node.tell(T0, &mut Vec::new());
        node.heard(&[Elsewhere { is_alive: false, is_before: true, said: &said }], T0);
        had += u32::from(node.count(session, T0 + 5_000, T0).is_ok());
    }
    assert_eq!(had, WHOLE - 12);
}

#[test]
fn a_node_that_goes_leaves_the_cards_that_it_did_not_give() {
    let mut nodes = Nodes::new(2);
    (0..3).for_each(|_| assert!(nodes.store(0)));
    (0..4).for_each(|_| nodes.exchange());
    nodes.nodes[0].give_up();
    nodes.exchange_of(0);
    let had = (0..40).filter(|_| {
        nodes.exchange_of(1);
        nodes.store(1)
    });
    assert_eq!(had.count(), WHOLE as usize - 3);
}

#[test]
fn who_has_not_heard_of_the_others_for_long_gives_no_card() {
    let nodes = Nodes::new(2);
    let later = T0 + STALE_MS;
    let unknown = nodes.nodes[0].count(nodes.session, later + 5_000, later).unwrap_err();
    assert_eq!(unknown, Spent { quota: Quota::Unknown, retry_after_s: 1 });
}

#[test]
fn no_more_sessions_are_told_than_fit_and_what_is_malformed_says_nothing() {
    let mut nodes = Nodes::new(2);
    for _ in 0..SESSIONS_TOLD_MAX + 10 {
        let session = Uuid::new_v4();
        (0..3).for_each(|_| nodes.nodes[0].count(session, T0 + 1_000, T0).unwrap());
    }
    let mut told = Vec::new();
    nodes.nodes[0].tell(T0, &mut told);
    assert_eq!(told.len(), SESSIONS_TOLD_MAX * SESSION_BYTES);
    for said in [&told[1..20], &[1, 2, 3][..], &[]] {
        nodes.nodes[1].heard(&[Elsewhere { is_alive: true, is_before: true, said }], T0);
        assert!(nodes.nodes[1].count(Uuid::new_v4(), T0 + 1_000, T0).is_ok());
    }
    // One that is not told keeps to its part.
    let session = Uuid::new_v4();
    let mut had = 0;
    for _ in 0..40 {
        had += u32::from(nodes.nodes[0].count(session, T0 + 1_000, T0).is_ok());
        nodes.exchange();
    }
    assert_eq!(had, part(2));
}

proptest! {
    #[test]
    fn whoever_is_asked_and_whenever_it_is_told_no_session_gets_more_than_its_cards(
        count in 1usize..7,
        steps in prop::collection::vec((0usize..7, 0u8..3), 1..400),
    ) {
        let mut nodes = Nodes::new(count);
        let mut had = 0;
        for (node, what) in steps {
            match what {
                0 => nodes.exchange_of(node % count),
                1 => nodes.nodes[node % count].unheard(),
                _ => had += u32::from(nodes.store(node % count)),
            }
            prop_assert!(had <= WHOLE, "{had}");
        }
    }
}
