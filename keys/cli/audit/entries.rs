//! `vaultctl audit show`: entries as lines, once or as they come.

use std::time::Duration;

use clap::Args;
use strongroom_wire::admin::{EntryPage, EntryView};
use strongroom_wire::entry::{Outcome, Reason};
use strongroom_wire::limits;

use crate::client::{Client, Connection, converse};
use crate::failure::Failure;
use crate::say::Say;

/// Show entries of the audit log
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl audit show --from 1200 --limit 50 --url https://vault:8402 --ca ca.pem \\
      --cert ada.pem --key ada.key
  vaultctl --json audit show --follow      one JSON document a line, for another program")]
pub(crate) struct Show {
    /// Index of the first entry
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// Most entries to show; with --follow, most entries of one question
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::ENTRIES_PAGE_MAX)))]
    limit: u32,
    /// Go on with new entries as they come, until interrupted
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    pub(super) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        if !self.follow {
            let page = converse(page(&client, self.from, self.limit))?;
            let lines: Vec<String> = page.entries.iter().map(line).collect();
            let text = if lines.is_empty() { "no entries there".to_owned() } else { lines.join("\n") };
            say.result(&page, &text);
            return Ok(());
        }
        converse(async {
            let mut from = self.from;
            loop {
                let page = page(&client, from, self.limit).await?;
                for entry in &page.entries {
                    say.result(entry, &line(entry));
                    from = entry.index + 1;
                }
                if page.entries.is_empty() {
                    tokio::time::sleep(POLL).await;
                }
            }
        })
    }
}

async fn page(client: &Client, from: u64, limit: u32) -> Result<EntryPage, Failure> {
    client.get(&format!("/v1/audit/entries?from={from}&limit={limit}")).await
}

fn line(entry: &EntryView) -> String {
    let outcome = match entry.outcome {
        Outcome::Allowed => "allowed",
        Outcome::Refused => "REFUSED",
        Outcome::Failed => "FAILED",
        Outcome::Ended => "ended",
    };
    let mut words = vec![entry.index.to_string(), entry.at.clone(), outcome.to_owned(), entry.act.clone()];
    if entry.reason != Reason::None {
        // An enum of words always has a JSON form.
        let reason = serde_json::to_value(entry.reason).unwrap_or_default();
        words.push(format!("({})", reason.as_str().unwrap_or_default()));
    }
    words.push(if entry.who.is_empty() { "the vault itself".to_owned() } else { entry.who.clone() });
    words.extend(entry.tenant.as_ref().map(|tenant| format!("tenant {tenant}")));
    words.extend(entry.subject.clone());
    words.extend(entry.origin.as_ref().map(|origin| format!("from {origin}")));
    if !entry.note.is_empty() {
        words.push(format!("[{}]", entry.note));
    }
    words.join(" ")
}

const POLL: Duration = Duration::from_secs(1);
