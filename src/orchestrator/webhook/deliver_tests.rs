//! Deliveries with a clock that is moved by hand and a receiver that does what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use strongroom_wire::{SecretId, TenantId, limits};
use tokio::sync::Notify;

use super::deliver::Courier;
use super::sender::{Letter, NotDelivered, Sender};
use crate::account::{Merchant, WebhookSettings};
use crate::intent::rig::{GOOD, Rig, card, new_payment};
use crate::intent::{CapturePlan, NewRefund};
use crate::store::{OutboxEvent, OutboxState};
use crate::vault::Vault as _;

/// What a receiver does with a letter.
#[derive(Clone, Copy)]
enum Does {
    Answers(u16),
    Fails(NotDelivered),
    Hangs,
}

/// Receivers by their address; one that was told nothing answers 200.
#[derive(Default)]
struct Receivers {
    does: Mutex<HashMap<String, Does>>,
    letters: Mutex<Vec<Letter>>,
    release: Notify,
}

#[async_trait]
impl Sender for Receivers {
    async fn send(&self, letter: &Letter) -> Result<u16, NotDelivered> {
        self.letters.lock().unwrap().push(letter.clone());
        let does = self.does.lock().unwrap().get(&letter.url).copied().unwrap_or(Does::Answers(200));
        match does {
            Does::Answers(status) => Ok(status),
            Does::Fails(why) => Err(why),
            Does::Hangs => {
                self.release.notified().await;
                Err(NotDelivered::TimedOut)
            }
        }
    }
}

impl Receivers {
    fn does(&self, does: Does) {
        self.does.lock().unwrap().insert(URL.to_owned(), does);
    }

    fn took(&self) -> Vec<Letter> {
        std::mem::take(&mut *self.letters.lock().unwrap())
    }
}

struct Desk {
    rig: Rig,
    receivers: Arc<Receivers>,
    courier: Arc<Courier>,
}

impl Desk {
    /// A shop with an address for its webhooks and one secret.
    async fn new() -> Self {
        let rig = Rig::new().await;
        let receivers = Arc::<Receivers>::default();
        // The longest delay each time, so that the waits can be computed.
        let courier = Courier::new(rig.engine.clone(), receivers.clone(), Box::new(|below| below - 1), 10_000);
        let desk = Self { rig, receivers, courier };
        let secret = desk.secret("whsec_one").await;
        desk.change(|settings| {
            settings.url = Some(URL.into());
            settings.rotate(secret, NOW_MS, 0).unwrap();
        })
        .await;
        desk
    }

    async fn secret(&self, text: &str) -> SecretId {
        self.rig.vault.store_secret(&self.rig.merchant, "webhook", text).await.unwrap()
    }

    async fn change(&self, change: impl FnOnce(&mut WebhookSettings)) {
        let seen = self.rig.store.merchant(&self.rig.merchant).await.unwrap().unwrap();
        let mut merchant = seen.clone();
        change(&mut merchant.webhooks);
        self.rig.store.save_merchant(&merchant, &seen).await.unwrap();
    }

    async fn pay(&self, id: &str, plan: CapturePlan) {
        let mut new = new_payment(|terms| terms.capture = plan);
        new.payment_id = Some(id.into());
        self.rig.engine.create(&self.rig.merchant, new, card(GOOD), true).await.unwrap();
    }

    async fn deliver(&self) -> Vec<Letter> {
        self.courier.round().await;
        self.courier.rest().await;
        self.receivers.took()
    }

    /// Rounds until nothing is due any more.
    async fn deliver_all(&self) -> Vec<Letter> {
        let mut all = Vec::new();
        loop {
            let letters = self.deliver().await;
            if letters.is_empty() {
                return all;
            }
            all.extend(letters);
        }
    }

    async fn events(&self) -> Vec<OutboxEvent> {
        self.rig.store.outbox_events(&self.rig.merchant, None, None, 100).await.unwrap()
    }
}

fn kind(letter: &Letter) -> String {
    serde_json::from_str::<serde_json::Value>(&letter.body).unwrap()["event_type"].as_str().unwrap().to_owned()
}

const URL: &str = "https://shop.test/hook";
const NOW_MS: i64 = 1_800_000_000_000;

#[tokio::test]
async fn events_of_a_payment_arrive_in_their_order_and_once() {
    let desk = Desk::new().await;
    desk.pay("pay_1", CapturePlan::Manual).await;
    desk.rig.engine.capture(&desk.rig.merchant, "pay_1", None).await.unwrap();
    let new = NewRefund {
        payment_id: "pay_1".into(),
        refund_id: None,
        amount_minor: Some(1),
        reason: None,
        metadata: Default::default(),
    };
    desk.rig.engine.refund(&desk.rig.merchant, new).await.unwrap();
    let letters = desk.deliver_all().await;
    let kinds: Vec<_> = letters.iter().map(kind).collect();
    assert_eq!(kinds, ["payment_authorized", "payment_succeeded", "refund_succeeded"]);
    assert!(letters.iter().all(|letter| letter.url == URL));
    for event in desk.events().await {
        assert_eq!((event.state, event.last_status), (OutboxState::Delivered, Some(200)));
    }
}

#[tokio::test]
async fn event_that_is_not_taken_holds_back_the_later_ones_of_its_payment_alone() {
    let desk = Desk::new().await;
    desk.receivers.does(Does::Answers(500));
    desk.pay("pay_1", CapturePlan::Manual).await;
    desk.rig.engine.capture(&desk.rig.merchant, "pay_1", None).await.unwrap();
    assert_eq!(desk.deliver_all().await.len(), 1);
    desk.receivers.does(Does::Answers(204));
    desk.pay("pay_2", CapturePlan::Automatic).await;
    let letters = desk.deliver_all().await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].body.contains("pay_2"));
    desk.rig.clock.advance(5_000);
    let kinds: Vec<_> = desk.deliver_all().await.iter().map(kind).collect();
    assert_eq!(kinds, ["payment_authorized", "payment_succeeded"]);
}

#[tokio::test]
async fn only_success_counts_as_taken() {
    for does in [
        Does::Answers(199),
        Does::Answers(301),
        Does::Answers(404),
        Does::Answers(503),
        Does::Fails(NotDelivered::Forbidden),
        Does::Fails(NotDelivered::Unreachable),
    ] {
        let desk = Desk::new().await;
        desk.receivers.does(does);
        desk.pay("pay_1", CapturePlan::Automatic).await;
        desk.deliver().await;
        let event = desk.events().await.remove(0);
        assert_eq!((event.state, event.tries), (OutboxState::Waiting, 1));
        let status = if let Does::Answers(status) = does { Some(status) } else { None };
        assert_eq!(event.last_status, status);
    }
}

#[tokio::test]
async fn delays_double_up_to_four_hours_and_end_after_three_days() {
    let desk = Desk::new().await;
    desk.receivers.does(Does::Fails(NotDelivered::TimedOut));
    desk.pay("pay_1", CapturePlan::Automatic).await;
    let mut waits_s = Vec::new();
    let mut event;
    loop {
        assert_eq!(desk.deliver().await.len(), 1);
        event = desk.events().await.remove(0);
        if event.state != OutboxState::Waiting {
            break;
        }
        let wait_ms = event.due_ms - desk.rig.engine.now_ms();
        waits_s.push((wait_ms + 1) / 1000);
        desk.rig.clock.advance(wait_ms - 1);
        assert!(desk.deliver().await.is_empty(), "not before it is due");
        desk.rig.clock.advance(1);
    }
    assert_eq!(waits_s[..12], [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240]);
    assert!(waits_s[12..].iter().all(|wait| *wait == 4 * 3600));
    let three_days_ms = i64::try_from(limits::WEBHOOK_DELIVERY_S).unwrap() * 1000;
    let life_ms = desk.rig.engine.now_ms() - NOW_MS;
    assert!((three_days_ms..three_days_ms + 4 * 3_600_000).contains(&life_ms), "{life_ms}");
    assert_eq!((event.state, event.last_status), (OutboxState::GivenUp, None));
    desk.rig.clock.advance(30 * 86_400_000);
    assert!(desk.deliver().await.is_empty());
}

#[tokio::test]
async fn given_up_event_is_sent_again_on_demand_and_gets_several_tries() {
    let desk = Desk::new().await;
    desk.receivers.does(Does::Answers(500));
    desk.pay("pay_1", CapturePlan::Automatic).await;
    desk.rig.clock.advance(4 * 86_400_000);
    for _ in 0..8 {
        assert_eq!(desk.events().await[0].state, OutboxState::Waiting);
        desk.deliver().await;
        desk.rig.clock.advance(4 * 3_600_000);
    }
    let event = desk.events().await.remove(0);
    assert_eq!((event.state, event.last_status), (OutboxState::GivenUp, Some(500)));
    assert!(desk.rig.store.replay_event(&desk.rig.merchant, &event.event_id, desk.rig.engine.now_ms()).await.unwrap());
    desk.deliver().await;
    assert_eq!(desk.events().await[0].state, OutboxState::Waiting);
    desk.receivers.does(Does::Answers(200));
    desk.rig.clock.advance(5_000);
    let letters = desk.deliver().await;
    assert_eq!((letters.len(), &letters[0].body), (1, &event.body), "the very same words");
    assert_eq!(desk.events().await[0].state, OutboxState::Delivered);
}

#[tokio::test]
async fn hanging_receiver_holds_up_nobody_else() {
    let desk = Desk::new().await;
    desk.receivers.does(Does::Hangs);
    for number in 0..20 {
        desk.pay(&format!("pay_{number}"), CapturePlan::Automatic).await;
    }
    desk.courier.round().await;
    let other: TenantId = "other".parse().unwrap();
    let secret = desk.rig.vault.store_secret(&other, "webhook", "whsec_other").await.unwrap();
    let seen = desk.rig.store.merchant(&desk.rig.merchant).await.unwrap().unwrap();
    let mut webhooks = WebhookSettings { url: Some("https://other.test/".into()), ..Default::default() };
    webhooks.rotate(secret, NOW_MS, 0).unwrap();
    let merchant = Merchant { merchant_id: other.clone(), publishable_key: "pk_other".into(), webhooks, ..seen };
    desk.rig.store.add_merchant(&merchant).await.unwrap();
    let mut payment = desk.rig.engine.payment(&desk.rig.merchant, "pay_1").await.unwrap().0;
    payment.merchant_id = other.clone();
    payment.told = None;
    desk.rig.engine.store_payment(&mut payment, None, &Default::default()).await.unwrap();
    desk.courier.round().await;
    let delivered = async {
        loop {
            let event = desk.rig.store.outbox_events(&other, None, None, 1).await.unwrap().remove(0);
            if event.state == OutboxState::Delivered {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), delivered).await.unwrap();
    let hanging = desk.receivers.letters.lock().unwrap().iter().filter(|letter| letter.url == URL).count();
    assert!((1..=8).contains(&hanging), "{hanging} letters hang at a time");
    // After its failure the lane is narrow: one letter at a time.
    desk.receivers.took();
    for _ in 0..4_000 {
        desk.receivers.release.notify_waiters();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        if desk.receivers.letters.lock().unwrap().len() >= 3 {
            break;
        }
    }
    assert!(desk.receivers.letters.lock().unwrap().len() >= 3, "the lane goes on");
}

#[tokio::test]
async fn lease_keeps_other_nodes_away_and_ends() {
    let desk = Desk::new().await;
    desk.receivers.does(Does::Hangs);
    desk.pay("pay_1", CapturePlan::Automatic).await;
    desk.courier.round().await;
    let receivers = Arc::<Receivers>::default();
    let second = Courier::new(desk.rig.engine.clone(), receivers.clone(), Box::new(|_| 0), 10_000);
    second.round().await;
    second.rest().await;
    assert!(receivers.took().is_empty(), "the first node works on it");
    desk.rig.clock.advance(50_000);
    second.round().await;
    second.rest().await;
    assert_eq!(receivers.took().len(), 1, "the first node is taken for dead");
    assert_eq!(desk.events().await[0].state, OutboxState::Delivered);
}

#[tokio::test]
async fn nothing_leaves_without_an_address_a_wish_or_a_signature() {
    let desk = Desk::new().await;
    desk.change(|settings| settings.events = vec!["refund_failed".into()]).await;
    desk.pay("pay_1", CapturePlan::Automatic).await;
    assert!(desk.deliver().await.is_empty());
    let event = desk.events().await.remove(0);
    assert_eq!((event.state, event.tries), (OutboxState::GivenUp, 0), "kept, and can be sent on demand");

    desk.change(|settings| settings.url = None).await;
    desk.pay("pay_2", CapturePlan::Automatic).await;
    assert!(desk.deliver().await.is_empty());
    assert_eq!(desk.events().await[0].state, OutboxState::GivenUp);

    desk.change(|settings| (settings.url, settings.events) = (Some(URL.into()), Vec::new())).await;
    desk.pay("pay_3", CapturePlan::Automatic).await;
    desk.rig.vault.state.lock().unwrap().down = true;
    assert!(desk.deliver().await.is_empty());
    let event = desk.events().await.remove(0);
    assert_eq!((event.state, event.tries), (OutboxState::Waiting, 0), "the merchant is not to blame");
    desk.rig.vault.state.lock().unwrap().down = false;
    desk.rig.clock.advance(50_000);
    assert_eq!(desk.deliver().await.len(), 1);
}

/// HMAC as a receiver computes it, in hexadecimal digits.
fn hmac(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac_512(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header<'a>(letter: &'a Letter, name: &str) -> &'a str {
    &letter.headers.iter().find(|(header, _)| *header == name).unwrap().1
}

/// Whether a receiver that knows this secret alone believes the letter.
fn is_believed(letter: &Letter, secret: &str) -> bool {
    let mut at = "";
    let mut signatures = Vec::new();
    for part in header(letter, "strongroom-signature").split(',') {
        match part.split_once('=').unwrap() {
            ("t", time) => at = time,
            ("v1", signature) => signatures.push(signature.to_owned()),
            (other, _) => panic!("{other}"),
        }
    }
    signatures.contains(&hmac(secret, &format!("{at}.{}", letter.body)))
}

#[tokio::test]
async fn receivers_believe_old_and_new_secret_during_the_overlap_and_the_new_one_alone_afterwards() {
    let desk = Desk::new().await;
    desk.pay("pay_1", CapturePlan::Automatic).await;
    let letter = desk.deliver().await.remove(0);
    assert!(is_believed(&letter, "whsec_one") && !is_believed(&letter, "whsec_two"));
    assert!(header(&letter, "strongroom-signature").starts_with(&format!("t={},v1=", NOW_MS / 1000)));

    let second = desk.secret("whsec_two").await;
    desk.change(|settings| drop(settings.rotate(second, NOW_MS, 60_000).unwrap())).await;
    desk.rig.clock.advance(59_999);
    desk.pay("pay_2", CapturePlan::Automatic).await;
    let letter = desk.deliver().await.remove(0);
    assert!(is_believed(&letter, "whsec_one") && is_believed(&letter, "whsec_two"));
    assert_eq!(header(&letter, "x-webhook-signature-512"), hmac_512("whsec_two", &letter.body));

    desk.rig.clock.advance(1);
    desk.pay("pay_3", CapturePlan::Automatic).await;
    let letter = desk.deliver().await.remove(0);
    assert!(!is_believed(&letter, "whsec_one") && is_believed(&letter, "whsec_two"));
    let mut forged = letter.clone();
    forged.body.push(' ');
    assert!(!is_believed(&forged, "whsec_two"));
}
