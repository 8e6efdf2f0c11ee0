//! `vaultctl keys`: the terms of every key, and rotation of a tenant's Kek.

use std::io::IsTerminal;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use strongroom_wire::acts::{DestroyKey, PendingAct};
use strongroom_wire::admin::{KeyList, KeyPurpose, KeyState, RotateRequest, Rotation, RotationState};
use strongroom_wire::{Kind, TenantId};

use crate::acts::say_act;
use crate::client::{Client, Connection, converse};
use crate::failure::Failure;
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Keys {
    List(List),
    Rotate(Rotate),
    Destroy(Destroy),
}

/// List every term of every key
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl keys list --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Give a tenant's records a new Kek, and watch until the last one is on it
///
/// The vault goes on serving. Interrupting this command leaves the rotation running; asking again attaches to it.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl keys rotate --tenant acme --records-per-second 2000 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Rotate {
    /// Whose Kek
    #[arg(long)]
    tenant: String,
    /// At most so many records a second; no limit if not named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    records_per_second: Option<u32>,
    /// Start it and do not wait
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Ask for a retired term of a tenant's Kek to be destroyed; a second person approves it
///
/// Refused while the term is in use or a record is on it. Copies of the database from before still hold the wrapped key.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl keys destroy --tenant acme --term 1 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Destroy {
    /// Whose Kek
    #[arg(long)]
    tenant: String,
    /// Which term of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    term: u32,
    #[command(flatten)]
    connection: Connection,
}

impl Keys {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Keys::List(list) => list.run(say),
            Keys::Rotate(rotate) => rotate.run(say),
            Keys::Destroy(destroy) => destroy.run(say),
        }
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: KeyList = converse(client.get("/v1/keys"))?;
        let rows: Vec<[String; 8]> = list
            .keys
            .iter()
            .map(|key| {
                [
                    key.tenant.as_ref().map_or_else(|| "(vault)".to_owned(), ToString::to_string),
                    purpose(key.purpose).to_owned(),
                    key.term.to_string(),
                    state(key.state).to_owned(),
                    key.algorithm.clone(),
                    key.created_at.clone(),
                    key.age_days.to_string(),
                    key.wraps.to_string(),
                ]
            })
            .collect();
        let head = ["TENANT", "PURPOSE", "TERM", "STATE", "ALGORITHM", "CREATED", "DAYS", "WRAPS"];
        say.result(&list, &table(head, &rows));
        Ok(())
    }
}

impl Rotate {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let detach = self.detach;
        let request = RotateRequest { tenant, records_per_second_max: self.records_per_second };
        let rotation = converse(async move {
            let started: Rotation = client.post("/v1/rotations", &request).await?;
            if detach { Ok(started) } else { watch(&client, started).await }
        })?;
        say.result(&rotation, &describe(&rotation));
        match rotation.state {
            RotationState::Stopped => Err(Failure::new(
                format!("the rotation stopped: {}", rotation.fault.as_deref().unwrap_or("no reason was given")),
                "see to the fault and ask again; it goes on where it stopped",
            )),
            RotationState::Running | RotationState::Done => Ok(()),
        }
    }
}

impl Destroy {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let asked = DestroyKey { purpose: KeyPurpose::Kek, tenant: Some(tenant), term: self.term };
        let act: PendingAct = converse(async move { client.post("/v1/keys/destroy", &asked).await })?;
        say_act(say, &act);
        Ok(())
    }
}

/// Asks until it is over. An interrupt ends the asking alone.
async fn watch(client: &Client, mut rotation: Rotation) -> Result<Rotation, Failure> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(rotation.total) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} records, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let path = format!("/v1/rotations/{}", rotation.tenant);
    let mut faults = 0;
    while rotation.state == RotationState::Running {
        bar.set_length(rotation.total);
        bar.set_position(rotation.done);
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => {
                bar.abandon();
                return Err(Failure::new(
                    "no longer watching; the rotation goes on in the vault",
                    "ask again with the same command to watch it",
                ));
            }
        }
        match client.get(&path).await {
            Ok(now) => {
                rotation = now;
                faults = 0;
            }
            // A vault that restarts resumes the rotation by itself; one that refuses will refuse again.
            Err(failure) if faults < FAULTS_MAX && !failure.is(Kind::Denied) && !failure.is(Kind::Sealed) => {
                faults += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    bar.finish_and_clear();
    Ok(rotation)
}

fn describe(rotation: &Rotation) -> String {
    let Rotation { tenant, to_term, done, total, .. } = rotation;
    match (rotation.state, &rotation.proof) {
        (RotationState::Done, Some(proof)) => format!("{tenant} is on term {to_term}: {done} records\n\n{proof}"),
        (RotationState::Done, None) => format!("{tenant} is on term {to_term}: {done} records"),
        (RotationState::Running, _) => format!("{tenant} moves to term {to_term}: {done} of {total} records so far"),
        (RotationState::Stopped, _) => format!("{tenant} stopped on the way to term {to_term}: {done} of {total}"),
    }
}

pub(crate) fn purpose(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Kek => "kek",
        KeyPurpose::Fingerprint => "fingerprint",
        KeyPurpose::Session => "session",
        KeyPurpose::Sign => "sign",
        KeyPurpose::Intake => "intake",
    }
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "pending",
        KeyState::Active => "active",
        KeyState::Retiring => "retiring",
        KeyState::Destroyed => "destroyed",
    }
}

const POLL: Duration = Duration::from_millis(500);
/// Failed polls in a row before giving up: about half a minute.
const FAULTS_MAX: u32 = 60;
