//! A balancer before several vaultd, as deployments have one: it carries TCP connections to those whose health check says
//! that they are ready.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Client, Pki, Relay, Result, Vault, World};

/// A running balancer of release listeners.
pub struct Balancer {
    relay: Relay,
    members: Arc<Mutex<Vec<Member>>>,
    checks: JoinHandle<()>,
}

/// A vaultd behind the balancer, and who asks it how it is.
#[derive(Clone)]
struct Member {
    at: SocketAddr,
    asks: Client,
}

impl Balancer {
    /// Starts one before these.
    ///
    /// # Errors
    /// When no port can be bound or no certificate be made.
    pub fn start(world: &World, vaults: &[&Vault]) -> Result<Self> {
        let members = vaults.iter().map(|vault| Member::of(vault, &world.pki)).collect::<Result<Vec<_>>>()?;
        let relay = Relay::start(members.iter().map(|member| member.at).collect())?;
        let members = Arc::new(Mutex::new(members));
        let checks = tokio::spawn(check(Arc::clone(&members), relay.clone()));
        Ok(Self { relay, members, checks })
    }

    /// One more vaultd; it gets connections as soon as it is ready.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn add(&self, vault: &Vault, pki: &Pki) -> Result<()> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(Member::of(vault, pki)?);
        Ok(())
    }

    /// Where clients find it.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.relay.at()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.checks.abort();
    }
}

impl Member {
    fn of(vault: &Vault, pki: &Pki) -> Result<Self> {
        let [_, at, _] = vault.addresses();
        Ok(Self { at, asks: vault.release(pki, &pki.client("monitor", "balancer")?)? })
    }
}

/// Asks each for its health again and again, and aims at those that are ready.
async fn check(members: Arc<Mutex<Vec<Member>>>, relay: Relay) {
    loop {
        let all = members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // All at once, so that one that does not answer keeps nobody from hearing of the others.
        let asked = all.iter().map(|member| async move {
            let asked = tokio::time::timeout(ANSWER_WITHIN, member.asks.get("/health/ready")).await;
            matches!(asked, Ok(Ok(answer)) if answer.status == 200).then_some(member.at)
        });
        relay.aim(futures_util::future::join_all(asked).await.into_iter().flatten().collect());
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

const CHECK_EVERY: Duration = Duration::from_millis(50);
/// A node that does not say so soon gets no new connections for a moment.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
