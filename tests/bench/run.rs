//! One run: bare endpoint and vault in turns on the same machine in the same minutes, so that the ratio means something.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};

use super::bare::Bare;
use super::load::Measured;
use super::payments;
use super::report::{Report, Row};
use super::rotation;
use crate::harness::{Binary, Client, Fault, Result, World, because, binary_path};

/// How long and how much.
struct Size {
    seconds: u64,
    cards: usize,
    connections: &'static [Goal],
}

/// A number of connections, and the ratios to the bare endpoint that the design's prototype reached with them.
struct Goal {
    connections: usize,
    tokenize: f64,
    reveal: f64,
}

const GOALS: [Goal; 4] = [
    Goal { connections: 1, tokenize: 0.40, reveal: 0.43 },
    Goal { connections: 16, tokenize: 0.26, reveal: 0.27 },
    Goal { connections: 64, tokenize: 0.39, reveal: 0.45 },
    Goal { connections: 256, tokenize: 0.57, reveal: 0.57 },
];

/// Bytes on disk that one stored card may take, index included.
const CARD_BYTES_MAX: f64 = 230.0;

/// Measures and answers the report. `tell` gets a line before each figure.
///
/// # Errors
/// When a process does not start, or an answer is wrong: a figure with failed requests in it is no figure.
pub async fn run(quick: bool, mut tell: impl FnMut(&str)) -> Result<Report> {
    let size = if quick {
        Size { seconds: 3, cards: 5_000, connections: &GOALS[2..3] }
    } else {
        Size { seconds: 10, cards: 200_000, connections: &GOALS }
    };
    let mut world = World::vault_only().await?;
    let server = world.pki.server("server")?;
    let bare = Bare::start(world.path(), &world.pki, &server).await?;
    let [_, release, _] = world.vault.addresses();
    let mut report = Report::default();
    let bench = Bench { world: &world, seconds: size.seconds };

    let cards = bench.requests("cards.tsv", (0..size.cards as u64).map(tokenize_line))?;
    tell(&format!("storing {} cards", size.cards));
    bench.store(release, &cards, size.cards).await?;
    let tokens = tokens(&world.release().await?, size.cards.min(REVEALED_MAX)).await?;
    let reveals = bench.requests("reveals.tsv", tokens.iter().map(|token| reveal_line(token)))?;

    for goal in size.connections {
        let at = goal.connections;
        tell(&format!("reveal, {at} connections"));
        let below = bench.load(bare.at, &reveals, at, 200)?;
        let above = bench.load(release, &reveals, at, 200)?;
        report.add("reveal", at, &above, &below, goal.reveal);
        tell(&format!("tokenize, {at} connections"));
        let below = bench.load(bare.at, &cards, at, 201)?;
        let above = bench.load(release, &cards, at, 201)?;
        report.add("tokenize", at, &above, &below, goal.tokenize);
    }
    tell("counting bytes");
    world.vault.process().stop().await?;
    report.rows.push(bytes_for_each(
        &world.vault.store_file(),
        "cards",
        "bytes for each stored card",
        Some(CARD_BYTES_MAX),
    )?);
    report.rows.push(bytes_for_each(
        &world.vault.audit_file(),
        "entries",
        "bytes for each audit entry",
        Some(AUDIT_BYTES_MAX),
    )?);
    rotation::measure(quick, &mut report, &mut tell).await?;
    payments::measure(quick, &mut report, &mut tell).await?;
    Ok(report)
}

impl Report {
    fn add(&mut self, what: &str, connections: usize, vault: &Measured, bare: &Measured, target: f64) {
        let name = |figure: &str| format!("{what}, {connections} connections{figure}");
        self.rows.push(Row::beside(name(""), vault.per_second, "1/s", bare.per_second, target));
        self.rows.push(Row::alone(name(", p50"), vault.p50_ms, "ms", None));
        self.rows.push(Row::alone(name(", p99"), vault.p99_ms, "ms", None));
    }
}

pub(super) struct Bench<'a> {
    pub(super) world: &'a World,
    pub(super) seconds: u64,
}

impl Bench<'_> {
    /// Writes requests for the load generator.
    pub(super) fn requests(&self, name: &str, lines: impl Iterator<Item = String>) -> Result<std::path::PathBuf> {
        let path = self.world.path().join(name);
        let mut text = String::new();
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        fs::write(&path, text).map_err(because(path.display()))?;
        Ok(path)
    }

    /// Stores at least so many cards.
    pub(super) async fn store(&self, at: SocketAddr, requests: &Path, wanted: usize) -> Result<()> {
        let mut stored = 0;
        while stored < wanted as u64 {
            stored += self.load(at, requests, 64, 201)?.answered;
        }
        Ok(())
    }

    /// Runs the load generator as a process of its own, as an orchestrator at the vault.
    pub(super) fn load(&self, at: SocketAddr, requests: &Path, connections: usize, status: u16) -> Result<Measured> {
        let tenant = format!("{}: {}", strongroom_wire::header::TENANT, self.world.tenant);
        self.load_as(&tenant, at, requests, connections, status)
    }

    /// As [`Bench::load`], with this header in every request.
    pub(super) fn load_as(
        &self,
        header: &str,
        at: SocketAddr,
        requests: &Path,
        connections: usize,
        status: u16,
    ) -> Result<Measured> {
        let who = self.world.credentials("orchestrator", "main")?;
        let mut command = Command::new(binary_path(Binary::Load)?);
        command.args(["--at", &at.to_string(), "--header", header, "--status", &status.to_string()]);
        command.args(["--connections", &connections.to_string(), "--seconds", &self.seconds.to_string()]);
        command.arg("--requests").arg(requests).arg("--ca").arg(self.world.pki.ca());
        command.arg("--certificate").arg(&who.certificate).arg("--key").arg(&who.key);
        let done = command.output().map_err(because("the load generator"))?;
        if !done.status.success() {
            return Err(Fault::new(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        let measured: Measured =
            serde_json::from_slice(&done.stdout).map_err(because("the load generator's answer"))?;
        if measured.failed > 0 || measured.answered == 0 {
            return Err(Fault::new(format!(
                "{} requests failed, {} were answered",
                measured.failed, measured.answered
            )));
        }
        Ok(measured)
    }
}

/// Tokens of stored cards, by the list that every caller uses.
pub(super) async fn tokens(release: &Client, wanted: usize) -> Result<Vec<String>> {
    let mut tokens = Vec::with_capacity(wanted);
    let mut cursor = String::new();
    while tokens.len() < wanted {
        let page = release.get(&format!("/v1/payment_methods?limit=100{cursor}")).await?.expect(200)?;
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        tokens.extend(items.iter().filter_map(|item| item["payment_method_id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if tokens.is_empty() { Err(Fault::new("the vault lists no card")) } else { Ok(tokens) }
}

/// Every request has a number of its own, because a fingerprint index that sees one number alone is faster than any real
/// one. The numbers are made up in memory, behind the prefix that published test numbers share, and written nowhere but
/// into a folder that is removed.
pub(super) fn tokenize_line(serial: u64) -> String {
    let body = format!(
        "{{\"type\":\"card\",\"card\":{{\"number\":\"{}\",\"exp_month\":12,\"exp_year\":2031}}}}",
        number(serial)
    );
    format!("POST\t/v1/payment_methods\t{body}")
}

pub(super) fn reveal_line(token: &str) -> String {
    format!("POST\t/v1/payment_methods/{token}/reveal\t{{\"purpose\":\"authorize\",\"reference\":\"pay_bench\"}}")
}

/// `400000` and nine digits that visit every serial in an order without runs, and the check digit.
fn number(serial: u64) -> String {
    let body = format!("400000{:09}", serial * 387_420_489 % 1_000_000_000);
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// Pages in use over rows, of a store that was stopped in order.
#[expect(clippy::cast_precision_loss, reason = "sizes of one run are far below 2^52")]
fn bytes_for_each(file: &Path, table: &str, name: &str, at_most: Option<f64>) -> Result<Row> {
    let open = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(because(file.display()))?;
    let ask = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(because(file.display()));
    let pages = ask("PRAGMA page_count")? - ask("PRAGMA freelist_count")?;
    let (bytes, rows) = (pages * ask("PRAGMA page_size")?, ask(&format!("SELECT count(*) FROM {table}"))?);
    if rows == 0 {
        return Err(Fault::new(format!("{table} is empty")));
    }
    Ok(Row::alone(name.to_owned(), bytes as f64 / rows as f64, "bytes", at_most))
}

/// An entry of about 160 bytes, its share of the tree and SQLite's own.
const AUDIT_BYTES_MAX: f64 = 220.0;

/// Most different cards that are revealed in turn.
const REVEALED_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_numbers_differ_and_pass_luhn() {
        let sum = |number: &str| -> u32 {
            let digits = number.bytes().rev().map(|digit| u32::from(digit - b'0')).enumerate();
            digits.map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum()
        };
        let numbers: std::collections::BTreeSet<String> = (0..10_000).map(number).collect();
        assert_eq!(numbers.len(), 10_000);
        assert!(numbers.iter().all(|number| number.len() == 16 && sum(number) % 10 == 0));
    }

    #[test]
    fn a_line_has_method_path_and_body() {
        let line = reveal_line("pm_x");
        let parts: Vec<&str> = line.split('\t').collect();
        assert_eq!(parts[..2], ["POST", "/v1/payment_methods/pm_x/reveal"]);
        assert!(serde_json::from_str::<serde_json::Value>(parts[2]).is_ok());
    }
}
