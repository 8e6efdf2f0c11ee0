//! `Expiry`: the last month in which a card may be used.

use strongroom_wire::limits;

use super::CardError;

/// The month and year embossed on a card. Not secret by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    year: u16,
    month: u8,
}

impl Expiry {
    /// An expiry that is not past at `now_ms` (milliseconds since 1970-01-01 UTC) and at most
    /// [`limits::EXPIRY_YEARS_AHEAD_MAX`] years ahead. A card is good until its month has ended everywhere on earth, 12
    /// hours after it ended in UTC.
    ///
    /// # Errors
    /// [`CardError::Month`], [`CardError::Year`] or [`CardError::Expired`].
    pub fn new(month: u64, year: u64, now_ms: u64) -> Result<Self, CardError> {
        let month = u8::try_from(month).ok().filter(|m| (1..=12).contains(m)).ok_or(CardError::Month)?;
        let year = u16::try_from(year).ok().filter(|y| *y >= YEAR_MIN).ok_or(CardError::Year)?;
        let expiry = Self { year, month };
        let now = Self::month_of(now_ms.saturating_sub(LAST_ZONE_BEHIND_UTC_MS));
        if expiry < now {
            return Err(CardError::Expired);
        }
        if year > now.year.saturating_add(limits::EXPIRY_YEARS_AHEAD_MAX) {
            return Err(CardError::Year);
        }
        Ok(expiry)
    }

    /// 1 to 12.
    #[must_use]
    pub fn month(&self) -> u8 {
        self.month
    }

    /// Four digits.
    #[must_use]
    pub fn year(&self) -> u16 {
        self.year
    }

    /// Two bytes, big-endian: `12 * (year - 2000) + month - 1`.
    pub(super) fn to_bytes(self) -> [u8; 2] {
        (12 * (self.year - YEAR_MIN) + u16::from(self.month) - 1).to_be_bytes()
    }

    /// Reads what [`Expiry::to_bytes`] wrote; a stored card may be past its month.
    pub(super) fn from_bytes(bytes: [u8; 2]) -> Self {
        let months = u16::from_be_bytes(bytes);
        // The remainder of a division by 12 fits a byte.
        Self { year: YEAR_MIN + months / 12, month: u8::try_from(months % 12 + 1).unwrap_or(1) }
    }

    /// The month that contains a moment, in the proleptic Gregorian calendar.
    fn month_of(at_ms: u64) -> Self {
        let stamp = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let date = stamp.unwrap_or(jiff::Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC).date();
        Self { year: u16::try_from(date.year()).unwrap_or(u16::MAX), month: u8::try_from(date.month()).unwrap_or(12) }
    }
}

const YEAR_MIN: u16 = 2000;
/// The zone UTC-12 is the last to see a month end.
const LAST_ZONE_BEHIND_UTC_MS: u64 = 12 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-03-15T00:00:00Z.
    const NOW: u64 = 1_773_532_800_000;
    /// 2026-04-01T00:00:00Z.
    const APRIL: u64 = 1_775_001_600_000;

    #[test]
    fn this_month_is_good_and_last_month_is_past() {
        assert!(Expiry::new(3, 2026, NOW).is_ok());
        assert_eq!(Expiry::new(2, 2026, NOW).unwrap_err(), CardError::Expired);
        assert_eq!(Expiry::new(12, 2025, NOW).unwrap_err(), CardError::Expired);
        assert!(Expiry::new(1, 2027, NOW).is_ok());
    }

    #[test]
    fn a_month_ends_when_it_ended_everywhere() {
        assert!(Expiry::new(3, 2026, APRIL + LAST_ZONE_BEHIND_UTC_MS - 1).is_ok());
        assert_eq!(Expiry::new(3, 2026, APRIL + LAST_ZONE_BEHIND_UTC_MS).unwrap_err(), CardError::Expired);
    }

    #[test]
    fn numbers_that_are_no_month_or_year_are_refused() {
        assert_eq!(Expiry::new(0, 2030, NOW).unwrap_err(), CardError::Month);
        assert_eq!(Expiry::new(13, 2030, NOW).unwrap_err(), CardError::Month);
        assert_eq!(Expiry::new(256 + 5, 2030, NOW).unwrap_err(), CardError::Month);
        assert_eq!(Expiry::new(5, 30, NOW).unwrap_err(), CardError::Year);
        assert!(Expiry::new(5, 2076, NOW).is_ok());
        assert_eq!(Expiry::new(5, 2077, NOW).unwrap_err(), CardError::Year);
        assert_eq!(Expiry::new(5, 65_536 + 2030, NOW).unwrap_err(), CardError::Year);
    }

    #[test]
    fn a_clock_out_of_range_refuses_instead_of_panicking() {
        assert!(Expiry::new(5, 2030, u64::MAX).is_err());
        assert!(Expiry::new(5, 2030, 0).is_err());
    }

    proptest! {
        #[test]
        fn bytes_read_what_they_write(year in 2026u64..=2076, month in 1u64..=12) {
            prop_assume!(year > 2026 || month >= 3);
            let expiry = Expiry::new(month, year, NOW).unwrap();
            prop_assert_eq!(Expiry::from_bytes(expiry.to_bytes()), expiry);
        }

        #[test]
        fn any_two_bytes_are_a_month(bytes in any::<[u8; 2]>()) {
            let expiry = Expiry::from_bytes(bytes);
            prop_assert!((1..=12).contains(&expiry.month()) && expiry.year() >= 2000);
            prop_assert_eq!(expiry.to_bytes(), bytes);
        }
    }
}
