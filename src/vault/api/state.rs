//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpResponse;
use actix_web::web::ServiceConfig;
use strongroom_wire::RequestId;

use super::admission::Gates;
use super::clients::Clients;
use super::problem::Refusal;
use super::rate::Rate;
use super::tls::Certificates;
use crate::flow::Vault;
use crate::telemetry::metrics::ListenerLabel;

/// A dialect that a listener of its own speaks.
pub struct Dialect {
    /// Registers its routes, and what their handlers share.
    pub routes: Box<dyn Fn(&mut ServiceConfig) + Send + Sync>,
    /// Says in its own words why a request is refused before a handler of its own has it.
    pub refuse: fn(&Refusal) -> HttpResponse,
    /// Whether each client shows a certificate.
    pub client_certificates: bool,
}

/// Shared by the workers of all listeners.
pub struct State {
    /// The rooms behind the API.
    pub vault: Arc<Vault>,
    /// Verifies clients.
    pub clients: Arc<Clients>,
    /// Certificates, for reload and expiry.
    pub certificates: Arc<Certificates>,
    /// The intake's limit for each address.
    pub intake_rate: Rate,
    /// The same limit for the SDK's files, which cost less and come several at a time.
    pub sdk_rate: Rate,
    /// The limit of reports from browsers for each address.
    pub report_rate: Rate,
    /// What the vault's own documents are told from.
    pub public_origin: Option<String>,
    /// Whether the process is about to stop.
    pub leaving: AtomicBool,
    /// What each listener lets in.
    pub gates: Gates,
    /// The card-vault dialect, where somebody speaks it.
    pub dialect: Option<Dialect>,
}

impl State {
    /// From now on health says that this vaultd leaves, and every answer ends its connection, so that each client goes
    /// elsewhere with its next request and none is cut off in the middle of one.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.vault.nodes.begin_to_leave();
    }

    /// A refusal as the listener that it is told on speaks.
    pub(super) fn told(&self, listener: ListenerLabel, refusal: &Refusal, request: RequestId) -> HttpResponse {
        match &self.dialect {
            Some(dialect) if listener == ListenerLabel::Locker => (dialect.refuse)(refusal),
            _ => refusal.answer_to(request),
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

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
