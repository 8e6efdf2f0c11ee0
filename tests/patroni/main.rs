//! Payments and cards on a PostgreSQL that Patroni and etcd keep available: the machine of the primary is lost under load, and
//! nobody but Patroni does anything about it.
#![allow(clippy::unwrap_used, reason = "a step of a test that fails shall end the test there")]

use strongroom_tests::harness::Patroni;

#[test]
fn the_machine_of_the_primary_is_lost_and_its_standby_takes_over() {
    let mut patroni = Patroni::start();
    let database = patroni.database("one");
    assert!(database.url.contains("target_session_attrs"));
    let killed = patroni.kill_primary();
    patroni.bring_back(killed);
}
