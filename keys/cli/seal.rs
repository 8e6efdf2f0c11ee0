//! `vaultctl unseal`, `seal`, `status` and `reload`.

use std::path::PathBuf;

use clap::Args;
use strongroom_keys::duty::DUTY_VERSION;
use strongroom_keys::share::write_submission;
use strongroom_wire::admin::{NodesStatus, Phase, Reloaded, RootKind, Status as VaultStatus, UnsealProgress};

use crate::acts::act_text;
use crate::client::{Connection, converse};
use crate::custodian::with_duty;
use crate::deal::read_share;
use crate::failure::Failure;
use crate::passphrase;
use crate::say::Say;

/// Hand in your share
///
/// The share is opened here with your passphrase and sent to the vault; when enough custodians did the same, the vault
/// opens. Each custodian uses their own client certificate, and is asked once to acknowledge their duty.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl unseal --share share-2.json --url https://vault:8402 --ca ca.pem \\
      --cert ben.pem --key ben.key
  vaultctl unseal --auto         the root is in an HSM or KMS
  vaultctl unseal --abandon      forget the shares that are in and begin again")]
pub(crate) struct Unseal {
    /// Your sealed share
    #[arg(long, value_name = "FILE", required_unless_present_any = ["abandon", "auto"])]
    share: Option<PathBuf>,
    /// File with your passphrase as its only line; asked for if none is named
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Have the HSM or KMS that holds the Root open the vault
    #[arg(long, conflicts_with_all = ["share", "passphrase_file", "abandon"])]
    auto: bool,
    /// Acknowledge a custodian's duty with it, without being asked (`vaultctl custodian duty` shows it)
    #[arg(long)]
    acknowledge: bool,
    /// Make the vault forget the shares of the ceremony that runs
    #[arg(long, conflicts_with_all = ["share", "passphrase_file", "acknowledge"])]
    abandon: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Make the vault forget its keys until the next unseal
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl seal --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Seal {
    #[command(flatten)]
    connection: Connection,
}

/// Show whether the vault is sealed, and what to look after
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl status --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Status {
    #[command(flatten)]
    connection: Connection,
}

/// Make the vault read its certificates and policy again
#[derive(Args)]
#[command(after_help = "Example:\n  vaultctl reload --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Reload {
    #[command(flatten)]
    connection: Connection,
}

impl Unseal {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        if self.auto {
            let progress: UnsealProgress = converse(client.post_text("/v1/unseal", "{\"auto\":true}"))?;
            say.result(&progress, "the vault is unsealed");
            return Ok(());
        }
        let Some(path) = &self.share else {
            let progress: UnsealProgress = converse(client.delete("/v1/unseal"))?;
            say.result(&progress, "the shares that were in are forgotten");
            return Ok(());
        };
        let sealed = read_share(path)?;
        let passphrase = passphrase::ask(sealed.custodian(), self.passphrase_file.as_deref())?;
        let share = sealed.open(&passphrase).map_err(Failure::of)?;
        let progress: UnsealProgress = with_duty(self.acknowledge, say, |acknowledges| {
            let body = write_submission(&share, acknowledges.then_some(DUTY_VERSION));
            converse(client.post_text("/v1/unseal", &body))
        })?;
        let text = match progress.phase {
            Phase::Unsealed => "the vault is unsealed".to_owned(),
            Phase::Sealed | Phase::Unsealing => format!(
                "share {} is in: {} of {} that are needed",
                sealed.index(),
                progress.shares_given,
                progress.threshold
            ),
        };
        say.result(&progress, &text);
        Ok(())
    }
}

impl Seal {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let status: serde_json::Value = converse(client.post_text("/v1/seal", "{}"))?;
        let next = match status["threshold"].as_u64() {
            Some(0) => {
                "the vault is sealed; `vaultctl unseal --auto` opens it again where an HSM or KMS holds the root, a restart where it is a development root"
            }
            _ => "the vault is sealed; custodians open it again with `vaultctl unseal`",
        };
        say.result(&status, next);
        Ok(())
    }
}

impl Status {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let status: VaultStatus = converse(client.get("/v1/status"))?;
        say.result(&status, &describe(&status));
        Ok(())
    }
}

impl Reload {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let reloaded: Reloaded = converse(client.post_text("/v1/reload", "{}"))?;
        let mut text = format!("read again: {}", reloaded.reloaded.join(", "));
        if let Some(act) = &reloaded.act {
            text = format!("{text}\n\nthe policy file is not the one in force\n{}", act_text(act));
        }
        say.result(&reloaded, &text);
        Ok(())
    }
}

fn describe(status: &VaultStatus) -> String {
    let phase = match status.phase {
        Phase::Sealed => "sealed".to_owned(),
        Phase::Unsealing => format!("unsealing: {} of {} shares", status.shares_given, status.threshold),
        Phase::Unsealed => "unsealed".to_owned(),
    };
    let root = match status.root {
        RootKind::Custodians => format!("custodians, {} of {}", status.threshold, status.shares),
        RootKind::Dev => "development".to_owned(),
        RootKind::Pkcs11 => "HSM".to_owned(),
        RootKind::Kms => "AWS KMS".to_owned(),
    };
    let uncovered = status.audit_size.saturating_sub(status.checkpoint_size);
    let mut lines = vec![
        format!("vault    {}", status.vault_id),
        format!("phase    {phase}"),
        format!("root     {root}"),
        format!("version  {}, schema {}, up for {} s", status.version, status.schema, status.uptime_seconds),
        format!("audit    {} entries, {uncovered} of them after the newest checkpoint", status.audit_size),
    ];
    lines.extend(status.nodes.iter().flat_map(node_lines));
    lines.extend(status.warnings.iter().map(|warning| format!("warning  {warning}")));
    lines.join("\n")
}

fn node_lines(nodes: &NodesStatus) -> Vec<String> {
    let leader = nodes.leader.as_ref().map_or("nobody leads yet".to_owned(), |leader| format!("{leader} leads"));
    let mut lines = vec![format!("node     {} answers, {leader}", nodes.node)];
    lines.extend(nodes.nodes.iter().map(|node| {
        let phase = if node.unsealed { "unsealed" } else { "sealed" };
        let behind = if node.follows { "" } else { ", behind" };
        format!("         {}: {phase}{behind}, seen {} ms ago", node.node, node.seen_ms_ago)
    }));
    lines
}
