//! A log that could not write gives no Warrant, and nobody may overlook it.

use strongroom_vault::audit::{AuditLog, Warrant};
use strongroom_vault::policy::{Permit, Reveal};

async fn overlook(log: &AuditLog, permit: Permit<Reveal>) -> Warrant<Reveal> {
    log.record(permit).await
}

fn main() {
    let _ = overlook;
}
