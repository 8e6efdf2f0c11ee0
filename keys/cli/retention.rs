//! `vaultctl retention`: how long a tenant's cards are kept, and which are older.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use strongroom_wire::TenantId;
use strongroom_wire::acts::PendingAct;
use strongroom_wire::retention::{OverAgeReport, RetentionList, RetentionRequest, RetentionRule};

use crate::acts::say_act;
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Retention {
    List(List),
    Set(Set),
    Report(Report),
}

/// List the rules
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl retention list --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Set how long a tenant's cards are kept
///
/// Keeping them for a shorter time than before shreds cards, so that a second person has to approve it. Keeping them longer
/// takes effect at once.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl retention set acme --days 540 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Set {
    /// Whose cards
    tenant: String,
    /// Cards older than so many days are shredded
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500), required_unless_present = "forever")]
    days: Option<u32>,
    /// No rule: cards are kept until somebody deletes them
    #[arg(long, conflicts_with = "days")]
    forever: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Show which tenants have cards that are older than their rule allows, counted now
///
/// The exit code is 1 if there are any.
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl retention report --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct Report {
    #[command(flatten)]
    connection: Connection,
}

/// A rule that is in force, or an act that waits for a second person.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Answered {
    Act(PendingAct),
    Rule(RetentionRule),
}

impl Retention {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Retention::List(list) => list.run(say),
            Retention::Set(set) => set.run(say),
            Retention::Report(report) => report.run(say),
        }
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: RetentionList = converse(client.get("/v1/retention"))?;
        let rows: Vec<[String; 3]> =
            list.rules.iter().map(|rule| [rule.tenant.to_string(), days(rule.days), rule.set_at.clone()]).collect();
        say.result(&list, &table(["TENANT", "DAYS", "SET"], &rows));
        Ok(())
    }
}

impl Set {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let tenant: TenantId = self.tenant.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let path = format!("/v1/tenants/{tenant}/retention");
        let asked = RetentionRequest { days: self.days };
        let answered = converse(async move { client.put(&path, &asked).await })?;
        match &answered {
            Answered::Act(act) => say_act(say, act),
            Answered::Rule(rule) => {
                say.result(rule, &format!("cards of {} are kept for days: {}", rule.tenant, days(rule.days)))
            }
        }
        Ok(())
    }
}

impl Report {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let report: OverAgeReport = converse(client.get("/v1/retention/report"))?;
        let rows: Vec<[String; 4]> = report
            .tenants
            .iter()
            .map(|line| {
                [
                    line.tenant.to_string(),
                    line.days.to_string(),
                    line.over_age.to_string(),
                    line.oldest_created_at.clone().unwrap_or_default(),
                ]
            })
            .collect();
        say.result(&report, &table(["TENANT", "DAYS", "OVER AGE", "OLDEST"], &rows));
        if report.tenants.iter().all(|line| line.over_age == 0) {
            return Ok(());
        }
        Err(Failure::new(
            "some cards are older than their rule allows",
            "the vault shreds them once an hour while it is unsealed; ask again, and see its log if they stay",
        ))
    }
}

fn days(days: Option<u32>) -> String {
    days.map_or_else(|| "no rule".to_owned(), |days| days.to_string())
}
