//! The bell against a listener of its own: order, retries, and faults on purpose.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::fault::Armed;

/// A merchant that answers with these statuses, one for each request, and then with 200; it tells the bodies.
fn merchant(statuses: &'static [u16]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            let body = loop {
                let read = connection.read(&mut piece).expect("read");
                text.extend_from_slice(&piece[..read]);
                let whole = String::from_utf8_lossy(&text);
                // The bodies of these tests end with the only brace.
                if let Some((_, body)) = whole.split_once("\r\n\r\n").filter(|(_, body)| body.ends_with('}')) {
                    break body.to_owned();
                }
            };
            let status = statuses.next().unwrap_or(&200);
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).expect("written");
            if tell.send(body).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn seal(event: &Value, _: &str, _: i64) -> Letter {
    Letter { headers: vec![("X-Signed", "yes".to_owned())], body: event.to_string() }
}

fn bell() -> (Bell, Ringer, Arc<Mutex<Faults>>) {
    // Another test may have been first; either way there is a provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let faults = Arc::new(Mutex::new(Faults::default()));
    let (bell, ringer) = Bell::new(faults.clone());
    (bell, ringer, faults)
}

fn target(url: &str) -> Target {
    Target::new("stripe", None, url, "secret", None).expect("a target")
}

fn arm(faults: &Mutex<Faults>, fault: Fault, delay_ms: u64) {
    let armed =
        Armed { fault, operation: Operation::Webhook, provider: None, account_ending: None, times: 1, delay_ms };
    faults.lock().expect("no panic").arm(armed).expect("armed");
}

/// Waits until nothing waits any more.
async fn settle(bell: &Bell) -> Counts {
    let end = Instant::now() + Duration::from_secs(20);
    while bell.counts().waiting > 0 {
        assert!(Instant::now() < end, "{:?}", bell.counts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bell.counts()
}

fn told(told: &Receiver<String>) -> Vec<String> {
    told.try_iter().collect()
}

#[actix_web::test]
async fn events_arrive_in_order_and_a_refused_one_is_sent_again() {
    let (url, bodies) = merchant(&[200, 503]);
    let (bell, ringer, _) = bell();
    bell.aim(target(&url)).expect("aimed");
    actix_web::rt::spawn(ringer.run());
    for number in 1..=3 {
        bell.ring("stripe", "sk", json!({ "n": number }), seal);
    }
    bell.ring("adyen", "sk", json!({ "n": 4 }), seal);
    assert_eq!(settle(&bell).await, Counts { taken: 3, ..Counts::default() });
    assert_eq!(told(&bodies), [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#, r#"{"n":2}"#]);
}

#[actix_web::test]
async fn webhooks_are_lost_doubled_and_overtaken_on_purpose() {
    let (url, bodies) = merchant(&[]);
    let (bell, ringer, faults) = bell();
    bell.aim(target(&url)).expect("aimed");
    for (fault, delay_ms) in [(Fault::WebhookLost, 0), (Fault::WebhookTwice, 0), (Fault::WebhookDelayed, 300)] {
        arm(&faults, fault, delay_ms);
    }
    for number in 1..=4 {
        bell.ring("stripe", "sk", json!({ "n": number }), seal);
    }
    actix_web::rt::spawn(ringer.run());
    assert_eq!(settle(&bell).await, Counts { taken: 4, lost: 1, ..Counts::default() });
    assert_eq!(told(&bodies), [r#"{"n":2}"#, r#"{"n":2}"#, r#"{"n":4}"#, r#"{"n":3}"#]);
}

#[actix_web::test]
async fn merchant_who_never_takes_an_event_is_given_up_after_the_last_retry() {
    let (url, bodies) = merchant(&[500; 6]);
    let (bell, ringer, _) = bell();
    bell.aim(target(&url)).expect("aimed");
    actix_web::rt::spawn(ringer.run());
    bell.ring("stripe", "sk", json!({ "n": 1 }), seal);
    assert_eq!(settle(&bell).await, Counts { given_up: 1, ..Counts::default() });
    assert_eq!(told(&bodies).len(), 6);
}

#[test]
fn target_beyond_this_machine_or_without_an_authority_is_refused() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let new = |url: &str| Target::new("stripe", None, url, "secret", None).err();
    for url in ["https://shop.example/hook", "http://10.0.0.1/", "http://[2001:db8::1]/", "ftp://localhost/", "x"] {
        assert_eq!(new(url), Some(BadTarget::Url), "{url}");
    }
    assert_eq!(new("https://localhost:1/"), Some(BadTarget::NoAuthority));
    assert_eq!(new("http://shop.localhost:1/"), None);
    assert_eq!(new("http://[::1]:1/"), None);
    let pem = |pem: &[u8]| Target::new("stripe", None, "https://localhost:1/", "secret", Some(pem)).err();
    assert_eq!(pem(b"no PEM"), Some(BadTarget::Authority));
    assert_eq!(Target::new("stripe", None, "http://[::1]:1/", "", None).err(), Some(BadTarget::Secret));
}

#[test]
fn same_target_again_replaces_its_secret_and_one_too_many_is_refused() {
    let (bell, _ringer, _) = bell();
    for _ in 0..2 {
        bell.aim(target("http://127.0.0.1:1/0")).expect("aimed");
    }
    for number in 1..limits::SIMULATOR_WEBHOOK_TARGETS_MAX {
        bell.aim(target(&format!("http://127.0.0.1:1/{number}"))).expect("aimed");
    }
    assert_eq!(bell.aim(target("http://127.0.0.1:1/more")), Err(BadTarget::TooMany));
}

#[test]
fn event_beyond_the_queue_is_counted_as_lost() {
    let (bell, _ringer, _) = bell();
    for number in 0..=limits::SIMULATOR_WEBHOOKS_WAITING_MAX {
        bell.ring("stripe", "sk", json!(number), seal);
    }
    let waiting = limits::SIMULATOR_WEBHOOKS_WAITING_MAX as u64;
    assert_eq!(bell.counts(), Counts { waiting, lost: 1, ..Counts::default() });
}
