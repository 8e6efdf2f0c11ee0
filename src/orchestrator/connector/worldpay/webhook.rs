//! Access Worldpay's events: signed, one in each request.
//!
//! `Event-Signature: {keyId}/{hashFunction}/{signature}`, several of them behind commas while a key is renewed; the
//! signature is the HMAC of the body under the shared secret, in hexadecimal. Worldpay signs on request only. Here an event
//! without a signature is not believed.
//!
//! An event names the payment by our reference (`transactionReference` is the attempt's id), and a settlement or refund of
//! ours by its own (`reference`).

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::answer::{self, letters};
use super::reference;
use crate::connector::{
    About, Credentials, DisputeStage, DisputeStatus, Handles, Outcome, PspDispute, PspEvent, Refusal, Told,
    WebhookCall, WebhookRefusal,
};
use crate::money::Money;

pub(super) fn read(call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
    let secret = credentials.webhook_secret.as_ref().filter(|secret| !secret.is_empty());
    let secret = secret.ok_or(WebhookRefusal::NoSecret)?;
    if !is_signed(call, secret) {
        return Err(WebhookRefusal::Signature);
    }
    let event: Event = serde_json::from_slice(call.body).map_err(|_| WebhookRefusal::Unreadable)?;
    event.read().map(|event| vec![event]).ok_or(WebhookRefusal::Unreadable)
}

/// Every signature is compared, so that the time taken tells nothing about which one fitted.
fn is_signed(call: &WebhookCall<'_>, secret: &Zeroizing<String>) -> bool {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(call.body);
    let expected = mac.finalize().into_bytes();
    let mut fits = Choice::from(0);
    for (_, value) in call.headers.iter().filter(|(name, _)| name == HEADER) {
        for signature in value.split(',').take(SIGNATURES_MAX) {
            let mut parts = signature.trim().split('/');
            if let (Some(key), Some(hash), Some(hex), None) = (parts.next(), parts.next(), parts.next(), parts.next())
                && !key.is_empty()
                && hash.eq_ignore_ascii_case("SHA256")
                && let Some(given) = bytes_of(hex)
            {
                fits |= given.ct_eq(expected.as_slice());
            }
        }
    }
    fits.into()
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_id: String,
    event_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    transaction_reference: String,
    reference: Option<String>,
    amount: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amount {
    value: u64,
    currency_code: String,
}

impl Event {
    /// `None`: it lacks what an event of its kind must have.
    fn read(self) -> Option<PspEvent> {
        let details = self.event_details;
        let plain = |text: &str| (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !plain(&self.event_id) || !plain(&details.transaction_reference) {
            return None;
        }
        let psp_id = details.transaction_reference.clone();
        let what = details.told(&psp_id)?;
        let about = About { attempt_id: Some(psp_id.clone()), payment_id: None, psp_id: Some(psp_id) };
        Some(PspEvent { event_id: self.event_id, about, what })
    }
}

impl Details {
    fn told(&self, psp_id: &str) -> Option<Told> {
        let ours = self.reference.as_deref().and_then(reference::id);
        let psp_id = psp_id.to_owned();
        Some(match letters(&self.kind).as_str() {
            // The answer, or the history, says more: links, the scheme's id, the code of a refusal.
            "authorized" | "refused" | "error" => Told::Look,
            "sentforsettlement" => match ours {
                Some(capture_id) => {
                    let amount_minor = self.money()?.minor;
                    let (network_transaction_id, handles) = (None, Handles::new());
                    let outcome = Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles };
                    Told::Capture { capture_id: Some(capture_id), outcome }
                }
                None => Told::Look,
            },
            "settlementfailed" => Told::Capture { capture_id: ours, outcome: failed("settlement_failed") },
            "cancelled" => Told::Cancel(Outcome::Cancelled { psp_id }),
            "expired" => Told::Payment(Outcome::Cancelled { psp_id }),
            "sentforrefund" | "refunded" => match (ours, &self.reference) {
                (Some(refund_id), Some(theirs)) => Told::Refund {
                    refund_id: Some(refund_id),
                    psp_refund_id: Some(theirs.clone()),
                    outcome: Outcome::Refunded { psp_id: theirs.clone(), amount_minor: self.money()?.minor },
                },
                // A refund that was not ordered here.
                _ => Told::Nothing,
            },
            "refundfailed" => match (ours, &self.reference) {
                (Some(refund_id), Some(theirs)) => Told::Refund {
                    refund_id: Some(refund_id),
                    psp_refund_id: Some(theirs.clone()),
                    outcome: failed("refund_failed"),
                },
                _ => Told::Look,
            },
            "informationrequested" => self.dispute(DisputeStage::PreDispute)?,
            "chargedback" => self.dispute(DisputeStage::Dispute)?,
            // `sentForAuthorization` and `settled` among them.
            _ => Told::Nothing,
        })
    }

    /// Worldpay names no dispute; a payment has one.
    fn dispute(&self, stage: DisputeStage) -> Option<Told> {
        Some(Told::Dispute(PspDispute {
            dispute_id: format!("{}.dispute", self.transaction_reference),
            stage,
            status: DisputeStatus::Opened,
            amount: if self.amount.is_some() { Some(self.money()?) } else { None },
            reason: None,
            evidence_due_ms: None,
        }))
    }

    fn money(&self) -> Option<Money> {
        let amount = self.amount.as_ref()?;
        answer::money(amount.value, &amount.currency_code)
    }
}

fn failed(code: &str) -> Outcome {
    let message = "Worldpay could not carry it out.".to_owned();
    Outcome::Refused(Refusal { code: code.to_owned(), message })
}

const HEADER: &str = "event-signature";
/// More than Worldpay sends while it renews a key.
const SIGNATURES_MAX: usize = 8;
const ID_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn credentials(webhook_secret: Option<&str>) -> Credentials {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        Credentials {
            api_key: text("user"),
            key1: Some(text("password")),
            api_secret: Some(text("default")),
            webhook_secret: webhook_secret.map(text),
        }
    }

    fn event(kind: &str, reference: Option<&str>, amount: Value) -> Value {
        let mut event = json!({
            "eventId": "bb55ca5a-e05c-47e1-8e94-e88bac1a0a17", "eventTimestamp": "2026-06-13T14:18:13.407",
            "eventDetails": {"classification": "payment", "downstreamReference": "00003378792436",
                "transactionReference": "pay_1_1", "type": kind, "date": "2026-06-13", "amount": amount,
                "_links": {"payment": {"href": ""}}}
        });
        if let Some(reference) = reference {
            event["eventDetails"]["reference"] = json!(reference);
        }
        event
    }

    fn with_header(body: &[u8], header: Option<&str>, secret: Option<&str>) -> Result<Vec<PspEvent>, WebhookRefusal> {
        let headers: Vec<_> = header.map(|value| (HEADER.to_owned(), value.to_owned())).into_iter().collect();
        read(&WebhookCall { headers: &headers, body, now_ms: 0 }, &credentials(secret))
    }

    fn told(event: &Value) -> Result<Told, WebhookRefusal> {
        let body = event.to_string().into_bytes();
        let header = format!("1/SHA256/{}", signature(&body, "secret"));
        with_header(&body, Some(&header), Some("secret")).map(|mut events| events.remove(0).what)
    }

    fn signature(body: &[u8], secret: &str) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pounds(minor: u64) -> Value {
        json!({"value": minor, "currencyCode": "GBP"})
    }

    /// HMAC-SHA-256, test case 2 of RFC 4231: the check is of that very function.
    #[test]
    fn signature_of_a_published_vector_is_taken() {
        let body = b"what do ya want for nothing?";
        let header = "1/SHA256/5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(
            with_header(body, Some(header), Some("Jefe")),
            Err(WebhookRefusal::Unreadable),
            "signed, but no event"
        );
        assert_eq!(with_header(body, Some(header), Some("jefe")), Err(WebhookRefusal::Signature));
    }

    #[test]
    fn event_without_a_right_signature_is_not_believed() {
        let body = event("authorized", None, pounds(250)).to_string().into_bytes();
        let right = signature(&body, "secret");
        let other = signature(&body, "other");
        for header in [
            format!("1/SHA256/{right}"),
            format!("1/sha256/{}", right.to_uppercase()),
            format!("1/SHA256/{other},2/SHA256/{right}"),
            format!("1/SHA256/{right}, 2/SHA256/{other}"),
        ] {
            assert!(with_header(&body, Some(&header), Some("secret")).is_ok(), "{header}");
        }
        for header in [
            String::new(),
            right.clone(),
            format!("1/SHA256/{other}"),
            format!("1/MD5/{right}"),
            format!("/SHA256/{right}"),
            format!("1/SHA256/{right}/"),
            format!("1/SHA256/{}", &right[..62]),
            format!("1/SHA256/{right}00"),
            format!("1/SHA256/{}é{}", &right[..31], &right[31..62]),
            format!("{}1/SHA256/{right}", "1/SHA256/x,".repeat(SIGNATURES_MAX)),
        ] {
            assert_eq!(with_header(&body, Some(&header), Some("secret")), Err(WebhookRefusal::Signature), "{header}");
        }
        assert_eq!(with_header(&body, None, Some("secret")), Err(WebhookRefusal::Signature));
        let header = format!("1/SHA256/{right}");
        let mut changed = body.clone();
        changed.push(b' ');
        assert_eq!(with_header(&changed, Some(&header), Some("secret")), Err(WebhookRefusal::Signature));
    }

    #[test]
    fn account_without_a_secret_takes_no_events() {
        let body = event("authorized", None, pounds(250)).to_string().into_bytes();
        for (secret, signed_with) in [(None, "secret"), (Some(""), "")] {
            let header = format!("1/SHA256/{}", signature(&body, signed_with));
            assert_eq!(with_header(&body, Some(&header), secret), Err(WebhookRefusal::NoSecret));
        }
    }

    #[test]
    fn event_names_the_payment_and_is_known_again() {
        let body = event("authorized", None, pounds(250)).to_string().into_bytes();
        let header = format!("1/SHA256/{}", signature(&body, "secret"));
        let events = with_header(&body, Some(&header), Some("secret")).unwrap();
        let reference = Some("pay_1_1".to_owned());
        let about = About { attempt_id: reference.clone(), payment_id: None, psp_id: reference };
        let event_id = "bb55ca5a-e05c-47e1-8e94-e88bac1a0a17".to_owned();
        assert_eq!(events, [PspEvent { event_id, about, what: Told::Look }]);
    }

    #[test]
    fn every_documented_event_means_what_it_says() {
        let psp_id = || "pay_1_1".to_owned();
        let captured = |amount_minor| Outcome::Captured {
            psp_id: psp_id(),
            amount_minor,
            network_transaction_id: None,
            handles: Handles::new(),
        };
        let refund = |outcome| Told::Refund {
            refund_id: Some("ref_1".to_owned()),
            psp_refund_id: Some("ref-u1".to_owned()),
            outcome,
        };
        let refunded = || Outcome::Refunded { psp_id: "ref-u1".to_owned(), amount_minor: 100 };
        let capture = |id: Option<&str>, outcome| Told::Capture { capture_id: id.map(str::to_owned), outcome };
        let cancelled = || Outcome::Cancelled { psp_id: psp_id() };
        let dispute = |stage| {
            Told::Dispute(PspDispute {
                dispute_id: "pay_1_1.dispute".to_owned(),
                stage,
                status: DisputeStatus::Opened,
                amount: answer::money(100, "GBP"),
                reason: None,
                evidence_due_ms: None,
            })
        };
        let cases = [
            ("sentForAuthorization", None, Told::Nothing),
            ("authorized", None, Told::Look),
            ("refused", None, Told::Look),
            ("error", None, Told::Look),
            ("expired", None, Told::Payment(cancelled())),
            ("cancelled", None, Told::Cancel(cancelled())),
            ("sentForSettlement", None, Told::Look),
            ("sentForSettlement", Some("their-own"), Told::Look),
            ("sentForSettlement", Some("cap-u1"), capture(Some("cap_1"), captured(100))),
            ("settled", Some("cap-u1"), Told::Nothing),
            ("settlementFailed", Some("cap-u1"), capture(Some("cap_1"), failed("settlement_failed"))),
            ("settlementFailed", None, capture(None, failed("settlement_failed"))),
            ("sentForRefund", Some("ref-u1"), refund(refunded())),
            ("refunded", Some("ref-u1"), refund(refunded())),
            ("sentForRefund", Some("their-own"), Told::Nothing),
            ("refundFailed", Some("ref-u1"), refund(failed("refund_failed"))),
            ("refundFailed", None, Told::Look),
            ("informationRequested", None, dispute(DisputeStage::PreDispute)),
            ("chargedBack", None, dispute(DisputeStage::Dispute)),
            ("topUpRejected", None, Told::Nothing),
        ];
        for (kind, reference, expected) in cases {
            assert_eq!(told(&event(kind, reference, pounds(100))), Ok(expected), "{kind} {reference:?}");
        }
    }

    #[test]
    fn event_that_lacks_what_it_must_have_is_refused() {
        let mut without_id = event("authorized", None, pounds(1));
        without_id.as_object_mut().unwrap().remove("eventId");
        let mut odd_id = event("authorized", None, pounds(1));
        odd_id["eventId"] = json!("a b");
        let mut nameless = event("authorized", None, pounds(1));
        nameless["eventDetails"]["transactionReference"] = json!("");
        let odd = [
            without_id,
            odd_id,
            nameless,
            event("sentForSettlement", Some("cap-u1"), Value::Null),
            event("sentForRefund", Some("ref-u1"), json!({"value": 1, "currencyCode": "???"})),
            event("chargedBack", None, json!({"value": 1, "currencyCode": "???"})),
            json!([]),
        ];
        for event in odd {
            assert_eq!(told(&event), Err(WebhookRefusal::Unreadable), "{event}");
        }
    }
}
