//! Reports from end to end: policies that decide on several nodes, and what they tell each other.

use proptest::prelude::*;
use strongroom_wire::{RequestId, Token};

use super::*;
use crate::policy::{Note, Policy, Principal, Quota, Request, Reveal, Rules, Spent};

const T0: u64 = 1_764_000_000_000;

fn rules(per_minute: u32, per_day: u32, rate: Option<u32>) -> Rules {
    let rate = rate.map_or(String::new(), |rate| format!("requests_per_second = {rate}\n"));
    let text = format!(
        "version = 1\n[[identity]]\nuri = \"spiffe://strongroom/orchestrator/main\"\ntenants = [\"acme\"]\n\
         scopes = [\"reveal\"]\nreveals_per_minute = {per_minute}\nreveals_per_day = {per_day}\n{rate}"
    );
    Rules::parse(&text).unwrap()
}

struct Nodes {
    policies: Vec<Policy>,
    said: Vec<Option<(u64, Vec<u8>)>>,
    now_ms: u64,
}

impl Nodes {
    fn new(nodes: usize, rules: impl Fn() -> Rules) -> Self {
        let policies: Vec<Policy> = (0..nodes).map(|_| Policy::new(rules())).collect();
        policies.iter().for_each(Policy::share);
        let mut all = Self { policies, said: vec![None; nodes], now_ms: T0 };
        (0..6).for_each(|_| all.exchange());
        all
    }

    fn exchange(&mut self) {
        (0..self.policies.len()).for_each(|node| self.exchange_of(node));
        self.now_ms += 250;
    }

    fn exchange_of(&mut self, node: usize) {
        let own = self.policies[node].tell(self.now_ms);
        let heard: Vec<Heard<'_>> = (0..self.said.len())
            .filter(|other| *other != node)
            .filter_map(|other| {
                let (at_ms, said) = self.said[other].as_ref()?;
                Some(Heard { is_before: other < node, age_ms: self.now_ms - at_ms, said })
            })
            .collect();
        self.policies[node].heard(&heard, self.now_ms);
        self.said[node] = Some((self.now_ms, own));
    }

    fn reveal(&self, node: usize) -> Result<(), Spent> {
        let identity = Identity::parse("spiffe://strongroom/orchestrator/main").unwrap();
        let request = Request {
            who: Principal::Identity(identity),
            tenant: None,
            request_id: RequestId::fresh(),
            origin: None,
            destination: None,
            note: Note::none(),
        };
        let decided = self.policies[node].decide::<Reveal>(&request, Token::fresh(), self.now_ms);
        decided.map(drop).map_err(|denied| denied.spent().unwrap())
    }
}

#[test]
fn nothing_is_allowed_before_the_others_were_heard_and_when_they_were_not_for_long() {
    let alone = Policy::new(rules(10, 100, None));
    alone.share();
    let mut nodes = Nodes { policies: vec![alone], said: vec![None], now_ms: T0 };
    assert_eq!(nodes.reveal(0).unwrap_err(), Spent { quota: Quota::Unknown, retry_after_s: 1 });
    nodes.exchange();
    assert!(nodes.reveal(0).is_err(), "a claim counts when it was told, not when it is made");
    nodes.exchange();
    assert!(nodes.reveal(0).is_ok());
    nodes.now_ms += STALE_MS;
    // That nobody knows what is left is no word about what was used.
    assert_eq!(nodes.reveal(0).unwrap_err(), Spent { quota: Quota::Unknown, retry_after_s: 1 });
    nodes.policies[0].unheard();
    assert!(nodes.reveal(0).is_err());
    nodes.exchange();
    assert!(nodes.reveal(0).is_ok());
}

#[test]
fn nodes_that_are_asked_alike_give_the_whole_and_no_more() {
    for (count, per_minute) in [(2, 100), (3, 100), (5, 7), (8, 1_000)] {
        let mut nodes = Nodes::new(count, || rules(per_minute, 100_000, None));
        let mut allowed = 0;
        for _ in 0..40 {
            for _ in 0..per_minute {
                allowed += (0..count).filter(|node| nodes.reveal(*node).is_ok()).count();
            }
            nodes.exchange();
        }
        assert_eq!(allowed, per_minute as usize, "{count} nodes");
        assert!(nodes.reveal(0).unwrap_err().retry_after_s > 1, "it is over, and not only here");
        nodes.now_ms += 62_000;
        (0..6).for_each(|_| nodes.exchange());
        assert!((0..count).any(|node| nodes.reveal(node).is_ok()));
    }
}

#[test]
fn one_that_is_asked_alone_gives_nearly_all() {
    let mut nodes = Nodes::new(3, || rules(1_000, 100_000, None));
    let mut allowed = 0;
    for _ in 0..24 {
        allowed += (0..200).filter(|_| nodes.reveal(1).is_ok()).count();
        nodes.exchange();
    }
    assert!((980..=1_000).contains(&allowed), "{allowed}");
    assert!(nodes.reveal(0).is_err() || allowed < 1_000);
}

#[test]
fn the_day_is_shared_too_and_a_dead_node_takes_no_more_than_a_minute_of_it_along() {
    let mut nodes = Nodes::new(2, || rules(50, 1_000, None));
    for _ in 0..30 {
        let _ = (0..50).filter(|_| nodes.reveal(0).is_ok()).count();
        nodes.exchange();
    }
    // Node 0 is gone: a day later it is forgotten.
    let mut allowed = 0;
    for _ in 0..2_000 {
        nodes.now_ms += 3_000;
        nodes.exchange_of(1);
        allowed += (0..5).filter(|_| nodes.reveal(1).is_ok()).count();
    }
    assert!((850..=1_000 - 50).contains(&allowed), "{allowed}");
    assert!(nodes.reveal(1).unwrap_err().retry_after_s > 60);
    nodes.now_ms += 25 * 3_600_000;
    (0..3).for_each(|_| nodes.exchange_of(1));
    assert!(nodes.reveal(1).is_ok());
}

#[test]
fn the_request_rate_is_divided_and_never_stands_still() {
    let mut nodes = Nodes::new(4, || rules(1_000, 100_000, Some(40)));
    let mut allowed = 0;
    for _ in 0..40 {
        for _ in 0..40 {
            allowed += (0..4).filter(|node| nodes.reveal(*node).is_ok()).count();
        }
        nodes.exchange();
    }
    // Ten seconds of forty, and one second more at the beginning.
    assert!((380..=444).contains(&allowed), "{allowed}");
    let mut idle = Nodes::new(5, || rules(1_000, 100_000, Some(1)));
    assert!((0..5).all(|node| idle.reveal(node).is_ok()));
    idle.exchange();
    assert!((0..5).all(|node| idle.reveal(node).is_err()));
}

#[test]
fn a_node_that_goes_leaves_what_it_did_not_use() {
    let mut nodes = Nodes::new(2, || rules(100, 1_000, None));
    (0..10).for_each(|_| nodes.reveal(0).unwrap());
    nodes.policies[0].give_up();
    nodes.exchange_of(0);
    assert!(nodes.reveal(0).is_err());
    let mut allowed = 0;
    for _ in 0..8 {
        nodes.exchange_of(1);
        nodes.now_ms += 250;
        allowed += (0..100).filter(|_| nodes.reveal(1).is_ok()).count();
    }
    assert_eq!(allowed, 90);
}

#[test]
fn taking_an_identity_out_and_in_again_refills_nothing_on_any_node() {
    let mut nodes = Nodes::new(2, || rules(10, 1_000, None));
    for _ in 0..20 {
        let _ = (0..10).filter(|_| nodes.reveal(0).is_ok()).count();
        nodes.exchange();
    }
    nodes.policies.iter().for_each(|policy| policy.replace(Rules::parse("version = 1").unwrap(), T0));
    (0..4).for_each(|_| nodes.exchange());
    nodes.policies.iter().for_each(|policy| policy.replace(rules(10, 1_000, None), T0));
    (0..6).for_each(|_| nodes.exchange());
    let allowed = (0..2).map(|node| (0..10).filter(|_| nodes.reveal(node).is_ok()).count()).sum::<usize>();
    assert!(allowed <= 1, "{allowed}");
}

#[test]
fn a_report_of_another_form_says_nothing_and_one_over_its_limit_is_never_made() {
    let nodes = Nodes::new(1, || rules(10, 100, None));
    let report = nodes.policies[0].tell(T0);
    assert_eq!(report.len(), HEAD_BYTES + LINE_BYTES);
    for wrong in [&report[1..], &report[..report.len() - 1], &[][..], &[1], &[9; 46], &[2, 255, 255]] {
        assert!(Report::read(&Heard { is_before: true, age_ms: 0, said: wrong }).is_none());
    }
    let row = |n: usize| {
        format!("[[identity]]\nuri = \"spiffe://s/r/n{n}\"\nscopes = [\"status\"]\nrequests_per_second = 10\n")
    };
    let text = format!("version = 1\n{}", (0..3_500).map(row).collect::<String>());
    let policy = Policy::new(Rules::parse(&text).unwrap());
    policy.share();
    assert!(policy.tell(T0).len() <= limits::USES_BYTES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_minute_holds_more_than_the_quota_whoever_is_asked_and_whenever_it_is_told(
        count in 1usize..5,
        per_minute in 1u32..40,
        steps in prop::collection::vec((0usize..5, 0usize..5, 0u64..2_000, 0u32..12), 1..200),
    ) {
        let mut nodes = Nodes::new(count, || rules(per_minute, 100_000, None));
        let mut allowed = Vec::new();
        for (told, asked, pause_ms, times) in steps {
            nodes.now_ms += pause_ms;
            nodes.exchange_of(told % count);
            for _ in 0..times {
                if nodes.reveal(asked % count).is_ok() {
                    allowed.push(nodes.now_ms);
                }
            }
        }
        for (place, start) in allowed.iter().enumerate() {
            let within = allowed[place..].iter().take_while(|at| **at < start + 60_000).count();
            prop_assert!(within <= per_minute as usize, "{within} of {per_minute}");
        }
    }
}
