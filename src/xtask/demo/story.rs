//! The story itself: a new customer, the same customer again, 3-D Secure, a decline, and what the audit log says of it.

use std::time::Instant;

use serde_json::{Value, json};
use strongroom_tests::harness::{Checkout, Fault, Result, Shop, World, card, with_card, word};

use super::tell::{Teller, must_be};

/// Somebody pays for the first time; the card is kept after the money is there. Answers the token.
pub(super) async fn new_customer(tell: &mut Teller, world: &World, began: Instant) -> Result<String> {
    tell.chapter("A new customer pays 42.00 EUR with card 4242 4242 4242 4242");
    let shop = Shop::of(world)?;
    let customer = json!({ "customer_id": CUSTOMER, "name": "Ada Lovelace" });
    shop.server().post("/customers", &customer).await?.expect(200)?;
    let checkout = begin(tell, &shop, 4200, Some(CUSTOMER)).await?;
    let session = shop.vault_session(&checkout).await?;
    tell.step(
        "shop",
        "orchestrator",
        "POST /payments/{id}/vault_session",
        "a client session at the vault, for the page",
    );
    let stored = shop.post_card(&session, card::VISA, "123").await?;
    let token = word(&stored, "payment_method_id")?;
    tell.step(
        "browser",
        "vault intake",
        "POST /v1/payment_methods, the card",
        &format!(
            "{token}, {} ending in {}, short-term",
            stored["card"]["brand"].as_str().unwrap_or("?"),
            last4(&stored)
        ),
    );
    tell.remark(&format!(
        "First token {:.0} s after the command was given, building included.",
        began.elapsed().as_secs_f64()
    ));
    must_be(&stored, "storage", "short_term")?;
    let paid = shop.confirm(&checkout, with_card(&stored)?).await?;
    must_be(&paid, "status", "succeeded")?;
    tell.step("browser", "orchestrator", "POST /payments/{id}/confirm by token", &outcome(&paid));
    tell.remark(
        "orchestrator -> vault release: reveal, once, for this call; orchestrator -> PSP: authorize and capture.",
    );
    must_be(&paid, "payment_method_id", &token)?;
    let kept = kept_as(world, &token).await?;
    must_be(&kept, "storage", "long_term")?;
    tell.step(
        "orchestrator",
        "vault release",
        "POST /v1/payment_methods/{id}/retain",
        "paid, so the card is long-term now",
    );
    tell.remark("Who saw the number: browser, vault, orchestrator for one call, PSP. The shop never did.");
    Ok(token)
}

/// The same customer again: no card is typed.
pub(super) async fn repeat_customer(tell: &mut Teller, world: &World, token: &str) -> Result<()> {
    tell.chapter("The same customer pays 9.99 EUR with the saved card");
    let shop = Shop::of(world)?;
    let checkout = begin(tell, &shop, 999, Some(CUSTOMER)).await?;
    let saved = shop.saved(&checkout).await?;
    let first = saved.first().ok_or_else(|| Fault::new("the card that was paid with is not among the saved ones"))?;
    must_be(first, "payment_method_id", token)?;
    let digits = first["card"]["last4_digits"].as_str().unwrap_or("?");
    tell.step("browser", "orchestrator", "GET /customers/payment_methods", &format!("one card, ending in {digits}"));
    let with = json!({ "payment_token": word(first, "payment_token")? });
    let paid = shop.confirm(&checkout, with).await?;
    must_be(&paid, "status", "succeeded")?;
    tell.step("browser", "orchestrator", "POST /payments/{id}/confirm by payment_token", &outcome(&paid));
    Ok(())
}

/// The bank wants to see its customer first.
pub(super) async fn three_d_secure(tell: &mut Teller, world: &World) -> Result<()> {
    tell.chapter("A card whose bank asks back (3-D Secure)");
    let shop = Shop::of(world)?;
    let checkout = begin(tell, &shop, 12_000, None).await?;
    let session = shop.vault_session(&checkout).await?;
    let stored = shop.post_card(&session, card::THREE_DS, "123").await?;
    let asked = shop.confirm(&checkout, with_card(&stored)?).await?;
    must_be(&asked, "status", "requires_customer_action")?;
    let page = asked["next_action"]["redirect_to_url"].as_str().ok_or_else(|| Fault::new("no page to go to"))?;
    tell.step("browser", "orchestrator", "POST /payments/{id}/confirm", "requires_customer_action: a page of the bank");
    approve(world, page).await?;
    tell.step("browser", "PSP", "the customer approves on the bank's page", "back to the shop");
    let path = format!("/payments/{}?force_sync=true", checkout.payment_id);
    let paid = shop.server().get(&path).await?.expect(200)?;
    must_be(&paid, "status", "succeeded")?;
    tell.step("shop", "orchestrator", "GET /payments/{id}?force_sync=true", &outcome(&paid));
    Ok(())
}

/// The issuer says no, and the card is not kept.
pub(super) async fn decline(tell: &mut Teller, world: &World) -> Result<()> {
    tell.chapter("A card that is declined");
    let shop = Shop::of(world)?;
    let checkout = begin(tell, &shop, 5000, Some(CUSTOMER)).await?;
    let session = shop.vault_session(&checkout).await?;
    let stored = shop.post_card(&session, card::DECLINED, "123").await?;
    let refused = shop.confirm(&checkout, with_card(&stored)?).await?;
    must_be(&refused, "status", "failed")?;
    let code = word(&refused, "error_code")?;
    tell.step("browser", "orchestrator", "POST /payments/{id}/confirm", &format!("failed: {code}"));
    let token = word(&stored, "payment_method_id")?;
    let gone = world.release().await?.get(&format!("/v1/payment_methods/{token}")).await?;
    gone.must_be(404)?;
    tell.step(
        "orchestrator",
        "vault release",
        "DELETE /v1/payment_methods/{id}",
        "shredded: a declined card is not kept",
    );
    Ok(())
}

/// What the log says, and that nobody rewrote it.
pub(super) async fn audit(tell: &mut Teller, world: &World) -> Result<()> {
    tell.chapter("What the audit log says about releases");
    let page = world.security().await?.get("/v1/audit/entries?from=0&limit=1000").await?.expect(200)?;
    let entries = page["entries"].as_array().cloned().unwrap_or_default();
    let released: Vec<&Value> =
        entries.iter().filter(|entry| entry["act"] == "reveal" && entry["outcome"] == "allowed").collect();
    for entry in &released {
        let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
        tell.remark(&format!("#{:<4} {}  {}  {}", entry["index"], text("at"), text("subject"), text("note")));
    }
    // New customer, repeat customer, 3-D Secure, decline: one release each, and no more.
    if released.len() != 4 {
        return Err(Fault::new(format!("there are {} entries of releases instead of 4", released.len())));
    }
    let officer = world.credentials("security", "alice")?;
    let checkpoint = world.path().join("checkpoint");
    std::fs::write(&checkpoint, world.vaultctl(&officer, &["audit", "checkpoint"])?)
        .map_err(|error| Fault::new(format!("{}: {error}", checkpoint.display())))?;
    let key = world.vaultctl(&officer, &["audit", "public-key"])?;
    let said = world.verify_audit(key.trim(), Some(&checkpoint))?;
    tell.step("security", "audit.db", "vaultctl audit verify, offline", said.lines().next().unwrap_or("verified"));
    Ok(())
}

/// What the PSP says it did.
pub(super) async fn ledger(tell: &mut Teller, world: &World) -> Result<()> {
    tell.chapter("What the PSP charged");
    let lines = world.psp()?.ledger().await?;
    for line in &lines {
        let payment = line.payment_id.as_deref().unwrap_or("-");
        let money = format!("{}.{:02} {}", line.amount / 100, line.amount % 100, line.currency.to_uppercase());
        tell.remark(&format!("{:<10} {money:>12}  card ending in {}  {payment}", line.kind, line.last4));
    }
    let captured: Vec<i64> = lines.iter().filter(|line| line.kind == "capture").map(|line| line.amount).collect();
    if captured != [4200, 999, 12_000] {
        return Err(Fault::new("the PSP's ledger differs from what was paid"));
    }
    tell.remark("Three payments, three captures: nothing was charged twice, and the decline moved no money.");
    Ok(())
}

async fn begin(tell: &mut Teller, shop: &Shop, amount: i64, customer: Option<&str>) -> Result<Checkout> {
    let checkout = shop.begin(amount, customer, json!({})).await?;
    let said = format!("{}, and a client secret for the page", checkout.payment_id);
    tell.step("shop", "orchestrator", &format!("POST /payments, {}.{:02} EUR", amount / 100, amount % 100), &said);
    Ok(checkout)
}

/// Waits until the orchestrator has told the vault to keep the card, which it does right after the payment.
async fn kept_as(world: &World, token: &str) -> Result<Value> {
    let release = world.release().await?;
    strongroom_tests::harness::eventually("the card to be kept", std::time::Duration::from_secs(10), || async {
        let method = release.get(&format!("/v1/payment_methods/{token}")).await?.expect(200)?;
        Ok((method["storage"] == "long_term").then_some(method))
    })
    .await
}

/// Clicks `approve` on the simulator's page.
async fn approve(world: &World, page: &str) -> Result<()> {
    world.psp()?.click(page, "approve").await.map(drop)
}

fn outcome(payment: &Value) -> String {
    let (status, connector) = (payment["status"].as_str().unwrap_or("?"), payment["connector"].as_str().unwrap_or("?"));
    let received = payment["amount_received"].as_i64().unwrap_or(0);
    format!("{status} at {connector}, {}.{:02} received", received / 100, received % 100)
}

fn last4(stored: &Value) -> &str {
    stored["card"]["last4"].as_str().unwrap_or("?")
}

const CUSTOMER: &str = "cus_ada";
