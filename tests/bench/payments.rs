//! What the orchestrator itself costs: payments with a kept card through it, beside a bare proxy that makes the same two
//! requests to the same provider, which answers at once.

use serde_json::json;

use super::bare::Bare;
use super::report::{Report, Row};
use super::run::Bench;
use crate::harness::{Result, Shop, World, card, word};

/// Adds its figures to the report.
///
/// # Errors
/// When a process does not start, or an answer is wrong.
pub(super) async fn measure(quick: bool, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let (seconds, connections): (u64, &[usize]) = if quick { (3, &[16]) } else { (10, &[1, 16, 64]) };
    let world = World::with_payments().await?;
    let shop = Shop::of(&world)?;
    let first = shop.pay_new(1000, Some("cus_bench"), card::VISA, json!({})).await?;
    let kept = word(&first, "payment_method_id")?;
    let server = world.pki.server("server")?;
    let psp = world.psp()?.client().base().to_owned();
    let proxy = Bare::proxy(world.path(), &world.pki, &server, &psp).await?;
    let bench = Bench { world: &world, seconds };
    let body = json!({
        "amount": 1000, "currency": "EUR", "confirm": true, "customer_id": "cus_bench", "off_session": true,
        "authentication_type": "no_three_ds",
        "recurring_details": { "type": "payment_method_id", "data": kept },
    });
    let requests = bench.requests("payments.tsv", std::iter::once(format!("POST\t/payments\t{body}")))?;
    let orchestrator = world.payments()?;
    let key = format!("api-key: {}", orchestrator.merchant.api_key);
    for at in connections {
        tell(&format!("payments, {at} connections"));
        let below = bench.load_as(&key, proxy.at, &requests, *at, 200)?;
        let above = bench.load_as(&key, orchestrator.at(), &requests, *at, 200)?;
        let name = |figure: &str| format!("payments, {at} connections{figure}");
        report.rows.push(Row::compared(name(""), above.per_second, "1/s", below.per_second));
        report.rows.push(Row::compared(name(", p50"), above.p50_ms, "ms", below.p50_ms));
        report.rows.push(Row::compared(name(", p99"), above.p99_ms, "ms", below.p99_ms));
    }
    Ok(())
}
