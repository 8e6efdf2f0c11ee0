//! How payments look in Worldpay's answers. Links of an authorization are whole addresses, those of a receipt are paths, as
//! in Worldpay's specification.

use serde_json::{Value, json};

use super::book::{Payment, Standing};
use super::issuer::Code;
use crate::cards::Behaviour;

/// The answer to an authorization.
pub(super) fn authorization(payment: &Payment, command: &str, cvc_given: bool) -> Value {
    let cvc = match (cvc_given, payment.card.behaviour) {
        (false, _) => Some("notSupplied"),
        (true, Behaviour::ApproveBadCvc) => Some("notMatched"),
        (true, _) => None,
    };
    let mut risks: Vec<Value> = cvc.map(|risk| json!({ "type": "cvc", "risk": risk })).into_iter().collect();
    for detail in ["address", "postcode"] {
        risks.push(json!({ "type": "avs", "risk": "notChecked", "detail": detail }));
    }
    let mut answer = json!({
        "outcome": match payment.standing {
            Standing::Authorized if payment.auto => "Sent for Settlement",
            Standing::Authorized => "authorized",
            Standing::Refused(..) | Standing::Failed => "refused",
        },
        "paymentId": payment.id,
        "commandId": command,
        "riskFactors": risks,
        "paymentInstrument": {
            "type": "card/plain+masked",
            "lastFour": payment.card.last4(),
            "cardBrand": payment.card.brand,
            "fundingType": payment.card.funding
        }
    });
    match payment.standing {
        Standing::Authorized => {
            answer["issuer"] = json!({ "authorizationCode": "T75725" });
            answer["scheme"] = json!({ "reference": payment.scheme });
            answer["_links"] = links(payment, HOST);
        }
        Standing::Refused((code, description), advice) => {
            answer["refusalCode"] = json!(code);
            answer["refusalDescription"] = json!(description);
            if let Some(advice) = advice {
                answer["advice"] = json!({ "code": advice });
            }
        }
        Standing::Failed => {}
    }
    answer
}

/// The answer to a raise that was authorized.
pub(super) fn raise(payment: &Payment) -> Value {
    json!({
        "outcome": "authorized",
        "amounts": { "totalAuthorized": payment.total(), "currency": payment.currency },
        "issuer": { "authorizationCode": "T91252" },
        "scheme": { "reference": payment.scheme },
        "_links": links(payment, "")
    })
}

/// The answer to a raise that the issuer refused.
pub(super) fn no_raise((code, description): Code) -> Value {
    json!({ "outcome": "refused", "refusalCode": code, "refusalDescription": description })
}

/// The receipt for a settlement, refund, cancellation or reversal; the last two name no command.
pub(super) fn receipt(payment: &Payment, command: Option<&str>) -> Value {
    let mut answer = json!({ "_links": links(payment, "") });
    if let Some(command) = command {
        answer["paymentId"] = json!(payment.id);
        answer["commandId"] = json!(command);
    }
    answer
}

/// The last event of a payment, and what may follow. Here a link is its address alone, as in the specification.
pub(super) fn last_event(payment: &Payment) -> Value {
    let mut answer = json!({ "lastEvent": payment.last_event, "_links": curies("") });
    for (relation, path) in relations(payment) {
        answer["_links"][relation] = json!(path);
    }
    answer
}

/// The answer to a search by reference.
pub(super) fn found<'a>(reference: &str, payments: impl Iterator<Item = &'a Payment>) -> Value {
    let this = format!("/paymentQueries/payments?transactionReference={reference}");
    let payments: Vec<Value> = payments.map(summary).collect();
    json!({ "_links": { "self": { "href": this } }, "_embedded": { "payments": payments } })
}

/// A payment with its history.
pub(super) fn told(payment: &Payment) -> Value {
    let mut told = summary(payment);
    told["events"] = json!(payment.history);
    told["_links"] = links(payment, HOST);
    told["_links"]["self"] = json!({ "href": format!("/paymentQueries/payments/{}", payment.id) });
    told
}

fn summary(payment: &Payment) -> Value {
    let time = jiff::Timestamp::from_second(payment.created).unwrap_or_default().to_string();
    json!({
        "timestamp": time,
        "paymentId": payment.id,
        "transactionReference": payment.reference,
        "transactionType": "oneTime",
        "authorizationType": if payment.estimated { "preAuthorization" } else { "authorization" },
        "entity": payment.entity,
        "lastEvent": payment.history.last().map(|event| event["eventName"].clone()),
        "scheme": { "reference": payment.scheme },
        "value": { "currency": payment.currency, "amount": payment.reserved.first() }
    })
}

fn links(payment: &Payment, host: &str) -> Value {
    let mut links = curies(host);
    for (relation, path) in relations(payment) {
        links[relation] = json!({ "href": format!("{host}{path}") });
    }
    links
}

fn curies(host: &str) -> Value {
    let href = format!("{host}/rels/cardPayments/{{rel}}");
    json!({ "curies": [{ "name": "cardPayments", "href": href, "templated": true }] })
}

/// What may follow, with its path.
fn relations(payment: &Payment) -> Vec<(String, String)> {
    let link = payment.link();
    let mut relations = Vec::new();
    let mut offer = |name: &str, path: &str, is_offered: bool| {
        if is_offered {
            relations.push((format!("cardPayments:{name}"), format!("{path}/{link}")));
        }
    };
    let (open, untouched) = (!payment.closed, payment.settled == 0);
    let left = payment.settled > payment.refunded;
    offer("cancel", "/payments/authorizations/cancellations", open);
    offer("settle", "/payments/settlements/full", open && untouched);
    offer("partialSettle", "/payments/settlements/partials", open);
    let raise = open && untouched && payment.estimated;
    offer("increaseAuthorizedAmount", "/payments/authorizations/incrementalAuthorizations", raise);
    offer("refund", "/payments/settlements/refunds/full", left && payment.refunded == 0);
    offer("partialRefund", "/payments/settlements/refunds/partials", left);
    offer("reverse", "/payments/sales/reversals", payment.auto && left && payment.refunded == 0);
    offer("events", "/payments/events", true);
    relations
}

/// Where Worldpay's Try environment lives. A client that follows links to other hosts would leave the simulator.
const HOST: &str = "https://try.access.worldpay.com";
