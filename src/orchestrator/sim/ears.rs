//! Webhooks in a simulation: what the provider tells is carried to the door by hand, in the order that the step says, and
//! what the merchant is told is written down by a receiver that fails now and then.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;
use strongroom_simulator::Carried;

use super::life::{API_KEYS, World};
use super::op::Order;
use crate::connector::WebhookCall;
use crate::webhook::{Letter, NotDelivered, Receipt, Sender};

/// The merchant's receiver.
#[derive(Default)]
pub(super) struct Ear {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    letters: u32,
    /// The status of each payment in the last event about it.
    last: BTreeMap<String, String>,
}

impl Ear {
    /// What the merchant thinks of a payment.
    pub(super) fn last(&self, payment_id: &str) -> Option<String> {
        self.heard.lock().unwrap().last.get(payment_id).cloned()
    }
}

#[async_trait]
impl Sender for Ear {
    async fn send(&self, letter: &Letter) -> Result<u16, NotDelivered> {
        let mut heard = self.heard.lock().unwrap();
        heard.letters += 1;
        match heard.letters % 7 {
            2 => return Ok(500),
            4 => return Err(NotDelivered::TimedOut),
            _ => {}
        }
        let event: Value = serde_json::from_str(&letter.body).unwrap();
        if event["content"]["type"] == "payment_details" {
            let object = &event["content"]["object"];
            let text = |name: &str| object[name].as_str().unwrap().to_owned();
            heard.last.insert(text("payment_id"), text("status"));
        }
        // The receiver did its work and the answer is lost: the event comes again.
        if heard.letters % 7 == 6 { Err(NotDelivered::HungUp) } else { Ok(200) }
    }
}

impl World {
    /// Takes what the provider has told since the last time; it waits until somebody carries it.
    pub(super) fn collect(&mut self) {
        self.letters.extend(self.road.provider.webhooks());
    }

    /// Carries what waits to the door.
    pub(super) async fn carry(&mut self, order: Order) {
        self.collect();
        let mut letters = std::mem::take(&mut self.letters);
        match order {
            Order::Straight => {}
            Order::Backwards => letters.reverse(),
            Order::Twice => letters = letters.into_iter().flat_map(|letter| [letter.clone(), letter]).collect(),
        }
        for letter in letters {
            let is_waiting = self.letters.iter().any(|waiting: &Carried| waiting.body == letter.body);
            if !self.tell(&letter).await && !is_waiting {
                self.letters.push(letter);
            }
        }
    }

    /// Whether the door took it. A provider repeats what was not taken.
    async fn tell(&self, letter: &Carried) -> bool {
        // Signed anew for this sending, as providers do.
        let letter = self.road.provider.again(letter);
        let call = WebhookCall { headers: &letter.headers, body: letter.body.as_bytes(), now_ms: self.engine.now_ms() };
        let number = API_KEYS.iter().position(|key| *key == letter.account).unwrap() + 1;
        let account = format!("mca_{number}");
        match self.door.receive(&self.engine, self.merchant.as_str(), &account, &call).await {
            Receipt::Taken(_) => true,
            Receipt::Later | Receipt::TooMany => false,
            other => panic!("a webhook of {} was not believed: {other:?}", letter.provider),
        }
    }
}
