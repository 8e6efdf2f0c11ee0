//! `[keys]`: how long each kind of key lives, and whether the next term comes by itself.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// `[keys]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// How long a Kek seals.
    pub kek: Period,
    /// How long a fingerprint key is used for new cards.
    pub fingerprint: Period,
    /// How long a session key makes sessions.
    pub session: Period,
    /// How long a Sign key signs before another takes its place.
    pub sign: Period,
    /// How long before its end a key is said to be due.
    pub warn: Period,
    /// Whether a key that is due gets its next term by itself.
    pub rotate_automatically: bool,
}

impl Default for Keys {
    fn default() -> Self {
        let year = Period(365 * DAY_S);
        Self {
            kek: year,
            fingerprint: year,
            session: year,
            sign: year,
            warn: Period(30 * DAY_S),
            rotate_automatically: true,
        }
    }
}

/// A whole number and a unit: `365d`, `12h`, `30m`, `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(u64);

/// The text is not a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a period is a whole number and a unit, such as 365d, 12h, 30m or 90s")]
pub struct BadPeriod;

impl Period {
    /// In milliseconds.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

impl FromStr for Period {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Self, BadPeriod> {
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(BadPeriod)?;
        let unit_s = match unit {
            "d" => DAY_S,
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return Err(BadPeriod),
        };
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(BadPeriod);
        }
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_s)).map(Period).ok_or(BadPeriod)
    }
}

impl TryFrom<String> for Period {
    type Error = BadPeriod;

    fn try_from(text: String) -> Result<Self, BadPeriod> {
        text.parse()
    }
}

impl Keys {
    /// How often it is looked whether a key is due: often enough that none reaches its end unseen.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        Duration::from_millis((self.warn.ms() / 10).clamp(200, 60_000))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, period) in [
            ("keys.kek", self.kek),
            ("keys.fingerprint", self.fingerprint),
            ("keys.session", self.session),
            ("keys.sign", self.sign),
        ] {
            if !(Period(2)..=Period(3650 * DAY_S)).contains(&period) {
                return Err(ConfigError::Value { key, why: "give 2s to 3650d" });
            }
            if self.warn >= period {
                return Err(ConfigError::Value { key: "keys.warn", why: "give less than each key lives" });
            }
        }
        if self.warn < Period(1) {
            return Err(ConfigError::Value { key: "keys.warn", why: "give at least 1s" });
        }
        Ok(())
    }
}

const DAY_S: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_whole_number_and_a_unit() {
        for (text, seconds) in [("365d", 365 * DAY_S), ("12h", 43_200), ("30m", 1800), ("90s", 90), ("007s", 7)] {
            assert_eq!(text.parse(), Ok(Period(seconds)), "{text}");
        }
        for bad in [
            "",
            "d",
            "1",
            "1.5d",
            "-1d",
            "+1d",
            "1D",
            "1 d",
            "1w",
            "99999999999999999999d",
            "300000000000000d",
            "1\u{e4}",
        ] {
            assert_eq!(bad.parse::<Period>(), Err(BadPeriod), "{bad}");
        }
    }

    #[test]
    fn a_key_that_would_be_due_all_its_life_or_live_for_no_time_is_refused() {
        let period = |text: &str| text.parse::<Period>().unwrap();
        assert!(Keys::default().check().is_ok());
        let refused = |keys: Keys| keys.check().unwrap_err().to_string();
        assert!(refused(Keys { warn: period("365d"), ..Keys::default() }).starts_with("keys.warn"));
        assert!(refused(Keys { warn: period("0s"), ..Keys::default() }).starts_with("keys.warn"));
        assert!(refused(Keys { session: period("1s"), ..Keys::default() }).starts_with("keys.session"));
        assert!(refused(Keys { sign: period("3651d"), ..Keys::default() }).starts_with("keys.sign"));
        assert!(Keys { sign: period("2s"), warn: period("1s"), ..Keys::default() }.check().is_ok());
    }
}
