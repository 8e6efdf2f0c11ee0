//! What a new policy file changes, by identity, for the person who has to approve it.

use std::collections::BTreeSet;

use strongroom_wire::{Scope, limits};

use super::rules::{Grant, Rules};
use super::{Identity, PolicyError};

/// A line for each identity that is added, removed or changed, in the order of their names. What does not fit is counted.
///
/// # Errors
/// [`PolicyError`] if one of the two is no policy.
pub fn changes(old: &str, new: &str) -> Result<Vec<String>, PolicyError> {
    let (old, new) = (Rules::parse(old)?.into_grants(), Rules::parse(new)?.into_grants());
    let everybody: BTreeSet<&Identity> = old.keys().chain(new.keys()).collect();
    let mut lines: Vec<String> = everybody
        .into_iter()
        .filter_map(|identity| match (old.get(identity), new.get(identity)) {
            (None, Some(grant)) => Some(format!("added {identity}: {}", difference(None, grant))),
            (Some(_), None) => Some(format!("removed {identity}")),
            (Some(before), Some(after)) => {
                let said = difference(Some(before), after);
                (!said.is_empty()).then(|| format!("changed {identity}: {said}"))
            }
            (None, None) => None,
        })
        .collect();
    if new.values().filter(|grant| grant.holds(Scope::Reload)).count() < 2 {
        lines.insert(
            0,
            "afterwards fewer than two identities hold reload: nobody can approve the next change".to_owned(),
        );
    }
    let mut bytes = 0;
    let fit = lines.iter().take_while(|line| {
        bytes += line.len();
        bytes <= limits::POLICY_CHANGES_BYTES_MAX
    });
    let fit = fit.count();
    if fit < lines.len() {
        let more = lines.len() - fit;
        lines.truncate(fit);
        lines.push(format!("and {more} more"));
    }
    Ok(lines)
}

fn difference(before: Option<&Grant>, after: &Grant) -> String {
    let held = |scope| before.is_some_and(|before| before.holds(scope));
    let mut words: Vec<String> = Scope::ALL
        .into_iter()
        .filter(|scope| held(*scope) != after.holds(*scope))
        .map(|scope| format!("{}{}", if after.holds(scope) { '+' } else { '-' }, scope.as_str()))
        .collect();
    if before.is_none_or(|before| before.tenants != after.tenants) {
        words.push(format!("tenants {}", after.tenants.summary()));
    }
    if before.map_or(!after.destinations.is_empty(), |before| before.destinations != after.destinations) {
        words.push(format!("destinations: {}", after.destinations.len()));
    }
    if before.map_or(!after.pins.is_empty(), |before| before.pins != after.pins) {
        words.push(format!("pinned keys: {}", after.pins.len()));
    }
    if before.and_then(|before| before.reveals) != after.reveals {
        words.push(match after.reveals {
            Some(quota) => format!("reveals {} a minute, {} a day", quota.per_minute, quota.per_day),
            None => "no reveals".to_owned(),
        });
    }
    if before.and_then(|before| before.requests_per_second) != after.requests_per_second {
        words.push(match after.requests_per_second {
            Some(rate) => format!("requests {rate} a second"),
            None => "requests without a limit".to_owned(),
        });
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rows: &[(&str, &str)]) -> String {
        let row = |(name, more): &(&str, &str)| format!("[[identity]]\nuri = \"spiffe://s/r/{name}\"\n{more}\n");
        format!("version = 1\n{}", rows.iter().map(row).collect::<String>())
    }

    const OFFICER: &str = "scopes = [\"reload\", \"status\"]";

    #[test]
    fn each_identity_has_its_line() {
        let main = |minute: u32| {
            format!("tenants = [\"a\"]\nscopes = [\"reveal\"]\nreveals_per_minute = {minute}\nreveals_per_day = 100")
        };
        let (before, after) = (main(10), main(20));
        let old = policy(&[("a", OFFICER), ("b", OFFICER), ("gone", OFFICER), ("main", &before)]);
        let new = policy(&[("a", "scopes = [\"reload\"]"), ("b", OFFICER), ("main", &after), ("new", OFFICER)]);
        assert_eq!(
            changes(&old, &new).unwrap(),
            [
                "changed spiffe://s/r/a: -status",
                "removed spiffe://s/r/gone",
                "changed spiffe://s/r/main: reveals 20 a minute, 100 a day",
                "added spiffe://s/r/new: +status, +reload, tenants none",
            ]
        );
        assert_eq!(changes(&new, &new).unwrap(), [""; 0]);
    }

    #[test]
    fn a_policy_that_locks_the_next_change_out_says_so() {
        let (old, new) = (policy(&[("a", OFFICER), ("b", OFFICER)]), policy(&[("a", OFFICER)]));
        assert!(changes(&old, &new).unwrap()[0].contains("nobody can approve the next change"));
    }

    #[test]
    fn a_summary_over_its_limit_says_how_much_is_left_out() {
        let names: Vec<String> = (0..1_000).map(|number| format!("n{number:04}")).collect();
        let rows: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), OFFICER)).collect();
        let lines = changes("version = 1", &policy(&rows)).unwrap();
        let left: usize = lines.last().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(lines.len() - 1 + left, names.len());
        assert!(lines.iter().map(String::len).sum::<usize>() <= limits::POLICY_CHANGES_BYTES_MAX + 20);
    }
}
