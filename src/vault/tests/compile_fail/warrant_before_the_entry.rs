//! There is no Warrant before the log has answered.

use strongroom_vault::audit::{AuditLog, Warrant};
use strongroom_vault::policy::{Permit, Reveal};

fn hurry(log: &AuditLog, permit: Permit<Reveal>) -> Warrant<Reveal> {
    log.record(permit)
}

fn main() {
    let _ = hurry;
}
