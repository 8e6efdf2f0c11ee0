//! Fills a vault with real cards: batches of a thousand, each card sealed, recorded and stored as any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cards::tokenize_body;
use super::load::{Line, connector, request};
use crate::harness::{Fault, Result, World, because};

/// Stores `count` cards, those of `customers` if it says so (each of a customer of its own, with a name of 20 characters),
/// and answers one token of each batch. `tell` is told how far it is.
///
/// # Errors
/// When a card was refused.
pub(super) async fn fill(
    world: &World,
    count: u64,
    customers: bool,
    tell: &mut impl FnMut(&str),
) -> Result<Vec<String>> {
    let who = world.credentials("orchestrator", "main")?;
    let tls = connector(&world.pki.ca(), &who)?;
    let [_, at, _] = world.vault.addresses();
    let next = Arc::new(AtomicU64::new(0));
    let mut lines = Vec::new();
    for _ in 0..LINES {
        let (next, tenant) = (Arc::clone(&next), world.tenant.clone());
        let mut line = Line::open(tls.clone(), at).await?;
        lines.push(tokio::spawn(async move {
            let mut tokens = Vec::new();
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return Ok::<_, Fault>(tokens);
                }
                let until = (first + BATCH).min(count);
                let cards: Vec<String> = (first..until).map(|serial| tokenize_body(serial, customers)).collect();
                let body = format!("{{\"payment_methods\":[{}]}}", cards.join(","));
                let headers = [(strongroom_wire::header::TENANT, tenant.as_str())];
                let (status, _) = line.exchange(&request("POST", PATH, &headers, &body)).await?;
                let answer = std::str::from_utf8(line.answer()).map_err(because("a batch's answer"))?;
                let stored = answer.matches("{\"status\":201,").count() as u64;
                if status != 200 || stored != until - first {
                    return Err(Fault::new(format!("a batch was answered {status}, and {stored} cards were stored")));
                }
                tokens.extend(first_token(answer));
            }
        }));
    }
    let mut told = 0;
    while !lines.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let done = next.load(Ordering::Relaxed).min(count);
        if done >= told + TELL_EVERY {
            told = done;
            tell(&format!("{done} cards of {count} are on their way"));
        }
    }
    let mut tokens = Vec::new();
    for line in lines {
        tokens.extend(line.await.map_err(because("filling the store"))??);
    }
    Ok(tokens)
}

fn first_token(answer: &str) -> Option<String> {
    let from = answer.find("\"pm_")? + 1;
    let end = from + answer[from..].find('"')?;
    Some(answer[from..end].to_owned())
}

const PATH: &str = "/v1/payment_methods/batch";
/// More would only wait for each other: two cores seal, one thread records and one stores.
const LINES: usize = 4;
const BATCH: u64 = 1_000;
const TELL_EVERY: u64 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_of_an_answer_is_found() {
        let answer = r#"{"results":[{"status":201,"payment_method":{"payment_method_id":"pm_a1"}},{"x":"pm_b"}]}"#;
        assert_eq!(first_token(answer).as_deref(), Some("pm_a1"));
        assert_eq!(first_token("{}"), None);
    }
}
