//! Many cards in one request on the release listener.

use actix_web::http::StatusCode;
use zeroize::Zeroizing;

use super::answer::{Answer, More, written};
use super::body::BatchBytes;
use super::call::Call;
use super::problem::Refusal;
use super::whole::whole;
use crate::card::BatchBody;
use crate::flow::FlowError;
use crate::flow::batch;
use crate::flow::tokenize::Tokenized;

/// `POST /v1/payment_methods/batch`. A batch that began goes on to its end even if the caller goes away.
pub(super) async fn tokenize(call: Call, body: BatchBytes) -> Answer {
    let now_ms = call.state.vault.now_ms();
    let items = BatchBody::parse(&body.0.0, now_ms)?.items;
    let stored =
        async move { batch::tokenize(&call.state.vault, &call.asker, call.key.as_ref(), &body.0.0, items).await };
    let results = whole(stored).await?;
    let is_replay =
        !results.is_empty() && results.iter().all(|result| result.as_ref().is_ok_and(|done| done.is_replay));
    Ok(written(StatusCode::OK, json(results), More { audit_index: None, is_replay }))
}

/// `{"results":[{"status","payment_method"},{"status","problem"},...]}`, in the order of the batch.
fn json(results: Vec<Result<Tokenized, FlowError>>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(br#"{"results":["#.to_vec());
    for (place, result) in results.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match result {
            Ok(done) => {
                let status = if done.is_new { StatusCode::CREATED } else { StatusCode::OK };
                put(&mut out, status.as_u16(), "payment_method", &done.json);
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                // A document of strings and numbers always serializes.
                let problem = serde_json::to_vec(refusal.problem()).unwrap_or_default();
                put(&mut out, refusal.problem().status, "problem", &problem);
            }
        }
    }
    out.extend_from_slice(b"]}");
    out
}

fn put(out: &mut Vec<u8>, status: u16, name: &str, json: &[u8]) {
    out.extend_from_slice(format!("{{\"status\":{status},\"{name}\":").as_bytes());
    out.extend_from_slice(json);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::card::Sealable;

    #[test]
    fn results_stand_in_order_and_are_json() {
        let done = Tokenized {
            json: Zeroizing::new(br#"{"payment_method_id":"pm_1"}"#.to_vec()),
            audit_index: 3,
            is_new: true,
            is_replay: false,
            is_changed: false,
        };
        let written = json(vec![Ok(done), Err(FlowError::SealedTwice(Sealable::Card)), Err(FlowError::NotFound)]);
        let read: Value = serde_json::from_slice(&written).unwrap();
        let results = read["results"].as_array().unwrap();
        assert_eq!(results[0], json!({"status": 201, "payment_method": {"payment_method_id": "pm_1"}}));
        assert_eq!((&results[1]["status"], &results[1]["problem"]["field"]), (&json!(409), &json!("encrypted_card")));
        assert_eq!(results[2]["problem"]["status"], 404);
        assert_eq!(serde_json::from_slice::<Value>(&json(vec![])).unwrap(), json!({"results": []}));
    }
}
