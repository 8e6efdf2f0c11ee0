//! Start-up: from a configuration to a vault that answers, and back in order.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::rt;
use strongroom_keys::note;
use strongroom_keys::root::{self, Descriptor};
use strongroom_wire::admin::RootKind;
use strongroom_wire::entry::OwnAct;
use strongroom_wire::hex::hex;
use strongroom_wire::limits;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::{Addresses, Bound, Certificates, Gates, ListenError, Rate, State, TlsError};
use crate::audit::{AuditError, AuditLog, NotRecorded, Own, Turn};
use crate::barrier::{Barrier, Cryptoperiods};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, ConfigError, NodeAt, StorePlace};
use crate::dialect::locker::{self, Door, DoorError};
use crate::egress::{Egress, PlanError};
use crate::flow::auto::Reach;
use crate::flow::nodes::{self, Bounds};
use crate::flow::policy_change::{self, NoPolicy};
use crate::flow::{FlowError, RootPlace, RootSource, Vault, admin, backup, migrate, quotas, unseal};
use crate::harden::Hardened;
use crate::policy::{Note, Policy};
use crate::store::postgres::{BadSettings, OpenError};
use crate::store::{PostgresOptions, PostgresStore, Store, StoreError};
use crate::telemetry::log;

#[path = "start_store.rs"]
mod store;
#[path = "start_tasks.rs"]
mod tasks;

use tasks::Tasks;

/// Why vaultd does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// See [`PlanError`].
    #[error(transparent)]
    Destination(#[from] PlanError),
    /// See [`DoorError`].
    #[error(transparent)]
    Locker(#[from] DoorError),
    /// See [`ListenError`].
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// See [`AuditError`].
    #[error("audit.path: {0}")]
    Audit(#[from] AuditError),
    /// The store is in use and its log is not there.
    #[error(
        "audit.path: the log is empty but the store is not, so the log was removed or the path is wrong. Put its newest copy \
         back; if there is none, start once with audit.begin_anew = true, which is recorded"
    )]
    LogLost,
    /// See [`StoreError`].
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The file is not the store any more.
    #[error(
        "store.path: the store was moved out of this file into {target}. Name that as [store] postgres in place of path, give this \
         vaultd a [node] name and a new audit.path (keep the log of before), and start it again{more}"
    )]
    Moved {
        /// The database, in words.
        target: String,
        /// What is left to do before that.
        more: &'static str,
    },
    /// The move ended and the database does not know it.
    #[error("store.move_to: the store was moved into this database, which could not be told so yet: {0}")]
    Release(String),
    /// See [`OpenError`].
    #[error("store.postgres: {0}")]
    Database(#[from] OpenError),
    /// See [`BadSettings`].
    #[error(transparent)]
    BadDatabase(#[from] BadSettings),
    /// The first entry could not be written.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// The policy file.
    #[error("policy.path: {0}")]
    Policy(String),
    /// See [`NoPolicy`].
    #[error("policy.path: {0}")]
    NoPolicy(NoPolicy),
    /// root.json.
    #[error("root.file {path}: {why}")]
    Root {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A root.json of before a change, or of another division.
    #[error(
        "root.file {path}: another root.json is in force in this vault, the one whose SHA-256 is {sha256}. Put that file \
         there; one of before a change of the root, or of another division, opens this vault no more"
    )]
    NotInForce {
        /// Which file.
        path: PathBuf,
        /// The sum of the one in force.
        sha256: String,
    },
    /// A development Root with a listener that others can reach.
    #[error(
        "a dev root is for development on loopback; set every [listen] address to 127.0.0.1 or [::1], \
         or make a real root with `vaultctl init`"
    )]
    DevRootBeyondLoopback,
    /// This process could not join the others.
    #[error("node.name: {0}")]
    Node(FlowError),
    /// A move of the store that was begun.
    #[error("store.move_to: {0}")]
    Move(FlowError),
    /// The development Root could not be used.
    #[error("{0}")]
    DevRoot(FlowError),
    /// The operating system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Everything that a start reads before it opens or changes anything.
pub struct Checked {
    config: Config,
    certificates: Certificates,
    egress: Egress,
    door: Option<Door>,
    policy: String,
    root: (Descriptor, RootPlace),
    next: Option<(Descriptor, RootPlace)>,
}

impl Checked {
    /// Reads and checks configuration, certificates, policy and root.json.
    ///
    /// # Errors
    /// [`StartError`] names the file and key at fault.
    pub fn read(config: Config) -> Result<Self, StartError> {
        let certificates = Certificates::load(&config)?;
        let egress = Egress::load(&config.destination)?;
        let door = config.locker.as_ref().map(Door::load).transpose()?;
        let (policy, _) = admin::read_policy_text(&config.policy.path).map_err(StartError::Policy)?;
        let (place, next_place) = places(&config.root);
        let refuse = |place: &RootPlace, why: String| StartError::Root { path: place.file.clone(), why };
        let root = place.read().map_err(|why| refuse(&place, why))?;
        let root = root.ok_or_else(|| refuse(&place, "there is no such file".to_owned()))?;
        let next = match next_place {
            Some(place) => place.read().map_err(|why| refuse(&place, why))?.map(|next| (next, place)),
            None => None,
        };
        if next.is_none() {
            root::can_reach(&root, &place.site).map_err(|why| refuse(&place, why.to_string()))?;
        }
        let is_dev = |root: &Descriptor, place: &RootPlace| root.kind() == RootKind::Dev || place.dev_key.is_some();
        let next_is_dev = next.as_ref().is_some_and(|(next, place)| is_dev(next, place));
        if (is_dev(&root, &place) || next_is_dev) && !config.is_loopback_only() {
            return Err(StartError::DevRootBeyondLoopback);
        }
        Ok(Self { config, certificates, egress, door, policy, root: (root, place), next })
    }

    /// Whether the database, where the store is in one, can be reached and is this vault's or empty. Changes nothing.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub async fn reach_store(&self) -> Result<(), StartError> {
        if let StorePlace::Database(url) = self.config.store.place()? {
            let vault_id = self.root.0.vault_id().to_string();
            PostgresStore::check(PostgresOptions::new(&url, &vault_id)?).await?;
        }
        Ok(())
    }
}

/// Runs the vault until SIGTERM or SIGINT.
///
/// # Errors
/// [`StartError`] if it cannot start.
pub async fn run(checked: Checked, hardened: Hardened) -> Result<(), StartError> {
    let Checked { config, certificates, egress, door, policy, root, next } = checked;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let vault_id = root.0.vault_id().to_string();
    let (store, move_plan) = store::open(&config.store, &vault_id).await?;
    let (root, is_next) = in_force(&*store, root, next).await?;
    let is_dev = root.0.kind() == RootKind::Dev;
    let origin = match &config.node {
        Some(node) => note::node_origin(&vault_id, &node.name),
        None => note::origin(&vault_id),
    };
    let audit = AuditLog::open(&config.audit.path, Arc::clone(&clock), &origin)?;
    audit.bound_log(config.audit.log_bytes_max);
    // The log of a node that is new is empty beside a store in use.
    let is_lost = audit.size() == 0 && is_in_use(&*store, config.node.as_ref()).await?;
    if is_lost && !config.audit.begin_anew {
        return Err(StartError::LogLost);
    }
    let begin = policy_change::Start { begin_anew: config.policy.begin_anew, is_node: config.node.is_some() };
    let (rules, source) = policy_change::at_start((&*store, &audit), &config.policy.path, policy, begin)
        .await
        .map_err(StartError::NoPolicy)?;
    if source.differs() {
        log::warn("the policy file is not the one in force: ask for it with `vaultctl reload`", &[]);
    }
    let policy = Policy::new(rules);
    restore_quotas(&policy, &audit, clock.now_ms())?;
    let periods = Cryptoperiods {
        kek_ms: config.keys.kek.ms(),
        fingerprint_ms: config.keys.fingerprint.ms(),
        session_ms: config.keys.session.ms(),
        sign_ms: config.keys.sign.ms(),
        intake_ms: config.intake.key_hours * 3_600_000,
        warn_ms: config.keys.warn.ms(),
    };
    let barrier = Barrier::with_periods(Arc::clone(&clock), periods);
    let rooms = (policy, audit, barrier, store);
    root::can_reach(&root.0, &root.1.site)
        .map_err(|why| StartError::Root { path: root.1.file.clone(), why: why.to_string() })?;
    let reach = Reach::new(Duration::from_secs(config.root.probe_seconds));
    let root = RootSource::new(root, places(&config.root).1, config.is_loopback_only()).reached_by(reach);
    let mut warnings = warnings(&config, is_dev, hardened);
    if is_next {
        warnings.push("the root.json of [root.next] is in force: move it to the place that root.file names".to_owned());
    }
    let mut vault = Vault::new(rooms, source, egress, clock, root, warnings);
    if let Some(node) = &config.node {
        vault.among(node.name.clone(), Bounds::default());
        vault.barrier.share_epochs();
        vault.policy.share();
    }
    let vault = Arc::new(vault);
    nodes::join(&vault).await.map_err(StartError::Node)?;
    let mut tasks = Tasks::of_node(&vault);
    if let Some(to) = &config.backup {
        vault.backups.plan(backup::Plan { folder: to.folder.clone(), keep: to.keep });
    }
    if let Some(plan) = move_plan {
        vault.moves.plan(plan);
    }
    vault.audit.watch(Arc::new(tell));
    let note = if is_lost { Note::words("begun anew: the log before this is lost") } else { Note::none() };
    vault.audit.record_own(OwnAct::Started, Own::noting(note)).await?;
    if is_dev {
        log::warn("DEVELOPMENT ROOT: the key lies in a file; never store a real card in this vault", &[]);
        unseal::by_itself(&vault).await.map_err(StartError::DevRoot)?;
    }
    let certificates = Arc::new(certificates);
    let state = Arc::new(State {
        vault: Arc::clone(&vault),
        clients: certificates.clients(),
        certificates: Arc::clone(&certificates),
        intake_rate: Rate::new(config.intake.requests_per_minute_per_address),
        sdk_rate: Rate::new(config.intake.requests_per_minute_per_address.saturating_mul(FILES_OF_A_PAGE)),
        report_rate: Rate::new(limits::SDK_REPORTS_PER_MINUTE_MAX),
        public_origin: config.intake.public_origin.clone(),
        leaving: AtomicBool::new(false),
        gates: Gates::new(&config.listen),
        dialect: door.map(locker::dialect),
    });
    let bound = Bound::bind(&config.listen)?;
    let addresses = bound.addresses();
    quotas::begin(&vault).await;
    let serving = bound.serve(&config.listen, &state, &certificates)?;
    let stop = serving.stop();
    tasks.begin_all(&vault, &config);
    migrate::resume(&vault).await.map_err(StartError::Move)?;
    let signals = Signals::catch()?;
    announce(&config, addresses)?;
    let notice = Duration::from_secs(config.listen.notice_seconds);
    let stopping = rt::spawn(async move {
        signals.wait_for_stop(&state).await;
        // New connections are taken as long as somebody may still send them here.
        state.leave();
        rt::time::sleep(notice).await;
        stop.in_order().await;
    });
    serving.ended().await?;
    stopping.abort();
    vault.moves.end().await;
    let _ = stopping.await;
    vault.rotations.end().await;
    // Awaited, so that nothing else holds the vault when it is dropped below.
    tasks.end().await;
    quotas::end(&vault).await;
    nodes::depart(&vault).await;
    // Sealed and signed at the end; an order to stop is followed even if the log cannot be written.
    let _ = vault.audit.checkpoint().await;
    let _ = vault.audit.record_own(OwnAct::Stopped, Own::noting(Note::none())).await;
    vault.audit.detach();
    vault.barrier.seal_now();
    // The last user closes both files, so that a copy of each alone is whole.
    if Arc::into_inner(vault).is_none() {
        log::warn("something still held the vault; copy the files together with their -wal files", &[]);
    }
    log::info("stopped", &[]);
    Ok(())
}

/// Whether this vaultd has used the store before: among several nodes the log of each is named in it once it was unsealed.
async fn is_in_use(store: &dyn Store, node: Option<&NodeAt>) -> Result<bool, StoreError> {
    Ok(match node {
        Some(node) => store.sign_terms().await?.iter().any(|term| term.node.as_ref() == Some(&node.name)),
        None => !store.keys().await?.is_empty(),
    })
}

/// Where the Root in force and the one to come are described and opened.
fn places(root: &config::Root) -> (RootPlace, Option<RootPlace>) {
    let next = root.next.as_ref().map(|next| RootPlace {
        file: next.file.clone(),
        dev_key: next.dev_key.clone(),
        site: next.site(),
    });
    (RootPlace { file: root.file.clone(), dev_key: root.dev_key.clone(), site: root.site() }, next)
}

/// Of the two root.json the one that the store says is in force, and whether it is the one of `[root.next]`. A vault that
/// was never unsealed takes the first.
async fn in_force(
    store: &dyn Store,
    root: (Descriptor, RootPlace),
    next: Option<(Descriptor, RootPlace)>,
) -> Result<((Descriptor, RootPlace), bool), StartError> {
    let Some(sum) = store.root_in_force().await? else { return Ok((root, false)) };
    if root.0.sum() == sum {
        return Ok((root, false));
    }
    match next.filter(|next| next.0.sum() == sum) {
        Some(next) => Ok((next, true)),
        None => Err(StartError::NotInForce { path: root.1.file, sha256: hex(&sum) }),
    }
}

/// A restart does not refill a day's quota: what the log says was released counts again.
fn restore_quotas(policy: &Policy, audit: &AuditLog, now_ms: u64) -> Result<(), AuditError> {
    audit.releases(now_ms.saturating_sub(Policy::RESTORE_MS), |who, at_ms, count| {
        policy.restore(who, (at_ms, now_ms), count);
    })
}

/// Says at once when the audit log turns for the worse (PCI DSS 10.7).
fn tell(turn: Turn) {
    match turn {
        Turn::Failing { code } => {
            log::error("the audit log cannot be written: nothing is released", &[("code", &code)])
        }
        Turn::Healed => log::info("the audit log can be written again", &[]),
        Turn::RootNotStored { code } => log::warn("the audit log's root was not stored yet", &[("code", &code)]),
        Turn::WriterLost => log::error("the audit log's writer ended: restart vaultd", &[]),
    }
}

fn warnings(config: &Config, is_dev: bool, hardened: Hardened) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.locker.as_ref().is_some_and(|locker| !locker.client_certificates) {
        warnings.push(
            "locker.client_certificates is false: whoever has a caller's message key and reaches the port can retrieve its cards"
                .to_owned(),
        );
    }
    if config.audit.begin_anew {
        warnings.push("audit.begin_anew is set, so that a log that is removed is not noticed: take it out".to_owned());
    }
    if config.policy.begin_anew {
        warnings.push(
            "policy.begin_anew is set, so that each start takes the policy file unapproved: take it out".to_owned(),
        );
    }
    if [&config.tls.intake.key, &config.tls.internal.key].into_iter().any(|key| is_readable_by_all(key)) {
        warnings.push("every user of this machine can read a TLS key: run chmod 600 on it".to_owned());
    }
    if config.store.postgres_password_file.as_deref().is_some_and(is_readable_by_all) {
        warnings
            .push("every user of this machine can read the database's password: run chmod 600 on its file".to_owned());
    }
    if is_dev {
        warnings.push("the Root is a development file: never store a real card in this vault".to_owned());
    }
    if !hardened.no_core || !hardened.not_dumpable {
        warnings.push("the system did not forbid core dumps of this process".to_owned());
    }
    if !hardened.locked {
        warnings.push("memory is not locked and may reach swap: set LimitMEMLOCK=infinity or turn swap off".to_owned());
    }
    warnings
}

fn is_readable_by_all(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

fn announce(config: &Config, addresses: Addresses) -> Result<(), StartError> {
    let mut all: Vec<(&str, &dyn log::LogSafe)> =
        vec![("intake", &addresses.intake), ("release", &addresses.release), ("admin", &addresses.admin)];
    all.extend(addresses.locker.iter().map(|at| ("locker", at as &dyn log::LogSafe)));
    log::info("listening", &all);
    if let Some(path) = &config.listen.ready_file {
        // Written aside and moved, so that whoever waits for the file never reads half of it.
        let half = path.with_extension("half");
        std::fs::write(&half, serde_json::to_vec(&addresses).map_err(std::io::Error::other)?)?;
        std::fs::rename(&half, path)?;
    }
    Ok(())
}

/// The signals that vaultd answers. They are caught before it says that it is ready, because until then each of them
/// would end the process on the spot.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// SIGHUP reloads, SIGTERM and SIGINT stop.
    async fn wait_for_stop(mut self, state: &Arc<State>) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => reload(state).await,
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}

async fn reload(state: &Arc<State>) {
    match state.reload() {
        Ok(other) => {
            let words = match other {
                None => "SIGHUP: certificates, policy",
                Some(_) => "SIGHUP: certificates; the policy file is not the one in force",
            };
            let about = Own::noting(Note::words(words));
            if state.vault.audit.record_own(OwnAct::Reloaded, about).await.is_err() {
                log::error("reload not recorded", &[]);
            }
            log::info("reloaded", &[]);
            if state.vault.policy_source.differs() {
                log::warn("the policy file is not the one in force: ask for it with `vaultctl reload`", &[]);
            }
        }
        Err(_) => log::error("reload refused: run `vaultd check-config`; what was in use stays in use", &[]),
    }
}

/// A page fetches the loader, the document, its script and its style for each card that it sends.
const FILES_OF_A_PAGE: u32 = 4;
