//! Real browsers in a real shop: people pay in Chromium and Firefox, hostile pages try to get at the card, operators look and
//! change things in the dashboard, and what was said on the way is searched for card numbers.

mod desk;
mod digits;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use desk::Desk;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde_json::json;
use strongroom_tests::harness::{API_KEY, OrchestratorPlan, Process, Result, World, WorldPlan, because, operators};
use strongroom_tests::storefront::Storefront;
use tokio::sync::{Mutex, MutexGuard};

#[tokio::test]
async fn people_pay_in_chromium_and_hostile_pages_get_nothing() -> Result<()> {
    let browser = Installed::find(&["chromium", "chromium-browser"], "chromium");
    run_script("chromium.mjs", &browser).await
}

#[tokio::test]
async fn people_pay_in_firefox() -> Result<()> {
    let browser = Installed::find(&["firefox-esr"], "firefox-esr");
    run_script("firefox.mjs", &browser).await
}

/// A browser on this machine.
struct Installed(PathBuf);

impl Installed {
    /// The first of these programs that there is.
    fn find(programs: &[&str], package: &str) -> Self {
        let searched = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&searched).collect();
        let found = programs.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        Self(found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("install {package} (Debian)")))
    }
}

/// Runs a script of this folder by Node's test runner against a world and a shop of its own, then searches what shop and
/// processes heard for card numbers.
async fn run_script(script: &str, browser: &Installed) -> Result<()> {
    // One browser at a time: two would only wait for each other.
    let _turn = turn().await;
    let orchestrator = OrchestratorPlan { more: operators()?, ..OrchestratorPlan::default() };
    let plan = WorldPlan { payments: true, policy: Storefront::policy(), orchestrator, ..WorldPlan::default() };
    let mut world = World::start(plan).await?;
    let shop = Storefront::open(&mut world, None).await?;
    let desk = Desk::furnish(&world).await?;
    let release = world.credentials("orchestrator", "main")?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let target = here.join("../../target");
    let packages = target.join("node/browser");
    assert!(packages.join("node_modules").exists(), "the packages are not there: `cargo xtask test` installs them");
    let notes = target.join("browser");
    std::fs::create_dir_all(&notes).map_err(because(notes.display()))?;
    let told = json!({
        "browser": browser.0,
        "addresses": shop.addresses().as_json(),
        "intake": format!("https://localhost:{}", world.vault.addresses()[0].port()),
        "certificate_pin": world.pki.pin(&world.pki.server("server")?)?,
        "ledger": format!("{}/ledger", world.psp()?.client().base()),
        "psp": world.psp()?.client().base(),
        "psp_key": API_KEY,
        "merchant": { "id": world.payments()?.merchant.id, "api_key": world.payments()?.merchant.api_key },
        "publishable_key": world.payments()?.merchant.publishable_key,
        "desk": desk.as_json(),
        "release": {
            "url": format!("https://localhost:{}", world.vault.addresses()[1].port()),
            "tenant": world.tenant,
            "certificate": release.certificate,
            "key": release.key,
            "ca": world.pki.ca(),
        },
        "packages": packages.canonicalize().map_err(because("the packages"))?,
        "notes": notes.canonicalize().map_err(because("the notes"))?,
        "logs": [world.payments()?.log(), world.vault.log(), world.psp()?.log()],
    });
    // While somebody works on one of them: a pattern of the names of those to run.
    let only = std::env::var("STRONGROOM_SCENARIOS").unwrap_or_else(|_| "/./".to_owned());
    let told_to = notes.join(script).with_extension("txt");
    // Empty: what an earlier run said is not what this one says.
    File::create(&told_to).map_err(because(told_to.display()))?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "--test-name-pattern", &only])
        .arg(here.join(script))
        .env("STRONGROOM_WORLD", told.to_string())
        .env("NODE_EXTRA_CA_CERTS", world.pki.ca())
        // A profile of its own below the world's folder, which goes with it.
        .env("TMPDIR", world.path())
        .env("HOME", world.path());
    // It writes into a file, which is never full as a pipe is that nobody reads.
    let ended = ended_in_time(Process::start(script, &mut node, &told_to)?).await?;
    let said = std::fs::read(&told_to).map_err(because(told_to.display()))?;
    let said = String::from_utf8_lossy(&said);
    let Some(ended) = ended else { panic!("{script} was stopped after {ENDS_WITHIN:?}; it said so far:\n{said}") };
    assert!(ended.success(), "{script} failed:\n{said}");
    let heard = shop.heard()?;
    assert!(digits::of_card(&heard).is_none(), "the shop's server received a card number");
    // The search finds what is there: the ledger's payments were paid with cards that it looks for.
    let paid = world.psp()?.ledger().await?;
    assert!(paid.iter().any(|line| digits::is_of_search(&line.last4)), "nobody paid, so nothing was proven");
    desk.heard_no_card()?;
    drop(shop);
    search_logs(&world)
}

/// How Node ended; nothing where it did not end in time and was stopped: a browser that hangs must not hold whoever runs the
/// tests for ever. This runtime goes on meanwhile, for whoever is at work in it.
async fn ended_in_time(mut node: Process) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + ENDS_WITHIN;
    while Instant::now() < deadline {
        if let Some(status) = node.ended()? {
            return Ok(Some(status));
        }
        tokio::time::sleep(STEP).await;
    }
    // The script is a process of its own below Node's runner, in the same group. Asked to stop, it takes the browser with it.
    let group = i32::try_from(node.id()).ok().and_then(Pid::from_raw).expect("process ids are positive and fit");
    for signal in [Signal::TERM, Signal::KILL] {
        if kill_process_group(group, signal).is_err() {
            break;
        }
        let deadline = Instant::now() + STOPS_WITHIN;
        while test_kill_process_group(group).is_ok() && Instant::now() < deadline {
            // A process that has ended is in its group until somebody has asked how.
            node.ended()?;
            tokio::time::sleep(STEP).await;
        }
    }
    Ok(None)
}

/// No log of any process holds a card number, stopped or not.
fn search_logs(world: &World) -> Result<()> {
    for log in [world.payments()?.log(), world.vault.log(), world.psp()?.log()] {
        let text = std::fs::read(log).map_err(because(log.display()))?;
        assert!(digits::of_card(&text).is_none(), "{} holds a card number", log.display());
    }
    Ok(())
}

async fn turn() -> MutexGuard<'static, ()> {
    static TURN: OnceLock<Mutex<()>> = OnceLock::new();
    TURN.get_or_init(Mutex::default).lock().await
}

/// Many times what a slow machine needs for one script.
const ENDS_WITHIN: Duration = Duration::from_secs(1800);
const STOPS_WITHIN: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(100);
