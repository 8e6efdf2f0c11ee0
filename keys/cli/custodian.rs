//! `vaultctl custodian`: the duty of a custodian, read and acknowledged (PCI DSS 3.7.8).

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_keys::duty::{DUTY, DUTY_VERSION};
use strongroom_wire::Kind;
use strongroom_wire::custody::{AcknowledgeRequest, Acknowledgement, Acknowledgements};
use strongroom_wire::hex::hex;

use crate::client::{Connection, converse};
use crate::deal::read_root;
use crate::failure::Failure;
use crate::say::{Say, table};

#[derive(Subcommand)]
pub(crate) enum Custodian {
    Duty(Duty),
    Acknowledge(Acknowledge),
    List(List),
}

/// Show the duty of a custodian
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl custodian duty")]
pub(crate) struct Duty {}

/// Acknowledge your duty as a custodian, which the vault records
///
/// Once for each root.json of which you hold a share. It works while the vault is sealed.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl custodian acknowledge --url https://vault:8402 --ca ca.pem --cert ben.pem --key ben.key")]
pub(crate) struct Acknowledge {
    /// The root.json to come, if it is not the one in force of which you hold a share
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Acknowledge without being asked
    #[arg(long)]
    acknowledge: bool,
    #[command(flatten)]
    connection: Connection,
}

/// List who acknowledged their duty, and for which root.json
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl custodian list --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Text {
    duty: u32,
    text: &'static str,
}

impl Custodian {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Custodian::Duty(Duty {}) => {
                say.result(&Text { duty: DUTY_VERSION, text: DUTY }, DUTY);
                Ok(())
            }
            Custodian::Acknowledge(acknowledge) => acknowledge.run(say),
            Custodian::List(list) => list.run(say),
        }
    }
}

impl Acknowledge {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let root = self.root.as_deref().map(read_root).transpose()?.map(|root| hex(&root.sum()));
        let client = self.connection.open()?;
        if !self.acknowledge {
            agree(say)?;
        }
        let asked = AcknowledgeRequest { duty: DUTY_VERSION, root };
        let done: Acknowledgement =
            converse(async move { client.post("/v1/custodians/acknowledgement", &asked).await })?;
        let text = format!("{} acknowledged duty {} at {}; the vault recorded it", done.who, done.duty, done.at);
        say.result(&done, &text);
        Ok(())
    }
}

impl List {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: Acknowledgements = converse(client.get("/v1/custodians"))?;
        let row =
            |known: &Acknowledgement| [known.who.clone(), known.duty.to_string(), known.at.clone(), known.root.clone()];
        let rows: Vec<[String; 4]> = list.acknowledgements.iter().map(row).collect();
        say.result(&list, &table(["WHO", "DUTY", "AT", "ROOT.JSON"], &rows));
        Ok(())
    }
}

/// Hands something in that needs the duty acknowledged. Whoever has not done that yet is shown the duty and asked, and what
/// was handed in is handed in again.
pub(crate) fn with_duty<T>(
    acknowledges: bool,
    say: &Say,
    hand_in: impl Fn(bool) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match hand_in(acknowledges) {
        Err(failure) if failure.is(Kind::Unacknowledged) && std::io::stdin().is_terminal() => {
            agree(say)?;
            hand_in(true)
        }
        other => other,
    }
}

/// Shows the duty and waits for a word.
fn agree(say: &Say) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            "a duty is acknowledged by a person, and there is no terminal to ask at",
            "run it in a terminal; `vaultctl custodian duty` shows the text, and --acknowledge says that you read it",
        ));
    }
    say.note(DUTY);
    say.note("type yes to acknowledge this duty");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && line.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new("the duty was not acknowledged; nothing was sent", "ask whoever made you a custodian"))
}
