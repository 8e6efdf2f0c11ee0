//! Client sessions: a value that a browser carries, with MACs of the tenant's session key, and no row anywhere.
//!
//! `ss_` base64url(frame claims as JSON) `.` base64url(MAC) `.` base64url(further claims as JSON) `.` base64url(MAC). The last
//! MAC (HMAC-SHA-256) is over the three parts before it: the whole may tokenize for one tenant until it ends; policy sees to
//! both. The first two parts are the *frame ticket*, which may stand in an address: its MAC has a use of its own and gives
//! nobody anything but the document of the card fields, and that only on the pages that it names.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_keys::mac::{Use, mac, verify};
use strongroom_keys::{Key, Mac};
use strongroom_wire::admin::{KeyPurpose, KeyState};
use strongroom_wire::{CustomerId, limits};

use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::policy::{CreateSession, FrameClaims, SessionClaims};

/// What a session says besides its frame claims.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Further {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
}

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
        let frame = claims.frame();
        if !is_within_limits(&frame, self.clock.now_ms()) {
            return Err(BarrierError::TooLong);
        }
        let (facts, key) = keys.session().active();
        self.in_period(KeyPurpose::Session, facts)?;
        let frame = encoded(&frame)?;
        let frame_tag = BASE64_URL_SAFE_NO_PAD.encode(mac(key, Use::Frame, &[frame.as_bytes()]));
        let further = encoded(&Further { customer: claims.customer })?;
        let tag = mac(key, Use::Session, &[frame.as_bytes(), frame_tag.as_bytes(), further.as_bytes()]);
        let tag = BASE64_URL_SAFE_NO_PAD.encode(tag);
        let text = [PREFIX, &frame, ".", &frame_tag, ".", &further, ".", &tag].concat();
        if text.len() > limits::SESSION_CHARS_MAX { Err(BarrierError::TooLong) } else { Ok(text) }
    }

    /// The claims of a session that this vault made and that has not ended, also under a key that retires. The tenant that the claims name chooses the
    /// key, so that a session of one tenant is never good for another.
    #[must_use]
    pub fn verify_session(&self, text: &str, now_ms: u64) -> Option<SessionClaims> {
        if text.len() > limits::SESSION_CHARS_MAX {
            return None;
        }
        let [frame, frame_tag, further, tag] = parts(text.strip_prefix(PREFIX)?)?;
        let signed = [frame.as_bytes(), frame_tag.as_bytes(), further.as_bytes()];
        let claims = self.authentic(frame, Use::Session, &signed, tag, now_ms)?;
        let Further { customer } = decoded(further)?;
        let FrameClaims { id, tenant, origins, expires_ms } = claims;
        Some(SessionClaims { id, tenant, customer, origins, expires_ms })
    }

    /// The claims of a frame ticket, the first two parts of a session; as [`Self::verify_session`].
    #[must_use]
    pub fn verify_ticket(&self, text: &str, now_ms: u64) -> Option<FrameClaims> {
        if text.len() > limits::SESSION_CHARS_MAX {
            return None;
        }
        let [frame, tag] = parts(text)?;
        self.authentic(frame, Use::Frame, &[frame.as_bytes()], tag, now_ms)
    }

    /// The frame claims, if what was signed has its MAC for this use.
    fn authentic(&self, frame: &str, for_use: Use, signed: &[&[u8]], tag: &str, now_ms: u64) -> Option<FrameClaims> {
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        let claims: FrameClaims = decoded(frame)?;
        let ring = self.unsealed().ok()?;
        let keys = ring.tenant(Some(&claims.tenant)).ok()?;
        let (facts, key) = keys.session().active();
        let is_by = |key: &Key<Mac>| verify(key, for_use, signed, &tag);
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

fn is_within_limits(claims: &FrameClaims, now_ms: u64) -> bool {
    claims.origins.len() <= limits::SESSION_ORIGINS_MAX
        && claims.origins.iter().all(|origin| origin.len() <= limits::ORIGIN_CHARS_MAX)
        && claims.expires_ms <= now_ms.saturating_add(limits::SESSION_TTL_MAX_S * 1000)
}

/// The parts between dots, if there are so many.
fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('.').collect::<Vec<_>>().try_into().ok()
}

fn encoded(claims: &impl Serialize) -> Result<String, BarrierError> {
    let json = serde_json::to_vec(claims).map_err(|_| BarrierError::TooLong)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
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
        let (_, rest) = text.split_once('.').unwrap();
        let forged = encoded(&claims("globex").frame()).unwrap();
        assert!(rig.barrier.verify_session(&format!("ss_{forged}.{rest}"), NOW_MS).is_none());
        let (frame_tag, _) = rest.split_once('.').unwrap();
        assert!(rig.barrier.verify_ticket(&format!("{forged}.{frame_tag}"), NOW_MS).is_none());
    }

    /// The ticket inside a session, as the loader cuts it out.
    fn ticket(session: &str) -> String {
        let [frame, tag, _, _] = parts(session.strip_prefix("ss_").unwrap()).unwrap();
        format!("{frame}.{tag}")
    }

    #[test]
    fn a_ticket_names_pages_and_an_end_and_no_customer() {
        let rig = Rig::new(&["acme"]);
        let text = ticket(&rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap());
        assert_eq!(rig.barrier.verify_ticket(&text, NOW_MS), Some(claims("acme").frame()));
        assert!(rig.barrier.verify_ticket(&text, NOW_MS + 900_000).is_none());
        let said = BASE64_URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().0).unwrap();
        assert!(!String::from_utf8(said).unwrap().contains("cus_1"));
    }

    #[test]
    fn a_ticket_is_no_session_and_a_session_s_own_tag_makes_no_ticket() {
        let rig = Rig::new(&["acme"]);
        let text = rig.barrier.make_session(&rig.session("acme"), claims("acme")).unwrap();
        let [frame, frame_tag, further, tag] = parts(text.strip_prefix("ss_").unwrap()).unwrap();
        for forged in [
            format!("ss_{frame}.{frame_tag}"),
            format!("ss_{frame}.{frame_tag}.{further}"),
            format!("ss_{frame}.{frame_tag}.{further}.{frame_tag}"),
            format!("ss_{frame}.{tag}.{further}.{tag}"),
            format!("ss_{frame}.{frame_tag}.{further}.{tag}.{tag}"),
            format!("ss_{frame}.{frame_tag}.{}.{tag}", encoded(&Further { customer: None }).unwrap()),
        ] {
            assert!(rig.barrier.verify_session(&forged, NOW_MS).is_none(), "{forged}");
        }
        for forged in [format!("{frame}.{tag}"), format!("ss_{frame}.{frame_tag}"), text.clone(), frame.to_owned()] {
            assert!(rig.barrier.verify_ticket(&forged, NOW_MS).is_none(), "{forged}");
        }
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
        assert!(other.barrier.verify_ticket(&ticket(&text), NOW_MS).is_none());
        rig.barrier.seal_now();
        assert!(rig.barrier.verify_session(&text, NOW_MS).is_none());
        assert!(rig.barrier.verify_ticket(&ticket(&text), NOW_MS).is_none());
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
        assert!(rig.barrier.verify_ticket(&"s".repeat(limits::SESSION_CHARS_MAX + 1), NOW_MS).is_none());
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
            let is_same = changed.len() == text.len() && parts::<4>(&changed).is_some() && ticket(&changed) == ticket(&text);
            if changed.starts_with("ss_") && parts::<4>(&changed).is_some() {
                prop_assert_eq!(rig.barrier.verify_ticket(&ticket(&changed), NOW_MS).is_some(), is_same);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "(ss_)?.{0,60}") {
            let rig = Rig::new(&["acme"]);
            prop_assert!(rig.barrier.verify_session(&text, NOW_MS).is_none());
            prop_assert!(rig.barrier.verify_ticket(&text, NOW_MS).is_none());
        }
    }
}
