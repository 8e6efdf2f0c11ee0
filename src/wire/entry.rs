//! One entry of the audit log: who did or tried what, when, from where, on which record, with which result.
//!
//! The bytes written here are the leaves of the Merkle tree, so their form never changes: a new form gets a new version.
//! Layout of version 1, integers big-endian, `text` = one length byte and UTF-8:
//!
//! ```text
//! version u8 = 1 | at_ms u64 | act u8 | outcome u8 | reason u8 | request 16 bytes
//! | subject kind u8 (0 none, 1 payment method, 2 secret) [+ 16 bytes]
//! | origin kind u8 (0 none, 4, 6) [+ 4 or 16 bytes] | tenant text | who text | note text
//! ```

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{RequestId, Scope, SecretId, TenantId, Token, limits};

/// What was done or tried: a scope's act (its number), or an act of the vault itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An act that an identity asked for.
    Asked(Scope),
    /// An act of the vault itself.
    Own(OwnAct),
}

/// Acts of the vault itself and of nobody's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OwnAct {
    /// The process started.
    Started = 100,
    /// The process stopped in order.
    Stopped = 101,
    /// A short-term record reached its end and was shredded.
    Expired = 102,
    /// The Root was assembled and the keys are in memory.
    Unsealed = 103,
    /// A key was made.
    KeyMade = 104,
    /// A rotation rewrapped its last record.
    RotationDone = 105,
    /// A stored record failed authentication.
    TamperFound = 106,
    /// A client was refused before it had an identity (no or bad session, no certificate for this listener).
    Unidentified = 107,
    /// Certificates or policy were reloaded.
    Reloaded = 108,
    /// A key was destroyed: nothing that it wrapped opens again.
    KeyDestroyed = 109,
    /// An act that needs two people was asked for, approved, withdrawn, or ran out of time; the note says which.
    TwoPersonAct = 110,
    /// Another Root, or another division of it, is in force.
    RootChanged = 111,
    /// The HSM or KMS that holds the Root stopped answering; running keys go on.
    RootLost = 112,
    /// It answers again.
    RootBack = 113,
    /// A key is near or over the end of its cryptoperiod or use limit.
    KeyDue = 114,
    /// A record was older than its tenant's rule of retention allows and was shredded.
    OverAge = 115,
    /// One of several nodes did what another one had decided, without anybody asking it; the note says what.
    Followed = 116,
    /// The store was copied into another database and found the same there, or lies there from now on; the note says which.
    StoreMoved = 130,
}

impl OwnAct {
    const ALL: [(OwnAct, &'static str); 18] = [
        (OwnAct::Started, "started"),
        (OwnAct::Stopped, "stopped"),
        (OwnAct::Expired, "expired"),
        (OwnAct::Unsealed, "unsealed"),
        (OwnAct::KeyMade, "key-made"),
        (OwnAct::RotationDone, "rotation-done"),
        (OwnAct::TamperFound, "tamper-found"),
        (OwnAct::Unidentified, "unidentified"),
        (OwnAct::Reloaded, "reloaded"),
        (OwnAct::KeyDestroyed, "key-destroyed"),
        (OwnAct::TwoPersonAct, "two-person-act"),
        (OwnAct::RootChanged, "root-changed"),
        (OwnAct::RootLost, "root-lost"),
        (OwnAct::RootBack, "root-back"),
        (OwnAct::KeyDue, "key-due"),
        (OwnAct::OverAge, "over-age"),
        (OwnAct::Followed, "followed"),
        (OwnAct::StoreMoved, "store-moved"),
    ];
}

impl Act {
    /// The word in the JSON view.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Asked(scope) => scope.as_str(),
            Act::Own(own) => OwnAct::ALL.iter().find(|(act, _)| *act == own).map_or("", |(_, word)| word),
        }
    }

    fn number(self) -> u8 {
        match self {
            Act::Asked(scope) => scope as u8,
            Act::Own(own) => own as u8,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Scope::from_number(number)
            .map(Act::Asked)
            .or_else(|| OwnAct::ALL.iter().find(|(act, _)| *act as u8 == number).map(|(act, _)| Act::Own(*act)))
    }
}

/// Whether it was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Policy allowed it and it went ahead after this entry was durable.
    Allowed = 1,
    /// It was refused and changed nothing.
    Refused = 2,
    /// It was allowed and then failed; the note says how.
    Failed = 3,
    /// It was allowed and went ahead, and this is how it ended; the note says it. Acts whose end is not in the vault's
    /// hands have such a second entry.
    Ended = 4,
}

/// Why it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// Not refused.
    None = 0,
    /// No such identity in the policy.
    UnknownIdentity = 1,
    /// The identity does not hold the scope.
    Scope = 2,
    /// The identity may not act for the tenant, or did not say for which.
    Tenant = 3,
    /// The quota is used up.
    Quota = 4,
    /// The session or certificate is missing, expired or for something else.
    Credentials = 5,
    /// The vault is sealed.
    Sealed = 6,
    /// A share was wrong, repeated or foreign.
    Share = 7,
    /// The same act by the same person twice where two people are needed.
    SamePerson = 8,
    /// The destination is not the identity's or not in the configuration, or does not take what was to be sent.
    Destination = 9,
    /// The node has not reached the store for too long and does not know whether its keys are still right.
    Behind = 10,
}

impl Reason {
    const ALL: [Reason; 11] = [
        Reason::None,
        Reason::UnknownIdentity,
        Reason::Scope,
        Reason::Tenant,
        Reason::Quota,
        Reason::Credentials,
        Reason::Sealed,
        Reason::Share,
        Reason::SamePerson,
        Reason::Destination,
        Reason::Behind,
    ];
}

/// Which record it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// No single record.
    None,
    /// A stored card.
    Card(Token),
    /// A stored secret.
    Secret(SecretId),
}

/// One audit entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// What.
    pub act: Act,
    /// With which result.
    pub outcome: Outcome,
    /// Why refused.
    pub reason: Reason,
    /// Which request.
    pub request: RequestId,
    /// Which record.
    pub subject: Subject,
    /// From which address.
    pub origin: Option<IpAddr>,
    /// For which tenant.
    pub tenant: Option<TenantId>,
    /// Who: the URI SAN of the client certificate, `session:` and the session's id, or empty for the vault itself.
    pub who: String,
    /// What for: purpose and reference of a reveal, term of a key, and so on. Log-safe text only.
    pub note: String,
}

/// Why bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not an audit entry of version 1")]
pub struct BadEntry;

impl Entry {
    /// The bytes that are hashed and stored. `who` and `note` are cut at 255 bytes on a character boundary.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.push(VERSION);
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        out.push(self.act.number());
        out.push(self.outcome as u8);
        out.push(self.reason as u8);
        out.extend_from_slice(self.request.uuid().as_bytes());
        match self.subject {
            Subject::None => out.push(0),
            Subject::Card(token) => {
                out.push(1);
                out.extend_from_slice(token.uuid().as_bytes());
            }
            Subject::Secret(id) => {
                out.push(2);
                out.extend_from_slice(id.uuid().as_bytes());
            }
        }
        match self.origin {
            None => out.push(0),
            Some(IpAddr::V4(ip)) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        put_text(&mut out, self.tenant.as_ref().map_or("", TenantId::as_str));
        put_text(&mut out, &self.who);
        put_text(&mut out, &self.note);
        out
    }

    /// Reads what [`Entry::encode`] wrote; anything else, trailing bytes included, is refused.
    ///
    /// # Errors
    /// [`BadEntry`] if the bytes have any other form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadEntry> {
        if bytes.len() > limits::ENTRY_BYTES_MAX {
            return Err(BadEntry);
        }
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [VERSION] {
            return Err(BadEntry);
        }
        let at_ms = u64::from_be_bytes(take(&mut rest)?);
        let [act, outcome, reason] = take(&mut rest)?;
        let act = Act::from_number(act).ok_or(BadEntry)?;
        let outcome = match outcome {
            1 => Outcome::Allowed,
            2 => Outcome::Refused,
            3 => Outcome::Failed,
            4 => Outcome::Ended,
            _ => return Err(BadEntry),
        };
        let reason = Reason::ALL.into_iter().find(|r| *r as u8 == reason).ok_or(BadEntry)?;
        let request = RequestId::from_uuid(Uuid::from_bytes(take(&mut rest)?));
        let subject = match take(&mut rest)? {
            [0] => Subject::None,
            [1] => Subject::Card(Token::from_uuid(Uuid::from_bytes(take(&mut rest)?))),
            [2] => Subject::Secret(SecretId::from_uuid(Uuid::from_bytes(take(&mut rest)?))),
            _ => return Err(BadEntry),
        };
        let origin = match take(&mut rest)? {
            [0] => None,
            [4] => Some(IpAddr::from(take::<4>(&mut rest)?)),
            [6] => Some(IpAddr::from(take::<16>(&mut rest)?)),
            _ => return Err(BadEntry),
        };
        let tenant = match take_text(&mut rest)? {
            "" => None,
            text => Some(text.parse().map_err(|_| BadEntry)?),
        };
        let who = take_text(&mut rest)?.to_owned();
        let note = take_text(&mut rest)?.to_owned();
        if rest.is_empty() {
            Ok(Self { at_ms, act, outcome, reason, request, subject, origin, tenant, who, note })
        } else {
            Err(BadEntry)
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let cut = text.floor_char_boundary(255);
    out.push(u8::try_from(cut).unwrap_or(u8::MAX));
    out.extend_from_slice(&text.as_bytes()[..cut]);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadEntry> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(BadEntry)?;
    *rest = tail;
    Ok(*head)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, BadEntry> {
    let [length] = take::<1>(rest)?;
    let (head, tail) = rest.split_at_checked(usize::from(length)).ok_or(BadEntry)?;
    *rest = tail;
    std::str::from_utf8(head).map_err(|_| BadEntry)
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        let act = prop::sample::select(
            Scope::ALL.into_iter().map(Act::Asked).chain(OwnAct::ALL.map(|(a, _)| Act::Own(a))).collect::<Vec<_>>(),
        );
        let outcome = prop::sample::select(vec![Outcome::Allowed, Outcome::Refused, Outcome::Failed, Outcome::Ended]);
        let reason = prop::sample::select(Reason::ALL.to_vec());
        let subject = prop_oneof![
            Just(Subject::None),
            any::<u128>().prop_map(|n| Subject::Card(Token::from_uuid(Uuid::from_u128(n)))),
            any::<u128>().prop_map(|n| Subject::Secret(SecretId::from_uuid(Uuid::from_u128(n)))),
        ];
        let tenant = prop::option::of("[a-z][a-z_]{0,20}".prop_map(|t| t.parse().unwrap()));
        (
            (any::<u64>(), act, outcome, reason, any::<u128>(), subject),
            (any::<Option<IpAddr>>(), tenant, ".{0,50}", ".{0,50}"),
        )
            .prop_map(|((at_ms, act, outcome, reason, request, subject), (origin, tenant, who, note))| Entry {
                at_ms,
                act,
                outcome,
                reason,
                request: RequestId::from_uuid(Uuid::from_u128(request)),
                subject,
                origin,
                tenant,
                who,
                note,
            })
    }

    proptest! {
        #[test]
        fn entry_reads_what_it_writes(entry in any_entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()).unwrap(), entry);
        }

        #[test]
        fn entry_cut_or_lengthened_is_refused(entry in any_entry(), cut in 1usize..20) {
            let bytes = entry.encode();
            prop_assert!(Entry::decode(&bytes[..bytes.len() - cut]).is_err());
            prop_assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn bytes_over_the_limit_are_no_entry() {
        assert_eq!(Entry::decode(&vec![VERSION; limits::ENTRY_BYTES_MAX + 1]), Err(BadEntry));
    }

    #[test]
    fn a_typical_release_takes_under_180_bytes() {
        let entry = Entry {
            at_ms: 1,
            act: Act::Asked(Scope::Reveal),
            outcome: Outcome::Allowed,
            reason: Reason::None,
            request: RequestId::fresh(),
            subject: Subject::Card(Token::fresh()),
            origin: Some(IpAddr::from([10, 0, 0, 1])),
            tenant: Some("acme".parse().unwrap()),
            who: "spiffe://strongroom/orchestrator/main".into(),
            note: "authorize pay_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f".into(),
        };
        assert!(entry.encode().len() < 180);
    }
}
