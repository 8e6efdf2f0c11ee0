//! A Permit to read the masked view does not become a Warrant to reveal.

use strongroom_vault::audit::{AuditLog, NotRecorded, Warrant};
use strongroom_vault::policy::{Permit, ReadMasked, Reveal};

async fn escalate(log: &AuditLog, permit: Permit<ReadMasked>) -> Result<Warrant<Reveal>, NotRecorded> {
    log.record(permit).await
}

fn main() {
    let _ = escalate;
}
