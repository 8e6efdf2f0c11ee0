//! Several vaultd and orchestrators on one PostgreSQL that does not stay up: what was acknowledged at one node holds at every
//! other, whichever process or server is killed.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

mod bouncer;
mod cvc;
mod failover;
mod kill;
mod log;
mod payments;
mod quota;
mod rolling;
mod rotation;
mod seal;
mod shared;
mod stall;
mod standby;

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::harness::{
    Answer, Client, Cluster, Postgres, Result, SharedDatabase, WorldPlan, eventually, word,
};

/// Several vaultd on a PostgreSQL server of their own.
pub(crate) struct Site {
    // The processes end before their database.
    pub(crate) cluster: Cluster,
    pub(crate) server: Postgres,
}

impl Site {
    pub(crate) async fn start(nodes: usize) -> Self {
        Self::planned(nodes, WorldPlan::default()).await
    }

    pub(crate) async fn planned(nodes: usize, plan: WorldPlan) -> Self {
        let server = Postgres::start();
        server.add_database("vault");
        let cluster = Cluster::planned(SharedDatabase::of(&server, "vault"), nodes, plan).await.unwrap();
        Self { cluster, server }
    }
}

/// The body that stores a card of a customer.
pub(crate) fn of(customer: &str, number: &str) -> Value {
    json!({
        "type": "card", "card": { "number": number, "exp_month": 12, "exp_year": 2031 }, "customer_id": customer,
    })
}

/// Whether a node answers that it cannot now: on a busy machine one may not reach the database for a moment, and then it
/// uses no key.
pub(crate) fn is_busy(answer: &Answer) -> bool {
    answer.status == 503 && answer.header("retry-after").is_some()
}

/// Stores a card; its token.
pub(crate) async fn store(client: &Client, body: &Value) -> Result<String> {
    let answer = eventually("a node to take a card", Duration::from_secs(90), || async {
        let answer = client.post("/v1/payment_methods", body).await?;
        Ok((!is_busy(&answer)).then_some(answer))
    })
    .await?;
    let status = if answer.status == 200 { 200 } else { 201 };
    word(&answer.expect(status)?, "payment_method_id")
}

pub(crate) async fn reveal(client: &Client, token: &str, cvc_token: Option<&Value>) -> Result<Answer> {
    let mut asked = json!({ "purpose": "authorize", "reference": "pay_cluster" });
    if let Some(cvc_token) = cvc_token {
        asked["cvc_token"] = cvc_token.clone();
    }
    client.post(&format!("/v1/payment_methods/{token}/reveal"), &asked).await
}

/// The number under a token.
pub(crate) async fn number(client: &Client, token: &str) -> Result<String> {
    let answer = eventually("a node to release a card", Duration::from_secs(90), || async {
        let answer = reveal(client, token, None).await?;
        Ok((!is_busy(&answer)).then_some(answer))
    })
    .await?;
    word(&answer.expect(200)?["card"], "number")
}

/// The newest rotation of a key as a node tells it, once it is done.
pub(crate) async fn finished(officer: &Client, key: &str) -> Result<Value> {
    eventually("the rotation to end", Duration::from_secs(120), || async {
        let all = officer.get("/v1/rotations").await?.expect(200)?;
        let mine = all["rotations"].as_array().into_iter().flatten().rfind(|rotation| rotation["key"] == key).cloned();
        let mine = mine.unwrap_or(Value::Null);
        assert_ne!(mine["state"], "stopped", "a rotation stopped: {}", mine["fault"]);
        Ok((mine["state"] == "done").then_some(mine))
    })
    .await
}
