//! `cargo xtask demo`: both flows of an external vault, with real processes, told so that a person can follow.

mod browser;
mod play;
mod story;
mod tell;

use std::time::Instant;

use clap::Args;
use strongroom_tests::harness::{Fault, Result, World, WorldPlan, because};
use strongroom_tests::storefront::Storefront;

use crate::steps::{cargo, must};
use tell::Teller;

/// Build vaultd, orchestratord and a PSP simulator, start them in a fresh folder and pay with cards
#[derive(Args)]
pub(crate) struct Demo {
    /// Keep everything up afterwards, open a shop to buy in, and print URLs and curl lines to play with
    #[arg(long)]
    serve: bool,
    /// The shop's port on loopback; any free one if absent
    #[arg(long, requires = "serve", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Start an installed Chromium at the shop, with a fresh profile that trusts the demo's certificate
    #[arg(long, requires = "serve")]
    open: bool,
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
            self.keep(&mut world).await?;
        }
        stop(&mut world).await?;
        tell.end();
        Ok(())
    }

    /// Opens the shop and waits for Ctrl-C.
    async fn keep(&self, world: &mut World) -> Result<()> {
        let shop = Storefront::open(world, self.port).await?;
        play::print(world)?;
        let window = if self.open { Some(browser::start(world, &shop.addresses().shop)?) } else { None };
        play::shop(shop.addresses(), window.is_some());
        tokio::signal::ctrl_c().await.map_err(because("waiting for Ctrl-C"))
    }
}

async fn tell_all(tell: &mut Teller, began: Instant) -> Result<World> {
    tell.chapter("A vault, an orchestrator and a PSP");
    let starting = Instant::now();
    let world =
        World::start(WorldPlan { payments: true, policy: Storefront::policy(), ..WorldPlan::default() }).await?;
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
