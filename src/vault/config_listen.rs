//! `[listen]`: where the listeners are, how long they wait, and how much each of them takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use strongroom_wire::limits;

use super::ConfigError;

/// `[listen]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Browsers and the SDK.
    pub intake: SocketAddr,
    /// Orchestrators, mutual TLS.
    pub release: SocketAddr,
    /// The security team, mutual TLS.
    pub admin: SocketAddr,
    /// Payment switches that speak the card-vault dialect; nobody listens when absent, and `[locker]` says who they are.
    pub locker: Option<SocketAddr>,
    /// Where to write the bound addresses as JSON once all of them listen.
    pub ready_file: Option<PathBuf>,
    /// How long an idle connection stays open, in seconds. Short, because a connection's buffers hold what was last
    /// sent over it.
    #[serde(default = "keep_alive_default")]
    pub keep_alive_seconds: u64,
    /// How long a client may take to send a request head, in seconds.
    #[serde(default = "head_default")]
    pub head_seconds: u64,
    /// How long a client may take for an answer, in seconds, since the first byte of it that found no room.
    #[serde(default = "answer_default")]
    pub answer_seconds: u64,
    /// Most open connections of each listener and worker.
    #[serde(default = "connections_default")]
    pub connections_max: usize,
    /// Most requests that the intake has at work at a time; more are turned away with 503.
    #[serde(default = "intake_requests_default")]
    pub intake_requests_max: usize,
    /// The same of the release listener.
    #[serde(default = "release_requests_default")]
    pub release_requests_max: usize,
    /// The same of the admin listener.
    #[serde(default = "admin_requests_default")]
    pub admin_requests_max: usize,
    /// The same of the card-vault dialect's listener.
    #[serde(default = "locker_requests_default")]
    pub locker_requests_max: usize,
    /// Worker threads of each listener; the number of cores when absent.
    pub workers: Option<usize>,
    /// How long connections are still taken after a stop signal, while health says that this vaultd leaves, in seconds:
    /// as long as a balancer needs to notice.
    #[serde(default)]
    pub notice_seconds: u64,
    /// How long requests may go on after that, in seconds.
    #[serde(default = "drain_default")]
    pub drain_seconds: u64,
}

impl Listen {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let range = |key, value: u64, least: u64, most: u64, why| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(ConfigError::Value { key, why }) }
        };
        range("listen.keep_alive_seconds", self.keep_alive_seconds, 1, 75, "give 1 to 75 seconds")?;
        range("listen.head_seconds", self.head_seconds, 1, 60, "give 1 to 60 seconds")?;
        range("listen.answer_seconds", self.answer_seconds, 1, 300, "give 1 to 300 seconds")?;
        range("listen.notice_seconds", self.notice_seconds, 0, 300, "give 0 to 300 seconds")?;
        range("listen.drain_seconds", self.drain_seconds, 1, 300, "give 1 to 300 seconds")?;
        range("listen.connections_max", self.connections_max as u64, 1, 100_000, "give 1 to 100000")?;
        for (key, requests) in [
            ("listen.intake_requests_max", self.intake_requests_max),
            ("listen.release_requests_max", self.release_requests_max),
            ("listen.admin_requests_max", self.admin_requests_max),
            ("listen.locker_requests_max", self.locker_requests_max),
        ] {
            range(key, requests as u64, 1, limits::REQUESTS_AT_WORK_MAX as u64, "give 1 to 65536")?;
        }
        range("listen.workers", self.workers.unwrap_or(1) as u64, 1, 256, "give 1 to 256")?;
        Ok(())
    }
}

fn keep_alive_default() -> u64 {
    5
}
fn head_default() -> u64 {
    5
}
fn connections_default() -> usize {
    12_000
}
fn intake_requests_default() -> usize {
    256
}
fn release_requests_default() -> usize {
    1024
}
fn admin_requests_default() -> usize {
    64
}
fn locker_requests_default() -> usize {
    256
}
fn answer_default() -> u64 {
    30
}

fn drain_default() -> u64 {
    20
}
