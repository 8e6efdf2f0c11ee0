//! What was used of the quotas, carried over from a vault alone to the nodes that take its place.
//!
//! It is told as if by nodes that are gone, one for each hour of the last day, each of which said at the end of its hour that it
//! had used so much and claimed no more. What such a node claimed counts until its windows are over (see `nodes.rs`), so that
//! what was used an hour ago is free again a day later, and nobody has a fresh allowance because the store lies elsewhere.

use std::sync::PoisonError;

use super::Policy;
use super::nodes::{self, ALIVE_MS};
use super::rules::Grant;

/// What was used in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Which hour, 0 for the one that ends now.
    pub hour: u8,
    /// How long ago it ended, in milliseconds.
    pub age_ms: u64,
    /// A report, see `nodes.rs`.
    pub said: Vec<u8>,
}

impl Policy {
    /// What was used in the last day.
    #[must_use]
    pub fn carried(&self, now_ms: u64) -> Vec<Carried> {
        let (uses, seats) = (self.uses.lock().unwrap_or_else(PoisonError::into_inner), self.seats.load());
        // Whoever has a quota now comes first, should there be more than fit.
        let has_quota = |grant: Option<&Grant>| grant.is_some_and(|grant| grant.reveals.is_some());
        let mut used: Vec<_> = uses
            .iter()
            .map(|(identity, used)| (!has_quota(seats.get(identity).map(|seat| &seat.grant)), identity, used))
            .collect();
        used.sort_unstable_by_key(|(is_last, identity, _)| (*is_last, *identity));
        let used: Vec<_> = used.into_iter().map(|(_, identity, used)| (identity, used.hours(now_ms))).collect();
        let report = |hour: u8| {
            let mut lines = Vec::new();
            for (identity, (minute, hours)) in &used {
                let (minute, day) = (if hour == 0 { *minute } else { 0 }, hours[usize::from(hour)]);
                if (minute > 0 || day > 0) && lines.len() < nodes::LINES_MAX * nodes::LINE_BYTES {
                    nodes::write_gone(nodes::short(identity), minute, day, &mut lines);
                }
            }
            let mut said = nodes::head(lines.len() / nodes::LINE_BYTES);
            said.extend_from_slice(&lines);
            if hour == 0 {
                self.sessions.carry(now_ms, &mut said);
            }
            // Nobody shall think that this node lives.
            let age_ms = (u64::from(hour) * HOUR_MS).max(ALIVE_MS + 1_000);
            (said.len() > nodes::HEAD_BYTES).then_some(Carried { hour, age_ms, said })
        };
        (0..HOURS).filter_map(report).collect()
    }
}

/// Hours that the buckets of a day reach into.
pub(super) const HOURS: u8 = 25;
const HOUR_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use strongroom_wire::{RequestId, Token};

    use super::*;
    use crate::policy::{Heard, Identity, Note, Principal, Quota, Request, Reveal, Rules, Spent};

    const T0: u64 = 1_764_000_000_000;
    const WHO: &str = "spiffe://strongroom/orchestrator/main";

    fn policy() -> Policy {
        let text = format!(
            "version = 1\n[[identity]]\nuri = \"{WHO}\"\ntenants = [\"acme\"]\nscopes = [\"reveal\"]\n\
             reveals_per_minute = 20\nreveals_per_day = 50\n"
        );
        Policy::new(Rules::parse(&text).unwrap())
    }

    fn reveal(policy: &Policy, now_ms: u64) -> Result<(), Spent> {
        let request = Request {
            who: Principal::Identity(Identity::parse(WHO).unwrap()),
            tenant: None,
            request_id: RequestId::fresh(),
            origin: None,
            destination: None,
            note: Note::none(),
        };
        policy.decide::<Reveal>(&request, Token::fresh(), now_ms).map(drop).map_err(|denied| denied.spent().unwrap())
    }

    /// A node that knows what was carried, so many milliseconds later.
    fn node(carried: &[Carried], later_ms: u64) -> Policy {
        let node = policy();
        node.share();
        for _ in 0..3 {
            let _told = node.tell(T0 + later_ms);
            let heard = carried.iter().filter(|row| row.age_ms + later_ms < 25 * HOUR_MS);
            let heard = heard.map(|row| Heard { is_before: true, age_ms: row.age_ms + later_ms, said: &row.said });
            node.heard(&heard.collect::<Vec<_>>(), T0 + later_ms);
        }
        node
    }

    fn given(node: &Policy, now_ms: u64) -> usize {
        (0..100).take_while(|_| reveal(node, now_ms).is_ok()).count()
    }

    #[test]
    fn nobody_has_a_fresh_allowance_and_what_was_used_is_free_again_when_its_day_is_over() {
        let before = policy();
        for (ago_ms, count) in [(23 * HOUR_MS, 15), (5 * HOUR_MS, 10), (20_000, 7)] {
            (0..count).for_each(|_| reveal(&before, T0 - ago_ms).unwrap());
        }
        let carried = before.carried(T0);
        assert_eq!(carried.iter().map(|row| row.hour).collect::<Vec<_>>(), [0, 5, 23]);
        // Of the minute 7 are used, of the day 32.
        assert_eq!(given(&node(&carried, 0), T0), 13);
        let spent = {
            let node = node(&carried, 0);
            given(&node, T0);
            reveal(&node, T0).unwrap_err()
        };
        assert_eq!(spent.quota, Quota::RevealsPerMinute);
        let all_day = |later_ms: u64| {
            let node = node(&carried, later_ms);
            (0..10).map(|minute| given(&node, T0 + later_ms + minute)).sum::<usize>()
        };
        assert_eq!(all_day(0), 13);
        let of_the_day = |later_ms: u64| {
            let node = node(&carried, later_ms);
            let minutes = (0..4u64).map(|minute| {
                let now_ms = T0 + later_ms + minute * 62_000;
                let _told = node.tell(now_ms);
                let heard = carried.iter().filter(|row| row.age_ms + later_ms < 25 * HOUR_MS);
                let heard: Vec<_> = heard
                    .map(|row| Heard { is_before: true, age_ms: row.age_ms + now_ms - T0, said: &row.said })
                    .collect();
                node.heard(&heard, now_ms);
                let _told = node.tell(now_ms);
                node.heard(&heard, now_ms);
                given(&node, now_ms)
            });
            minutes.sum::<usize>()
        };
        assert_eq!(of_the_day(70_000), 18);
        assert_eq!(of_the_day(HOUR_MS + 600_000), 33, "what was used a day ago is free again");
        assert_eq!(of_the_day(25 * HOUR_MS), 50);
    }

    #[test]
    fn nothing_is_told_of_a_vault_that_nobody_used() {
        assert_eq!(policy().carried(T0), []);
    }
}
