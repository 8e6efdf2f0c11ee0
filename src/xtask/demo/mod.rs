//! `cargo xtask demo`: both flows of an external vault, with real processes, told so that a person can follow.

mod play;
mod story;
mod tell;

use std::time::Instant;

use clap::Args;
use strongroom_tests::harness::{Fault, Result, World, WorldPlan, because};

use crate::steps::{cargo, must};
use tell::Teller;

/// Build vaultd, orchestratord and a PSP simulator, start them in a fresh folder and pay with cards
#[derive(Args)]
pub(crate) struct Demo {
    /// Keep everything up afterwards and print URLs and curl lines to play with
    #[arg(long)]
    serve: bool,
}

impl Demo {
    /// Runs the demo; Ctrl-C ends it at any time, and nothing is left behind.
    pub(crate) async fn run(&self) -> Result<()> {
        let began = Instant::now();
        must("building", &mut build())?;
        let mut tell = Teller::default();
        let mut world = tokio::select! {
            told = tell_all(&mut tell, began) => told?,
            _ = tokio::signal::ctrl_c() => return Err(Fault::new("stopped by Ctrl-C; nothing was left behind")),
        };
        if self.serve {
            play::print(&world)?;
            tokio::signal::ctrl_c().await.map_err(because("waiting for Ctrl-C"))?;
        }
        stop(&mut world).await?;
        tell.end();
        Ok(())
    }
}

async fn tell_all(tell: &mut Teller, began: Instant) -> Result<World> {
    tell.chapter("A vault, an orchestrator and a PSP");
    let starting = Instant::now();
    let world = World::start(WorldPlan { payments: true, ..WorldPlan::default() }).await?;
    tell.started(&world, starting.elapsed())?;
    let token = story::new_customer(tell, &world, began).await?;
    story::repeat_customer(tell, &world, &token).await?;
    story::three_d_secure(tell, &world).await?;
    story::decline(tell, &world).await?;
    story::audit(tell, &world).await?;
    story::ledger(tell, &world).await?;
    Ok(world)
}

async fn stop(world: &mut World) -> Result<()> {
    if let Some(orchestrator) = &mut world.orchestrator {
        orchestrator.process().stop().await?;
    }
    if let Some(psp) = &mut world.psp {
        psp.process().stop().await?;
    }
    world.vault.process().stop().await
}

/// The whole workspace, because that is what tests build too: one set of features, nothing built twice.
fn build() -> std::process::Command {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins", "--locked"]);
    command
}
