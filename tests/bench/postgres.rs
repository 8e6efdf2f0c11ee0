//! The same requests with the store on PostgreSQL: one vaultd, one server on the same machine, TLS between them.

use std::path::PathBuf;

use super::fill::fill;
use super::report::Report;
use super::requests::of;
use super::run::{Plan, Stage};
use crate::harness::{NodePlan, Postgres, Result, SharedDatabase, VaultPlan, WorldPlan};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(plan: &Plan, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    tell("starting PostgreSQL");
    let server = Postgres::start();
    let database = SharedDatabase::of(&server, &server.fresh_database());
    let node = Some(NodePlan { name: "bench".to_owned(), database, roots: "" });
    let vault = VaultPlan { node, ..VaultPlan::default() };
    let mut stage = Stage::set(plan, WorldPlan { vault, ..WorldPlan::default() }).await?;
    let cards = plan.cards() / 10;
    tell(&format!("storing {cards} cards in PostgreSQL"));
    let tokens = fill(&stage.world, cards, false, tell).await?;
    let folder: PathBuf = stage.world.path().to_owned();
    let (reveals, cards) = of(&folder, &tokens, cards)?;
    let (bare, vault) = ((stage.bare.at, stage.bare.process()), stage.release());
    for at in [1, 64] {
        for (what, requests, wanted) in [("reveal", &reveals, 0.3), ("tokenize", &cards, 0.1)] {
            let name = format!("{what} on PostgreSQL, {at} connections");
            tell(&name);
            let below = stage.client.fire(bare, requests, at)?;
            let above = stage.client.fire(vault, requests, at)?;
            report.pair(&name, &above, &below, (at == 64).then_some(wanted));
        }
    }
    Ok(())
}
