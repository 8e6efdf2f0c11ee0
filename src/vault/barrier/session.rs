//! Client sessions: a value that a browser carries, with a MAC of the tenant's session key, and no row anywhere.
//!
//! `ss_` base64url(claims as JSON) `.` base64url(HMAC-SHA-256 over the first part). It may tokenize for one tenant until it
//! ends; policy sees to both.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_keys::mac::{Use, mac, verify};
use strongroom_keys::{Key, Mac};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::limits;

use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::policy::{CreateSession, SessionClaims};

impl Barrier {
    /// The text of a session with these claims, for the tenant of the Warrant.
    ///
    /// # Errors
    /// [`BarrierError::NoSuchTenant`] if the claims name another tenant than the Warrant; [`BarrierError::TooLong`] for
    /// claims over a limit: too many or too long origins, an end more than [`limits::SESSION_TTL_MAX_S`] ahead.
    pub fn make_session(
        &self,
        warrant: &Warrant<CreateSession>,
        claims: SessionClaims,
    ) -> Result<String, BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant().filter(|tenant| **tenant == claims.tenant))?;
        if !is_within_limits(&claims, self.clock.now_ms()) {
            return Err(BarrierError::TooLong);
        }
        let (facts, key) = keys.session().active();
        self.in_period(KeyPurpose::Session, facts)?;
        let json = serde_json::to_vec(&claims).map_err(|_| BarrierError::TooLong)?;
        let payload = BASE64_URL_SAFE_NO_PAD.encode(json);
        let tag = mac(key, Use::Session, &[payload.as_bytes()]);
        let text = [PREFIX, &payload, ".", &BASE64_URL_SAFE_NO_PAD.encode(tag)].concat();
        if text.len() > limits::SESSION_CHARS_MAX { Err(BarrierError::TooLong) } else { Ok(text) }
    }

    /// The claims of a session that this vault made and that has not ended, also under a key that retires. The tenant that the claims name chooses the
    /// key, so that a session of one tenant is never good for another.
    #[must_use]
    pub fn verify_session(&self, text: &str, now_ms: u64) -> Option<SessionClaims> {
        if text.len() > limits::SESSION_CHARS_MAX {
            return None;
        }
        let (payload, tag) = text.strip_prefix(PREFIX)?.split_once('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: SessionClaims = serde_json::from_slice(&json).ok()?;
        let ring = self.unsealed().ok()?;
        let keys = ring.tenant(Some(&claims.tenant)).ok()?;
        let (facts, key) = keys.session().active();
        let is_by = |key: &Key<Mac>| verify(key, Use::Session, &[payload.as_bytes()], &tag);
        // A key that retires counts for what it can have made: a session that ends later than any that was made before the
        // active key was is a forgery by somebody who has the old one.
        let last_ms = facts.created_ms.saturating_add(limits::SESSION_TTL_MAX_S * 1000 + HANDOVER_MS);
        // A pending key makes sessions at another node already, and is younger than the one that is active here.
        let is_other = || {
            let mut others = keys.session().others();
            others.any(|(facts, key)| (facts.state == KeyState::Pending || claims.expires_ms <= last_ms) && is_by(key))
        };
        let authentic = is_by(key) || is_other();
        (authentic && now_ms < claims.expires_ms && is_within_limits(&claims, now_ms)).then_some(claims)
    }
}

fn is_within_limits(claims: &SessionClaims, now_ms: u64) -> bool {
    claims.origins.len() <= limits::SESSION_ORIGINS_MAX
        && claims.origins.iter().all(|origin| origin.len() <= limits::ORIGIN_CHARS_MAX)
        && claims.expires_ms <= now_ms.saturating_add(limits::SESSION_TTL_MAX_S * 1000)
}

const PREFIX: &str = "ss_";
/// What may pass between the making of a key and its first use.
const HANDOVER_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::rig::{NOW_MS, Rig, mac_term};
    use super::*;

    fn claims(tenant: &str) -> SessionClaims {
        SessionClaims {
            id: Uuid::from_u128(7),
            tenant: tenant.parse().unwrap(),
            customer: Some("cus_1".parse().unwrap()),
            origins: vec!["https://shop.example".to_owned()],
            expires_ms: NOW_MS + 900_000,
        }
    }

    #[test]
    fn a_session_says_what_was_put_in_until_it_ends() {
        let rig = Rig::new(&["acme"]);
        let text = rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap();
        assert!(text.starts_with("ss_"));
        assert_eq!(rig.barrier.verify_session(&text, NOW_MS), Some(claims("acme")));
        assert!(rig.barrier.verify_session(&text, NOW_MS + 899_999).is_some());
        assert!(rig.barrier.verify_session(&text, NOW_MS + 900_000).is_none());
    }

    #[test]
    fn a_session_for_another_tenant_than_the_warrant_s_is_not_made() {
        let rig = Rig::new(&["acme", "globex"]);
        let refused = rig.barrier.make_session(&rig.session("acme"), claims("globex"));
        assert_eq!(refused, Err(BarrierError::NoSuchTenant));
    }

    #[test]
    fn claims_of_another_tenant_under_the_old_mac_are_refused() {
        let rig = Rig::new(&["acme", "globex"]);
        let text = rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap();
        let tag = text.split_once('.').unwrap().1;
        let forged = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims("globex")).unwrap());
        assert!(rig.barrier.verify_session(&format!("ss_{forged}.{tag}"), NOW_MS).is_none());
    }

    #[test]
    fn a_session_outlives_its_key_s_active_days_and_a_forgery_under_an_old_key_does_not() {
        let rig = Rig::new(&["acme"]);
        let acme = "acme".parse().unwrap();
        let hour_ms = limits::SESSION_TTL_MAX_S * 1000;
        let make = |expires_ms| {
            rig.barrier.make_session(&rig.session("acme"), SessionClaims { expires_ms, ..claims("acme") }).unwrap()
        };
        let honest = make(NOW_MS + hour_ms);
        rig.clock.advance_ms(hour_ms);
        // Somebody who has the old key goes on making sessions with it.
        let forged = make(NOW_MS + 2 * hour_ms);
        let next = mac_term(2, KeyState::Active);
        rig.barrier.update(|ring| ring.add_mac_term(&acme, KeyPurpose::Session, next)).unwrap();
        let fresh = make(NOW_MS + 2 * hour_ms);
        assert!(rig.barrier.verify_session(&honest, NOW_MS + hour_ms - 1).is_some());
        assert!(rig.barrier.verify_session(&forged, NOW_MS + hour_ms).is_none());
        assert!(rig.barrier.verify_session(&fresh, NOW_MS + hour_ms).is_some());
        rig.barrier.update(|ring| ring.close_mac_terms(&acme, KeyPurpose::Session, 2)).unwrap();
        assert!(rig.barrier.verify_session(&honest, NOW_MS + hour_ms - 1).is_none());
        assert!(rig.barrier.verify_session(&fresh, NOW_MS + hour_ms).is_some());
    }

    #[test]
    fn a_session_of_another_vault_or_of_a_sealed_one_is_refused() {
        let (rig, other) = (Rig::new(&["acme"]), Rig::new(&["acme"]));
        let text = rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap();
        assert!(other.barrier.verify_session(&text, NOW_MS).is_none());
        rig.barrier.seal_now();
        assert!(rig.barrier.verify_session(&text, NOW_MS).is_none());
    }

    #[test]
    fn claims_over_a_limit_are_refused() {
        let rig = Rig::new(&["acme"]);
        let make = |change: &dyn Fn(&mut SessionClaims)| {
            let mut claims = claims("acme");
            change(&mut claims);
            rig.barrier.make_session(&rig.session("acme"), claims)
        };
        let origin = "o".repeat(limits::ORIGIN_CHARS_MAX);
        assert!(make(&|c| c.origins = vec![origin.clone(); limits::SESSION_ORIGINS_MAX]).is_ok());
        assert!(make(&|c| c.origins = vec![origin.clone(); limits::SESSION_ORIGINS_MAX + 1]).is_err());
        assert!(make(&|c| c.origins = vec![format!("{origin}o")]).is_err());
        assert!(make(&|c| c.expires_ms = NOW_MS + limits::SESSION_TTL_MAX_S * 1000).is_ok());
        assert!(make(&|c| c.expires_ms = NOW_MS + limits::SESSION_TTL_MAX_S * 1000 + 1).is_err());
        assert!(rig.barrier.verify_session(&"s".repeat(limits::SESSION_CHARS_MAX + 1), NOW_MS).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
            let rig = Rig::new(&["acme"]);
            let text = rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap();
            let place = at.index(text.len());
            let mut changed = text.clone();
            changed.replace_range(place..=place, &to);
            prop_assert_eq!(rig.barrier.verify_session(&changed, NOW_MS).is_some(), changed == text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(ss_)?.{0,60}") {
            prop_assert!(Rig::new(&["acme"]).barrier.verify_session(&text, NOW_MS).is_none());
        }
    }
}
