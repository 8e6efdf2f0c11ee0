//! Ten thousand connections of browsers on which nothing moves.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_tests::harness::eventually;
use tokio::sync::Semaphore;

use crate::crowd::crowd;
use crate::gauge::{Gauges, resident};
use crate::line::{Door, Way};
use crate::{alone, preflight, reveal, stored, vault};

/// As many as there shall be, where the system lets processes have so many files.
const IDLE: u64 = 10_000;
/// Most memory of the vault for each of them, in bytes.
const BYTES_MAX: u64 = 96 * 1024;
/// How long opening them may take: a handshake costs milliseconds on a machine that does other things as well.
const OPEN_WITHIN: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_browsers_take_little_memory_and_keep_no_release_waiting() {
    let _turn = alone().await;
    let wanted = as_many_as_the_system_allows();
    let mut world = vault("head_seconds = 60").await;
    let release = world.release().await.unwrap();
    let token = stored(&release, "cus_ada").await;
    let (way, requests) = (Way::to(&world, Door::Release), [reveal(&world.tenant, &token)]);
    let before = crowd(&way, &requests, 2, Duration::from_secs(2)).await;
    let resident_before = resident(&mut world);

    let intake = Way::quick(&world, world.vault.addresses()[0]);
    let turns = Arc::new(Semaphore::new(32));
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..wanted {
        idle.spawn(stay(intake.clone(), Arc::clone(&turns)));
    }
    let security = world.security().await.unwrap();
    let open = "strongroom_connections{listener=\"Intake\"}";
    eventually("all of them to be open at once", OPEN_WITHIN, || async {
        Ok((Gauges::of(&security).await.get(open) >= wanted).then_some(()))
    })
    .await
    .unwrap();
    let each = resident(&mut world).saturating_sub(resident_before) / wanted;
    println!("{wanted} idle connections, {} KiB each", each / 1024);
    assert!(each < BYTES_MAX, "each idle connection takes {each} bytes");

    let during = crowd(&way, &requests, 2, Duration::from_secs(2)).await;
    println!("before: {before}\nwith {wanted} idle connections: {during}");
    assert_eq!(during.statuses.keys().copied().collect::<Vec<_>>(), [200], "{during}");
    assert!(during.p99() < (before.p99() * 20).max(Duration::from_secs(2)), "{before}, then {during}");
    // There is a place for one browser more.
    let mut line = Way::to(&world, Door::Intake).open().await.unwrap();
    assert_eq!(line.ask(&preflight()).await.unwrap().status, 204);
    idle.abort_all();
}

/// Stays connected for as long as the test lasts: silent for as long as a client may be, and then connected anew.
async fn stay(way: Way, turns: Arc<Semaphore>) {
    loop {
        let turn = turns.acquire().await.unwrap();
        let opened = way.open().await;
        drop(turn);
        if let Ok(mut line) = opened {
            line.ended(OPEN_WITHIN).await;
        }
    }
}

/// A connection is a file here and a file there, and the vault gives its intake five eighths of what it may open.
fn as_many_as_the_system_allows() -> u64 {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum }).unwrap();
    let most = files.maximum.unwrap_or(u64::MAX);
    let (here, there) = (most.saturating_sub(1000), most.saturating_sub(1000) / 8 * 5);
    let possible = here.min(there).min(IDLE);
    if possible < IDLE {
        eprintln!("the system lets a process open {most} files: {possible} idle connections instead of {IDLE}");
    }
    assert!(possible > 100, "the system lets a process open {most} files, which is too few for any server");
    possible
}
