//! `vaultctl store`: have the vault move its store into a PostgreSQL database while it works, watch that, give it up.

use clap::{Args, Subcommand};
use strongroom_wire::migration::{MigrateRequest, Migration, MigrationState};

use crate::client::{Client, Connection, converse};
use crate::failure::Failure;
use crate::say::Say;
use crate::watch::Watch;

#[derive(Subcommand)]
pub(crate) enum Store {
    Migrate(Migrate),
    Status(Status),
    Abandon(Abandon),
}

/// Move the store from its SQLite file into the PostgreSQL database of the vault's configuration, and watch that
///
/// The vault goes on serving. What changes meanwhile is copied again, and whatever is interrupted goes on by itself. At the end
/// writes are held for a moment, both sides are compared by counts and digests, a sample of cards is opened, and the file is
/// marked as moved. From then on the vault answers 503 until it is started with [store] postgres. Interrupting this command
/// leaves the move running; asking again attaches to it, and another --records-per-second takes effect at once.
#[derive(Args)]
#[command(after_help = "\
Before: name an empty database as [store.move_to] postgres in vaultd.toml and start vaultd anew.
After:  name it as [store] postgres in place of path, name a [node] and a new audit.path, start vaultd.

Example:
  vaultctl store migrate --records-per-second 5000 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Migrate {
    /// At most so many records a second; no limit if not named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    records_per_second: Option<u32>,
    /// Start it and do not wait
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Show how far the move of the store is
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl store status --watch --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key"
)]
pub(crate) struct Status {
    /// Wait until it is over
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Give the move of the store up: the file is the store as before, and the database is emptied
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl store abandon --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key"
)]
pub(crate) struct Abandon {
    #[command(flatten)]
    connection: Connection,
}

impl Store {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Store::Migrate(migrate) => migrate.run(say),
            Store::Status(status) => status.run(say),
            Store::Abandon(abandon) => abandon.run(say),
        }
    }
}

impl Migrate {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let request = MigrateRequest { records_per_second_max: self.records_per_second };
        let now = converse(async {
            let begun: Migration = client.post(PATH, &request).await?;
            if self.detach { Ok(begun) } else { watch(&client, begun).await }
        })?;
        end(say, &now, !self.detach)
    }
}

impl Status {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let now = converse(async {
            let now: Migration = client.get(PATH).await?;
            if self.watch { watch(&client, now).await } else { Ok(now) }
        })?;
        end(say, &now, false)
    }
}

impl Abandon {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let now: Migration = converse(client.delete(PATH))?;
        match &now.fault {
            None => {
                say.result(&now, "given up: the file is the store as before, and the database is empty");
                Ok(())
            }
            Some(fault) => {
                say.result(&now, "given up: the file is the store as before");
                Err(Failure::of(fault).in_part())
            }
        }
    }
}

/// Says how far it is. One that stopped is a failure, and so is one that was given up while somebody waited for its end.
fn end(say: &Say, now: &Migration, waited: bool) -> Result<(), Failure> {
    say.result(now, &describe(now));
    let fault = now.fault.as_deref().unwrap_or("no reason was given");
    match now.state {
        MigrationState::Stopped => Err(Failure::new(
            format!("the move stopped: {fault}"),
            "see to the fault and ask for the move again, which goes on where it stopped; or `vaultctl store abandon`",
        )),
        MigrationState::None if waited => Err(Failure::of("the move was given up")),
        _ => Ok(()),
    }
}

/// Asks until it is over. An interrupt ends the asking alone.
async fn watch(client: &Client, mut now: Migration) -> Result<Migration, Failure> {
    let mut watch = Watch::alone("the move", "{bar:30} {human_pos}/{human_len} records, {msg}");
    while now.state.is_under_way() {
        watch.show(now.done, now.total, doing(&now));
        if let Some(status) = watch.next(client.get(PATH)).await? {
            now = status;
        }
    }
    watch.over();
    Ok(now)
}

fn describe(now: &Migration) -> String {
    if now.state == MigrationState::None {
        let target = now.target.as_ref().map(|target| format!("; the configuration names {target}"));
        let mut lines = vec![format!("the store is not being moved{}", target.unwrap_or_default())];
        lines.extend(now.fault.as_ref().map(|fault| format!("fault    {fault}")));
        return lines.join("\n");
    }
    let mut lines = vec![
        format!("to       {}", now.target.as_deref().unwrap_or("a database that the configuration does not name")),
        format!("state    {}", doing(now)),
        format!("rows     {} of {}, {} changes copied again, {} to go", now.done, now.total, now.changed, now.waiting),
    ];
    lines.extend(now.started_at.as_ref().map(|at| format!("begun    {at}")));
    lines.extend(now.fault.as_ref().map(|fault| format!("fault    {fault}")));
    lines.extend(now.digest.as_ref().map(|digest| format!("digest   {digest}")));
    if now.state == MigrationState::Moved {
        lines.extend(now.held_ms.map(|held| format!("held     writes for {held} ms")));
        lines.push(
            "next     name the database as [store] postgres, a [node] and a new audit.path; start vaultd anew"
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn doing(now: &Migration) -> String {
    match now.state {
        MigrationState::None => "none".to_owned(),
        MigrationState::Copying => {
            let rate = now.records_per_second.map(|rate| format!(", {rate} records a second"));
            let left = now.seconds_left.map(|left| format!(", {left} s left"));
            format!("copying{}{}", rate.unwrap_or_default(), left.unwrap_or_default())
        }
        MigrationState::Verifying => "comparing both sides".to_owned(),
        MigrationState::WaitsForKeys => "waits until the vault is unsealed".to_owned(),
        MigrationState::Switching => "switching".to_owned(),
        MigrationState::Waiting => "waits and tries again".to_owned(),
        MigrationState::Stopped => "stopped".to_owned(),
        MigrationState::Moved => "moved".to_owned(),
    }
}

const PATH: &str = "/v1/store/migration";
