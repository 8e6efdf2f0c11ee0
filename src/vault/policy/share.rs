//! One allowance among several nodes, decided in memory: how much of it this node may use, so that all together never use more.
//!
//! Each node tells the others what it *claims* of the allowance, and uses no more than it may (`may`), which is never above its
//! claim. It may use more only after its claim was told, and it then read that the claims of all leave room for it. Of two nodes
//! that claim at once, whichever reads last sees the other's claim; so what all may use never exceeds the allowance, however late
//! anything is told or heard, and whether or not it got lost. It may use less at once, and claims less afterwards.
//!
//! What a node wants is what it used, an equal part of a small rest for whoever is idle, and the greater part by how much is asked
//! of it: a node that has all the traffic soon has nearly all of the allowance.

/// What a node says of one allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// What it may use at most.
    pub(super) claim: u32,
    /// What it has used.
    pub(super) used: u32,
}

/// What another node said last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other {
    pub(super) said: Said,
    /// How much was asked of it lately.
    pub(super) demand: u32,
    /// It tells how things are; of one that does not, all that it claimed counts as used.
    pub(super) is_alive: bool,
    /// Its name comes before this node's.
    pub(super) is_before: bool,
}

/// This node's part.
#[derive(Debug, Default)]
pub(super) struct Part {
    may: u32,
    /// The least claim that the others may know of this node now.
    told: u32,
    /// The claim that is on its way to them.
    telling: u32,
    /// The last claims of the others.
    others: Vec<Other>,
    /// The node is on its way out.
    gives_up: bool,
}

impl Part {
    /// The part of a node that all others know to claim `claim`, though it told them nothing, and whose claims are these.
    pub(super) fn holding(claim: u32, whole: u32, others: Vec<Other>) -> Self {
        let mut part = Self { may: 0, told: claim, telling: claim, others, gives_up: false };
        part.may = claim.min(part.free(whole));
        part
    }

    /// What may be used.
    pub(super) fn may(&self) -> u32 {
        self.may
    }

    /// What is told next. `ahead` is the most that is claimed above what is used.
    pub(super) fn tell(&mut self, whole: u32, used: u32, demand: u32, ahead: u32) -> Said {
        // What was used before a restart was claimed by the process before.
        self.may = self.may.max(used);
        let wanted = if self.gives_up { used } else { self.wanted(whole, used, demand, ahead) };
        if wanted < self.may {
            self.may = wanted.max(used);
        }
        // No more than is free, so that nobody is kept from it by a claim that cannot be met.
        let claim = wanted.min(self.free(whole)).max(self.may);
        self.telling = claim;
        Said { claim, used }
    }

    /// The claim was told, and this is what the others had said before that.
    pub(super) fn heard(&mut self, whole: u32, others: Vec<Other>) {
        self.others = others;
        // The claim before this one was known to whoever reads after now; this one is from now on.
        let known = self.told.min(self.telling);
        self.may = self.may.max(known.min(self.free(whole)));
        self.told = self.telling;
    }

    /// Whether something of the whole is left, as far as is known.
    pub(super) fn leaves(&self, whole: u32, used: u32) -> bool {
        let others = self.others.iter().map(|other| if other.is_alive { other.said.used } else { other.said.claim });
        sum(others).saturating_add(used) < whole
    }

    /// Nothing more is used from now on than was.
    pub(super) fn give_up(&mut self) {
        self.may = 0;
        self.gives_up = true;
    }

    /// Whether the claim was told is not known.
    pub(super) fn unheard(&mut self) {
        self.told = self.told.min(self.telling);
    }

    fn free(&self, whole: u32) -> u32 {
        whole.saturating_sub(sum(self.others.iter().map(|other| other.said.claim)))
    }

    fn wanted(&self, whole: u32, used: u32, demand: u32, ahead: u32) -> u32 {
        let gone = |other: &Other| if other.is_alive { other.said.used } else { other.said.claim };
        let left = whole.saturating_sub(used).saturating_sub(sum(self.others.iter().map(gone)));
        let alive = || self.others.iter().filter(|other| other.is_alive);
        let nodes = alive().count() as u64 + 1;
        let all = alive().map(|other| weight(other.demand)).sum::<u64>() + weight(demand);
        // The products of two numbers below 2^33 fit.
        let part = |demand: u32| {
            let rest = u64::from(left) / IDLE_PART;
            rest / nodes + (u64::from(left) - rest) * weight(demand) / all
        };
        // What division leaves is for the one of whom most is asked.
        let is_first = alive().all(|other| other.demand < demand || other.demand == demand && !other.is_before);
        let over = u64::from(left).saturating_sub(alive().map(|other| part(other.demand)).sum::<u64>() + part(demand));
        let own = part(demand) + if is_first { over } else { 0 };
        used.saturating_add(u32::try_from(own).unwrap_or(u32::MAX).min(left).min(ahead))
    }
}

/// Somebody of whom nothing is asked has a little weight, so that an allowance that nobody uses is divided evenly.
fn weight(demand: u32) -> u64 {
    u64::from(demand.min(DEMAND_MAX)) + 1
}

fn sum(parts: impl Iterator<Item = u32>) -> u32 {
    parts.fold(0, u32::saturating_add)
}

/// One in so many is for all nodes alike.
const IDLE_PART: u64 = 8;
const DEMAND_MAX: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node and its telling that is on its way.
    #[derive(Default)]
    struct Node {
        part: Part,
        used: u32,
        demand: u32,
        /// Told and not answered.
        way: Option<Way>,
    }

    struct Way {
        said: (Said, u32),
        read: Option<Vec<Other>>,
        is_written: bool,
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Ask(usize),
        Tell(usize),
        Read(usize),
        Write(usize),
        Hear(usize),
        Lose(usize),
        /// The oldest use of a node leaves the window.
        Slide(usize),
        Die(usize),
    }

    struct All {
        whole: u32,
        nodes: Vec<Node>,
        /// What is written.
        rows: Vec<Option<(Said, u32)>>,
        dead: Vec<bool>,
    }

    impl All {
        fn new(whole: u32, nodes: usize) -> Self {
            let rows = vec![None; nodes];
            Self { whole, nodes: (0..nodes).map(|_| Node::default()).collect(), rows, dead: vec![false; nodes] }
        }

        fn used(&self) -> u32 {
            self.nodes.iter().map(|node| node.used).sum()
        }

        fn read(&self, own: usize) -> Vec<Other> {
            let others = (0..self.rows.len()).filter(|place| *place != own);
            let other = |place: usize| {
                let (is_alive, is_before) = (!self.dead[place], place < own);
                self.rows[place].map(|(said, demand)| Other { said, demand, is_alive, is_before })
            };
            others.filter_map(other).collect()
        }

        fn step(&mut self, step: Step) {
            let (Step::Ask(n) | Step::Tell(n) | Step::Read(n) | Step::Write(n)) = step else { return self.more(step) };
            if self.dead[n] {
                return;
            }
            match step {
                Step::Ask(n) => {
                    let node = &mut self.nodes[n];
                    node.demand += 1;
                    if node.used < node.part.may().min(self.whole) {
                        node.used += 1;
                    }
                }
                Step::Tell(n) => {
                    let node = &mut self.nodes[n];
                    if node.way.is_none() {
                        let said = node.part.tell(self.whole, node.used, node.demand, u32::MAX);
                        node.way = Some(Way { said: (said, node.demand), read: None, is_written: false });
                        node.demand /= 2;
                    }
                }
                Step::Read(n) => {
                    let read = self.read(n);
                    if let Some(way) = self.nodes[n].way.as_mut().filter(|way| way.read.is_none()) {
                        way.read = Some(read);
                    }
                }
                _ => {
                    let way = self.nodes[n].way.as_mut().filter(|way| way.read.is_some() && !way.is_written);
                    if let Some(way) = way {
                        way.is_written = true;
                        self.rows[n] = Some(way.said);
                    }
                }
            }
        }

        fn more(&mut self, step: Step) {
            match step {
                Step::Hear(n) if !self.dead[n] && self.nodes[n].way.as_ref().is_some_and(|way| way.is_written) => {
                    let read = self.nodes[n].way.take().and_then(|way| way.read).unwrap();
                    self.nodes[n].part.heard(self.whole, read);
                }
                Step::Lose(n) if !self.dead[n] && self.nodes[n].way.is_some() => {
                    self.nodes[n].way = None;
                    self.nodes[n].part.unheard();
                }
                Step::Slide(n) => self.nodes[n].used = self.nodes[n].used.saturating_sub(1),
                // One is always left.
                Step::Die(n) if self.dead.iter().filter(|dead| !**dead).count() > 1 => self.dead[n] = true,
                _ => {}
            }
        }

        fn exchange(&mut self) {
            for n in 0..self.nodes.len() {
                for step in [Step::Tell(n), Step::Read(n), Step::Write(n), Step::Hear(n)] {
                    self.step(step);
                }
            }
        }
    }

    fn steps(nodes: usize) -> impl Strategy<Value = Vec<Step>> {
        let node = move || 0..nodes;
        prop::collection::vec(
            prop_oneof![
                12 => node().prop_map(Step::Ask),
                4 => node().prop_map(Step::Tell),
                4 => node().prop_map(Step::Read),
                4 => node().prop_map(Step::Write),
                4 => node().prop_map(Step::Hear),
                1 => node().prop_map(Step::Lose),
                2 => node().prop_map(Step::Slide),
            ],
            1..800,
        )
    }

    proptest! {
        #[test]
        fn all_nodes_together_never_use_more_than_the_allowance(
            (whole, nodes, steps, dies) in (0u32..60, 1usize..6).prop_flat_map(|(whole, nodes)| {
                (Just(whole), Just(nodes), steps(nodes), prop::option::of((0..nodes, any::<prop::sample::Index>())))
            })
        ) {
            let mut all = All::new(whole, nodes);
            for (place, step) in steps.iter().enumerate() {
                if dies.is_some_and(|(_, when)| when.index(steps.len()) == place) {
                    all.step(Step::Die(dies.unwrap().0));
                }
                all.step(*step);
                prop_assert!(all.used() <= whole, "{} of {whole} at {place}", all.used());
                let may: u32 = all.nodes.iter().map(|node| node.part.may()).sum();
                prop_assert!(may <= whole);
            }
        }

        #[test]
        fn whatever_happened_before_a_busy_node_gets_nearly_all(
            (whole, nodes, steps, busy) in (20u32..5_000, 2usize..8).prop_flat_map(|(whole, nodes)| {
                (Just(whole), Just(nodes), steps(nodes), 0..nodes)
            })
        ) {
            let mut all = All::new(whole, nodes);
            for step in steps {
                all.step(step);
            }
            for n in 0..nodes {
                for step in [Step::Read(n), Step::Write(n), Step::Hear(n)] {
                    all.step(step);
                }
                all.nodes[n].used = 0;
            }
            // As many exchanges as happen in a few seconds.
            for _ in 0..30 {
                (0..whole).for_each(|_| all.step(Step::Ask(busy)));
                all.exchange();
            }
            let rest = whole - all.nodes[busy].used;
            prop_assert!(rest <= IDLE_PART as u32 * nodes as u32, "{rest} of {whole} were left");
        }
    }

    #[test]
    fn one_node_alone_has_the_whole_and_idle_nodes_have_equal_parts() {
        let mut all = All::new(100, 1);
        (0..3).for_each(|_| all.exchange());
        assert_eq!(all.nodes[0].part.may(), 100);
        let mut all = All::new(120, 4);
        (0..6).for_each(|_| all.exchange());
        let may: Vec<u32> = all.nodes.iter().map(|node| node.part.may()).collect();
        assert!(may.iter().all(|may| (28..=33).contains(may)), "{may:?}");
    }

    #[test]
    fn a_node_that_comes_gets_its_part_and_one_that_is_gone_leaves_its_claim_behind() {
        let mut all = All::new(90, 3);
        all.dead[2] = true;
        (0..4).for_each(|_| all.exchange());
        all.dead[2] = false;
        (0..8).for_each(|_| all.exchange());
        assert!(all.nodes[2].part.may() >= 28);
        all.dead[0] = true;
        (0..6).for_each(|_| all.exchange());
        let may: u32 = all.nodes[1..].iter().map(|node| node.part.may()).sum();
        assert!((55..=62).contains(&may), "{may}");
    }

    #[test]
    fn an_allowance_of_one_goes_where_it_is_asked_for() {
        let mut all = All::new(1, 3);
        for n in [2, 0, 1] {
            for _ in 0..12 {
                all.step(Step::Ask(n));
                all.exchange();
            }
            assert_eq!(all.nodes[n].used, 1, "node {n}");
            all.step(Step::Slide(n));
        }
    }
}
