//! One run: the vault and what it is held against in turns, on the same machine in the same minutes, so that a ratio means
//! something.

use super::bare::Bare;
use super::client::{Client, Generator};
use super::load::Measured;
use super::machine::Machine;
use super::oha::Oha;
use super::report::{Report, Row};
use super::{growth, handshakes, payments, postgres, raw, requests, rotation, storage, unseal};
use crate::harness::{Result, World, WorldPlan};

/// What to measure, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Few cards and few seconds.
    pub quick: bool,
    /// Who sends the load.
    pub generator: Generator,
    /// Cards in the large store of [`Section::Growth`].
    pub grown: u64,
    /// The parts of the run.
    pub sections: Vec<Section>,
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Reveal and tokenize at several numbers of connections, beside the bare endpoint.
    Requests,
    /// Full handshakes, beside the bare endpoint.
    Handshakes,
    /// Bytes on disk, and raw inserts of the same rows.
    Storage,
    /// AES-256-GCM alone.
    Cipher,
    /// Rotations, and reveals meanwhile.
    Rotation,
    /// Ten thousand cards against many.
    Growth,
    /// A start with a thousand tenants.
    Unseal,
    /// The same requests with the store on PostgreSQL.
    Postgres,
    /// Payments through the orchestrator, beside a bare proxy.
    Payments,
}

impl Section {
    /// Every part, with its name, in the order of a run.
    pub const ALL: [(&'static str, Section); 9] = [
        ("requests", Section::Requests),
        ("handshakes", Section::Handshakes),
        ("storage", Section::Storage),
        ("cipher", Section::Cipher),
        ("rotation", Section::Rotation),
        ("growth", Section::Growth),
        ("unseal", Section::Unseal),
        ("postgres", Section::Postgres),
        ("payments", Section::Payments),
    ];
}

/// Measures and answers the report. `tell` gets a line before each figure.
///
/// # Errors
/// When a process does not start, or an answer is wrong: a figure with failed requests in it is no figure.
pub async fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report> {
    let mut report = Report {
        generator: match plan.generator {
            Generator::Oha => Oha::version(),
            Generator::Own => "the bench's own closed loop".to_owned(),
        },
        ..Report::default()
    };
    let wants = |section| plan.sections.contains(&section);
    tell("looking at the machine");
    let mut stage = Stage::set(plan, WorldPlan::default()).await?;
    report.machine = Machine::look(stage.world.path(), if plan.quick { 200 } else { 2_000 })?;
    if wants(Section::Requests) {
        requests::measure(&mut stage, plan, &mut report, &mut tell).await?;
    }
    if wants(Section::Handshakes) {
        handshakes::measure(&mut stage, &mut report, &mut tell)?;
    }
    if wants(Section::Storage) {
        storage::measure(&mut stage, plan, &mut report, &mut tell).await?;
        raw::measure(&stage, &mut report, &mut tell)?;
    }
    drop(stage);
    if wants(Section::Cipher) {
        raw::cipher(plan.quick, &mut report, &mut tell)?;
    }
    if wants(Section::Rotation) {
        rotation::measure(plan, &mut report, &mut tell).await?;
    }
    if wants(Section::Growth) {
        growth::measure(plan, &mut report, &mut tell).await?;
    }
    if wants(Section::Unseal) {
        unseal::measure(plan, &mut report, &mut tell).await?;
    }
    if wants(Section::Postgres) {
        postgres::measure(plan, &mut report, &mut tell).await?;
    }
    if wants(Section::Payments) {
        payments::measure(plan, &mut report, &mut tell).await?;
    }
    Ok(report)
}

/// A vault, the bare endpoint with the same certificates, and a load generator.
pub(super) struct Stage {
    pub(super) bare: Bare,
    pub(super) client: Client,
    pub(super) world: World,
}

impl Stage {
    pub(super) async fn set(plan: &Plan, world: WorldPlan) -> Result<Self> {
        let world = World::start(world).await?;
        let server = world.pki.server("server")?;
        let bare = Bare::start(world.path(), &world.pki, &server).await?;
        let client = Self::client(plan, &world)?;
        Ok(Self { bare, client, world })
    }

    /// A load generator that is an orchestrator at the vault.
    pub(super) fn client(plan: &Plan, world: &World) -> Result<Client> {
        let who = world.credentials("orchestrator", "main")?;
        let header = format!("{}: {}", strongroom_wire::header::TENANT, world.tenant);
        Client::new(plan.generator, &world.pki, (who, header), world.path(), plan.seconds())
    }

    /// Where cards are revealed, and the vault's process.
    pub(super) fn release(&mut self) -> (std::net::SocketAddr, u32) {
        let [_, release, _] = self.world.vault.addresses();
        (release, self.world.vault.process().id())
    }
}

impl Plan {
    /// How long each load lasts.
    pub(super) fn seconds(&self) -> u64 {
        if self.quick { 2 } else { 8 }
    }

    /// How many cards lie in the store when reveals begin.
    pub(super) fn cards(&self) -> u64 {
        if self.quick { 20_000 } else { 200_000 }
    }
}

impl Report {
    /// The three percentiles of a load beside those of its baseline.
    pub(super) fn percentiles(&mut self, name: &str, figure: &Measured, baseline: &Measured) {
        let pairs = [
            ("p50", figure.p50_ms, baseline.p50_ms),
            ("p99", figure.p99_ms, baseline.p99_ms),
            ("p99.9", figure.p999_ms, baseline.p999_ms),
        ];
        for (percentile, value, below) in pairs {
            self.rows.push(Row::compared(format!("{name}, {percentile}"), value, "ms", below));
        }
    }
}
