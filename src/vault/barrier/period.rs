//! Cryptoperiods: how long each kind of key may make something new (PCI DSS 3.7.4). What it made before stays readable.

use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::{TenantId, limits};

use super::keyring::KeyFacts;
use super::{Barrier, BarrierError};

/// Periods in milliseconds, counted from the moment a key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cryptoperiods {
    /// Of Keks.
    pub kek_ms: u64,
    /// Of fingerprint keys.
    pub fingerprint_ms: u64,
    /// Of session keys.
    pub session_ms: u64,
    /// Of the Sign key.
    pub sign_ms: u64,
    /// Of the intake key.
    pub intake_ms: u64,
    /// So long before the end a key is due. The intake key, which lives for hours, has [`Cryptoperiods::intake_ahead_ms`].
    pub warn_ms: u64,
}

impl Default for Cryptoperiods {
    /// A year each, due a month before, and a day for the intake key.
    fn default() -> Self {
        Self {
            kek_ms: YEAR_MS,
            fingerprint_ms: YEAR_MS,
            session_ms: YEAR_MS,
            sign_ms: YEAR_MS,
            intake_ms: DAY_MS,
            warn_ms: 30 * DAY_MS,
        }
    }
}

impl Cryptoperiods {
    /// When an active key reaches its end, in milliseconds since 1970. A key in another state makes nothing and has none.
    #[must_use]
    pub fn end_ms(&self, purpose: KeyPurpose, facts: &KeyFacts) -> Option<u64> {
        let period_ms = match purpose {
            KeyPurpose::Kek => self.kek_ms,
            KeyPurpose::Fingerprint => self.fingerprint_ms,
            KeyPurpose::Session => self.session_ms,
            KeyPurpose::Sign => self.sign_ms,
            KeyPurpose::Intake => self.intake_ms,
        };
        (facts.state == KeyState::Active).then(|| facts.created_ms.saturating_add(period_ms))
    }

    /// Whether an active key is near its end or near its use limit.
    #[must_use]
    pub fn is_due(&self, purpose: KeyPurpose, facts: &KeyFacts, now_ms: u64) -> bool {
        let is_active = facts.state == KeyState::Active;
        let warn_ms = match purpose {
            // It is exchanged by itself before; when half of that time has gone by, something is in the way.
            KeyPurpose::Intake => self.intake_ahead_ms() / 2,
            _ => self.warn_ms,
        };
        let is_old = self.end_ms(purpose, facts).is_some_and(|end_ms| now_ms.saturating_add(warn_ms) >= end_ms);
        is_old || is_active && is_worn(purpose, facts)
    }

    /// So long before its end the intake key is exchanged, so that clients always find one that is valid: a quarter of its
    /// life, an hour at most.
    #[must_use]
    pub fn intake_ahead_ms(&self) -> u64 {
        (self.intake_ms / 4).min(HOUR_MS)
    }

    /// When a key that is due is to get a new term: at once near its use limit, and otherwise at a moment of its own in the
    /// time in which it is due, so that keys that were made together do not all rotate together. `lot` is any number that
    /// stays the same for the key. None for the intake key, which is tended by itself and not rotated.
    #[must_use]
    pub fn next_term_ms(&self, purpose: KeyPurpose, facts: &KeyFacts, lot: u64) -> Option<u64> {
        if purpose == KeyPurpose::Intake {
            return None;
        }
        let end_ms = self.end_ms(purpose, facts)?;
        if is_worn(purpose, facts) {
            return Some(facts.created_ms);
        }
        // Between nine tenths and a half of that time before the end.
        let ahead_ms = self.warn_ms.saturating_mul(500 + lot % 400) / 1000;
        Some(end_ms.saturating_sub(ahead_ms))
    }
}

/// Whether a key is near its use limit.
fn is_worn(purpose: KeyPurpose, facts: &KeyFacts) -> bool {
    purpose == KeyPurpose::Kek && facts.wraps >= KEK_WRAPS_DUE
}

impl Barrier {
    /// The periods that keys have here.
    #[must_use]
    pub fn periods(&self) -> &Cryptoperiods {
        &self.periods
    }

    /// Whether the tenant's active Kek may seal now, for whoever wants to know before an entry is written.
    ///
    /// # Errors
    /// [`BarrierError::Expired`], [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`].
    pub fn kek_in_period(&self, tenant: &TenantId) -> Result<(), BarrierError> {
        let ring = self.unsealed()?;
        self.in_period(KeyPurpose::Kek, ring.tenant(Some(tenant))?.active().facts())
    }

    /// Refuses a key that is over its period: an expired key never makes anything new.
    pub(super) fn in_period(&self, purpose: KeyPurpose, facts: &KeyFacts) -> Result<(), BarrierError> {
        match self.periods.end_ms(purpose, facts) {
            Some(end_ms) if self.clock.now_ms() < end_ms => Ok(()),
            _ => Err(BarrierError::Expired),
        }
    }
}

/// Wraps from which on a Kek is due: three quarters of the most, so that there is time for a rotation.
pub const KEK_WRAPS_DUE: u64 = limits::KEK_WRAPS_MAX / 4 * 3;

const HOUR_MS: u64 = 3600 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

#[cfg(test)]
mod tests {
    use super::super::rig::{NOW_MS, Rig, keks, visa};
    use super::*;
    use crate::policy::Reveal;

    #[test]
    fn an_expired_kek_never_seals_and_what_it_sealed_still_opens() {
        let rig = Rig::new(&["acme"]);
        let acme: TenantId = "acme".parse().unwrap();
        let (warrant, token) = rig.tokenize("acme");
        let sealed = rig.barrier.seal(warrant, &visa()).unwrap();
        rig.clock.advance_ms(YEAR_MS - 1);
        assert!(rig.barrier.seal(rig.tokenize("acme").0, &visa()).is_ok());
        rig.clock.advance_ms(1);
        assert_eq!(rig.barrier.seal(rig.tokenize("acme").0, &visa()).err(), Some(BarrierError::Expired));
        assert_eq!(rig.barrier.seal_metadata(&acme, &token, b"{}").err(), Some(BarrierError::Expired));
        assert_eq!(rig.barrier.seal_answer(&acme, &[7; 32], b"").err(), Some(BarrierError::Expired));
        let read = |card: &crate::card::Card| card.pan.digits().as_str().to_owned();
        assert_eq!(rig.barrier.open(rig.on::<Reveal>("acme", token), &sealed, read).unwrap(), "4242424242424242");
        // Nothing moves to an expired term either; a new one takes over.
        rig.barrier.update(|ring| ring.add_term(&acme, keks(2))).unwrap();
        rig.barrier.grant_wraps(&acme, 2, 10);
        let moved = rig.barrier.rewrap(
            &rig.rotate("acme"),
            token.uuid().as_bytes(),
            strongroom_keys::context::Purpose::Card,
            &sealed,
        );
        // `keks` makes its key at the rig's first moment, so that one is over its period too.
        assert_eq!(moved.err(), Some(BarrierError::Expired));
    }

    #[test]
    fn an_expired_fingerprint_or_session_key_makes_nothing_new_and_checks_what_it_made() {
        let rig = Rig::new(&["acme"]);
        let acme: TenantId = "acme".parse().unwrap();
        let binding = rig.barrier.binding(&acme, 1, &[b"row"]).unwrap();
        let permit = rig.permit("acme");
        assert!(rig.barrier.fingerprints(&permit, &visa().pan).is_ok());
        rig.clock.advance_ms(YEAR_MS);
        assert_eq!(rig.barrier.fingerprints(&permit, &visa().pan).err(), Some(BarrierError::Expired));
        assert_eq!(rig.barrier.binding(&acme, 1, &[b"row"]).unwrap(), binding);
        let claims = crate::policy::SessionClaims {
            id: uuid::Uuid::from_u128(7),
            tenant: acme,
            customer: None,
            origins: Vec::new(),
            expires_ms: NOW_MS + YEAR_MS + 1000,
        };
        assert_eq!(rig.barrier.make_session(&rig.session("acme"), claims).err(), Some(BarrierError::Expired));
    }

    #[test]
    fn a_key_is_due_before_its_end_and_at_three_quarters_of_its_uses() {
        let periods = Cryptoperiods::default();
        let facts = KeyFacts::fresh(1, NOW_MS);
        let due = |wraps, at_ms| periods.is_due(KeyPurpose::Kek, &KeyFacts { wraps, ..facts }, at_ms);
        assert!(!due(0, NOW_MS + YEAR_MS - 30 * DAY_MS - 1) && due(0, NOW_MS + YEAR_MS - 30 * DAY_MS));
        assert!(!due(KEK_WRAPS_DUE - 1, NOW_MS) && due(KEK_WRAPS_DUE, NOW_MS));
        // The others are not counted, and a key that retires makes nothing.
        let worn = KeyFacts { wraps: u64::MAX, ..facts };
        assert!(!periods.is_due(KeyPurpose::Session, &worn, NOW_MS));
        let retiring = KeyFacts { state: KeyState::Retiring, ..worn };
        assert!(!periods.is_due(KeyPurpose::Kek, &retiring, NOW_MS + 2 * YEAR_MS));
        assert_eq!(periods.end_ms(KeyPurpose::Kek, &retiring), None);
    }

    #[test]
    fn an_intake_key_has_an_end_and_is_due_only_when_its_exchange_is_late() {
        let periods = Cryptoperiods::default();
        let facts = KeyFacts::fresh(1, NOW_MS);
        let due = |at_ms| periods.is_due(KeyPurpose::Intake, &facts, at_ms);
        assert_eq!(periods.end_ms(KeyPurpose::Intake, &facts), Some(NOW_MS + DAY_MS));
        assert_eq!(periods.intake_ahead_ms(), HOUR_MS);
        assert!(!due(NOW_MS + DAY_MS - HOUR_MS / 2 - 1) && due(NOW_MS + DAY_MS - HOUR_MS / 2));
        assert_eq!(periods.next_term_ms(KeyPurpose::Intake, &facts, 7), None);
        let short = Cryptoperiods { intake_ms: HOUR_MS, ..periods };
        assert_eq!(short.intake_ahead_ms(), HOUR_MS / 4);
    }

    #[test]
    fn the_next_term_comes_while_the_key_is_due_and_not_for_all_keys_at_once() {
        let periods = Cryptoperiods::default();
        let facts = KeyFacts::fresh(1, NOW_MS);
        let end_ms = NOW_MS + YEAR_MS;
        let at: Vec<u64> =
            [0, 1, 399, u64::MAX].map(|lot| periods.next_term_ms(KeyPurpose::Sign, &facts, lot).unwrap()).to_vec();
        assert!(at.iter().all(|at| (end_ms - 30 * DAY_MS * 9 / 10..=end_ms - 15 * DAY_MS).contains(at)), "{at:?}");
        assert!(at[0] > at[1] && at[1] > at[2]);
        let worn = KeyFacts { wraps: KEK_WRAPS_DUE, ..facts };
        assert_eq!(periods.next_term_ms(KeyPurpose::Kek, &worn, 7), Some(NOW_MS));
        assert_eq!(periods.next_term_ms(KeyPurpose::Kek, &KeyFacts { state: KeyState::Retiring, ..worn }, 7), None);
    }
}
