//! Waiting for the other nodes: until each of those that hold keys knows a change, and until nothing of before it is under way.

use std::time::Instant;

use strongroom_wire::NodeName;

use super::{Own, State};
use crate::flow::{FlowError, Vault};
use crate::store::{NodeRow, Pulse};

impl Vault {
    /// Waits until every other node that holds keys has taken over what is in the store now. Call it after the change, and
    /// not under the lock under which keys change.
    ///
    /// # Errors
    /// [`FlowError::Unaware`] names a node that did not in time; [`FlowError::Behind`] if this one was buried meanwhile.
    pub(in crate::flow) async fn known(&self) -> Result<(), FlowError> {
        self.others(|row, generation| row.report.taken >= generation).await
    }

    /// The same, and until every request of theirs that began before is over. For requests of this process see
    /// [`crate::flow::rounds::Rounds`] and [`crate::flow::kek::WrapCount`].
    ///
    /// # Errors
    /// As [`Vault::known`]; for a request that runs it waits as long as that takes.
    pub(in crate::flow) async fn settled_elsewhere(&self) -> Result<(), FlowError> {
        self.others(|row, generation| row.report.settled >= generation).await
    }

    /// Has this node follow what is in the store now, so that it knows what another one signed or decided. Keys that the Root
    /// has to unwrap first are not waited for.
    ///
    /// # Errors
    /// As [`Vault::known`].
    pub(in crate::flow) async fn caught_up(&self) -> Result<(), FlowError> {
        self.until(|state| state.followed).await
    }

    /// Waits until this node has taken over what is in the store now.
    ///
    /// # Errors
    /// As [`Vault::known`].
    pub(in crate::flow) async fn taken(&self) -> Result<(), FlowError> {
        self.until(|state| state.taken).await
    }

    async fn until(&self, has: impl Fn(&State) -> u64) -> Result<(), FlowError> {
        let Some(own) = &self.nodes.own else { return Ok(()) };
        let generation = self.store.generation().await?;
        let (mut pulses, began) = (own.pulse.subscribe(), Instant::now());
        while has(&own.state()) < generation {
            if began.elapsed() >= own.bounds.wait {
                return Err(FlowError::Unaware(own.name.clone()));
            }
            own.soon.notify_one();
            let _ = tokio::time::timeout(own.bounds.beat, pulses.changed()).await;
        }
        Ok(())
    }

    async fn others(&self, is_so: impl Fn(&NodeRow, u64) -> bool) -> Result<(), FlowError> {
        let Some(own) = &self.nodes.own else { return Ok(()) };
        let run = own.state().run;
        let generation = self.store.generation().await?;
        let mut pulses = own.pulse.subscribe();
        let began = Instant::now();
        loop {
            let pulse = pulses.borrow_and_update().clone();
            match late(pulse.as_deref(), own, generation, &is_so) {
                Late::Nobody => return Ok(()),
                Late::Node(node) if began.elapsed() >= own.bounds.wait => return Err(FlowError::Unaware(node)),
                Late::Node(_) | Late::Busy | Late::Unknown => {}
            }
            let state = own.state();
            if state.run != run || !state.is_member {
                return Err(FlowError::Behind);
            }
            own.soon.notify_one();
            // A beat that brings nothing new is waited for as well; who waits asks for no more than some twenty a second.
            let pause = actix_web::rt::time::sleep(own.bounds.beat / 5);
            tokio::join!(pause, async {
                let _ = tokio::time::timeout(own.bounds.beat, pulses.changed()).await;
            });
        }
    }
}

enum Late {
    Nobody,
    /// It does not know the change yet.
    Node(NodeName),
    /// Every node knows it, and one has requests of before.
    Busy,
    /// The last beat is older than the change.
    Unknown,
}

fn late(pulse: Option<&Pulse>, own: &Own, generation: u64, is_so: impl Fn(&NodeRow, u64) -> bool) -> Late {
    let Some(pulse) = pulse.filter(|pulse| pulse.generation >= generation) else { return Late::Unknown };
    let others = || pulse.nodes.iter().filter(|row| row.report.holds && row.report.node != own.name);
    if let Some(row) = others().find(|row| row.report.taken < generation) {
        return Late::Node(row.report.node.clone());
    }
    if others().all(|row| is_so(row, generation)) { Late::Nobody } else { Late::Busy }
}
