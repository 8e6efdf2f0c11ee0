//! What every handler can reach.

use std::path::PathBuf;
use std::sync::Arc;

use super::rate::Rate;
use super::tls::{Certificates, Clients};
use crate::flow::Vault;

/// Shared by the workers of all three listeners.
pub struct State {
    /// The rooms behind the API.
    pub vault: Arc<Vault>,
    /// Verifies clients.
    pub clients: Arc<Clients>,
    /// Certificates, for reload and expiry.
    pub certificates: Arc<Certificates>,
    /// The intake's limit for each address.
    pub intake_rate: Rate,
    /// The policy file, for reload.
    pub policy_path: PathBuf,
}

impl State {
    /// Reads policy and certificates again. If either cannot be used, both stay as they were.
    ///
    /// # Errors
    /// The reason, for the person who asked; it names files and keys, never values.
    pub fn reload(&self) -> Result<Vec<String>, String> {
        let rules = self.vault.read_policy(&self.policy_path)?;
        self.certificates.reload().map_err(|why| why.to_string())?;
        self.vault.policy.replace(rules, self.vault.now_ms());
        Ok(vec!["certificates".to_owned(), "policy".to_owned()])
    }
}
