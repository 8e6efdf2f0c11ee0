//! `cargo xtask demo`: both flows of an external vault, with real processes, told so that a person can follow.

mod play;
mod story;
mod tell;

use std::time::Instant;

use clap::Args;
use strongroom_tests::harness::{Fault, Result, World, WorldPlan};

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
        tokio::select! {
            done = self.play(began) => done,
            _ = tokio::signal::ctrl_c() => Err(Fault::new("stopped by Ctrl-C; every process was ended and its folder removed")),
        }
    }

    async fn play(&self, began: Instant) -> Result<()> {
        let mut tell = Teller::default();
        tell.chapter("A vault, an orchestrator and a PSP");
        let starting = Instant::now();
        let mut world = World::start(WorldPlan { payments: true, ..WorldPlan::default() }).await?;
        tell.started(&world, starting.elapsed())?;
        let token = story::new_customer(&mut tell, &world, began).await?;
        story::repeat_customer(&mut tell, &world, &token).await?;
        story::three_d_secure(&mut tell, &world).await?;
        story::decline(&mut tell, &world).await?;
        story::audit(&mut tell, &world).await?;
        story::ledger(&mut tell, &world).await?;
        if self.serve {
            play::print(&world)?;
            // What Ctrl-C means is decided in `run`; here it only ends the wait.
            tokio::signal::ctrl_c().await.map_err(|error| Fault::new(format!("waiting for Ctrl-C: {error}")))?;
        }
        stop(&mut world).await?;
        tell.end();
        Ok(())
    }
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
