//! A whole world in a fresh folder: PKI, Root, vault, and if wanted PSP and orchestrator.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use strongroom_wire::Scope;
use tempfile::TempDir;

use super::pki::{text, vaultctl};
use super::{
    Client, Credentials, DestinationPlan, Fault, Hsm, Kms, NodePlan, Orchestrator, OrchestratorPlan, Pki, Policy, Psp,
    Result, Rule, SharedDatabase, Vault, VaultPlan, because, eventually,
};

/// Where the Root comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A development key in a file.
    Dev,
    /// A key in a token of SoftHSM.
    Hsm,
    /// A key in moto's KMS.
    Kms,
    /// Shares of custodians: how many, and how many are needed.
    Custodians(u8, u8),
}

/// What to build.
pub struct WorldPlan {
    /// Where the Root comes from.
    pub root: Root,
    /// vaultd's configuration.
    pub vault: VaultPlan,
    /// More rules, beside those of [`standard_policy`].
    pub policy: Policy,
    /// Whether PSP and orchestrator run too.
    pub payments: bool,
    /// The orchestrator's configuration.
    pub orchestrator: OrchestratorPlan,
    /// A folder to build in, which is kept; a fresh one that is removed when absent.
    pub folder: Option<PathBuf>,
}

impl Default for WorldPlan {
    fn default() -> Self {
        Self {
            root: Root::Dev,
            vault: VaultPlan::default(),
            policy: standard_policy(),
            payments: false,
            orchestrator: OrchestratorPlan::default(),
            folder: None,
        }
    }
}

/// Running processes and what is needed to speak to them.
pub struct World {
    // Processes stand first: they end before their folder is removed.
    /// The payment engine, where asked for.
    pub orchestrator: Option<Orchestrator>,
    /// The PSP, where asked for.
    pub psp: Option<Psp>,
    /// The vault.
    pub vault: Vault,
    /// The HSM that holds the Root, where one does.
    pub hsm: Option<Hsm>,
    /// The KMS that holds the Root, where one does.
    pub kms: Option<Kms>,
    /// The certificates.
    pub pki: Pki,
    /// The policy that vaultd was started with.
    pub policy: Policy,
    /// A tenant that exists from the start.
    pub tenant: String,
    folder: Folder,
}

enum Folder {
    Fresh(TempDir),
    Kept(PathBuf),
}

/// The passphrase of a custodian's share in tests.
#[must_use]
pub fn passphrase_of(custodian: u8) -> String {
    format!("correct horse battery staple {custodian}")
}

/// The tenant that [`World::start`] registers in an unsealed vault.
pub const TENANT: &str = "acme";

impl World {
    /// A vault with a development Root, unsealed, and one tenant.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn vault_only() -> Result<Self> {
        Self::start(WorldPlan::default()).await
    }

    /// Vault, PSP and orchestrator.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn with_payments() -> Result<Self> {
        Self::start(WorldPlan { payments: true, ..WorldPlan::default() }).await
    }

    /// Builds what the plan says.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(plan: WorldPlan) -> Result<Self> {
        let folder = match plan.folder {
            Some(folder) => Folder::Kept(folder),
            None => Folder::Fresh(fresh()?),
        };
        let path = folder.path().to_owned();
        let pki = Pki::new(path.join("pki"))?;
        let server = pki.server("server")?;
        deal_root(&path.join("root"), plan.root, None)?;
        let mut wanted = VaultPlan { dev_root: plan.root == Root::Dev, ..plan.vault };
        let hsm = if plan.root == Root::Hsm { Some(Hsm::make(&path.join("hsm"))?) } else { None };
        let kms = if plan.root == Root::Kms { Some(Kms::start(&path).await?) } else { None };
        if let Some(hsm) = &hsm {
            hsm.init(&path.join("root"), &[])?;
            (wanted.root_lines, wanted.environment) = (hsm.lines("root")?, hsm.environment());
        }
        if let Some(kms) = &kms {
            kms.init(&kms.key()?, &path.join("root"), &[])?;
            (wanted.root_lines, wanted.environment) = (kms.lines("root"), kms.environment());
        }
        let psp = if plan.payments { Some(Psp::start(path.clone(), &pki, &server).await?) } else { None };
        if let Some(psp) = &psp {
            // Under the names of the orchestrator's connectors, so that it can have its requests forwarded.
            for name in Rule::DESTINATIONS {
                wanted.destinations.retain(|known| known.name != name);
                wanted.destinations.push(DestinationPlan::new(name, psp.client().base()));
            }
        }
        let vault = Vault::start(&path, wanted, &plan.policy, &server, &pki).await?;
        let mut world = Self {
            orchestrator: None,
            psp: None,
            vault,
            hsm,
            kms,
            pki,
            policy: plan.policy,
            tenant: TENANT.to_owned(),
            folder,
        };
        if matches!(plan.root, Root::Hsm | Root::Kms) {
            world.opened().await?;
        }
        if !matches!(plan.root, Root::Custodians(..)) {
            world.register(TENANT).await?;
        }
        if let (Root::Custodians(_, threshold), true) = (plan.root, plan.payments) {
            // The orchestrator's merchant needs an open vault.
            for number in 1..=threshold {
                world.hand_in(number, &passphrase_of(number))?;
            }
        }
        if plan.payments {
            let psp = psp.ok_or_else(|| Fault::new("the PSP was not started"))?;
            let vault_client = world.pki.client("orchestrator", "main")?;
            let vault = world.vault.addresses();
            let base = psp.client().base().to_owned();
            let orchestrator =
                Orchestrator::start(&path, plan.orchestrator, &world.pki, &server, &vault_client, vault, &base).await?;
            world.psp = Some(psp);
            world.orchestrator = Some(orchestrator);
        }
        Ok(world)
    }

    /// Waits until the vault has opened by itself; says how long that took.
    ///
    /// # Errors
    /// When it does not.
    pub async fn opened(&self) -> Result<std::time::Duration> {
        let (began, release) = (std::time::Instant::now(), self.release().await?);
        let ready = || async { Ok((release.get("/health/ready").await?.status == 200).then_some(())) };
        eventually("the vault to open by itself", std::time::Duration::from_secs(90), ready).await?;
        Ok(began.elapsed())
    }

    /// One more orchestrator, in a folder of its own with this name. To share a database both need a plan that says so.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_node(&self, name: &str, plan: OrchestratorPlan) -> Result<Orchestrator> {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).map_err(because(folder.display()))?;
        let (server, vault_client) = (self.pki.server("server")?, self.pki.client("orchestrator", "main")?);
        let base = self.psp()?.client().base();
        Orchestrator::start(&folder, plan, &self.pki, &server, &vault_client, self.vault.addresses(), base).await
    }

    /// One more vaultd on the same database, under a name and in a folder of its own, with the same policy and Root. The
    /// plan of this world's own vaultd says which database.
    ///
    /// # Errors
    /// When this world's vaultd has a store of its own, or the new one does not start.
    pub async fn add_vault(&self, name: &str) -> Result<Vault> {
        let node = self.vault.plan().node.as_ref();
        let node = node.ok_or_else(|| Fault::new("this world's vault shares no database"))?;
        self.add_vault_at(name, node.database.clone()).await
    }

    /// The same, which reaches the database by another way.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_vault_at(&self, name: &str, database: SharedDatabase) -> Result<Vault> {
        let node = Some(NodePlan { name: name.to_owned(), database, roots: "../" });
        let plan = VaultPlan { node, ..self.vault.plan().clone() };
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).map_err(because(folder.display()))?;
        Vault::start(&folder, plan, &self.policy, &self.pki.server("server")?, &self.pki).await
    }

    /// Registers a tenant and its keys.
    ///
    /// # Errors
    /// When the vault refuses.
    pub async fn register(&self, tenant: &str) -> Result<()> {
        let body = serde_json::json!({ "tenant": tenant });
        let answer = self.security().await?.post("/v1/tenants", &body).await?;
        if answer.status != 201 { answer.must_be(200) } else { Ok(()) }
    }

    /// The certificate of a role and name, made on first use.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn credentials(&self, role: &str, name: &str) -> Result<Credentials> {
        self.pki.client(role, name)
    }

    /// A client of the release listener with every release scope, acting for the first tenant.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub async fn release(&self) -> Result<Client> {
        let who = self.credentials("orchestrator", "main")?;
        Ok(self.vault.release(&self.pki, &who)?.tenant(&self.tenant))
    }

    /// A client of the admin listener with every admin scope.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub async fn security(&self) -> Result<Client> {
        self.vault.admin(&self.pki, &self.credentials("security", "alice")?)
    }

    /// Hands in the share of custodian `number`, from 1, by the real `vaultctl`, under a certificate of its own.
    ///
    /// # Errors
    /// When the share is refused; the fault shows what `vaultctl` said.
    pub fn hand_in(&self, number: u8, passphrase: &str) -> Result<String> {
        let who = self.credentials("custodian", &format!("c{number}"))?;
        self.hand_in_as(&who, number, passphrase)
    }

    /// As [`World::hand_in`], under any certificate.
    ///
    /// # Errors
    /// When the share is refused.
    pub fn hand_in_as(&self, who: &Credentials, number: u8, passphrase: &str) -> Result<String> {
        self.hand_in_at(&self.vault, who, number, passphrase)
    }

    /// The same at another vault of this world.
    ///
    /// # Errors
    /// When the share is refused.
    pub fn hand_in_at(&self, vault: &Vault, who: &Credentials, number: u8, passphrase: &str) -> Result<String> {
        let file = self.path().join(format!("typed-{number}"));
        secret_file(&file, passphrase)?;
        let share = self.path().join(format!("root/share-{number}.json"));
        let arguments = ["unseal", "--acknowledge", "--share", text(&share)?, "--passphrase-file", text(&file)?];
        self.vaultctl_at(vault, who, &arguments)
    }

    /// Runs `vaultctl` against the admin listener as `who`.
    ///
    /// # Errors
    /// When it fails; the fault shows what it said.
    pub fn vaultctl(&self, who: &Credentials, arguments: &[&str]) -> Result<String> {
        self.vaultctl_at(&self.vault, who, arguments)
    }

    /// The same against another vault of this world.
    ///
    /// # Errors
    /// See [`World::vaultctl`].
    pub fn vaultctl_at(&self, vault: &Vault, who: &Credentials, arguments: &[&str]) -> Result<String> {
        let [_, _, admin] = vault.addresses();
        let url = format!("https://localhost:{}", admin.port());
        let ca = self.pki.ca();
        let mut all = arguments.to_vec();
        all.extend(["--url", &url, "--ca", text(&ca)?, "--cert", text(&who.certificate)?, "--key", text(&who.key)?]);
        vaultctl(&all)
    }

    /// Verifies the audit log offline with the real `vaultctl`; answers what it said.
    ///
    /// # Errors
    /// When the log does not hold.
    pub fn verify_audit(&self, public_key: &str, kept: Option<&Path>) -> Result<String> {
        verify_log(&self.vault.audit_file(), public_key, kept)
    }

    /// Verifies a note that the vault signed, offline, with the real `vaultctl`; answers what it said.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn verify_note(&self, note: &Path, public_keys: &Path) -> Result<String> {
        vaultctl(&["proof", "verify", text(note)?, "--public-key", text(public_keys)?])
    }

    /// The audit log's public key and a checkpoint that covers everything so far, kept in a file.
    ///
    /// # Errors
    /// When the vault does not answer.
    pub async fn keep_checkpoint(&self) -> Result<(String, PathBuf)> {
        self.keep_checkpoint_of(&self.vault).await
    }

    /// The same of another vault of this world.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn keep_checkpoint_of(&self, vault: &Vault) -> Result<(String, PathBuf)> {
        let security = vault.admin(&self.pki, &self.credentials("security", "alice")?)?;
        let size = security.get("/v1/status").await?.expect(200)?["audit_size"].as_u64().unwrap_or(0);
        let note = eventually("a checkpoint", std::time::Duration::from_secs(30), || async {
            let answer = security.get("/v1/audit/checkpoint").await?;
            if answer.status != 200 {
                return Ok(None);
            }
            let note = answer.text();
            let covered: u64 = note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
            Ok((covered >= size).then_some(note))
        });
        let path = vault.audit_file().with_file_name("kept-checkpoint");
        std::fs::write(&path, note.await?).map_err(because(path.display()))?;
        let key = security.get("/v1/audit/public-key").await?;
        key.must_be(200)?;
        Ok((key.text().trim().to_owned(), path))
    }

    /// The orchestrator.
    ///
    /// # Errors
    /// When the plan asked for none.
    pub fn payments(&self) -> Result<&Orchestrator> {
        self.orchestrator.as_ref().ok_or_else(|| Fault::new("this world has no orchestrator: plan `payments`"))
    }

    /// The PSP.
    ///
    /// # Errors
    /// When the plan asked for none.
    pub fn psp(&self) -> Result<&Psp> {
        self.psp.as_ref().ok_or_else(|| Fault::new("this world has no PSP: plan `payments`"))
    }

    /// The folder of every file of this world.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Fresh(folder) => folder.path(),
            Folder::Kept(folder) => folder,
        }
    }
}

/// Verifies any audit log file offline with the real `vaultctl`; answers what it said.
///
/// # Errors
/// When the log does not hold; the fault shows what `vaultctl` said.
pub fn verify_log(log: &Path, public_key: &str, kept: Option<&Path>) -> Result<String> {
    let mut arguments = vec!["audit", "verify", "--log", text(log)?, "--public-key", public_key];
    if let Some(kept) = kept {
        arguments.extend(["--checkpoint", text(kept)?]);
    }
    vaultctl(&arguments)
}

/// Identities of a usual deployment: one orchestrator with every release scope, two security officers, five custodians
/// and a monitor.
#[must_use]
pub fn standard_policy() -> Policy {
    let (admin, release): (Vec<Scope>, Vec<Scope>) = Scope::ALL.into_iter().partition(|scope| scope.is_admin());
    let officer: Vec<Scope> = admin.into_iter().filter(|scope| *scope != Scope::Unseal).collect();
    let mut policy = Policy::default()
        .rule(Rule::new("orchestrator", "main", &["*"], &release).reveals(100_000_000, 4_000_000_000))
        .rule(Rule::new("security", "alice", &["*"], &officer))
        .rule(Rule::new("security", "bob", &["*"], &officer))
        .rule(Rule::new("monitor", "prometheus", &[], &[Scope::Metrics, Scope::Status]));
    for number in 1..=5 {
        policy = policy.rule(Rule::new("custodian", &format!("c{number}"), &[], &[Scope::Unseal, Scope::Status]));
    }
    policy
}

/// Makes a Root in a folder: for a new vault, or for the one that a root.json belongs to.
pub(super) fn deal_root(folder: &Path, root: Root, before: Option<&Path>) -> Result<()> {
    let out = text(folder)?;
    let successor = before.map(text).transpose()?.map_or_else(Vec::new, |before| vec!["--for", before]);
    match root {
        // Made by the part itself, once it runs.
        Root::Hsm | Root::Kms => Ok(()),
        Root::Dev => vaultctl(&[vec!["init", "--dev", "--out", out], successor].concat()).map(drop),
        Root::Custodians(shares, threshold) => {
            let (count, needed) = (shares.to_string(), threshold.to_string());
            // The floor of Argon2id is hard enough to prove what is to be proved, and tests need not wait for more.
            let mut arguments = vec!["init", "--shares", &count, "--threshold", &needed, "--open-milliseconds", "0"];
            let files: Vec<PathBuf> =
                (1..=shares).map(|number| folder.with_extension(format!("passphrase-{number}"))).collect();
            for (file, number) in files.iter().zip(1..) {
                secret_file(file, &passphrase_of(number))?;
                arguments.extend(["--passphrase-file", text(file)?]);
            }
            arguments.extend(["--out", out]);
            arguments.extend(successor);
            vaultctl(&arguments).map(drop)
        }
    }
}

/// A file that only its owner may read, as `vaultctl` demands of passphrases.
pub(super) fn secret_file(path: &Path, words: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(because(path.display()))?;
    file.write_all(words.as_bytes()).map_err(because(path.display()))
}

fn fresh() -> Result<TempDir> {
    tempfile::Builder::new().prefix("strongroom-").tempdir().map_err(because("a fresh folder"))
}
