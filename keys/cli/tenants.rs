//! `vaultctl tenants`: whose cards the vault keeps.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use strongroom_wire::TenantId;
use strongroom_wire::acts::PendingAct;
use strongroom_wire::payment_method::{Tenant, TenantRequest};

use crate::acts::say_act;
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Tenants {
    List(List),
    Add(Add),
    Shred(Shred),
}

/// List the tenants
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl tenants list --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Register a tenant and make its keys; repeating it changes nothing
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl tenants add acme --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key"
)]
pub(crate) struct Add {
    /// Its name: 1 to 64 of a-z 0-9 _ -
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

/// Ask for a tenant to be shredded, with all of its cards, secrets and keys; a second person approves it
///
/// There is no way back. Copies of the database from before still hold the wrapped keys: destroy those, too.
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl tenants shred acme --url https://vault:8402 --ca ca.pem \\\n      --cert ada.pem --key ada.key"
)]
pub(crate) struct Shred {
    /// Its name
    tenant: String,
    #[command(flatten)]
    connection: Connection,
}

/// `GET /v1/tenants`.
#[derive(Serialize, Deserialize)]
pub(crate) struct TenantList {
    pub(crate) tenants: Vec<Tenant>,
}

impl Tenants {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Tenants::List(list) => list.run(say),
            Tenants::Add(add) => add.run(say),
            Tenants::Shred(shred) => shred.run(say),
        }
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: TenantList = converse(client.get("/v1/tenants"))?;
        let state = |tenant: &Tenant| if tenant.shredded { "shredded" } else { "" }.to_owned();
        let rows: Vec<[String; 3]> = list
            .tenants
            .iter()
            .map(|tenant| [tenant.tenant.to_string(), tenant.created_at.clone(), state(tenant)])
            .collect();
        say.result(&list, &table(["TENANT", "CREATED", ""], &rows));
        Ok(())
    }
}

impl Add {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let tenant: Tenant = converse(client.post("/v1/tenants", &TenantRequest { tenant }))?;
        say.result(&tenant, &format!("{} is registered since {}", tenant.tenant, tenant.created_at));
        Ok(())
    }
}

impl Shred {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let act: PendingAct = converse(async move { client.delete(&format!("/v1/tenants/{tenant}")).await })?;
        say_act(say, &act);
        Ok(())
    }
}
