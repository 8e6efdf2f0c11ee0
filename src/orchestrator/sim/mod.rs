//! Simulation: thousands of random lives of payments on the real engine, store, connectors and simulator, against laws.
//! Every failure prints its steps; they go into `regressions.rs` as they stand, and stay there.

mod ears;
mod laws;
mod life;
mod op;
mod psp;
mod regressions;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;

/// How many lives; `STRONGROOM_LIVES` tries more, `STRONGROOM_SEED` one alone.
#[test]
fn money_moves_once_in_every_life() {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match read("STRONGROOM_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("STRONGROOM_LIVES").unwrap_or(LIVES)).collect(),
    };
    let next = AtomicU64::new(0);
    let count = u64::try_from(seeds.len()).unwrap();
    let broken = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    if place >= count || broken.lock().unwrap().len() >= FAILURES_SHOWN {
                        return;
                    }
                    let seed = seeds[usize::try_from(place).unwrap()];
                    let steps = op::life(seed);
                    let provider = PROVIDERS[usize::try_from(seed % PROVIDERS.len() as u64).unwrap()];
                    if let Err(why) = lived(provider, &steps) {
                        broken.lock().unwrap().push((seed, format!("{provider}: {why}"), steps));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    for (seed, why, steps) in &broken {
        let lines: String = steps.iter().map(|step| format!("    {step:?},\n")).collect();
        eprintln!("life {seed}: {why}\n{lines}");
    }
    assert!(
        broken.is_empty(),
        "{} lives broke a law: {:?}",
        broken.len(),
        broken.iter().map(|b| b.0).collect::<Vec<_>>()
    );
}

/// Lives the steps on a runtime of one thread; says which law was broken.
fn lived(provider: &'static str, steps: &[op::Step]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(AssertUnwindSafe(life::live(provider, steps)).catch_unwind());
    ended.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Every provider that the simulator speaks for.
const PROVIDERS: [&str; 3] = ["stripe", "adyen", "worldpay"];
const LIVES: u64 = 2_000;
const THREADS: usize = 2;
const FAILURES_SHOWN: usize = 3;
