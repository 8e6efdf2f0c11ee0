//! PgBouncer in transaction mode between vaultd and the server: each transaction may get another connection, and no session
//! holds anything.

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Cluster, Pooler, Postgres, SharedDatabase, Traffic, card};

use crate::{finished, number, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_a_pooler_that_gives_connections_away_by_transaction() {
    let server = Postgres::start();
    server.add_database("vault");
    let pooler = Pooler::start(&server);
    let database = SharedDatabase { url: pooler.url("vault"), ca: None, password_file: server.password_file() };
    let cluster = Cluster::start(database, 2).await.unwrap();
    let nodes = cluster.releases().unwrap();
    let traffic = Traffic::begin(nodes.clone(), 6);
    let kept = store(&nodes[0], &of("ada", card::AMEX)).await.unwrap();
    let gone = store(&nodes[1], &of("ben", card::VISA)).await.unwrap();
    nodes[0]
        .send(Method::DELETE, &format!("/v1/payment_methods/{gone}"), None, &[])
        .await
        .unwrap()
        .must_be(204)
        .unwrap();
    let secret = nodes[1].post("/v1/secrets", &json!({ "name": "psp", "value": "hush" })).await.unwrap();
    let secret = secret.expect(201).unwrap()["secret_id"].as_str().unwrap().to_owned();
    let opened = nodes[0].send(Method::POST, &format!("/v1/secrets/{secret}/reveal"), None, &[]).await.unwrap();
    assert_eq!(opened.expect(200).unwrap()["value"], "hush");
    let officer = cluster.officer(1, "alice").unwrap();
    for key in ["kek", "fingerprint"] {
        let rotate = json!({ "key": key, "tenant": cluster.world.tenant });
        officer.post("/v1/rotations", &rotate).await.unwrap().must_be(202).unwrap();
        finished(&officer, key).await.unwrap();
    }
    traffic.more(100).await.unwrap();
    let told = traffic.end().await.unwrap();
    assert!(told.unclean.is_empty(), "{:#?}", told.unclean);
    told.hold_at(&nodes).await.unwrap();
    for node in &nodes {
        assert_eq!(number(node, &kept).await.unwrap(), card::AMEX);
        reveal(node, &gone, None).await.unwrap().must_be(404).unwrap();
    }
    let list = nodes[1].get("/v1/payment_methods?customer_id=ada").await.unwrap().expect(200).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
