//! `vaultctl acts`: what one person asked for and a second one has to approve.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_wire::ActId;
use strongroom_wire::acts::{ActKind, ActList, ActState, PendingAct};

use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::keys::purpose;
use crate::note_file;
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Acts {
    List(List),
    Approve(Approve),
    Withdraw(Withdraw),
}

/// List the acts that need two people: those that wait, and those of the last 30 days that are over
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl acts list --url https://vault:8402 --ca ca.pem --cert ben.pem --key ben.key"
)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Approve an act that another person asked for, which does it
///
/// Read first, with `vaultctl acts list`, what it is. Both people and the act are in the audit log.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl acts approve act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f \\
      --url https://vault:8402 --ca ca.pem --cert ben.pem --key ben.key")]
pub(crate) struct Approve {
    /// Its id, as `vaultctl acts list` shows it
    act: String,
    /// Where to keep the note that it ends in; a file that is there is left as it is
    #[arg(long, value_name = "FILE")]
    proof_out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Take back an act, or refuse one that another person asked for
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl acts withdraw act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f \\
      --url https://vault:8402 --ca ca.pem --cert ben.pem --key ben.key")]
pub(crate) struct Withdraw {
    /// Its id, as `vaultctl acts list` shows it
    act: String,
    #[command(flatten)]
    connection: Connection,
}

impl Acts {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Acts::List(list) => list.run(say),
            Acts::Approve(approve) => approve.run(say),
            Acts::Withdraw(withdraw) => withdraw.run(say),
        }
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: ActList = converse(client.get("/v1/acts"))?;
        let rows: Vec<[String; 5]> = list
            .acts
            .iter()
            .map(|act| {
                [
                    act.act_id.to_string(),
                    state(act.state).to_owned(),
                    what(&act.what),
                    act.requested_by.clone(),
                    act.expires_at.clone(),
                ]
            })
            .collect();
        let mut text = table(["ACT", "STATE", "WHAT", "ASKED BY", "ENDS"], &rows);
        for act in list.acts.iter().filter(|act| act.state == ActState::Pending && !changes(&act.what).is_empty()) {
            text.push_str(&format!("\n\n{}\n{}", act.act_id, changes(&act.what).trim_end()));
        }
        say.result(&list, &text);
        Ok(())
    }
}

impl Approve {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let act: ActId = self.act.parse().map_err(Failure::of)?;
        note_file::refuse_taken(self.proof_out.as_ref())?;
        let client = self.connection.open()?;
        let path = format!("/v1/acts/{act}/approve");
        let act: PendingAct = converse(async move { client.post_text(&path, "").await })?;
        say_act(say, &act);
        self.proof_out.map_or(Ok(()), |path| note_file::keep(&path, act.result.as_ref()))
    }
}

impl Withdraw {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let act: ActId = self.act.parse().map_err(Failure::of)?;
        let client = self.connection.open()?;
        let path = format!("/v1/acts/{act}");
        let act: PendingAct = converse(async move { client.delete(&path).await })?;
        say_act(say, &act);
        Ok(())
    }
}

/// Says an act as it is now.
pub(crate) fn say_act(say: &Say, act: &PendingAct) {
    say.result(act, &act_text(act));
}

/// An act as it is now, and what the next person does about it.
pub(crate) fn act_text(act: &PendingAct) -> String {
    let (id, what) = (act.act_id, what(&act.what));
    match (act.state, &act.result) {
        (ActState::Pending, _) => format!(
            "{what}: asked for by {}; waits for a second person until {}\n{}\nvaultctl acts approve {id}",
            act.requested_by,
            act.expires_at,
            changes(&act.what)
        ),
        (ActState::Done, Some(result)) => format!("{what}: done\n\n{result}"),
        (other, _) => format!("{what}: {}", state(other)),
    }
}

/// What a policy changes, a line for each identity.
fn changes(kind: &ActKind) -> String {
    match kind {
        ActKind::ChangePolicy(policy) => policy.changes.iter().map(|line| format!("  {line}\n")).collect(),
        ActKind::DestroyKey(_)
        | ActKind::ShredTenant(_)
        | ActKind::SetRetention(_)
        | ActKind::Export(_)
        | ActKind::ChangeRoot(_) => String::new(),
    }
}

/// What is asked for, on one line.
fn what(kind: &ActKind) -> String {
    match kind {
        ActKind::DestroyKey(key) => {
            let whose = key.tenant.as_ref().map_or_else(|| "the vault".to_owned(), ToString::to_string);
            format!("destroy {} term {} of {whose}", purpose(key.purpose), key.term)
        }
        ActKind::ShredTenant(shred) => format!("shred tenant {} with all of its cards", shred.tenant),
        ActKind::SetRetention(rule) => match rule.days {
            Some(days) => format!("shred cards of {} after days: {days}", rule.tenant),
            None => format!("keep cards of {} without a rule", rule.tenant),
        },
        ActKind::ChangePolicy(policy) => {
            let count = policy.changes.len();
            format!("put the policy file {} in force ({count} changes)", policy.sha256.get(..16).unwrap_or_default())
        }
        ActKind::Export(order) => {
            let whose = order.tenant.as_ref().map_or_else(|| "every tenant".to_owned(), ToString::to_string);
            format!("export the cards of {whose} to {}", order.recipient)
        }
        ActKind::ChangeRoot(asked) => format!("change the root to the root.json with SHA-256 {}", asked.to),
    }
}

fn state(state: ActState) -> &'static str {
    match state {
        ActState::Pending => "pending",
        ActState::Approved => "approved",
        ActState::Done => "done",
        ActState::Withdrawn => "withdrawn",
        ActState::Expired => "expired",
    }
}
