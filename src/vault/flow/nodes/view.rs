//! What people and machines are told of the nodes.

use strongroom_wire::admin::{NodeStatus, NodesStatus};

use super::Nodes;
use crate::flow::Vault;

impl Nodes {
    /// This node and the others, as the last beat knew them; none for a vault alone.
    #[must_use]
    pub fn status(&self) -> Option<NodesStatus> {
        let own = self.own.as_ref()?;
        let pulse = self.pulse();
        let generation = pulse.as_ref().map_or(0, |pulse| pulse.generation);
        let rows = pulse.iter().flat_map(|pulse| &pulse.nodes);
        let nodes = rows
            .map(|row| NodeStatus {
                node: row.report.node.clone(),
                unsealed: row.report.holds,
                seen_ms_ago: row.age_ms,
                follows: !row.report.holds || row.report.taken >= generation,
            })
            .collect();
        Some(NodesStatus { node: own.name.clone(), leader: self.leader(), nodes })
    }
}

impl Vault {
    /// Whether this node uses no key, because it has not reached the store for too long.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.barrier.fence().is_up()
    }

    /// Whether this node allows nothing that counts against a quota, because it does not know what the others use.
    #[must_use]
    pub fn knows_no_quotas(&self) -> bool {
        self.policy.is_unheard(self.now_ms())
    }

    /// What an operator should know of the nodes.
    pub(in crate::flow) fn nodes_warnings(&self) -> Vec<String> {
        let fenced = self.barrier.fence().is_up().then(|| {
            "this node has not reached the store for too long and uses no key until it does; see its log".to_owned()
        });
        let behind = self.nodes.status().into_iter().flat_map(|status| status.nodes).filter(|node| !node.follows);
        let behind = behind.map(|node| format!("node {} has not taken over the newest keys yet", node.node));
        fenced.into_iter().chain(behind).collect()
    }
}
