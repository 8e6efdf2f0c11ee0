//! What each of Adyen's event codes tells (docs.adyen.com/development-resources/webhooks/webhook-types).

use super::decline::{code_of, kind};
use super::is_psp_reference;
use super::reference::Reference;
use super::webhook::Item;
use crate::connector::words::{network_id, words};
use crate::connector::{
    About, Decline, DisputeStage, DisputeStatus, Handles, Outcome, PspDispute, PspEvent, Refusal, Told,
};

/// The event of a verified notification. Of another account, or about nothing of ours, it tells nothing.
pub(super) fn of(item: &Item, account: &str) -> PspEvent {
    let reference = Reference::parse(&item.merchant_reference);
    let mut about = reference.as_ref().map_or_else(About::default, Reference::about);
    // A modification and a dispute name the payment that they belong to; a payment names itself.
    let payment = item.original_reference.as_deref().filter(|id| !id.is_empty());
    let is_payment = matches!(item.event_code.as_str(), "AUTHORISATION" | "EXPIRE");
    about.psp_id = payment.or(is_payment.then_some(item.psp_reference.as_str())).map(str::to_owned);
    let nobody = about == About::default();
    if nobody {
        about.psp_id = Some(item.psp_reference.clone());
    }
    let what = if nobody || item.merchant_account_code != account {
        Told::Nothing
    } else {
        told(item, reference.as_ref(), about.psp_id.as_deref()).unwrap_or(Told::Nothing)
    };
    PspEvent { event_id: format!("{}:{}:{}", item.event_code, item.psp_reference, item.success), about, what }
}

/// Milliseconds since 1970 of a time of Adyen's.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `None`: nothing that the engine acts on, or nothing that can be believed.
fn told(item: &Item, reference: Option<&Reference<'_>>, psp_id: Option<&str>) -> Option<Told> {
    let success = match item.success.as_str() {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    let refused = |code: &str| Outcome::Refused(Refusal { code: code.to_owned(), message: reason(item) });
    let payment = psp_id.filter(|id| is_psp_reference(id)).map(str::to_owned);
    Some(match item.event_code.as_str() {
        "AUTHORISATION" if success => Told::Payment(authorised(item, reference)?),
        "AUTHORISATION" => Told::Payment(Outcome::Declined(decline(item))),
        // What was reserved and not captured ran out.
        "EXPIRE" if success => Told::Cancel(Outcome::Cancelled { psp_id: payment? }),
        "CAPTURE" if success => Told::Capture { capture_id: capture_id(reference), outcome: captured(item, payment?)? },
        "CAPTURE" | "CAPTURE_FAILED" => {
            Told::Capture { capture_id: capture_id(reference), outcome: refused("capture_failed") }
        }
        "CANCELLATION" | "TECHNICAL_CANCEL" if success => {
            // A payment that was named by our reference may never have had one of Adyen's.
            let psp_id = payment.unwrap_or_else(|| item.merchant_reference.clone());
            Told::Cancel(Outcome::Cancelled { psp_id })
        }
        "CANCELLATION" | "TECHNICAL_CANCEL" => Told::Cancel(refused("cancel_failed")),
        "AUTHORISATION_ADJUSTMENT" if success => Told::Increment(Outcome::Authorized {
            psp_id: payment?,
            network_transaction_id: None,
            handles: Handles::new(),
        }),
        "AUTHORISATION_ADJUSTMENT" => Told::Increment(refused("increment_failed")),
        "REFUND" if success => {
            let psp_id = item.psp_reference.clone();
            refund(item, reference, Outcome::Refunded { psp_id, amount_minor: item.amount.money()?.minor })
        }
        // The scheme or the payer's bank gave the money back after Adyen had said that the refund was done.
        "REFUND" | "REFUND_FAILED" | "REFUNDED_REVERSED" => refund(item, reference, refused("refund_failed")),
        code if success => Told::Dispute(dispute(item, code)?),
        _ => return None,
    })
}

fn authorised(item: &Item, reference: Option<&Reference<'_>>) -> Option<Outcome> {
    let Some(Reference::Payment { automatic, .. }) = reference else {
        return None;
    };
    let psp_id = Some(item.psp_reference.clone()).filter(|id| is_psp_reference(id))?;
    let network_transaction_id = item.noted("networkTxReference").and_then(network_id);
    let handles = Handles::new();
    Some(match (item.amount.money()?.minor, automatic) {
        (0, _) => Outcome::Verified { psp_id, network_transaction_id, handles },
        (amount_minor, true) => Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles },
        (_, false) => Outcome::Authorized { psp_id, network_transaction_id, handles },
    })
}

fn decline(item: &Item) -> Decline {
    let said = item.reason.as_deref();
    Decline {
        psp_id: Some(item.psp_reference.clone()).filter(|id| is_psp_reference(id)),
        code: said.and_then(code_of).unwrap_or("refused").to_owned(),
        decline_code: None,
        message: reason(item),
        kind: kind(None, said, item.noted("merchantAdviceCode")),
    }
}

fn captured(item: &Item, psp_id: String) -> Option<Outcome> {
    let amount_minor = item.amount.money()?.minor;
    Some(Outcome::Captured { psp_id, amount_minor, network_transaction_id: None, handles: Handles::new() })
}

/// A capture that Adyen made by itself has the payment's reference and no id of ours.
fn capture_id(reference: Option<&Reference<'_>>) -> Option<String> {
    match reference {
        Some(Reference::Capture { capture_id, .. }) if !capture_id.is_empty() => Some((*capture_id).to_owned()),
        _ => None,
    }
}

fn refund(item: &Item, reference: Option<&Reference<'_>>, outcome: Outcome) -> Told {
    let refund_id = match reference {
        Some(Reference::Refund { refund_id, .. }) => Some((*refund_id).to_owned()),
        _ => None,
    };
    Told::Refund { refund_id, psp_refund_id: Some(item.psp_reference.clone()), outcome }
}

/// docs.adyen.com/risk-management/disputes-api/dispute-notifications and /risk-management/understanding-disputes.
fn dispute(item: &Item, code: &str) -> Option<PspDispute> {
    use DisputeStage::{Dispute, PreArbitration, PreDispute};
    use DisputeStatus::{Accepted, Cancelled, Challenged, Expired, Lost, Opened, Won};
    let (stage, status) = match code {
        "REQUEST_FOR_INFORMATION" => (PreDispute, Opened),
        "NOTIFICATION_OF_CHARGEBACK" | "CHARGEBACK" => (Dispute, Opened),
        "INFORMATION_SUPPLIED" => (Dispute, Challenged),
        "DISPUTE_DEFENSE_PERIOD_ENDED" => (Dispute, Expired),
        "CHARGEBACK_REVERSED" | "ISSUER_RESPONSE_TIMEFRAME_EXPIRED" => (Dispute, Won),
        "SECOND_CHARGEBACK" | "PREARBITRATION_LOST" | "SCHEME_ARBITRATION_LOST" => (PreArbitration, Lost),
        "PREARBITRATION_OPEN" => (PreArbitration, Opened),
        "PREARBITRATION_DECLINED" | "SCHEME_ARBITRATION" => (PreArbitration, Challenged),
        "PREARBITRATION_ACCEPTED" => (PreArbitration, Accepted),
        "PREARBITRATION_ISSUER_WITHDRAWN" => (PreArbitration, Cancelled),
        "PREARBITRATION_WON" | "SCHEME_ARBITRATION_WON" => (PreArbitration, Won),
        _ => return None,
    };
    let reason = item.noted("chargebackReasonCode").or(item.noted("rfiReasonCode"));
    Some(PspDispute {
        dispute_id: item.psp_reference.clone(),
        stage,
        status,
        amount: item.amount.money(),
        reason: reason.map(|reason| words(reason.trim())).filter(|reason| !reason.is_empty()),
        evidence_due_ms: item.noted("defensePeriodEndsAt").and_then(time_ms),
    })
}

fn reason(item: &Item) -> String {
    // Adyen writes the word where it has no reason.
    let said = item.reason.as_deref().map(str::trim).filter(|said| !said.is_empty() && *said != "null");
    words(said.unwrap_or("Adyen gave no reason."))
}
