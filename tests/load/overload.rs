//! Ten times what the vault can do: it turns away what is too much, quickly, and serves the rest in bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{World, word};

use crate::crowd::{crowd, crowd_until};
use crate::gauge::Gauges;
use crate::line::{Door, Way};
use crate::{alone, card, post, reveal, stored, vault};

/// Requests at work that the vault is told to take.
const PLACES: usize = 8;
const LASTING: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_what_it_can_do_is_turned_away_quickly_and_the_rest_is_served_in_bounded_time() {
    let _turn = alone().await;
    let world = vault(&format!("release_requests_max = {PLACES}")).await;
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let (way, requests) = (Way::to(&world, Door::Release), [reveal(&world.tenant, &token)]);

    // All places taken all the time: more than this it cannot do.
    let can = crowd(&way, &requests, PLACES, LASTING).await;
    println!("what it can do: {can}");
    assert_eq!(can.statuses.keys().copied().collect::<Vec<_>>(), [200], "{can}");
    let watching = tokio::spawn(watch(world.security().await.unwrap()));
    let over = crowd(&way, &requests, 10 * PLACES, LASTING).await;
    println!("ten times as much: {over}");
    let watched = watching.await.unwrap();

    assert!(over.statuses.keys().all(|status| [200, 503].contains(status)), "{over}");
    assert_eq!((over.without_retry_after, over.broken), (0, 0), "{over}");
    assert!(over.statuses.get(&503).is_some_and(|count| *count > 10), "nobody was turned away: {over}");
    // The vault and the crowd share the machine, and to turn away costs something too.
    assert!(over.rate() > can.rate() / 20.0, "what it can do breaks down: {can}, then {over}");
    let bound = (can.p99() * 10).max(Duration::from_secs(2));
    assert!(over.p99() < bound, "what is let in waits: {can}, then {over}");
    assert!(over.p99_turned_away() < bound, "what is turned away waits for that: {over}");
    assert!(watched.at_work_most <= PLACES as u64, "{} requests were at work", watched.at_work_most);
    assert!(watched.asked > 0, "the admin listener answered nobody while the release listener was flooded");
    let gauges = Gauges::of(&world.security().await.unwrap()).await;
    assert!(gauges.get("strongroom_requests_shed_total{listener=\"Release\"}") >= over.statuses[&503]);
    assert_eq!(gauges.get("strongroom_requests_shed_total{listener=\"Admin\"}"), 0);
}

struct Watched {
    at_work_most: u64,
    asked: u64,
}

/// Asks the admin listener for health and metrics as long as the release listener is flooded.
async fn watch(security: strongroom_tests::harness::Client) -> Watched {
    let mut watched = Watched { at_work_most: 0, asked: 0 };
    let until = tokio::time::Instant::now() + LASTING;
    while tokio::time::Instant::now() < until {
        security.get("/health/live").await.unwrap().must_be(200).unwrap();
        security.get("/health/ready").await.unwrap().must_be(200).unwrap();
        let gauges = Gauges::of(&security).await;
        watched.at_work_most =
            watched.at_work_most.max(gauges.get("strongroom_requests_at_work{listener=\"Release\"}"));
        watched.asked += 1;
    }
    watched
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orchestrator_is_not_starved_by_a_flood_of_the_intake() {
    let _turn = alone().await;
    let world = vault(&format!("intake_requests_max = {PLACES}")).await;
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let (way, requests) = (Way::to(&world, Door::Release), [reveal(&world.tenant, &token)]);
    let before = crowd(&way, &requests, 2, LASTING).await;
    println!("without a flood: {before}");

    let over = Arc::new(AtomicBool::new(false));
    let browsers = browsers(&world).await;
    let flood = tokio::spawn(crowd_until(Way::to(&world, Door::Intake), browsers, 10 * PLACES, Arc::clone(&over)));
    let during = crowd(&way, &requests, 2, 2 * LASTING).await;
    over.store(true, Ordering::Relaxed);
    let flood = flood.await.unwrap();
    println!("during a flood: {during}\nthe flood: {flood}");

    assert!(flood.answers() > 100 && flood.statuses.contains_key(&201), "that was no flood: {flood}");
    assert_eq!(flood.without_retry_after, 0, "{flood}");
    assert_eq!(during.statuses.keys().copied().collect::<Vec<_>>(), [200], "{during}");
    assert_eq!(during.broken, 0, "{during}");
    // Four threads of the vault and the crowd share two cores with the two of the release listener.
    assert!(during.rate() > before.rate() / 50.0, "{before}, then {during}");
    assert!(during.p99() < (before.p99() * 50).max(Duration::from_secs(2)), "{before}, then {during}");
}

/// What browsers post, each with a session of its own as far as sessions go.
async fn browsers(world: &World) -> Vec<Vec<u8>> {
    let release = world.release().await.unwrap();
    let mut requests = Vec::new();
    for _ in 0..40 {
        let made = release.post("/v1/sessions", &json!({ "allowed_origins": ["https://shop.example"] })).await.unwrap();
        let secret = word(&made.expect(201).unwrap(), "client_secret").unwrap();
        let mut body = card("");
        // Whose card it is the session says.
        body.as_object_mut().unwrap().remove("customer_id");
        let body = body.to_string();
        requests.push(post("/v1/payment_methods", &format!("Authorization: Bearer {secret}\r\n"), &body));
    }
    requests
}
