//! `vaultctl keys rotate`: a new term for one key, or for the same key of every tenant, watched until it is in force.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar};
use serde::Serialize;
use strongroom_wire::TenantId;
use strongroom_wire::admin::{KeyPurpose, RotateRequest, Rotation, RotationList, RotationState};
use tokio::task::JoinSet;

use crate::client::{Client, Connection, converse};
use crate::failure::Failure;
use crate::note_file;
use crate::progress;
use crate::say::{Say, table};
use crate::tenants::TenantList;
use crate::watch::Watch;

/// Give a key its next term, and watch until everything is on it
///
/// The vault goes on serving. Interrupting this command leaves the rotation running; asking again attaches to it, and
/// another --records-per-second takes effect at once. Old sessions of a session key run out within an hour by themselves,
/// which is not watched. Fingerprints that the vault shows change with the fingerprint key.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl keys rotate --tenant acme --records-per-second 2000 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key
  vaultctl keys rotate --all --purpose all --emergency \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Rotate {
    /// Whose key
    #[arg(long, conflicts_with = "all")]
    tenant: Option<String>,
    /// The key of every tenant, a few at a time
    #[arg(long)]
    all: bool,
    /// Which key: kek, fingerprint, session, sign or intake (the vault's own), or all: the first three, and all five with
    /// --all
    #[arg(long = "purpose", value_name = "KEY", default_value = "kek", value_parser = purposes)]
    purpose: Purposes,
    /// At most so many records a second; no limit if not named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    records_per_second: Option<u32>,
    /// Somebody may know the key: no limit, before all other rotations, no hour for old sessions, and nothing that was sealed
    /// to an intake key of before is taken
    #[arg(long, conflicts_with = "records_per_second")]
    emergency: bool,
    /// Start it and do not wait
    #[arg(long)]
    detach: bool,
    /// Where to keep the note that the rotation of one key ends in; a file that is there is left as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "detach"])]
    proof_out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// List the newest rotation of every key
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl keys rotations --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key"
)]
pub(crate) struct Rotations {
    #[command(flatten)]
    connection: Connection,
}

/// Which keys of a tenant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purposes {
    One(KeyPurpose),
    All,
}

/// What became of each key.
#[derive(Serialize)]
struct Outcome {
    rotations: Vec<Rotation>,
    failures: Vec<FailureOf>,
}

#[derive(Serialize)]
struct FailureOf {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    key: KeyPurpose,
    why: String,
}

impl Rotations {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: RotationList = converse(client.get("/v1/rotations"))?;
        let row = |rotation: &Rotation| {
            let left = rotation.seconds_left.map_or_else(|| "-".to_owned(), |left| format!("{left} s"));
            let rate = rotation.records_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate}/s"));
            [
                whose(rotation),
                rotation.key.to_string(),
                rotation.to_term.to_string(),
                state(rotation.state).to_owned(),
                format!("{}/{}", rotation.done, rotation.total),
                rate,
                left,
                rotation.fault.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<[String; 8]> = list.rotations.iter().map(row).collect();
        let head = ["TENANT", "PURPOSE", "TO TERM", "STATE", "DONE", "RATE", "LEFT", "FAULT"];
        say.result(&list, &table(head, &rows));
        Ok(())
    }
}

impl Rotate {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let of_the_vault = match self.purpose {
            Purposes::One(key @ (KeyPurpose::Sign | KeyPurpose::Intake)) => Some(key),
            _ => None,
        };
        if let Some(key) = of_the_vault.filter(|_| self.all || self.tenant.is_some()) {
            return Err(Failure::new(
                format!("the {key} key belongs to the vault itself"),
                "leave --tenant and --all out",
            ));
        }
        if of_the_vault.is_none() && !self.all && self.tenant.is_none() {
            return Err(Failure::new("it is not said whose key", "name --tenant, or --all for every tenant"));
        }
        if self.proof_out.is_some() && self.purpose == Purposes::All {
            return Err(Failure::new(
                "several keys end in several notes",
                "leave --proof-out out, and ask with --json",
            ));
        }
        note_file::refuse_taken(self.proof_out.as_ref())?;
        let tenant: Option<TenantId> = self.tenant.as_deref().map(str::parse).transpose().map_err(Failure::of)?;
        let client = Arc::new(self.connection.open()?);
        let request = |key, tenant| RotateRequest {
            key,
            tenant,
            records_per_second_max: self.records_per_second,
            emergency: self.emergency,
        };
        if let (Purposes::One(key), false) = (self.purpose, self.all) {
            let bars = progress::bars();
            let rotation = converse(one(&client, &request(key, tenant), self.detach, &bars))?;
            say.result(&rotation, &describe(&rotation));
            if let Some(failure) = stopped(&rotation) {
                return Err(failure);
            }
            return self.proof_out.map_or(Ok(()), |path| note_file::keep(&path, rotation.proof.as_ref()));
        }
        let outcome = converse(async {
            let tenants = if self.all { every_tenant(&client).await? } else { tenant.into_iter().collect() };
            let mut outcome = Outcome { rotations: Vec::new(), failures: Vec::new() };
            let of_all = self.all && self.purpose == Purposes::All;
            if of_all {
                // To its end before the others, so that their notes are signed by a key that nobody may know.
                let sign = [request(KeyPurpose::Sign, None)].into();
                several(&client, sign, self.detach, &mut outcome).await?;
            }
            // One purpose after the other: what is over at once does not wait behind what walks through every record.
            let of = |key| tenants.iter().map(move |tenant| request(key, Some(tenant.clone())));
            let intake = of_all.then(|| request(KeyPurpose::Intake, None));
            let requests =
                intake.into_iter().chain(self.purpose.of_a_tenant().iter().flat_map(|key| of(*key))).collect();
            several(&client, requests, self.detach, &mut outcome).await?;
            Ok(outcome)
        })?;
        outcome.say(say)
    }
}

impl Purposes {
    fn of_a_tenant(&self) -> &[KeyPurpose] {
        match self {
            Purposes::One(key) => std::slice::from_ref(key),
            Purposes::All => &[KeyPurpose::Session, KeyPurpose::Kek, KeyPurpose::Fingerprint],
        }
    }
}

fn purposes(word: &str) -> Result<Purposes, String> {
    if word == "all" { Ok(Purposes::All) } else { super::keys::named(word).map(Purposes::One) }
}

async fn every_tenant(client: &Client) -> Result<Vec<TenantId>, Failure> {
    let list: TenantList = client.get("/v1/tenants").await?;
    Ok(list.tenants.into_iter().map(|tenant| tenant.tenant).collect())
}

/// The next begins when one of a few is over, and what fails for one stops no other.
async fn several(
    client: &Arc<Client>,
    mut waiting: VecDeque<RotateRequest>,
    detach: bool,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let bars = progress::bars();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(request) = waiting.pop_front()
        {
            let (client, bars) = (Arc::clone(client), bars.clone());
            under_way.spawn(async move {
                let done = one(&client, &request, detach, &bars).await;
                (request, done)
            });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((_, Ok(rotation)))) => outcome.rotations.push(rotation),
            Some(Ok((RotateRequest { tenant, key, .. }, Err(failure)))) => {
                outcome.failures.push(FailureOf { tenant, key, why: failure.lines().join("; ") });
            }
            Some(Err(_)) => return Err(Failure::of("a part of this command ended by itself")),
        }
    }
    Ok(())
}

impl Outcome {
    fn say(self, say: &Say) -> Result<(), Failure> {
        let mut text: Vec<String> = self.rotations.iter().map(describe).collect();
        text.extend(self.failures.iter().map(|failure| {
            format!("{}: its {} key failed: {}", named(failure.tenant.as_ref()), failure.key, failure.why)
        }));
        say.result(&self, &text.join("\n"));
        let stopped = self.rotations.iter().filter(|rotation| rotation.state == RotationState::Stopped).count();
        match self.failures.len() + stopped {
            0 => Ok(()),
            count => Err(Failure::new(
                format!("{count} of {} did not come to their end", self.rotations.len() + self.failures.len()),
                "see to what is named above and ask again; those that are done are given one more term by that",
            )),
        }
    }
}

async fn one(
    client: &Client,
    request: &RotateRequest,
    detach: bool,
    bars: &MultiProgress,
) -> Result<Rotation, Failure> {
    let started: Rotation = client.post("/v1/rotations", request).await?;
    // An emergency of a session key is over at once and can be waited for.
    if detach || request.key == KeyPurpose::Session && !request.emergency {
        Ok(started)
    } else {
        watch(client, started, bars).await
    }
}

/// Asks until it is over. An interrupt ends the asking alone.
async fn watch(client: &Client, mut rotation: Rotation, bars: &MultiProgress) -> Result<Rotation, Failure> {
    let template = "{msg} {bar:30} {human_pos}/{human_len} records, {per_sec}, {eta} left";
    let mut watch = Watch::on(bars.add(ProgressBar::new(rotation.total)), "the rotation", template).until_sealed();
    while rotation.state == RotationState::Running {
        watch.show(rotation.done, rotation.total, whose(&rotation));
        if let Some(now) = watch.next(now(client, &rotation)).await? {
            rotation = now;
        }
    }
    watch.over();
    Ok(rotation)
}

async fn now(client: &Client, rotation: &Rotation) -> Result<Rotation, Failure> {
    let (key, tenant) = (rotation.key, &rotation.tenant);
    if let Some(tenant) = tenant {
        let query = if key == KeyPurpose::Kek { String::new() } else { format!("?key={key}") };
        return client.get(&format!("/v1/rotations/{tenant}{query}")).await;
    }
    let list: RotationList = client.get("/v1/rotations").await?;
    let mine = list.rotations.into_iter().find(|known| (known.key, &known.tenant) == (key, tenant));
    mine.ok_or_else(|| Failure::of("the vault does not know this rotation any more"))
}

fn describe(rotation: &Rotation) -> String {
    let Rotation { key, to_term, done, total, .. } = rotation;
    let whose = whose(rotation);
    match (rotation.state, &rotation.proof) {
        (RotationState::Done, _) if *key == KeyPurpose::Intake && rotation.emergency => {
            format!(
                "{whose} hands out term {to_term} of its intake key; what was sealed to one before is taken no more"
            )
        }
        (RotationState::Done, _) if *key == KeyPurpose::Intake => {
            format!("{whose} hands out term {to_term} of its intake key; those before open until their time is over")
        }
        (RotationState::Done, Some(proof)) => {
            format!("{whose} is on term {to_term} of its {key} key: {done} records\n\n{proof}")
        }
        (RotationState::Done, None) => format!("{whose} is on term {to_term} of its {key} key: {done} records"),
        (RotationState::Running, _) if *key == KeyPurpose::Session => format!(
            "{whose} makes sessions under term {to_term}; those of before run out within {} s",
            rotation.seconds_left.unwrap_or(SESSIONS_S)
        ),
        (RotationState::Running, _) => {
            format!("{whose} moves to term {to_term} of its {key} key: {done} of {total} records so far")
        }
        (RotationState::Stopped, _) => {
            format!("{whose} stopped on the way to term {to_term} of its {key} key: {done} of {total}")
        }
    }
}

fn stopped(rotation: &Rotation) -> Option<Failure> {
    (rotation.state == RotationState::Stopped).then(|| {
        Failure::new(
            format!("the rotation stopped: {}", rotation.fault.as_deref().unwrap_or("no reason was given")),
            "see to the fault and ask again; it goes on where it stopped",
        )
    })
}

fn whose(rotation: &Rotation) -> String {
    named(rotation.tenant.as_ref())
}

fn named(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(|| "the vault".to_owned(), ToString::to_string)
}

fn state(state: RotationState) -> &'static str {
    match state {
        RotationState::Running => "running",
        RotationState::Done => "done",
        RotationState::Stopped => "stopped",
    }
}

/// Tenants whose rotations are under way at once.
const AT_ONCE: usize = 3;
/// The longest life of a session, and a minute.
const SESSIONS_S: u64 = strongroom_wire::limits::SESSION_TTL_MAX_S + 60;
