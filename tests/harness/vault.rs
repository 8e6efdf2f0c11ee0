//! vaultd as a process, with a configuration and a policy of its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde::Deserialize;
use strongroom_wire::Scope;

use super::elsewhere::Environment;
use super::pki::identity;
use super::process::surviving;
use super::{Binary, Client, Credentials, Pki, Process, Result, SharedDatabase, because, binary_path};

/// How a vault is configured.
#[derive(Debug, Clone)]
pub struct VaultPlan {
    /// Seconds that an idle connection stays open.
    pub keep_alive_seconds: u64,
    /// Seconds that connections are still taken after a stop signal.
    pub notice_seconds: u64,
    /// Seconds between sweeps.
    pub sweep_seconds: u64,
    /// Most tokenize requests a minute from one address on intake.
    pub intake_requests_per_minute: u32,
    /// Whether the Root is a development key in a file.
    pub dev_root: bool,
    /// Whether a write beyond [`Process::limit_file_size`] is an error to vaultd, as on a full disk, and not a signal
    /// that ends it.
    pub survives_file_size_limit: bool,
    /// More lines below `[root]`, such as how an HSM is reached.
    pub root_lines: String,
    /// More variables of its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where it may send cards.
    pub destinations: Vec<DestinationPlan>,
    /// What makes it one of several; a store of its own in a file when absent.
    pub node: Option<NodePlan>,
    /// The tables of the card-vault dialect, from `[locker]` on; nobody speaks it when absent.
    pub locker: Option<String>,
}

/// One vaultd of several on one database.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// Its name among the others.
    pub name: String,
    /// The database that all of them share.
    pub database: SharedDatabase,
    /// Where the folders of the Root are, from its own folder: empty, or ending in a slash.
    pub roots: &'static str,
}

/// A destination of the vault on loopback, whose certificate the world's CA signed.
#[derive(Debug, Clone)]
pub struct DestinationPlan {
    /// Its name.
    pub name: String,
    /// `https://host:port`.
    pub base_url: String,
    /// Whether addresses of this machine are allowed, as every test but one needs it.
    pub allow_private: bool,
    /// More lines of its table. Every path is taken unless they say otherwise.
    pub more: String,
}

impl DestinationPlan {
    /// A destination that takes every path on this machine.
    #[must_use]
    pub fn new(name: &str, base_url: &str) -> Self {
        Self { name: name.to_owned(), base_url: base_url.to_owned(), allow_private: true, more: String::new() }
    }

    /// With more lines of its table.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        self.more.push_str(lines);
        self.more.push('\n');
        self
    }

    /// Its table in the configuration.
    #[must_use]
    pub fn text(&self, ca: &Path) -> String {
        let paths = if self.more.contains("paths =") { "" } else { "paths = [\"/**\"]\n" };
        format!(
            "\n[destination.{}]\nbase_url = {:?}\nca = {ca:?}\nallow_private = {}\n{paths}{}",
            self.name, self.base_url, self.allow_private, self.more
        )
    }
}

impl NodePlan {
    /// What stands below `[store]`.
    fn store(&self) -> String {
        let SharedDatabase { url, ca, password_file } = &self.database;
        let ca = ca.as_ref().map(|ca| format!("postgres_ca = {ca:?}\n")).unwrap_or_default();
        format!("postgres = {url:?}\npostgres_password_file = {password_file:?}\n{ca}")
    }
}

impl Default for VaultPlan {
    fn default() -> Self {
        Self {
            keep_alive_seconds: 5,
            notice_seconds: 0,
            sweep_seconds: 1,
            intake_requests_per_minute: 100_000,
            dev_root: true,
            survives_file_size_limit: false,
            root_lines: String::new(),
            environment: Vec::new(),
            // Nobody listens there; a dry run does not mind.
            destinations: vec![DestinationPlan::new("psp", "https://localhost:1")],
            node: None,
            locker: None,
        }
    }
}

/// A policy file in the making.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// What one identity may do.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The role part of its URI.
    pub role: String,
    /// The name part of its URI.
    pub name: String,
    /// For which tenants; `*` for all.
    pub tenants: Vec<String>,
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// Where cards may go for it, where it may forward.
    pub destinations: Vec<String>,
    /// Its quotas of reveals a minute and a day, where it may reveal.
    pub reveals: Option<(u32, u32)>,
    /// The only public keys that may speak for it, as `vaultctl pki pin` prints them; any when empty.
    pub pins: Vec<String>,
}

impl Rule {
    /// A rule without quotas.
    #[must_use]
    pub fn new(role: &str, name: &str, tenants: &[&str], scopes: &[Scope]) -> Self {
        Self {
            role: role.to_owned(),
            name: name.to_owned(),
            tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
            scopes: scopes.to_vec(),
            destinations: Self::DESTINATIONS
                .into_iter()
                .filter(|_| scopes.contains(&Scope::Forward))
                .map(str::to_owned)
                .collect(),
            reveals: None,
            pins: Vec::new(),
        }
    }

    /// Where cards may go for an identity that may forward, unless it is said otherwise.
    pub const DESTINATIONS: [&'static str; 4] = ["psp", "stripe", "adyen", "worldpay"];

    /// The same rule with other destinations.
    #[must_use]
    pub fn destinations(mut self, names: &[&str]) -> Self {
        self.destinations = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The same rule with quotas.
    #[must_use]
    pub fn reveals(mut self, per_minute: u32, per_day: u32) -> Self {
        self.reveals = Some((per_minute, per_day));
        self
    }
}

impl Policy {
    /// Adds a rule, or replaces the one of the same identity.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.retain(|known| (&known.role, &known.name) != (&rule.role, &rule.name));
        self.rules.push(rule);
        self
    }

    /// Removes the rule of an identity.
    #[must_use]
    pub fn without(mut self, role: &str, name: &str) -> Self {
        self.rules.retain(|known| (known.role.as_str(), known.name.as_str()) != (role, name));
        self
    }

    /// The policy file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = |words: &[String]| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let mut text = "version = 1\n".to_owned();
        for rule in &self.rules {
            let scopes: Vec<String> = rule.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
            let uri = identity(&rule.role, &rule.name);
            let _ = write!(text, "\n[[identity]]\nuri = \"{uri}\"\nscopes = [{}]\n", quoted(&scopes));
            if !rule.tenants.is_empty() {
                let _ = writeln!(text, "tenants = [{}]", quoted(&rule.tenants));
            }
            if !rule.destinations.is_empty() {
                let _ = writeln!(text, "destinations = [{}]", quoted(&rule.destinations));
            }
            if !rule.pins.is_empty() {
                let _ = writeln!(text, "pins = [{}]", quoted(&rule.pins));
            }
            if let Some((minute, day)) = rule.reveals {
                let _ = write!(text, "reveals_per_minute = {minute}\nreveals_per_day = {day}\n");
            }
        }
        text
    }
}

/// A running vault.
pub struct Vault {
    process: Process,
    folder: PathBuf,
    plan: VaultPlan,
    at: Listening,
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Listening {
    intake: SocketAddr,
    release: SocketAddr,
    admin: SocketAddr,
    locker: Option<SocketAddr>,
}

impl Vault {
    /// Writes the configuration and starts vaultd on free ports.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(
        folder: &Path,
        plan: VaultPlan,
        policy: &Policy,
        server: &Credentials,
        pki: &Pki,
    ) -> Result<Self> {
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(because(name));
        write("policy.toml", &policy.text())?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        write(
            CONFIG,
            &configuration(&plan, Listening { intake: any, release: any, admin: any, locker: Some(any) }, server, pki),
        )?;
        let (process, at) = launch(folder, &plan).await?;
        // A restart keeps its ports, so that clients and the orchestrator find the vault again.
        write(CONFIG, &configuration(&plan, at, server, pki))?;
        Ok(Self { process, folder: folder.to_owned(), plan, at })
    }

    /// Starts it again after it was killed or stopped, on the same ports and files.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        (self.process, self.at) = launch(&self.folder, &self.plan).await?;
        Ok(())
    }

    /// The `public_origin` of a vault that was never restarted, which does not know its port when it is configured.
    pub const UNKNOWN_ORIGIN: &'static str = "https://vault.example";

    /// Starts it again with the origin in its configuration that it really has, so that the card fields that it serves may
    /// post to it.
    ///
    /// # Errors
    /// When it does not stop or does not become ready.
    pub async fn serve_fields(&mut self) -> Result<()> {
        self.process.stop().await?;
        self.restart().await
    }

    /// The origin under which browsers reach its intake.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(self.at.intake)
    }

    /// Changes the text of its configuration, for the next start.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn edit_configuration(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.folder.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(because(CONFIG))?;
        fs::write(&path, change(&text)).map_err(because(CONFIG))
    }

    /// Has it reach other Roots from its next start on: what stands below `[root]` and below `[root.next]`, and more variables
    /// of its environment.
    ///
    /// # Errors
    /// When the configuration cannot be read or written.
    pub(super) fn set_roots(&mut self, lines: &str, next_lines: &str, environment: Environment) -> Result<()> {
        self.plan.environment = environment;
        let home = self.plan.node.as_ref().map_or("", |node| node.roots);
        self.edit_configuration(|text| {
            let (before, rest) = text.split_once("[root]\n").unwrap_or((text, ""));
            let after = rest.split_once("[store]\n").map_or("", |(_, after)| after);
            format!("{before}{}[store]\n{after}", roots(home, "", lines, next_lines))
        })
    }

    /// Writes another policy and has it looked at (SIGHUP); it takes effect when two people agreed on it.
    ///
    /// # Errors
    /// When the file cannot be written or the signal not be sent.
    pub fn set_policy(&self, policy: &Policy) -> Result<()> {
        fs::write(self.folder.join("policy.toml"), policy.text()).map_err(because("policy.toml"))?;
        self.process.signal(Signal::HUP)
    }

    /// A client of the intake listener.
    ///
    /// # Errors
    /// When the CA cannot be read.
    pub fn intake(&self, pki: &Pki) -> Result<Client> {
        Client::new(pki, self.at.intake, None)
    }

    /// A client of the release listener.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn release(&self, pki: &Pki, who: &Credentials) -> Result<Client> {
        Client::new(pki, self.at.release, Some(who))
    }

    /// A client of the admin listener.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn admin(&self, pki: &Pki, who: &Credentials) -> Result<Client> {
        Client::new(pki, self.at.admin, Some(who))
    }

    /// The three addresses: intake, release, admin.
    #[must_use]
    pub fn addresses(&self) -> [SocketAddr; 3] {
        [self.at.intake, self.at.release, self.at.admin]
    }

    /// Where payment switches call, if they may.
    #[must_use]
    pub fn locker(&self) -> Option<SocketAddr> {
        self.at.locker
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &VaultPlan {
        &self.plan
    }

    /// The store's file.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.folder.join("vault.db")
    }

    /// The audit log's file.
    #[must_use]
    pub fn audit_file(&self) -> PathBuf {
        self.folder.join("audit.db")
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.process.log()
    }
}

async fn launch(folder: &Path, plan: &VaultPlan) -> Result<(Process, Listening)> {
    let ready = folder.join(READY);
    // A ready file of an earlier run would speak of a process that is gone.
    let _ = fs::remove_file(&ready);
    let vaultd = binary_path(Binary::Vaultd)?;
    let mut command = if plan.survives_file_size_limit { surviving(&vaultd) } else { Command::new(vaultd) };
    command.arg("--config").arg(folder.join(CONFIG)).envs(plan.environment.iter().cloned());
    let mut process = Process::start("vaultd", &mut command, &folder.join("vaultd.log"))?;
    let at = serde_json::from_str(&process.ready(&ready).await?).map_err(because("vaultd's ready file"))?;
    Ok((process, at))
}

fn configuration(plan: &VaultPlan, at: Listening, server: &Credentials, pki: &Pki) -> String {
    let (certificate, key) = (server.certificate.display(), server.key.display());
    let home = plan.node.as_ref().map_or("", |node| node.roots);
    let dev = if plan.dev_root { format!("dev_key = \"{home}root/dev-root.key\"\n") } else { String::new() };
    let store = plan.node.as_ref().map_or_else(|| "path = \"vault.db\"\n".to_owned(), NodePlan::store);
    let node = plan.node.as_ref().map_or_else(String::new, |node| format!("\n[node]\nname = \"{}\"\n", node.name));
    let locker = plan.locker.as_deref().unwrap_or_default();
    let at_locker = at.locker.filter(|_| plan.locker.is_some());
    let at_locker = at_locker.map_or_else(String::new, |at| format!("locker = \"{at}\"\n"));
    let destinations: String = plan.destinations.iter().map(|destination| destination.text(&pki.ca())).collect();
    format!(
        "[listen]\nintake = \"{}\"\nrelease = \"{}\"\nadmin = \"{}\"\nready_file = \"{READY}\"\nkeep_alive_seconds = {}\n\
         notice_seconds = {}\n{at_locker}\n\
         [tls]\nintake = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n\
         internal = {{ certificate = \"{certificate}\", key = \"{key}\", client_ca = \"{}\" }}\n\n\
         {}[store]\n{store}sweep_seconds = {}\n{node}\n[audit]\npath = \"audit.db\"\n\n\
         [policy]\npath = \"policy.toml\"\n\n[backup]\nfolder = \"backups\"\n\n[intake]\nrequests_per_minute_per_address = {}\n\
         public_origin = \"{}\"\n{destinations}\n{locker}",
        at.intake,
        at.release,
        at.admin,
        plan.keep_alive_seconds,
        plan.notice_seconds,
        pki.ca().display(),
        roots(home, &dev, &plan.root_lines, ""),
        plan.sweep_seconds,
        plan.intake_requests_per_minute,
        // A port of 0 becomes a real one at the first start; the next start knows it.
        if at.intake.port() == 0 { Vault::UNKNOWN_ORIGIN.to_owned() } else { origin(at.intake) },
    )
}

/// What browsers call the intake. They find every name below `localhost` on this machine, and the vault has one of its own
/// so that it shares no site with others.
fn origin(at: SocketAddr) -> String {
    format!("https://vault.localhost:{}", at.port())
}

/// `[root]` and `[root.next]`, with more lines below each.
fn roots(home: &str, dev: &str, lines: &str, next_lines: &str) -> String {
    format!(
        "[root]\nfile = \"{home}root/root.json\"\nprobe_seconds = 1\n{dev}{lines}\n\
         [root.next]\nfile = \"{home}next/root.json\"\ndev_key = \"{home}next/dev-root.key\"\n{next_lines}\n"
    )
}

const CONFIG: &str = "vaultd.toml";
const READY: &str = "vaultd-ready.json";
