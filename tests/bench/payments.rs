//! What the orchestrator itself costs: payments with a kept card through it, beside a bare proxy that makes the same two
//! requests to the same provider, which answers at once.

use serde_json::json;

use super::bare::Bare;
use super::client::{Client, Requests};
use super::report::{Report, Row};
use super::run::Plan;
use crate::harness::{Fault, Result, Shop, World, card, word};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(plan: &Plan, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let connections: &[usize] = if plan.quick { &[16] } else { &[1, 16, 64] };
    let mut world = World::with_payments().await?;
    let shop = Shop::of(&world)?;
    let first = shop.pay_new(1000, Some("cus_bench"), card::VISA, json!({})).await?;
    let kept = word(&first, "payment_method_id")?;
    let server = world.pki.server("server")?;
    let psp = world.psp()?.client().base().to_owned();
    let proxy = Bare::proxy(world.path(), &world.pki, &server, &psp).await?;
    let body = json!({
        "amount": 1000, "currency": "EUR", "confirm": true, "customer_id": "cus_bench", "off_session": true,
        "authentication_type": "no_three_ds",
        "recurring_details": { "type": "payment_method_id", "data": kept },
    });
    let file = world.path().join("payments.txt");
    let requests = Requests::new(file, vec!["/payments".to_owned()], vec![body.to_string()], 200)?;
    let key = format!("api-key: {}", world.payments()?.merchant.api_key);
    let who = (world.credentials("orchestrator", "main")?, key);
    let client = Client::new(plan.generator, &world.pki, who, world.path(), plan.seconds())?;
    let orchestrator = world.orchestrator.as_mut().ok_or_else(|| Fault::new("there is no orchestrator"))?;
    let orchestrator = (orchestrator.at(), orchestrator.process().id());
    for at in connections {
        tell(&format!("payments, {at} connections"));
        let below = client.fire((proxy.at, proxy.process()), &requests, *at)?;
        let above = client.fire(orchestrator, &requests, *at)?;
        let name = format!("payments, {at} connections");
        let (figure, baseline) = (above.measured.per_second, below.measured.per_second);
        report.rows.push(Row::compared(name.clone(), figure, "1/s", baseline));
        report.percentiles(&name, &above.measured, &below.measured);
    }
    Ok(())
}
