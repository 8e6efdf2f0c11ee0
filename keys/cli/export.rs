//! `vaultctl export`: cards to another party, encrypted to its public key inside the vault. This side sees ciphertext
//! alone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use strongroom_wire::TenantId;
use strongroom_wire::acts::{ActKind, ActList, ActState, PendingAct};
use strongroom_wire::export::{ExportOrder, ExportRecipient};

use crate::acts::say_act;
use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::progress;
use crate::say::Say;

/// Export cards to another party, under the eyes of two people
///
/// The first run asks for the export. After another officer has approved it (`vaultctl acts approve`), the same command
/// downloads it: one age file that the recipient alone can read, with a card on each line and a signed note at the end. The
/// one who asked and the one who approved may download it until the act ends, a day after it was asked for. A download that
/// broke off begins anew.
///
/// Exit codes: 0 the file is written, 1 refused or failed, 2 the command line is wrong, 3 a second person has to approve it.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl export --tenant acme --out acme.age \\
      --recipient $(cat partner.pub) \\
      --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Export {
    /// Whose cards
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    tenant: Option<TenantId>,
    /// The cards of every tenant
    #[arg(long)]
    all: bool,
    /// The other party's age public key
    #[arg(long, value_name = "AGE1...")]
    recipient: ExportRecipient,
    /// Where to write it; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    act_id: String,
    file: String,
    bytes: u64,
}

impl Export {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let order = ExportOrder { tenant: self.tenant.clone(), recipient: self.recipient.clone() };
        if self.out.exists() {
            let shown = self.out.display();
            return Err(Failure::new(format!("{shown} exists already and is left as it is"), "name another file"));
        }
        let client = self.connection.open()?;
        converse(async {
            let acts: ActList = client.get("/v1/acts").await?;
            let is_it = |act: &&PendingAct| act.what == ActKind::Export(order.clone()) && act.state == ActState::Done;
            // Newest first; one that ran out is refused by the vault, and then asked for again.
            if let Some(act) = acts.acts.iter().find(is_it) {
                let path = format!("/v1/exports/{}", act.act_id);
                let part = part(&self.out);
                let bar = progress::bar(None, "{spinner} {bytes} received, {bytes_per_sec}, {elapsed}");
                match client.download(&path, &mut create(&part)?, &bar).await {
                    Ok(bytes) => {
                        keep(&part, &self.out)?;
                        let file = self.out.display().to_string();
                        let text = format!("{bytes} bytes for {} are in {file}", self.recipient);
                        say.result(&Written { act_id: act.act_id.to_string(), file, bytes }, &text);
                        return Ok(());
                    }
                    Err(failure) => {
                        let _gone = std::fs::remove_file(&part);
                        if !failure.is(strongroom_wire::Kind::Conflict) || !is_over(&act.expires_at) {
                            return Err(failure);
                        }
                    }
                }
            }
            let act: PendingAct = client.post("/v1/exports", &order).await?;
            say_act(say, &act);
            let next =
                format!("another officer runs `vaultctl acts approve {}`; then run the same command again", act.act_id);
            Err(Failure::new("nothing is exported yet: a second person has to approve it", next).in_part())
        })
    }
}

/// Whether a time is over.
fn is_over(at: &str) -> bool {
    at.parse::<jiff::Timestamp>().is_ok_and(|at| at <= jiff::Timestamp::now())
}

/// What is not whole yet has another name.
fn part(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn create(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| {
        Failure::new(
            format!("{} cannot be written ({})", path.display(), error.kind()),
            "check the folder and its owner",
        )
    })
}

fn keep(part: &Path, out: &Path) -> Result<(), Failure> {
    let kept = File::open(part).and_then(|mut file| {
        file.flush()?;
        file.sync_all()?;
        std::fs::hard_link(part, out)?;
        std::fs::remove_file(part)
    });
    kept.map_err(|error| {
        Failure::new(
            format!("{} cannot be written ({})", out.display(), error.kind()),
            "the whole export is in the .part file",
        )
    })
}
