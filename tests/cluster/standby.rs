//! A commit that no standby has is lost with its server. Where a synchronous standby is required, a server without one is not
//! used, also after a failover.

use std::time::Duration;

use strongroom_tests::harness::{Cluster, Pair, card, eventually};

use crate::{number, of, reveal, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_server_without_a_standby_is_used_only_where_none_is_required() {
    let pair = Pair::start();
    let mut cluster = Cluster::start(pair.database("vault"), 1).await.unwrap();
    let vault = cluster.node_mut(0);
    vault.process().stop().await.unwrap();
    let required = "[store]\nrequire_synchronous_standby = true\n";
    vault.edit_configuration(|text| text.replacen("[store]\n", required, 1)).unwrap();
    vault.restart().await.unwrap();
    cluster.ready(0).await.unwrap();
    let release = cluster.release(0).unwrap();
    let token = store(&release, &of("ada", card::VISA)).await.unwrap();

    pair.kill_primary();
    pair.promote();
    let log = cluster.node(0).log().to_owned();
    let said = || async { Ok(std::fs::read_to_string(&log).unwrap().contains("no synchronous standby").then_some(())) };
    eventually("the server to be refused", WITHIN, said).await.unwrap();
    // Its commits would be confirmed before anybody else has them.
    let refused = release.post("/v1/payment_methods", &of("eve", card::VISA)).await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    assert_eq!(reveal(&release, &token, None).await.unwrap().status, 503);

    // The operator takes the risk until there is a standby again.
    let vault = cluster.node_mut(0);
    vault.process().kill().unwrap();
    vault.edit_configuration(|text| text.replacen(required, "[store]\n", 1)).unwrap();
    vault.restart().await.unwrap();
    cluster.ready(0).await.unwrap();
    let release = cluster.release(0).unwrap();
    assert_eq!(number(&release, &token).await.unwrap(), card::VISA);
    store(&release, &of("eve", card::VISA)).await.unwrap();
    let said = std::fs::read_to_string(cluster.node(0).log()).unwrap();
    assert!(said.contains("a failover would lose cards"), "the risk is not told");
}

const WITHIN: Duration = Duration::from_secs(90);
