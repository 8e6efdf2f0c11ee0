//! `vaultctl root`: which Root is in force, shares of the one to come, and the change from one to the other.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_keys::duty::DUTY_VERSION;
use strongroom_keys::share::write_submission;
use strongroom_wire::acts::PendingAct;
use strongroom_wire::admin::RootKind;
use strongroom_wire::custody::{ChangeRootRequest, NextRoot, RootChange, RootChangeState, RootInfo, RootStatus};
use strongroom_wire::hex::hex;

use crate::acts::say_act;
use crate::client::{Client, Connection, converse};
use crate::custodian::with_duty;
use crate::deal::{read_root, read_share};
use crate::failure::Failure;
use crate::passphrase;
use crate::say::Say;
use crate::watch::Watch;

#[derive(Subcommand)]
pub(crate) enum Root {
    Status(Status),
    Share(Share),
    Forget(Forget),
    Change(Change),
    Abandon(Abandon),
}

/// Show which Root is in force, which is to come, and how far a change is
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl root status --watch --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Status {
    /// Watch a change until it is over. Interrupting this command leaves the change running
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Hand in your share of the Root to come
///
/// As `vaultctl unseal`, for the root.json that vaultd's configuration names under [root.next]. Enough shares bring that
/// Root to the vault, where a change to it can begin.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl root share --share share-2.json --url https://vault:8402 --ca ca.pem \\
      --cert ben.pem --key ben.key")]
pub(crate) struct Share {
    /// Your sealed share
    #[arg(long, value_name = "FILE")]
    share: PathBuf,
    /// File with your passphrase as its only line; asked for if none is named
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Acknowledge a custodian's duty with it, without being asked (`vaultctl custodian duty` shows it)
    #[arg(long)]
    acknowledge: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Make the vault forget the shares of the Root to come, and the Root that they brought
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl root forget --url https://vault:8402 --ca ca.pem --cert ben.pem --key ben.key"
)]
pub(crate) struct Forget {
    #[command(flatten)]
    connection: Connection,
}

/// Ask for the Root to come to take the place of the one in force
///
/// A second person approves it with `vaultctl acts approve`. Then every key is wrapped under the Root to come while the
/// vault works, and one transaction puts it in force. Until then the Root before opens the vault, and afterwards only the
/// new one does. Where it is the same Root in another division, nothing is wrapped.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl root change --to next/root.json --keys-per-second 100 \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Change {
    /// The root.json to come, as its ceremony wrote it: the vault refuses to change to any other
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// At most so many keys a second; no limit if not named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keys_per_second: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

/// Give up a change that is not over: the Root before stays
#[derive(Args)]
#[command(
    after_help = "Example:\n  vaultctl root abandon --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key"
)]
pub(crate) struct Abandon {
    #[command(flatten)]
    connection: Connection,
}

impl Root {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        match self {
            Root::Status(status) => status.run(say),
            Root::Share(share) => share.run(say),
            Root::Forget(forget) => forget.run(say),
            Root::Change(change) => change.run(say),
            Root::Abandon(abandon) => abandon.run(say),
        }
    }
}

impl Status {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let watched = self.watch;
        let status = converse(async move {
            let now: RootStatus = client.get("/v1/root").await?;
            if watched { watch(&client, now).await } else { Ok(now) }
        })?;
        say.result(&status, &describe(&status));
        match status.change.filter(|change| watched && change.state == RootChangeState::Stopped) {
            Some(change) => Err(Failure::new(
                format!("the change waits: {}", change.fault.as_deref().unwrap_or("no reason was given")),
                "see to it; the change goes on when the root to come is here, when the vault is unsealed anew, or when it is asked for and approved again",
            )),
            None => Ok(()),
        }
    }
}

impl Share {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let sealed = read_share(&self.share)?;
        let passphrase = passphrase::ask(sealed.custodian(), self.passphrase_file.as_deref())?;
        let share = sealed.open(&passphrase).map_err(Failure::of)?;
        let next: NextRoot = with_duty(self.acknowledge, say, |acknowledges| {
            let body = write_submission(&share, acknowledges.then_some(DUTY_VERSION));
            converse(client.post_text("/v1/root/next/shares", &body))
        })?;
        let text = if next.held {
            "the root to come is here; ask for the change with `vaultctl root change`, or see how far it is with `vaultctl root status`"
                .to_owned()
        } else {
            format!("share {} is in: {} of {} that are needed", sealed.index(), next.shares_given, next.root.threshold)
        };
        say.result(&next, &text);
        Ok(())
    }
}

impl Forget {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        converse(client.delete_silent("/v1/root/next/shares"))?;
        say.result(&serde_json::json!({ "held": false }), "what was here of the root to come is forgotten");
        Ok(())
    }
}

impl Change {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let to = hex(&read_root(&self.to)?.sum());
        let client = self.connection.open()?;
        let asked = ChangeRootRequest { to, keys_per_second_max: self.keys_per_second };
        let act: PendingAct = converse(async move { client.post("/v1/root/change", &asked).await })?;
        say_act(say, &act);
        Ok(())
    }
}

impl Abandon {
    fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let change: RootChange = converse(client.delete("/v1/root/change"))?;
        say.result(&change, "the change is given up; the root in force stays");
        Ok(())
    }
}

/// Asks until the change is over. An interrupt ends the asking alone.
async fn watch(client: &Client, mut now: RootStatus) -> Result<RootStatus, Failure> {
    let mut watch = Watch::alone("the change", "{bar:40} {human_pos}/{human_len} keys{msg}");
    while let Some(change) = now.change.as_ref().filter(|change| change.state == RootChangeState::Running) {
        watch.show(change.done, change.total, speed(change));
        if let Some(status) = watch.next(client.get("/v1/root")).await? {
            now = status;
        }
    }
    watch.over();
    Ok(now)
}

fn describe(status: &RootStatus) -> String {
    let since = status.in_force_since.as_ref().map_or_else(String::new, |since| format!(", since {since}"));
    let in_force = format!("in force  {}{since}", root(&status.in_force));
    let mut lines = vec![format!("vault     {}", status.vault_id), in_force];
    lines.extend(status.next_fault.as_ref().map(|fault| format!("to come   {fault}")));
    match &status.next {
        None if status.next_fault.is_some() => {}
        None => lines.push("to come   none; [root.next] file of vaultd's configuration names it".to_owned()),
        Some(next) => {
            let here = match (next.held, next.root.kind) {
                (true, _) => "here".to_owned(),
                (false, RootKind::Custodians) => format!("{} of {} shares", next.shares_given, next.root.threshold),
                (false, _) => "opens by itself when it is needed".to_owned(),
            };
            lines.push(format!("to come   {} ({here})", root(&next.root)));
        }
    }
    if let Some(change) = &status.change {
        let RootChange { done, total, started_at, .. } = change;
        let how = match change.state {
            RootChangeState::Running => format!("running, {done} of {total} keys{}", speed(change)),
            RootChangeState::Stopped => format!("waiting, {done} of {total} keys"),
            RootChangeState::Done => "done".to_owned(),
            RootChangeState::Abandoned => "given up".to_owned(),
        };
        lines.push(format!("change    {how}, begun {started_at}"));
        lines.extend(change.fault.as_ref().map(|fault| format!("fault     {fault}")));
        lines.extend(change.proof.as_ref().map(|proof| format!("\n{proof}")));
    }
    lines.join("\n")
}

/// As the vault measures it, where it does: `, 40 keys a second, 7 s left`.
fn speed(change: &RootChange) -> String {
    let rate = change.keys_per_second.map(|rate| format!(", {rate} keys a second"));
    let left = change.seconds_left.map(|left| format!(", {left} s left"));
    [rate, left].into_iter().flatten().collect()
}

fn root(root: &RootInfo) -> String {
    format!("{}, SHA-256 {}", place(root), root.sha256)
}

/// Where a Root is kept: `custodians, 3 of 5`.
pub(crate) fn place(root: &RootInfo) -> String {
    match (root.kind, &root.pkcs11, &root.kms) {
        (RootKind::Custodians, ..) => format!("custodians, {} of {}", root.threshold, root.shares),
        (RootKind::Dev, ..) => "development".to_owned(),
        (RootKind::Pkcs11, Some(key), _) => format!("HSM, token {}, key {}", key.token_label, key.key_label),
        (RootKind::Pkcs11, None, _) => "HSM".to_owned(),
        (RootKind::Kms, _, Some(key)) => format!("AWS KMS, key {}, region {}", key.arn, key.region),
        (RootKind::Kms, _, None) => "AWS KMS".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_runs_says_how_fast_and_how_long_and_where_the_root_is() {
        let status: RootStatus = serde_json::from_value(serde_json::json!({
            "vault_id": "3f1c",
            "in_force": { "sha256": "00", "kind": "custodians", "threshold": 3, "shares": 5 },
            "in_force_since": "2025-11-24T16:00:00.000Z",
            "next": {
                "sha256": "11", "kind": "pkcs11", "threshold": 0, "shares": 0, "shares_given": 0, "held": true,
                "pkcs11": { "token_label": "vault", "token_serial": "7", "key_label": "root-2", "key_id": "02" },
            },
            "change": {
                "from": "00", "to": "11", "rewraps": true, "state": "running", "done": 12, "total": 300,
                "keys_per_second": 40, "seconds_left": 8, "started_at": "2025-11-24T17:00:00.000Z",
            },
        }))
        .unwrap();
        let text = describe(&status);
        for line in [
            "in force  custodians, 3 of 5, SHA-256 00, since 2025-11-24T16:00:00.000Z",
            "to come   HSM, token vault, key root-2, SHA-256 11 (here)",
            "change    running, 12 of 300 keys, 40 keys a second, 8 s left, begun 2025-11-24T17:00:00.000Z",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is missing:\n{text}");
        }
        // Before there is anything to go by nothing is claimed.
        let early = RootChange { keys_per_second: None, seconds_left: None, ..status.change.unwrap() };
        assert_eq!(speed(&early), "");
    }
}
