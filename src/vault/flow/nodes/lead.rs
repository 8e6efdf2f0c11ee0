//! Leading: one node does what is to be done once. It is whoever takes the lease, and somebody else within seconds when it goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom_wire::NodeName;
use uuid::Uuid;

use super::{Nodes, Own};
use crate::flow::{FlowError, Vault, acts, intake, reroot, rotate};
use crate::store::Pulse;
use crate::telemetry::log;

/// After a beat: takes the lease where nobody leads, and gives it up to one that holds keys.
pub(super) async fn look(vault: &Vault, own: &Own, pulse: &Pulse) -> Result<(), FlowError> {
    let state = own.state();
    let others_hold = pulse.nodes.iter().any(|row| row.report.run != state.run && row.report.holds);
    let may_lead = state.holds || !others_hold;
    let leads = match leader(pulse) {
        Some(run) if run == state.run && may_lead && !vault.nodes.is_leaving() => true,
        Some(run) if run == state.run => {
            own.leads.store(false, Ordering::SeqCst);
            vault.store.release(LEADER, state.run).await?;
            false
        }
        Some(_) => false,
        None => may_lead && !vault.nodes.is_leaving() && vault.store.lease(LEADER, state.run).await?,
    };
    if leads && !own.leads.swap(leads, Ordering::SeqCst) {
        log::info("this node leads", &[("node", &own.name)]);
    }
    own.leads.store(leads, Ordering::SeqCst);
    Ok(())
}

/// Looks after what nobody does until the process ends: rotations, acts and changes of the Root that a node left behind.
/// A vault alone takes them up at its unseal.
pub async fn keep_leading(vault: &Arc<Vault>) {
    let Some(own) = &vault.nodes.own else { return };
    let mut known: Option<HashSet<Uuid>> = None;
    let mut rounds = 0u32;
    loop {
        actix_web::rt::time::sleep(LOOK_EVERY).await;
        if !vault.nodes.leads() || !vault.barrier.is_unsealed() {
            known = None;
            continue;
        }
        let Some(pulse) = vault.nodes.pulse() else { continue };
        let runs: HashSet<Uuid> = pulse.nodes.iter().map(|row| row.report.run).collect();
        let is_new = known.is_none();
        rounds += 1;
        if !is_new && known.as_ref() == Some(&runs) && !rounds.is_multiple_of(IDLE_ROUNDS) {
            continue;
        }
        match take_up(vault, is_new).await {
            Ok(()) => known = Some(runs),
            Err(_) => log::warn("what another node left could not be taken up; tried again", &[("node", &own.name)]),
        }
    }
}

/// What an unseal does for a vault alone. With `all` also rotations that a fault stopped.
async fn take_up(vault: &Arc<Vault>, all: bool) -> Result<(), FlowError> {
    intake::tend(vault).await?;
    reroot::resume(vault).await?;
    acts::resume(vault).await;
    if all { rotate::resume(vault).await } else { rotate::resume_left(vault).await }
}

impl Nodes {
    /// Whether this node does what is to be done once. A vault alone does everything.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.own.as_ref().is_none_or(|own| own.leads.load(Ordering::SeqCst) && own.state().is_member)
    }

    /// Who leads, as the last beat knew it.
    #[must_use]
    pub fn leader(&self) -> Option<NodeName> {
        let pulse = self.pulse()?;
        let run = leader(&pulse)?;
        pulse.nodes.iter().find(|row| row.report.run == run).map(|row| row.report.node.clone())
    }

    /// The other node that has a lease, as the last beat knew it.
    pub(in crate::flow) fn holder(&self, name: &str) -> Option<NodeName> {
        let pulse = self.pulse()?;
        let lease = pulse.leases.iter().find(|lease| lease.name == name)?;
        self.own.as_ref()?.name_of(lease.run)
    }
}

fn leader(pulse: &Pulse) -> Option<Uuid> {
    let lease = pulse.leases.iter().find(|lease| lease.name == LEADER)?;
    pulse.nodes.iter().any(|row| row.report.run == lease.run).then_some(lease.run)
}

pub(super) const LEADER: &str = "leader";
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks at the store without a reason: every ten seconds.
const IDLE_ROUNDS: u32 = 20;
