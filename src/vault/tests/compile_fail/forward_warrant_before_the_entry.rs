//! There is no Warrant to forward before the log has answered.

use strongroom_vault::audit::{AuditLog, Warrant};
use strongroom_vault::policy::{Forward, Permit};

fn hurry(log: &AuditLog, permit: Permit<Forward>) -> Warrant<Forward> {
    log.record(permit)
}

fn main() {
    let _ = hurry;
}
