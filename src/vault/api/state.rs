//! What every handler can reach.

use std::sync::Arc;

use super::clients::Clients;
use super::rate::Rate;
use super::tls::Certificates;
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
}

impl State {
    /// Reads policy and certificates again. If either cannot be used, both stay as they were. Certificates are in force
    /// afterwards; a policy file that is not the one in force is answered, for two people to agree on.
    ///
    /// # Errors
    /// The reason, for the person who asked; it names files and keys, never values.
    pub fn reload(&self) -> Result<Option<String>, String> {
        let other = self.vault.policy_source.read()?;
        self.certificates.reload().map_err(|why| why.to_string())?;
        Ok(other)
    }
}
