//! `vaultctl keys`: the terms of every key, and the end of those that nothing needs.

use clap::{Args, Subcommand};
use strongroom_wire::TenantId;
use strongroom_wire::acts::{DestroyKey, PendingAct};
use strongroom_wire::admin::{KeyList, KeyPurpose, KeyState};

use crate::acts::say_act;
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::rotate::{Rotate, Rotations};
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Keys {
    List(List),
    Rotate(Rotate),
    Rotations(Rotations),
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

/// Ask for a retired term of a tenant's key to be destroyed; a second person approves it
///
/// Refused while the term is in use, a record is on it, or something may still be asked for under it. Copies of the database
/// from before still hold the wrapped key.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl keys destroy --tenant acme --term 1 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Destroy {
    /// Whose key
    #[arg(long)]
    tenant: String,
    /// Which key: kek, fingerprint or session
    #[arg(long = "purpose", value_name = "KEY", default_value = "kek", value_parser = named)]
    purpose: KeyPurpose,
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
            Keys::Rotations(rotations) => rotations.run(say),
            Keys::Destroy(destroy) => destroy.run(say),
        }
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: KeyList = converse(client.get("/v1/keys"))?;
        let rows: Vec<[String; 10]> = list
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
                    key.expires_at.clone().unwrap_or_else(|| "-".to_owned()),
                    if key.due { "due" } else { "" }.to_owned(),
                ]
            })
            .collect();
        let head = ["TENANT", "PURPOSE", "TERM", "STATE", "ALGORITHM", "CREATED", "DAYS", "WRAPS", "EXPIRES", ""];
        say.result(&list, &table(head, &rows));
        Ok(())
    }
}

impl Destroy {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let asked = DestroyKey { purpose: self.purpose, tenant: Some(tenant), term: self.term };
        let act: PendingAct = converse(async move { client.post("/v1/keys/destroy", &asked).await })?;
        say_act(say, &act);
        Ok(())
    }
}

/// A key by its name on the command line.
pub(crate) fn named(word: &str) -> Result<KeyPurpose, String> {
    word.parse().map_err(|bad: strongroom_wire::admin::BadKeyPurpose| bad.to_string())
}

pub(crate) fn purpose(purpose: KeyPurpose) -> &'static str {
    purpose.as_str()
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "pending",
        KeyState::Active => "active",
        KeyState::Retiring => "retiring",
        KeyState::Destroyed => "destroyed",
    }
}
