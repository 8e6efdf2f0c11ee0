//! Who may look: names, roles and the hashes of passwords, as the configuration has them.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params, Version};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use strongroom_wire::limits;

use super::password;

/// The table `[dashboard]` of the configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DashboardConfig {
    /// Everybody who may log in; without one there is no dashboard.
    pub operators: Vec<OperatorConfig>,
}

/// One entry `[[dashboard.operators]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// 1 to 32 of `a-z 0-9 . _ -`; stands in the log with everything that this operator does.
    pub name: String,
    /// Argon2id in the PHC form, as `orchestratord operator-hash` makes it.
    pub password_hash: String,
    /// What the operator may do.
    pub role: Role,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything, and try rules without saving them.
    Viewer,
    /// Also save rules and send webhooks again.
    Editor,
}

/// Why there cannot be such operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BadOperators {
    /// Which key of the configuration.
    pub key: String,
    /// What it should be.
    pub reason: &'static str,
}

/// An operator whose entry was found good.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(super) hash: PasswordHash,
    /// Names the hash: another one ends the operator's sessions.
    pub(super) credential: String,
}

/// Every operator.
#[derive(Clone)]
pub(crate) struct Operators(Vec<Operator>);

impl DashboardConfig {
    /// The operators.
    ///
    /// # Errors
    /// [`BadOperators`].
    pub(crate) fn operators(&self) -> Result<Operators, BadOperators> {
        if self.operators.len() > limits::OPERATORS_MAX {
            return Err(bad("dashboard.operators".into(), "at most 100"));
        }
        let mut operators: Vec<Operator> = Vec::with_capacity(self.operators.len());
        for (place, entry) in self.operators.iter().enumerate() {
            let at = |field: &str| format!("dashboard.operators[{place}].{field}");
            if !is_name(&entry.name) {
                return Err(bad(at("name"), "1 to 32 of a-z 0-9 . _ -"));
            }
            if operators.iter().any(|known| known.name == entry.name) {
                return Err(bad(at("name"), "another operator has this name"));
            }
            let hash = sound(&entry.password_hash).map_err(|reason| bad(at("password_hash"), reason))?;
            let credential = hexadecimal(&Sha256::digest(&entry.password_hash));
            operators.push(Operator { name: entry.name.clone(), role: entry.role, hash, credential });
        }
        Ok(Operators(operators))
    }
}

impl Operators {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Operator> {
        self.0.iter().find(|operator| operator.name == name)
    }

    /// Somebody else's entry, always the same for one name, so that checking a password for a name that nobody has takes
    /// what it takes for one that somebody has.
    pub(super) fn stand_in(&self, name: &str) -> Option<&Operator> {
        let number = Sha256::digest(name).iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let place = number.checked_rem(u64::try_from(self.0.len()).unwrap_or(1))?;
        self.0.get(usize::try_from(place).unwrap_or(0))
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    (1..=limits::OPERATOR_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

/// A hash that is hard enough to keep and not so hard that checking it exhausts the machine.
fn sound(text: &str) -> Result<PasswordHash, &'static str> {
    let unreadable = "an Argon2id hash in PHC form: make one with `orchestratord operator-hash`";
    let hash = PasswordHash::new(text).map_err(|_| unreadable)?;
    let is_argon2id = Algorithm::try_from(hash.algorithm.as_str()).is_ok_and(|kind| kind == Algorithm::Argon2id);
    let params = Params::try_from(&hash).map_err(|_| unreadable)?;
    if !is_argon2id || hash.version != Some(Version::V0x13.into()) || hash.salt.is_none() {
        return Err(unreadable);
    }
    if hash.hash.is_none_or(|output| output.len() < password::HASH_BYTES) {
        return Err("its hash has less than 32 bytes");
    }
    let memory = password::MEMORY_KIB_MIN..=limits::PASSWORD_MEMORY_KIB_MAX;
    let is_allowed = memory.contains(&params.m_cost()) && (2..=32).contains(&params.t_cost()) && params.p_cost() <= 8;
    if is_allowed { Ok(hash) } else { Err("m is 19456 to 262144, t 2 to 32, p 1 to 8") }
}

fn bad(key: String, reason: &'static str) -> BadOperators {
    BadOperators { key, reason }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, hash: &str) -> OperatorConfig {
        OperatorConfig { name: name.into(), password_hash: hash.into(), role: Role::Viewer }
    }

    fn refused(entries: Vec<OperatorConfig>) -> String {
        DashboardConfig { operators: entries }.operators().err().unwrap().to_string()
    }

    #[test]
    fn names_are_plain_short_and_each_once() {
        let good = password::fast_hash("correct horse 1");
        for name in ["", "Ada", "a b", "a\n", &"a".repeat(limits::OPERATOR_NAME_CHARS_MAX + 1)] {
            assert!(refused(vec![entry(name, &good)]).starts_with("dashboard.operators[0].name: 1 to 32"), "{name}");
        }
        assert!(refused(vec![entry("ada", &good), entry("ada", &good)]).starts_with("dashboard.operators[1].name"));
        let many = (0..=limits::OPERATORS_MAX).map(|n| entry(&format!("o{n}"), &good)).collect();
        assert!(refused(many).contains("at most 100"));
        let both = DashboardConfig { operators: vec![entry("ada", &good), entry("b.e-n_2", &good)] };
        assert!(both.operators().unwrap().find("b.e-n_2").is_some());
    }

    #[test]
    fn hashes_that_are_weak_foreign_or_a_burden_are_refused() {
        let good = password::fast_hash("correct horse 1");
        let memory = format!("m={}", password::MEMORY_KIB_MIN);
        for (from, to) in [
            ("argon2id", "argon2i".to_owned()),
            ("v=19", "v=16".to_owned()),
            (memory.as_str(), "m=19455".to_owned()),
            (memory.as_str(), format!("m={}", limits::PASSWORD_MEMORY_KIB_MAX + 1)),
            ("t=2", "t=1".to_owned()),
            ("t=2", "t=33".to_owned()),
            ("p=1", "p=9".to_owned()),
            ("$argon2id", "argon2id".to_owned()),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(refused(vec![entry("ada", &good.replace(from, &to))]).contains("password_hash"), "{to}");
        }
        let short = good.rsplit_once('$').unwrap().0.to_owned() + "$c2hvcnRzaG9ydHNob3J0";
        assert!(refused(vec![entry("ada", &short)]).contains("32 bytes"));
        assert!(refused(vec![entry("ada", "plain text 12")]).contains("operator-hash"));
    }

    #[test]
    fn name_that_nobody_has_is_always_checked_against_the_same_entry() {
        let hash = password::fast_hash("correct horse 1");
        let operators = DashboardConfig { operators: vec![entry("a", &hash), entry("b", &hash), entry("c", &hash)] };
        let operators = operators.operators().unwrap();
        let of = |name: &str| operators.stand_in(name).unwrap().name.clone();
        let all: std::collections::BTreeSet<_> = (0..50).map(|n| of(&format!("nobody{n}"))).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(of("nobody1"), of("nobody1"));
    }
}
