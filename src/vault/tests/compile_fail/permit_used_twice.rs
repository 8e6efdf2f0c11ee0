//! A recorded Permit is gone.

use strongroom_vault::audit::AuditLog;
use strongroom_vault::policy::{Permit, Reveal};

async fn twice(log: &AuditLog, permit: Permit<Reveal>) {
    let _ = log.record(permit).await;
    let _ = log.record(permit).await;
}

fn main() {
    let _ = twice;
}
