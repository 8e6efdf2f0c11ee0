//! One connection to the server that takes writes: each of the servers is asked in turn, and each has its own time to answer, so
//! that one that stands still does not hide the one that was promoted.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::note;
use super::run::OPERATION_TIMEOUT;
use super::session::Session;
use super::settings::PostgresOptions;
use crate::telemetry::log;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    /// Nobody answers.
    #[error("no server answers in time: see whether it runs and can be reached from here")]
    Silent,
    /// It does not take anybody now.
    #[error("the server starts, stops or has no connection left: ask again in a moment")]
    Occupied,
    /// None takes writes.
    #[error("every server that answers is a standby: name the primary too, or promote one")]
    Standby,
    /// What it confirms is nowhere else.
    #[error(
        "the server confirms commits before a synchronous standby has them, and store.require_synchronous_standby is set: give \
         it a standby, name that in synchronous_standby_names, and set synchronous_commit to on"
    )]
    Alone,
    /// It is older than what is tested.
    #[error("the server is older than PostgreSQL 13: move to a version that is looked after")]
    Old,
    /// It confirms what it can still lose.
    #[error("the server confirms commits that it can still lose: set fsync on and synchronous_commit to on")]
    Forgetful,
    /// Something else was refused.
    #[error("the server refuses the connection: see its log")]
    Other,
    /// There is no such database.
    #[error("the server has no such database: make it, or mend its name in store.postgres")]
    NoDatabase,
    /// User or password.
    #[error(
        "the server refuses this user or password: mend store.postgres or store.postgres_password_file, or pg_hba.conf"
    )]
    Login,
    /// It has no TLS.
    #[error("the server speaks no TLS: give it a certificate (ssl = on)")]
    NoTls,
    /// Who it says it is.
    #[error(
        "the server's certificate is for another name: store.postgres names the server as the certificate does, \
         beside hostaddr if need be"
    )]
    OtherName,
    /// Its time is over, or not come.
    #[error("the server's certificate has expired or is not valid yet: renew it")]
    Expired,
    /// Who vouches for it.
    #[error("the server's certificate is not signed by store.postgres_ca: name the CA that signed it")]
    Stranger,
}

impl Refused {
    /// A word for the log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Silent => "no answer",
            Self::Occupied => "occupied",
            Self::Standby => "standby",
            Self::Alone => "no synchronous standby",
            Self::Old => "too old",
            Self::Forgetful => "confirms what it can lose",
            Self::Other => "refused",
            Self::NoDatabase => "no such database",
            Self::Login => "user or password",
            Self::NoTls => "no TLS",
            Self::OtherName => "certificate for another name",
            Self::Expired => "certificate expired",
            Self::Stranger => "certificate of a stranger",
        }
    }
}

/// Makes connections.
pub(super) struct Connector {
    options: PostgresOptions,
    tls: Option<MakeRustlsConnect>,
    /// The server that answered last is asked first.
    first: AtomicUsize,
    /// Whether it was said that the server has no synchronous standby.
    is_said: AtomicBool,
    /// Sockets and the tasks that move their bytes belong to this runtime, which outlives who asked for them.
    handle: Handle,
}

impl Connector {
    pub(super) fn new(options: PostgresOptions, handle: Handle) -> Self {
        let tls = options.tls().map(MakeRustlsConnect::new);
        Self { options, tls, first: AtomicUsize::new(0), is_said: AtomicBool::new(false), handle }
    }

    /// A connection to a server that takes writes and keeps them.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<Session, Refused> {
        let this = Arc::clone(self);
        self.handle.spawn(async move { this.first_that_takes_writes().await }).await.unwrap_or(Err(Refused::Silent))
    }

    async fn first_that_takes_writes(&self) -> Result<Session, Refused> {
        let (count, first) = (self.options.count(), self.first.load(Ordering::Relaxed));
        let mut worst = Refused::Silent;
        for nth in (0..count).map(|step| (first + step) % count) {
            match timeout(CONNECT_TIMEOUT, self.one(nth)).await.unwrap_or(Err(Refused::Silent)) {
                Ok(session) => {
                    self.first.store(nth, Ordering::Relaxed);
                    return Ok(session);
                }
                // Of several reasons the one that somebody has to see to.
                Err(refused) => worst = worst.max(refused),
            }
        }
        Err(worst)
    }

    async fn one(&self, nth: usize) -> Result<Session, Refused> {
        let config = self.options.config(nth);
        let Some(network) = self.options.on_network(nth) else {
            let (client, connection) = config.connect(NoTls).await.map_err(|error| reason(&error))?;
            self.handle.spawn(async move { drop(connection.await) });
            self.admit(look(&client).await?)?;
            return Ok(Session::unknown(client));
        };
        let addresses = lookup_host((network.at.as_ref(), network.port)).await.map_err(|_| silent())?;
        let mut worst = Refused::Silent;
        for address in addresses {
            match self.at(address, network.name, &config).await {
                Ok(session) => return Ok(session),
                Err(refused) => worst = worst.max(refused),
            }
        }
        Err(worst)
    }

    async fn at(&self, address: SocketAddr, name: &str, config: &Config) -> Result<Session, Refused> {
        let stream = reach(address).await.map_err(|_| silent())?;
        let ends = stream.local_addr().and_then(|here| Ok((here, stream.peer_addr()?)));
        let (here, there) = ends.map_err(|_| silent())?;
        let client = match &self.tls {
            Some(tls) => {
                let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), name);
                let tls = tls.map_err(|_| Refused::OtherName)?;
                let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| reason(&error))?;
                self.handle.spawn(async move { drop(connection.await) });
                client
            }
            None => {
                let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| reason(&error))?;
                self.handle.spawn(async move { drop(connection.await) });
                client
            }
        };
        self.admit(look(&client).await?)?;
        Ok(Session::between(client, here, there).await)
    }

    /// Refuses a server whose commits no standby has, or says so, as the configuration wants.
    fn admit(&self, is_synchronous: bool) -> Result<(), Refused> {
        if !is_synchronous && self.options.needs_standby {
            return Err(Refused::Alone);
        }
        // Once, and again if it had one in between: a failover loses what no standby has.
        if !is_synchronous && !self.is_said.swap(true, Ordering::Relaxed) {
            log::warn(
                "the database confirms commits that no synchronous standby has: a failover would lose cards that were \
                 acknowledged (store.require_synchronous_standby)",
                &[],
            );
        } else if is_synchronous {
            self.is_said.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A socket that notices when nobody is at its other end any more.
async fn reach(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_user_timeout(Some(OPERATION_TIMEOUT))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(OPERATION_TIMEOUT))?;
    Ok(stream)
}

fn silent() -> Refused {
    log::warn("no connection to the database", &[("class", &"connection")]);
    Refused::Silent
}

/// Whether the server takes writes and has on its disk what it confirms; and, as the answer, whether a standby has it, too.
async fn look(client: &Client) -> Result<bool, Refused> {
    // An engine that speaks the same protocol may not know every setting.
    let sql = "SELECT coalesce(current_setting('server_version_num', true), '0'), \
               coalesce(current_setting('transaction_read_only', true), 'off'), \
               coalesce(current_setting('fsync', true), 'on'), \
               coalesce(current_setting('synchronous_commit', true), 'on'), \
               coalesce(current_setting('synchronous_standby_names', true), '')";
    let rows = client.query_typed(sql, &[]).await.map_err(|error| reason(&error))?;
    let row = rows.first().ok_or(Refused::Other)?;
    let said = |place: usize| row.try_get::<_, &str>(place).map_err(|_| Refused::Other);
    if said(0)?.parse::<u32>().unwrap_or(0) < VERSION_LEAST {
        return Err(Refused::Old);
    }
    if said(1)? == "on" {
        return Err(Refused::Standby);
    }
    let (commit, has_standby) = (said(3)?, !said(4)?.is_empty());
    if said(2)? == "off" || commit == "off" || (commit == "local" && has_standby) {
        return Err(Refused::Forgetful);
    }
    // With remote_write a standby confirms what is not on its disk yet.
    Ok(has_standby && (commit == "on" || commit == "remote_apply"))
}

fn reason(error: &Error) -> Refused {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let tls = inner.downcast_ref::<rustls::Error>().or_else(|| {
            inner.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()?.downcast_ref::<rustls::Error>())
        });
        if let Some(tls) = tls {
            return certificate(tls);
        }
        cause = inner.source();
    }
    note(error, "no connection to the database");
    match error.code() {
        None if error.to_string().contains("TLS") => Refused::NoTls,
        None => Refused::Silent,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Refused::NoDatabase,
        Some(code) if *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::TOO_MANY_CONNECTIONS => {
            Refused::Occupied
        }
        Some(code) if code.code().starts_with("28") => Refused::Login,
        Some(code) if code.code().starts_with("57") || code.code().starts_with("53") => Refused::Occupied,
        Some(_) => Refused::Other,
    }
}

fn certificate(error: &rustls::Error) -> Refused {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    };
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Refused::Expired,
            NotValidForName | NotValidForNameContext { .. } => Refused::OtherName,
            _ => Refused::Stranger,
        },
        _ => Refused::NoTls,
    }
}

/// How long one server may take to be reached and to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const VERSION_LEAST: u32 = 130_000;
