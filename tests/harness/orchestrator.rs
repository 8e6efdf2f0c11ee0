//! orchestratord as a process, and what a shop needs there: a merchant, its key and its account at the PSP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::process::surviving;
use super::psp::API_KEY;
use super::{Binary, Client, Credentials, Fault, Pki, Postgres, Process, Result, because, binary_path};

/// How an orchestrator is configured.
#[derive(Debug, Clone)]
pub struct OrchestratorPlan {
    /// Longest wait for a whole answer of the PSP, in milliseconds.
    pub psp_total_ms: u64,
    /// Another PSP than the simulator: base URL.
    pub psp_base: Option<String>,
    /// And the CA of its certificate.
    pub psp_ca: Option<PathBuf>,
    /// Whether the vault fills cards into requests and sends them, so that the orchestrator never holds one.
    pub forwards: bool,
    /// Whether a write beyond [`Process::limit_file_size`] is an error to orchestratord, as on a full disk, and not a signal
    /// that ends it.
    pub survives_file_size_limit: bool,
    /// More tables of the configuration.
    pub more: String,
    /// A PostgreSQL database that it shares with others, instead of a file of its own.
    pub shared: Option<SharedDatabase>,
    /// A merchant that another orchestrator on the same database has set up.
    pub merchant: Option<Merchant>,
}

/// Where a shared database is.
#[derive(Debug, Clone)]
pub struct SharedDatabase {
    /// `postgres://...`.
    pub url: String,
    /// The authority of the server's certificate; `None`: without TLS.
    pub ca: Option<PathBuf>,
    /// The file with the password.
    pub password_file: PathBuf,
}

impl SharedDatabase {
    /// A database of a server, over TLS.
    #[must_use]
    pub fn of(server: &Postgres, name: &str) -> Self {
        Self { url: server.url(name), ca: Some(server.ca()), password_file: server.password_file() }
    }

    fn configuration(&self) -> String {
        let password_file = self.password_file.display();
        let ca = self.ca.as_ref().map(|ca| format!("database_ca = \"{}\"\n", ca.display())).unwrap_or_default();
        format!("database = \"{}\"\n{ca}database_password_file = \"{password_file}\"\n", self.url)
    }
}

impl Default for OrchestratorPlan {
    fn default() -> Self {
        Self {
            psp_total_ms: 10_000,
            psp_base: None,
            psp_ca: None,
            forwards: false,
            survives_file_size_limit: false,
            more: String::new(),
            shared: None,
            merchant: None,
        }
    }
}

/// A running orchestrator with one merchant.
pub struct Orchestrator {
    process: Process,
    folder: PathBuf,
    survives_file_size_limit: bool,
    at: SocketAddr,
    anyone: Client,
    /// The merchant's keys.
    pub merchant: Merchant,
}

/// What a merchant got when it was set up.
#[derive(Debug, Clone, Default)]
pub struct Merchant {
    /// Its name, which is the tenant's name in the vault.
    pub id: String,
    /// For its servers.
    pub api_key: String,
    /// For its pages.
    pub publishable_key: String,
}

impl Orchestrator {
    /// Writes the configuration, starts orchestratord on a free port and sets up a merchant with an account at the PSP.
    ///
    /// # Errors
    /// When it does not become ready or refuses the merchant.
    pub async fn start(
        folder: &Path,
        plan: OrchestratorPlan,
        pki: &Pki,
        server: &Credentials,
        vault_client: &Credentials,
        vault: [SocketAddr; 3],
        psp: &str,
    ) -> Result<Self> {
        let place = Place { plan: &plan, pki, server, vault_client, vault, psp };
        let write = |at| fs::write(folder.join(CONFIG), place.configuration(at)).map_err(because(CONFIG));
        write(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let survives = plan.survives_file_size_limit;
        let (first, at) = launch(folder, survives).await?;
        // Its own address is part of the configuration, and is known only now.
        drop(first);
        write(at)?;
        let (process, at) = launch(folder, survives).await?;
        let anyone = Client::new(pki, at, None)?;
        let mut started = Self {
            process,
            folder: folder.to_owned(),
            survives_file_size_limit: survives,
            at,
            anyone,
            merchant: Merchant::default(),
        };
        started.merchant = match plan.merchant {
            Some(merchant) => merchant,
            None => started.set_up(super::world::TENANT).await?,
        };
        Ok(started)
    }

    /// Starts it again after it was killed or stopped, on the same port and database.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        (self.process, self.at) = launch(&self.folder, self.survives_file_size_limit).await?;
        Ok(())
    }

    /// Sets up a merchant: account, API key, connector account at the PSP.
    ///
    /// # Errors
    /// When the orchestrator refuses.
    pub async fn set_up(&self, merchant_id: &str) -> Result<Merchant> {
        let admin = self.anyone.clone().with("api-key", ADMIN_KEY);
        let account = admin.post("/accounts", &json!({ "merchant_id": merchant_id })).await?.expect(200)?;
        let name = json!({ "name": "shop", "expiration": "never" });
        let key = admin.post(&format!("/api_keys/{merchant_id}"), &name).await?.expect(200)?;
        let connector = json!({
            "connector_type": "payment_processor",
            "connector_name": "stripe",
            "connector_account_details": { "auth_type": "HeaderKey", "api_key": API_KEY },
        });
        admin.post(&format!("/account/{merchant_id}/connectors"), &connector).await?.expect(200)?;
        let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let merchant = Merchant {
            id: merchant_id.to_owned(),
            api_key: words(&key["api_key"]),
            publishable_key: words(&account["publishable_key"]),
        };
        if merchant.api_key.is_empty() || merchant.publishable_key.is_empty() {
            return Err(Fault::new("the orchestrator set up a merchant without keys"));
        }
        Ok(merchant)
    }

    /// A client with the merchant's secret key: the shop's server.
    #[must_use]
    pub fn shop(&self) -> Client {
        self.anyone.clone().with("api-key", &self.merchant.api_key)
    }

    /// A client with the merchant's publishable key: the shop's page in a browser.
    #[must_use]
    pub fn page(&self) -> Client {
        self.anyone.clone().with("api-key", &self.merchant.publishable_key)
    }

    /// A client with the operator's key.
    #[must_use]
    pub fn operator(&self) -> Client {
        self.anyone.clone().with("api-key", ADMIN_KEY)
    }

    /// A client without any key.
    #[must_use]
    pub fn anyone(&self) -> Client {
        self.anyone.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.join(DATABASE)
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.process.log()
    }
}

struct Place<'a> {
    plan: &'a OrchestratorPlan,
    pki: &'a Pki,
    server: &'a Credentials,
    vault_client: &'a Credentials,
    vault: [SocketAddr; 3],
    psp: &'a str,
}

impl Place<'_> {
    fn configuration(&self, at: SocketAddr) -> String {
        let ca = self.pki.ca().display().to_string();
        let psp_ca = self.plan.psp_ca.as_ref().map_or_else(|| ca.clone(), |path| path.display().to_string());
        let own = || format!("database = \"{DATABASE}\"\n");
        let database = self.plan.shared.as_ref().map_or_else(own, SharedDatabase::configuration);
        let (psp, wait) = (self.plan.psp_base.as_deref().unwrap_or(self.psp), self.plan.psp_total_ms);
        let psps: String = PSPS
            .iter()
            .map(|name| format!("[psp.{name}]\nbase_url = \"{psp}\"\nca = \"{psp_ca}\"\ntotal_timeout_ms = {wait}\n\n"))
            .collect();
        format!(
            "listen = \"{at}\"\nready_file = \"{READY}\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
             admin_key_sha256 = \"{}\"\npublic_url = \"https://localhost:{}\"\n{database}\n\
             [vault]\nurl = \"https://localhost:{}\"\nca = \"{ca}\"\ncards = \"{}\"\n\
             client_certificate = \"{}\"\nclient_key = \"{}\"\nintake_url = \"https://vault.localhost:{}\"\n\n\
             [webhooks]\nallow_private = true\nca = \"{ca}\"\n\n\
             {psps}\n{}",
            self.server.certificate.display(),
            self.server.key.display(),
            hexadecimal(&Sha256::digest(ADMIN_KEY)),
            at.port(),
            self.vault[1].port(),
            if self.plan.forwards { "forward" } else { "release" },
            self.vault_client.certificate.display(),
            self.vault_client.key.display(),
            self.vault[0].port(),
            self.plan.more,
        )
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn launch(folder: &Path, survives_file_size_limit: bool) -> Result<(Process, SocketAddr)> {
    let ready = folder.join(READY);
    // A ready file of an earlier run would speak of a process that is gone.
    let _ = fs::remove_file(&ready);
    let orchestratord = binary_path(Binary::Orchestratord)?;
    let mut command = if survives_file_size_limit { surviving(&orchestratord) } else { Command::new(orchestratord) };
    command.arg("--config").arg(folder.join(CONFIG));
    let mut process = Process::start("orchestratord", &mut command, &folder.join("orchestratord.log"))?;
    let at = process.ready(&ready).await?.trim().parse().map_err(because("orchestratord's ready file"))?;
    Ok((process, at))
}

/// The dialects of the simulator that the orchestrator pays at.
const PSPS: [&str; 2] = ["stripe", "adyen"];
const CONFIG: &str = "orchestratord.toml";
const DATABASE: &str = "orchestrator.db";
const READY: &str = "orchestratord-ready";

/// The operator's key of test orchestrators; their configuration holds its hash alone.
const ADMIN_KEY: &str = "strongroom-tests-admin-key";
