//! The narrator: who says what to whom, one line each.
#![expect(clippy::print_stdout, reason = "the demo is what it prints")]

use std::time::Duration;

use serde_json::Value;
use strongroom_tests::harness::{Fault, Result, World};

/// Prints the story and counts its steps.
#[derive(Default)]
pub(super) struct Teller {
    steps: u32,
}

impl Teller {
    /// A heading.
    pub(super) fn chapter(&mut self, title: &str) {
        println!("\n{title}\n{}", "-".repeat(title.chars().count()));
    }

    /// One exchange: from whom to whom, what was asked and what came back.
    pub(super) fn step(&mut self, from: &str, to: &str, asked: &str, answered: &str) {
        self.steps += 1;
        println!("{:>3}. {from:<13} -> {to:<13} {asked}\n{:>37} {answered}", self.steps, "=>");
    }

    /// A line between steps.
    pub(super) fn remark(&mut self, text: &str) {
        println!("     {text}");
    }

    /// What runs where.
    pub(super) fn started(&mut self, world: &World, took: Duration) -> Result<()> {
        let [intake, release, admin] = world.vault.addresses();
        println!("Everything is in {} and up after {:.1} s.\n", world.path().display(), took.as_secs_f64());
        println!("  vaultd         holds keys and cards");
        println!("     intake      https://localhost:{:<6} browsers, with a client session", intake.port());
        println!("     release     https://localhost:{:<6} orchestrators, mutual TLS, by policy", release.port());
        println!("     admin       https://localhost:{:<6} the security team, mutual TLS", admin.port());
        println!("  orchestratord  {}  payments by token", world.payments()?.anyone().base());
        println!("  psp-simulator  {}  speaks Stripe's protocol, moves no money", world.psp()?.client().base());
        println!(
            "\n  The Root is a development key in a file. In production it is dealt among custodians (vaultctl init)."
        );
        Ok(())
    }

    /// The last line.
    pub(super) fn end(&self) {
        println!(
            "\nDone: {} steps, each of which did what it should. Every process is stopped and the folder removed.",
            self.steps
        );
    }
}

/// A field that must have this value; the story does not go on otherwise.
pub(super) fn must_be(answer: &Value, field: &str, wanted: &str) -> Result<()> {
    let found = answer[field].as_str().unwrap_or("nothing");
    if found == wanted { Ok(()) } else { Err(Fault::new(format!("{field} is {found} instead of {wanted}"))) }
}
