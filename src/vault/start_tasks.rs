//! What vaultd does beside answering, from the start to the end, and how it goes: first it says that it leaves, then it takes
//! nothing new, and when the last request is answered everything else ends.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::flow::{Vault, auto, epochs, intake, lifetime, nodes, quotas, sweep};

/// Tasks that run until the process ends.
#[derive(Default)]
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    /// Of several nodes: what has to go on from the moment that one has joined.
    pub(super) fn of_node(vault: &Arc<Vault>) -> Self {
        let mut tasks = Self::default();
        if vault.nodes.are_several() {
            tasks.begin(vault, async |vault| nodes::keep_beating(&vault).await);
            tasks.begin(vault, async |vault| nodes::keep_leading(&vault).await);
            tasks.begin(vault, async |vault| epochs::keep_sharing(&vault).await);
            tasks.begin(vault, async |vault| quotas::keep_sharing(&vault).await);
        }
        tasks
    }

    /// Everything else.
    pub(super) fn begin_all(&mut self, vault: &Arc<Vault>, config: &Config) {
        let every = Duration::from_secs(config.store.sweep_seconds);
        let (look_every, automatic) = (config.keys.look_every(), config.keys.rotate_automatically);
        self.begin(vault, async move |vault| sweep::keep_sweeping(&vault, every).await);
        self.begin(vault, async |vault| intake::keep_tending(&vault).await);
        self.begin(vault, async |vault| auto::keep_open(&vault).await);
        self.begin(vault, async move |vault| lifetime::keep_keys(&vault, look_every, automatic).await);
    }

    fn begin<F>(&mut self, vault: &Arc<Vault>, task: impl FnOnce(Arc<Vault>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        self.0.push(rt::spawn(task(Arc::clone(vault))));
    }

    /// Ends them. Whoever awaits this knows that none of them holds the vault any more.
    pub(super) async fn end(self) {
        self.0.iter().for_each(JoinHandle::abort);
        for task in self.0 {
            // An error says that it was ended.
            let _ = task.await;
        }
    }
}
