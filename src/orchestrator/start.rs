//! Puts the parts together as the configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{self, Api, Listening, ServerSettings};
use crate::clock::SystemClock;
use crate::config::{CardsMode, Config, ConfigError, Database};
use crate::connector;
use crate::dashboard;
use crate::dialect;
use crate::intent::{Engine, Parts};
use crate::store::{OpenError, PostgresStore, SqliteStore, Store, StoreError};
use crate::telemetry::Metrics;
use crate::transport::{Destination, ForwardTransport, HttpTransport};
use crate::vault::{VaultClient, VaultSettings};
use crate::webhook::{self, Courier, HttpSender, Reach, SenderSettings};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] api::TlsError),
    /// The listener.
    #[error(transparent)]
    Serve(#[from] api::ServeError),
    /// The store.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The shared store.
    #[error("database: {0}")]
    Database(#[from] OpenError),
    /// The configuration of the shared store.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The dashboard's operators.
    #[error("dashboard: {0}")]
    Dashboard(#[from] dashboard::BadOperators),
    /// A client of the vault or of a provider.
    #[error("an outgoing connection cannot be set up")]
    Client,
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] crate::ids::NoRandomness),
    /// The ready file.
    #[error("ready_file cannot be written")]
    ReadyFile,
}

/// Opens the store, connects the parts, listens. Call it inside an actix runtime.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config) -> Result<Listening, StartError> {
    let store = open(&config).await?;
    let Outgoing { vault, direct, webhooks } = outgoing(&config)?;
    let slowest = config.psp.values().map(|psp| psp.total_timeout_ms).max().unwrap_or(0);
    // An exchange reveals a credential and a card and then calls the provider.
    let exchange_ms = slowest + 2 * config.vault.total_timeout_ms;
    let metrics = Arc::new(Metrics::new());
    let engine = Engine::new(Parts {
        store,
        transport: match config.vault.cards {
            CardsMode::Release => Arc::new(direct),
            CardsMode::Forward => {
                let patience = Duration::from_millis(slowest + config.vault.total_timeout_ms);
                Arc::new(ForwardTransport::new(direct, vault.clone(), patience))
            }
        },
        vault,
        clock: Arc::new(SystemClock),
        connectors: connector::all(),
        metrics: metrics.clone(),
        exchange_ms_max: i64::try_from(exchange_ms).unwrap_or(i64::MAX / 4),
        public_url: config.public_url.clone(),
    })?;
    let engine = Arc::new(engine);
    let reach = reach(&config);
    let courier = Courier::speaking(
        engine.clone(),
        Arc::new(webhooks),
        dialect::voice(&config.dialects),
        webhook::system_chance(),
        i64::try_from(config.webhooks.total_timeout_ms).unwrap_or(i64::MAX / 4),
    );
    let api = Api::new(engine, config.admin_hash(), config.vault.intake_url.clone(), metrics).with_webhook_reach(reach);
    let api = api.with_requests_max(config.requests_max.unwrap_or(REQUESTS_MAX));
    let api = match dashboard::pages(&config.dashboard, &config.public_url)? {
        Some(pages) => api.with_pages(pages),
        None => api,
    };
    if config.dialects.direct_charges.as_ref().is_some_and(|door| door.scenarios) {
        tracing::warn!(
            "dialects.direct_charges.scenarios is on, so callers choose how a payer proves a charge: only for the simulator"
        );
    }
    let api = dialect::doors(&config.dialects).into_iter().fold(api, Api::with_pages);
    let workers = config.workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let settings = ServerSettings { listen: config.listen, certificate: config.certificate, key: config.key, workers };
    let listening = api::serve(Arc::new(api), settings)?;
    tokio::spawn(courier.run());
    tracing::info!(address = %listening.address, event = "listening", "listening");
    if let Some(path) = &config.ready_file {
        // Renamed into place, so that whoever waits for the file never reads half of it.
        let half = path.with_extension("part");
        std::fs::write(&half, listening.address.to_string())
            .and_then(|()| std::fs::rename(&half, path))
            .map_err(|_| StartError::ReadyFile)?;
    }
    Ok(listening)
}

async fn open(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    match &config.database {
        Database::File(file) => Ok(Arc::new(SqliteStore::open(file)?)),
        Database::Server(_) => {
            let settings = config.postgres()?.ok_or(StoreError::Unavailable)?;
            Ok(Arc::new(PostgresStore::open(&settings, database_tls(config)?).await?))
        }
    }
}

fn database_tls(config: &Config) -> Result<Option<rustls::ClientConfig>, StartError> {
    Ok(config.database_ca.as_deref().map(|ca| api::client_config(ca, None)).transpose()?)
}

/// What `check-config` can try without opening the store or a port: every file that TLS and the database need.
///
/// # Errors
/// [`StartError`].
pub fn check(config: &Config) -> Result<(), StartError> {
    outgoing(config)?;
    database_tls(config)?;
    if let Some(settings) = config.postgres()? {
        settings.check_password().map_err(OpenError::from)?;
    }
    api::check_server_certificate(&config.certificate, &config.key)?;
    Ok(())
}

/// Requests at work at a time while nobody says otherwise. Each may hold three connections: its client's, the vault's and the
/// provider's.
const REQUESTS_MAX: usize = 512;

/// The ways out of this process.
struct Outgoing {
    vault: Arc<VaultClient>,
    /// Straight to providers.
    direct: HttpTransport,
    /// To merchants' receivers.
    webhooks: HttpSender,
}

fn reach(config: &Config) -> Reach {
    if config.webhooks.allow_private { Reach::Anywhere } else { Reach::Public }
}

fn outgoing(config: &Config) -> Result<Outgoing, StartError> {
    let vault = &config.vault;
    let settings = VaultSettings {
        url: vault.url.clone(),
        tls: api::client_config(&vault.ca, Some((&vault.client_certificate, &vault.client_key)))?,
        connect_timeout: Duration::from_millis(vault.connect_timeout_ms),
        total_timeout: Duration::from_millis(vault.total_timeout_ms),
    };
    let mut destinations = BTreeMap::new();
    for (name, psp) in &config.psp {
        let destination = Destination {
            base_url: psp.base_url.clone(),
            tls: psp.ca.as_deref().map(|ca| api::client_config(ca, None)).transpose()?,
            connect_timeout: Duration::from_millis(psp.connect_timeout_ms),
            total_timeout: Duration::from_millis(psp.total_timeout_ms),
        };
        destinations.insert(name.clone(), destination);
    }
    let vault = VaultClient::new(settings).map_err(|_| StartError::Client)?;
    let direct = HttpTransport::new(destinations).map_err(|_| StartError::Client)?;
    let webhooks = HttpSender::new(SenderSettings {
        reach: reach(config),
        tls: config.webhooks.ca.as_deref().map(|ca| api::client_config(ca, None)).transpose()?,
        connect_timeout: Duration::from_millis(config.webhooks.connect_timeout_ms),
        total_timeout: Duration::from_millis(config.webhooks.total_timeout_ms),
    });
    let webhooks = webhooks.map_err(|_| StartError::Client)?;
    Ok(Outgoing { vault: Arc::new(vault), direct, webhooks })
}
