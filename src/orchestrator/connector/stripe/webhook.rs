//! Stripe's webhooks: verified as docs.stripe.com/webhooks/signature says, then read into events.
//!
//! Stripe can be asked, so what it tells about payments and refunds is a hint to ask; disputes are taken as told.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::amount::from_stripe;
use super::answer::{is_id, word};
use crate::connector::{
    About, Credentials, DisputeStage, DisputeStatus, PspDispute, PspEvent, Told, WebhookCall, WebhookRefusal,
};

/// See [`crate::connector::Connector::webhook`]. A call of Stripe's carries one event.
pub(super) fn read(call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let secret = credentials.webhook_secret.as_ref().filter(|secret| !secret.is_empty());
    verify(call, secret.ok_or(WebhookRefusal::NoSecret)?.as_bytes())?;
    event(call.body).map(|event| vec![event]).ok_or(WebhookRefusal::Unreadable)
}

/// `Stripe-Signature: t={seconds},v1={hex},...`, where one `v1` is HMAC-SHA-256(secret, "{t}.{body}"). While a secret is
/// replaced Stripe signs with both, so there may be several; other schemes count for nothing.
fn verify(call: &WebhookCall<'_>, secret: &[u8]) -> Result<(), WebhookRefusal> {
    let mut headers = call.headers.iter().filter(|(name, _)| name == "stripe-signature");
    let (Some((_, header)), None) = (headers.next(), headers.next()) else { return Err(WebhookRefusal::Signature) };
    if header.len() > HEADER_CHARS_MAX {
        return Err(WebhookRefusal::Signature);
    }
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let mut times = pairs().filter(|(name, _)| *name == "t").map(|(_, value)| value);
    let (Some(time), None) = (times.next(), times.next()) else { return Err(WebhookRefusal::Signature) };
    let signed = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| WebhookRefusal::NoSecret)?;
    let signed = signed.chain_update(time).chain_update(".").chain_update(call.body);
    // Each is compared in constant time, and all of them, so that the time says nothing about which one fitted.
    let signatures = pairs().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| bytes(value));
    let fits = signatures.fold(false, |fits, signature| signed.clone().verify_slice(&signature).is_ok() | fits);
    let time: i64 = time.parse().map_err(|_| WebhookRefusal::Signature)?;
    let age_s = (call.now_ms / 1000).saturating_sub(time).saturating_abs();
    if fits && age_s <= TOLERANCE_S { Ok(()) } else { Err(WebhookRefusal::Signature) }
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[derive(Deserialize)]
struct Event {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "data")]
    about: Subject,
}

#[derive(Deserialize)]
struct Subject {
    object: Value,
}

/// What payment intents, setup intents, refunds and disputes have in common.
#[derive(Deserialize)]
struct Named {
    id: String,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// A `dispute`.
#[derive(Deserialize)]
struct Dispute {
    id: String,
    status: String,
    amount: u64,
    currency: String,
    reason: Option<String>,
    evidence_details: Option<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    due_by: Option<i64>,
}

fn event(body: &[u8]) -> Option<PspEvent> {
    let Event { id: event_id, object, kind, about: Subject { object: subject } } = serde_json::from_slice(body).ok()?;
    if object != "event" || !is_id(&event_id) {
        return None;
    }
    let (subject, what) = match kind.split_once('.')? {
        ("payment_intent" | "setup_intent", _) => (Some(Named::of(&subject)?), Told::Look),
        ("refund", _) | ("charge", "refund.updated") => (Named::of(&subject)?.payment(), Told::Look),
        ("charge", rest) if rest.starts_with("dispute.") => {
            (Named::of(&subject)?.payment(), Told::Dispute(dispute(&subject)?))
        }
        _ => (None, Told::Nothing),
    };
    // What belongs to no payment intent was not made by us. The event is acknowledged, and named by itself alone.
    Some(match subject {
        Some(named) => PspEvent { event_id, about: named.about(), what },
        None => {
            let about = About { psp_id: Some(event_id.clone()), ..About::default() };
            PspEvent { event_id, about, what: Told::Nothing }
        }
    })
}

impl Named {
    fn of(object: &Value) -> Option<Self> {
        Self::deserialize(object).ok().filter(|named| is_id(&named.id))
    }

    /// The payment that a refund or a dispute belongs to, under the same metadata.
    fn payment(self) -> Option<Self> {
        let id = self.payment_intent.filter(|id| is_id(id))?;
        Some(Self { id, payment_intent: None, metadata: self.metadata })
    }

    fn about(self) -> About {
        let mut metadata = self.metadata.unwrap_or_default();
        let mut noted = |name| metadata.remove(name).filter(|id| is_ours(id));
        About { attempt_id: noted("attempt_id"), payment_id: noted("payment_id"), psp_id: Some(self.id) }
    }
}

/// Whether a text of the metadata can be an id of ours; anybody with access to the account may have written there.
fn is_ours(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn dispute(object: &Value) -> Option<PspDispute> {
    let dispute = Dispute::deserialize(object).ok()?;
    let (stage, status) = standing(&dispute.status)?;
    let due_s = dispute.evidence_details.and_then(|details| details.due_by);
    Some(PspDispute {
        dispute_id: Some(dispute.id).filter(|id| is_id(id))?,
        stage,
        status,
        amount: from_stripe(dispute.amount, &dispute.currency),
        reason: dispute.reason.as_deref().map(word),
        evidence_due_ms: due_s.and_then(|due_s| due_s.checked_mul(1000)),
    })
}

/// A status that is not in the table is not guessed at: the event is refused, so that Stripe tells it again.
fn standing(status: &str) -> Option<(DisputeStage, DisputeStatus)> {
    Some(match status {
        "warning_needs_response" => (DisputeStage::PreDispute, DisputeStatus::Opened),
        "warning_under_review" => (DisputeStage::PreDispute, DisputeStatus::Challenged),
        "warning_closed" | "prevented" => (DisputeStage::PreDispute, DisputeStatus::Cancelled),
        "needs_response" => (DisputeStage::Dispute, DisputeStatus::Opened),
        "under_review" => (DisputeStage::Dispute, DisputeStatus::Challenged),
        // The merchant gave the money back by itself.
        "charge_refunded" => (DisputeStage::Dispute, DisputeStatus::Accepted),
        "won" => (DisputeStage::Dispute, DisputeStatus::Won),
        "lost" => (DisputeStage::Dispute, DisputeStatus::Lost),
        _ => return None,
    })
}

/// How far the time of a signature may be from now, either way: five minutes, as in Stripe's own libraries.
const TOLERANCE_S: i64 = 300;

const HEADER_CHARS_MAX: usize = 2048;

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
