//! The load generator as a program of its own, so that its work is not mixed with the harness's.
#![expect(clippy::print_stdout, reason = "its answer is one line of JSON on standard output")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use strongroom_tests::bench::load::{Load, Measured, connector, request};
use strongroom_tests::harness::{Credentials, Result, because};

/// Sends HTTPS requests in a closed loop and prints what came of it as one line of JSON.
#[derive(Parser)]
struct Flags {
    /// Where to.
    #[arg(long)]
    at: SocketAddr,
    /// The CA that the server's certificate must come from.
    #[arg(long)]
    ca: PathBuf,
    /// The client's certificate.
    #[arg(long)]
    certificate: PathBuf,
    /// The client's key.
    #[arg(long)]
    key: PathBuf,
    /// A file with one request a line: method, path and body, with a tab between them.
    #[arg(long)]
    requests: PathBuf,
    /// A header of every request, `Name: value`; may be given several times.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// Open connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The status that answers must have.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// A new connection and a full handshake for each request.
    #[arg(long)]
    fresh: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Flags::parse()).await.and_then(|measured| serde_json::to_string(&measured).map_err(because("JSON"))) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("load: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<Measured> {
    let text = fs::read_to_string(&flags.requests).map_err(because(flags.requests.display()))?;
    let headers: Vec<(&str, &str)> =
        flags.headers.iter().map(|header| header.split_once(": ").unwrap_or((header, ""))).collect();
    let requests = text
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, '\t');
            let mut part = || parts.next().unwrap_or_default();
            request(part(), part(), &headers, part())
        })
        .collect();
    let tls = connector(&flags.ca, &Credentials { certificate: flags.certificate, key: flags.key })?;
    let lasting = Duration::from_secs(flags.seconds);
    let (connections, status, fresh) = (flags.connections, flags.status, flags.fresh);
    Load { at: flags.at, requests, connections, lasting, status, fresh }.run(&tls).await
}
