//! Several vaultd on one database: a world whose own vaultd is the first of them.

use serde_json::Value;

use super::{Client, NodePlan, Result, SharedDatabase, Vault, VaultPlan, World, WorldPlan, eventually};

/// A world and the vaultd beside its own.
pub struct Cluster {
    /// Every vaultd but the first, which is the world's own.
    pub others: Vec<Vault>,
    /// The rest of it.
    pub world: World,
}

impl Cluster {
    /// `count` vaultd on one database, unsealed, with one tenant that all of them know.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(database: SharedDatabase, count: usize) -> Result<Self> {
        Self::planned(database, count, WorldPlan::default()).await
    }

    /// The same by a plan.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn planned(database: SharedDatabase, count: usize, plan: WorldPlan) -> Result<Self> {
        let node = Some(NodePlan { name: NAMES[0].to_owned(), database, roots: "" });
        let world = World::start(WorldPlan { vault: VaultPlan { node, ..plan.vault }, ..plan }).await?;
        let mut cluster = Self { others: Vec::new(), world };
        for _ in 1..count {
            cluster.join().await?;
        }
        Ok(cluster)
    }

    /// One more vaultd.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn join(&mut self) -> Result<()> {
        let name = NAMES[self.others.len() + 1];
        self.others.push(self.world.add_vault(name).await?);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// One of them, from 0.
    #[must_use]
    pub fn node(&self, nth: usize) -> &Vault {
        if nth == 0 { &self.world.vault } else { &self.others[nth - 1] }
    }

    /// The same, to be killed or restarted.
    pub fn node_mut(&mut self, nth: usize) -> &mut Vault {
        if nth == 0 { &mut self.world.vault } else { &mut self.others[nth - 1] }
    }

    /// A client of one node's release listener with every release scope, acting for the first tenant.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn release(&self, nth: usize) -> Result<Client> {
        let who = self.world.credentials("orchestrator", "main")?;
        Ok(self.node(nth).release(&self.world.pki, &who)?.tenant(&self.world.tenant))
    }

    /// The same of every node.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn releases(&self) -> Result<Vec<Client>> {
        (0..self.count()).map(|nth| self.release(nth)).collect()
    }

    /// A client of one node's admin listener for an officer.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn officer(&self, nth: usize, name: &str) -> Result<Client> {
        self.node(nth).admin(&self.world.pki, &self.world.credentials("security", name)?)
    }

    /// Waits until a node answers that it is ready.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self, nth: usize) -> Result<()> {
        let release = self.release(nth)?;
        let ready = || async { Ok((release.get("/health/ready").await?.status == 200).then_some(())) };
        eventually("a node to be ready", WITHIN, ready).await
    }

    /// Alice asks at one node, Bob approves at another; what comes of it.
    ///
    /// # Errors
    /// When either is refused.
    pub async fn agreed(&self, at: [usize; 2], method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let method = method.parse().map_err(super::because("a method"))?;
        let act = self.officer(at[0], "alice")?.send(method, path, body, &[]).await?.expect(202)?;
        let approve = format!("/v1/acts/{}/approve", super::word(&act, "act_id")?);
        self.officer(at[1], "bob")?.send(reqwest::Method::POST, &approve, None, &[]).await?.expect(200)
    }
}

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const WITHIN: std::time::Duration = std::time::Duration::from_secs(90);
