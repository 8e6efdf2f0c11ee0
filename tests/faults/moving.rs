//! A vault on a file, a database to move it into, and clients that remember what they were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Postgres, Result, SharedDatabase, World, WorldPlan, eventually, word};
use strongroom_wire::ActId;
use tokio::task::JoinHandle;

/// A vault whose configuration names a database to move to.
pub(crate) struct Moving {
    pub(crate) world: World,
    pub(crate) server: Postgres,
}

impl Moving {
    pub(crate) async fn new() -> Self {
        Self::planned(WorldPlan::default()).await
    }

    pub(crate) async fn planned(plan: WorldPlan) -> Self {
        let server = Postgres::start();
        server.add_database(DATABASE);
        let mut world = World::start(plan).await.unwrap();
        world.vault.process().stop().await.unwrap();
        let SharedDatabase { url, ca, password_file } = SharedDatabase::of(&server, DATABASE);
        let to = format!(
            "move_to = {{ postgres = {url:?}, postgres_ca = {:?}, postgres_password_file = {password_file:?} }}\n",
            ca.unwrap()
        );
        world.vault.edit_configuration(|text| text.replace(FILE, &format!("{FILE}{to}"))).unwrap();
        world.vault.restart().await.unwrap();
        Self { world, server }
    }

    pub(crate) async fn ask(&self, method: Method, body: Option<&Value>) -> Answer {
        self.world.security().await.unwrap().send(method, PATH, body, &[]).await.unwrap()
    }

    /// Asks for the move, or for another limit.
    pub(crate) async fn migrate(&self, records_per_second_max: Option<u32>) -> Answer {
        let body = records_per_second_max.map_or(json!({}), |rate| json!({ "records_per_second_max": rate }));
        self.ask(Method::POST, Some(&body)).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.ask(Method::GET, None).await.expect(200).unwrap()
    }

    /// Waits until the move is in one of these states, and answers how it is then. One that stops is a fault.
    pub(crate) async fn until(&self, states: &[&str]) -> Value {
        eventually(&format!("the move to be {states:?}"), Duration::from_secs(120), || async {
            let now = self.status().await;
            let state = now["state"].as_str().unwrap_or_default();
            assert!(states.contains(&state) || state != "stopped", "the move stopped: {now}");
            Ok(states.contains(&state).then_some(now))
        })
        .await
        .unwrap()
    }

    pub(crate) async fn kill_and_restart(&mut self) {
        self.world.vault.process().kill().unwrap();
        self.world.vault.restart().await.unwrap();
    }

    /// Starts vaultd on the database, as an operator does after the move.
    pub(crate) async fn start_on_database(&mut self) {
        if self.world.vault.process().ended().unwrap().is_none() {
            self.world.vault.process().stop().await.unwrap();
        }
        let SharedDatabase { url, ca, password_file } = SharedDatabase::of(&self.server, DATABASE);
        let to = format!(
            "postgres = {url:?}\npostgres_ca = {:?}\npostgres_password_file = {password_file:?}\n",
            ca.unwrap()
        );
        self.world
            .vault
            .edit_configuration(|text| {
                let (before, rest) = text.split_once(FILE).unwrap();
                let rest = rest
                    .split_once('\n')
                    .filter(|(line, _)| line.starts_with("move_to"))
                    .map_or(rest, |(_, rest)| rest);
                let text = format!("{before}{to}{rest}");
                text.replace("[audit]\npath = \"audit.db\"", "[node]\nname = \"a\"\n\n[audit]\npath = \"audit-a.db\"")
            })
            .unwrap();
        self.world.vault.restart().await.unwrap();
    }

    /// What a start says that fails.
    pub(crate) async fn start_refused(&mut self) -> String {
        self.world.vault.restart().await.unwrap_err().to_string()
    }
}

/// Clients that store, change, delete and keep cards.
pub(crate) struct Load {
    workers: Vec<JoinHandle<()>>,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    is_over: AtomicBool,
    done: AtomicUsize,
    next: AtomicUsize,
    /// By token: what was acknowledged last, and what else it may be.
    cards: Mutex<BTreeMap<String, Known>>,
    unclean: Mutex<Vec<String>>,
}

/// What is known of a card.
#[derive(Clone)]
struct Known {
    number: &'static str,
    /// The note that was acknowledged last.
    note: Option<String>,
    /// One that was asked for and not answered.
    perhaps: Option<String>,
    /// Whether its deletion was acknowledged.
    is_gone: bool,
    /// Whether it was asked for and not answered.
    may_be_gone: bool,
}

impl Load {
    pub(crate) fn begin(release: &Client, workers: usize) -> Self {
        let told = Arc::<Told>::default();
        let work = |_| tokio::spawn(work(release.clone(), Arc::clone(&told)));
        Self { workers: (0..workers).map(work).collect(), told }
    }

    /// Waits until so many more requests were acknowledged.
    pub(crate) async fn more(&self, many: usize) {
        let before = self.told.done.load(Ordering::Relaxed);
        let enough = || async { Ok((self.told.done.load(Ordering::Relaxed) >= before + many).then_some(())) };
        eventually("more acknowledged requests", Duration::from_secs(120), enough).await.unwrap();
    }

    /// Ends it, and holds every card against what was said about it.
    pub(crate) async fn holds(self, release: impl AsyncFnOnce() -> Client) {
        self.told.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.unwrap();
        }
        let release = release().await;
        let unclean = std::mem::take(&mut *self.told.unclean.lock().unwrap());
        assert!(unclean.is_empty(), "{unclean:?}");
        let cards = self.told.cards.lock().unwrap().clone();
        assert!(cards.values().any(|card| card.is_gone) && cards.values().any(|card| !card.is_gone));
        for (token, known) in &cards {
            let revealed = reveal(&release, token).await.unwrap();
            match revealed.status {
                404 => assert!(known.is_gone || known.may_be_gone, "{token} is lost"),
                200 => {
                    assert!(!known.is_gone, "{token} came back after its deletion was acknowledged");
                    assert_eq!(revealed.json().unwrap()["card"]["number"], known.number, "{token}");
                    let shown =
                        release.get(&format!("/v1/payment_methods/{token}")).await.unwrap().expect(200).unwrap();
                    let note = shown["metadata"]["note"].as_str().map(str::to_owned);
                    assert!(note == known.note || note == known.perhaps, "{token} lost a change: {shown}");
                }
                other => panic!("{token} answered {other}: {}", revealed.problem()),
            }
        }
    }
}

async fn work(release: Client, told: Arc<Told>) {
    while !told.is_over.load(Ordering::Relaxed) {
        let nth = told.next.fetch_add(1, Ordering::Relaxed);
        let number = NUMBERS[nth % NUMBERS.len()];
        let mut body = json!({ "type": "card", "card": { "number": number, "exp_month": 12, "exp_year": 2031 } });
        if nth.is_multiple_of(2) {
            body["customer_id"] = json!(format!("cus_{nth}"));
        }
        if nth.is_multiple_of(5) {
            body["storage"] = json!("short_term");
        }
        let Some(stored) = told.weigh(release.post("/v1/payment_methods", &body).await, 201) else {
            // Who was refused asks again a little later.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let token = word(&stored.json().unwrap(), "payment_method_id").unwrap();
        let known = Known { number, note: None, perhaps: None, is_gone: false, may_be_gone: false };
        told.change(&token, |card| *card = known.clone());
        if nth.is_multiple_of(5) {
            // Its end is far from here; that it becomes long-term is a change of its row.
            told.weigh(
                release.send(Method::POST, &format!("/v1/payment_methods/{token}/retain"), None, &[]).await,
                200,
            );
        }
        if nth.is_multiple_of(3) {
            let note = format!("note {nth}");
            let body = json!({ "metadata": { "note": note } });
            told.change(&token, |card| card.perhaps = Some(note.clone()));
            let path = format!("/v1/payment_methods/{token}");
            if told.weigh(release.send(Method::PATCH, &path, Some(&body), &[]).await, 200).is_some() {
                told.change(&token, |card| card.note = card.perhaps.take());
            }
        }
        if nth.is_multiple_of(4) {
            told.change(&token, |card| card.may_be_gone = true);
            let path = format!("/v1/payment_methods/{token}");
            if told.weigh(release.send(Method::DELETE, &path, None, &[]).await, 204).is_some() {
                told.change(&token, |card| card.is_gone = true);
            }
        }
    }
}

impl Told {
    fn change(&self, token: &str, with: impl FnOnce(&mut Known)) {
        let mut cards = self.cards.lock().unwrap();
        let none = Known { number: "", note: None, perhaps: None, is_gone: false, may_be_gone: false };
        with(cards.entry(token.to_owned()).or_insert(none));
    }

    /// An answer that is as it should be. A refusal with a time to come again is none, nor is a connection that broke.
    fn weigh(&self, answer: Result<Answer>, good: u16) -> Option<Answer> {
        match answer {
            Ok(answer) if answer.status == good => {
                self.done.fetch_add(1, Ordering::Relaxed);
                return Some(answer);
            }
            Ok(answer) if answer.status == 503 && answer.header("retry-after").is_some() => {}
            Ok(answer) => self.unclean.lock().unwrap().push(format!("{} {}", answer.status, answer.problem())),
            Err(_) => {}
        }
        None
    }
}

pub(crate) async fn reveal(release: &Client, token: &str) -> Result<Answer> {
    let asked = json!({ "purpose": "authorize", "reference": "pay_moving" });
    release.post(&format!("/v1/payment_methods/{token}/reveal"), &asked).await
}

/// Stores so many cards; their tokens.
pub(crate) async fn store(release: &Client, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for nth in 0..count {
        let body = json!({
            "type": "card", "customer_id": format!("cus_{}", ActId::fresh()),
            "card": { "number": NUMBERS[nth % NUMBERS.len()], "exp_month": 12, "exp_year": 2031 },
        });
        let stored = release.post("/v1/payment_methods", &body).await.unwrap().expect(201).unwrap();
        tokens.push(word(&stored, "payment_method_id").unwrap());
    }
    tokens
}

pub(crate) const NUMBERS: [&str; 4] = ["4242424242424242", "5555555555554444", "378282246310005", "4000056655665556"];
pub(crate) const DATABASE: &str = "vault";
pub(crate) const PATH: &str = "/v1/store/migration";
const FILE: &str = "path = \"vault.db\"\n";
