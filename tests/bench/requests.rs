//! Reveal and tokenize beside an endpoint that does the same without a vault behind it.

use super::cards::{REVEAL, reveal_path, tokenize_body};
use super::client::{Requests, Seen};
use super::fill::fill;
use super::machine::{durable_write, ms};
use super::report::{Report, Row};
use super::run::{Plan, Stage};
use crate::harness::Result;

/// A number of connections, and the ratios to the bare endpoint that are wanted there.
struct Goal {
    connections: usize,
    reveal: Option<f64>,
    tokenize: Option<f64>,
}

const GOALS: [Goal; 4] = [
    Goal { connections: 1, reveal: None, tokenize: None },
    Goal { connections: 16, reveal: None, tokenize: None },
    Goal { connections: 64, reveal: Some(0.5), tokenize: Some(0.4) },
    Goal { connections: 256, reveal: Some(0.6), tokenize: Some(0.55) },
];

/// Adds its figures to the report.
///
/// # Errors
/// When an answer is wrong.
pub(super) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let folder = stage.world.path().to_owned();
    tell(&format!("storing {} cards", plan.cards()));
    let tokens = fill(&stage.world, plan.cards(), false, tell).await?;
    let (reveals, cards) = of(&folder, &tokens, plan.cards())?;
    let (bare, vault) = ((stage.bare.at, stage.bare.process()), stage.release());
    for goal in &GOALS {
        let at = goal.connections;
        for (what, requests, wanted) in [("reveal", &reveals, goal.reveal), ("tokenize", &cards, goal.tokenize)] {
            let name = format!("{what}, {at} connections");
            tell(&name);
            let below = stage.client.fire(bare, requests, at)?;
            let above = stage.client.fire(vault, requests, at)?;
            report.pair(&name, &above, &below, wanted);
            if at == 1 && what == "reveal" {
                let write = durable_write(&folder, if plan.quick { 200 } else { 2_000 })?.0;
                let allowed = below.measured.p50_ms + WRITES * ms(write);
                let name = "reveal, one at a time, p50 beside bare p50 + 1.3 durable writes".to_owned();
                report.rows.push(Row::at_most(name, above.measured.p50_ms, "ms", allowed, 1.0));
            }
            if at == 64 && what == "tokenize" {
                let name = "tokenize, 64 connections, p99 alone".to_owned();
                report.rows.push(Row::alone(name, above.measured.p99_ms, "ms", Some(P99_MS_MAX)));
            }
        }
    }
    Ok(())
}

/// Reveals of these cards, and cards to tokenize.
///
/// # Errors
/// When they cannot be written down.
pub(super) fn of(folder: &std::path::Path, tokens: &[String], cards: u64) -> Result<(Requests, Requests)> {
    let paths = tokens.iter().map(|token| reveal_path(token)).collect();
    let reveals = Requests::new(folder.join("reveals.txt"), paths, vec![REVEAL.to_owned()], 200)?;
    let bodies = (0..cards).map(|serial| tokenize_body(serial, false)).collect();
    let cards = Requests::new(folder.join("cards.txt"), vec!["/v1/payment_methods".to_owned()], bodies, 201)?;
    Ok((reveals, cards))
}

impl Report {
    /// Answers a second, percentiles and processor time of a load beside those of its baseline.
    pub(super) fn pair(&mut self, name: &str, above: &Seen, below: &Seen, wanted: Option<f64>) {
        let (figure, baseline) = (above.measured.per_second, below.measured.per_second);
        self.rows.push(match wanted {
            Some(target) => Row::beside(name.to_owned(), figure, "1/s", baseline, target),
            None => Row::compared(name.to_owned(), figure, "1/s", baseline),
        });
        self.percentiles(name, &above.measured, &below.measured);
        let spent = |whose: &str| format!("{name}, processor time of the {whose}");
        self.rows.push(Row::compared(spent("server"), above.server_us, "us", below.server_us));
        self.rows.push(Row::compared(spent("load generator"), above.client_us, "us", below.client_us));
    }
}

/// Durable writes that a reveal may take on top of what the bare endpoint takes.
const WRITES: f64 = 1.3;
const P99_MS_MAX: f64 = 10.0;
