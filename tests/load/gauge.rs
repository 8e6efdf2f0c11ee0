//! What the vault says of itself, and what the system says of it.

use strongroom_tests::harness::{Client, World};

/// The vault's metrics at one moment.
pub(crate) struct Gauges(String);

impl Gauges {
    pub(crate) async fn of(security: &Client) -> Self {
        let answer = security.get("/metrics").await.unwrap();
        answer.must_be(200).unwrap();
        Self(answer.text())
    }

    /// A metric by its whole name with labels, such as `strongroom_connections{listener="Intake"}`.
    pub(crate) fn get(&self, name: &str) -> u64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("there is no metric {name}")).parse().unwrap()
    }
}

/// Resident memory of the vault, in bytes.
pub(crate) fn resident(world: &mut World) -> u64 {
    resident_of(world.vault.process().id())
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_of(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
