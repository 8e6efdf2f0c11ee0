//! `vaultctl import`: cards out of a file into a vault, in batches, over the release listener.
//!
//! The file is read as a stream. Every hundred or so lines are one batch, cut by their number alone, with an idempotency
//! key that the journal fixes: an import that was killed goes on with the same batches under the same keys, so that
//! nothing is stored twice.

mod journal;
mod line;
mod read;
mod send;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde::Serialize;
use strongroom_wire::TenantId;

use crate::client::{Client, Connection, converse};
use crate::failure::Failure;
use crate::progress;
use crate::say::Say;
use journal::{Journal, Plan};
use line::{Columns, Refused};
use read::Lines;

/// Import cards from a file
///
/// Reads CSV with a header, or JSON Lines, and stores each card over the release listener. Lines that are no card, or that
/// the vault refuses, are listed with their number and the reason in FILE.refused.csv; with an `id` column, FILE.ids.csv
/// says which payment_method_id each old id has now. Neither ever holds a card number.
///
/// FILE.journal says how far the import is. If it was stopped, run the same command again: it goes on where it was and
/// stores nothing twice. Within a day, that is; what was under way when it was stopped longer ago is listed as refused.
///
/// The client certificate is one of an orchestrator with the scope `tokenize`.
///
/// Exit codes: 0 every line is stored, 1 stopped, 2 the command line is wrong, 3 done but for the lines in the report.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
        vaultctl import cards.csv --format csv --dry-run --map number=pan,exp_month=month,exp_year=year\n  \
        vaultctl import cards.jsonl --format jsonl --tenant acme --url https://vault:8444 \\\n      \
        --ca ca.pem --cert importer.pem --key importer.key")]
pub(crate) struct Import {
    /// The file with the cards
    file: PathBuf,
    /// How it is written
    #[arg(long)]
    format: Format,
    /// Where the file names a field otherwise: FIELD=COLUMN, several with commas between them. Fields are number, exp_month,
    /// exp_year, holder_name, customer_id, id and metadata.KEY. In JSON Lines a column may be a path, like card.number
    #[arg(long, value_name = "FIELD=COLUMN,...", value_delimiter = ',')]
    map: Vec<String>,
    /// Check every line and send nothing
    #[arg(long)]
    dry_run: bool,
    /// The tenant that the cards belong to, where the certificate may act for several
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Lines of one request
    #[arg(long, value_name = "N", default_value_t = BATCH_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=i64::from(BATCH_MAX)))]
    batch: u16,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    in_flight: u8,
    /// Where the vault is and who asks
    #[command(flatten)]
    release: Release,
}

/// The release listener of a vault. Nothing of it is needed with --dry-run.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
struct Release {
    /// Address of the release listener, https://HOST:PORT
    #[arg(long, env = "STRONGROOM_RELEASE_URL", hide_env_values = true, required_unless_present = "dry_run")]
    url: Option<String>,
    /// Certificate authority that signed the vault's certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "STRONGROOM_CA",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    ca: Option<PathBuf>,
    /// The orchestrator's client certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "STRONGROOM_CERT",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    cert: Option<PathBuf>,
    /// Its private key (PEM, readable by you alone)
    #[arg(
        long,
        value_name = "FILE",
        env = "STRONGROOM_KEY",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// Lines read.
    lines: u64,
    /// Cards that were stored, or would be.
    stored: u64,
    /// Cards that were there: their customers had them, or an earlier try of this import had stored them.
    known: u64,
    /// Lines in the report.
    refused: u64,
}

impl Import {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let columns = Columns::of(&self.map)?;
        let bytes = std::fs::metadata(&self.file).map(|file| file.len()).map_err(|error| {
            let shown = self.file.display();
            Failure::new(format!("{shown} cannot be opened ({})", error.kind()), "check the path and its owner")
        })?;
        let plan = Plan {
            bytes,
            format: self.format.word().to_owned(),
            map: self.map.clone(),
            batch: self.batch,
            tenant: self.tenant.as_ref().map(ToString::to_string),
        };
        let tally = if self.dry_run { self.check(&columns, bytes)? } else { self.store(&columns, &plan)? };
        say.result(&tally, &self.told(&tally));
        if tally.refused == 0 {
            return Ok(());
        }
        let report = beside(&self.file, "refused.csv");
        Err(Failure::new(
            format!("{} of {} lines were refused", tally.refused, tally.lines),
            format!("see {}; mend those lines and import them by themselves", report.display()),
        )
        .in_part())
    }

    fn told(&self, tally: &Tally) -> String {
        let Tally { lines, stored, known, refused } = tally;
        if self.dry_run {
            format!("{lines} lines: {stored} are cards, {refused} are not; nothing was sent")
        } else {
            format!("{lines} lines: {stored} cards stored, {known} were there already, {refused} refused")
        }
    }

    /// Everything that can be seen without a vault.
    fn check(&self, columns: &Columns, bytes: u64) -> Result<Tally, Failure> {
        let mut report = journal::Report::begin(&beside(&self.file, "refused.csv"))?;
        let bar = bar(bytes);
        let mut lines = Lines::open(&self.file, self.format == Format::Jsonl, columns, now_ms())?;
        let mut tally = Tally::default();
        while let Some(batch) = lines.next_batch(usize::from(self.batch))? {
            tally.lines += batch.lines;
            tally.stored += batch.cards.len() as u64;
            tally.refused += batch.refused.len() as u64;
            report.add(&batch.refused)?;
            bar.set_position(lines.position());
        }
        bar.finish_and_clear();
        report.end()?;
        Ok(tally)
    }

    fn store(&self, columns: &Columns, plan: &Plan) -> Result<Tally, Failure> {
        let client = self.release.open()?;
        let journal = Journal::open(&self.file, plan, now_ms())?;
        // What a card must be is judged by the day on which the import began, so that its batches stay what they were.
        let lines = Lines::open(&self.file, self.format == Format::Jsonl, columns, journal.began_ms())?;
        let bar = bar(plan.bytes);
        let sender = send::Sender { client, tenant: self.tenant.clone(), in_flight: usize::from(self.in_flight) };
        let done = converse(sender.run(lines, journal, usize::from(self.batch), &bar));
        bar.finish_and_clear();
        done
    }
}

impl Release {
    fn open(&self) -> Result<Client, Failure> {
        match (&self.url, &self.ca, &self.cert, &self.key) {
            (Some(url), Some(ca), Some(cert), Some(key)) => Connection::to(url, ca, cert, key).open(),
            _ => Err(Failure::new("the connection is not named whole", "give --url, --ca, --cert and --key")),
        }
    }
}

/// Where a file beside the import's own lies: `cards.csv.journal`.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn bar(bytes: u64) -> ProgressBar {
    let bar = progress::bar(Some(bytes), "{bar:40} {percent}%, {msg} cards, {elapsed} gone, {eta} left");
    bar.set_message("0");
    bar
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// A batch that is as large as it may be still fits a request: see [`line::ITEM_BYTES_MAX`].
const BATCH_MAX: u16 = 400;
const BATCH_DEFAULT: u16 = 250;

const _: () = assert!(BATCH_MAX as usize * (line::ITEM_BYTES_MAX + 1) + 64 < strongroom_wire::limits::BATCH_BYTES_MAX);
const _: () = assert!(BATCH_MAX as usize <= strongroom_wire::limits::BATCH_CARDS_MAX);

/// What a line becomes.
type Checked = Result<line::Item, Refused>;
